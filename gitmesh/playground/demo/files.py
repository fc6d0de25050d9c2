"""The files of the demo's repository, and how a scene changes them.

Stage: playground (effect).
"""

from __future__ import annotations

import re
import shutil
from importlib import resources
from pathlib import Path

from gitmesh.playground.errors import PlaygroundError

ROUTES_FILE = "manifests/virtual-services.yaml"
_DESTINATION = re.compile(r"(subset: (v[12])\s*(?:#[^\n]*)?\n\s*weight: )\d+")


def sample_directories() -> dict[str, Path]:
    """Return where the sample configuration is: in a checkout, or in an installed package."""
    package = Path(str(resources.files("gitmesh")))
    checkout, installed = package.parent, package / "playground" / "bookinfo"
    for manifests, policies in (
        (checkout / "manifests" / "bookinfo", checkout / "policies"),
        (installed / "manifests", installed / "policies"),
    ):
        if manifests.is_dir() and policies.is_dir():
            return {"manifests": manifests, "policies": policies}
    raise PlaygroundError(f"the sample configuration is missing from {package}; install the package again")


def copy_sample(target: Path) -> None:
    """Copy the sample configuration into a work tree."""
    for name, directory in sample_directories().items():
        shutil.copytree(directory, target / name, dirs_exist_ok=True)


def with_weights(work: Path, **weights: int) -> dict[str, str]:
    """Return the routes with other weights, by subset name."""
    text = (work / ROUTES_FILE).read_text()
    changed, count = _DESTINATION.subn(lambda found: f"{found[1]}{weights[found[2]]}", text)
    assert count == len(weights), f"{ROUTES_FILE} should have {len(weights)} weights, and has {count}"
    return {ROUTES_FILE: changed}


def broken(work: Path) -> tuple[dict[str, str], str]:
    """Return the routes with a list that is opened and never closed, and the place of the mistake."""
    lines = (work / ROUTES_FILE).read_text().splitlines()
    number = next(i for i, line in enumerate(lines) if line.strip().startswith("weight:"))
    indent = len(lines[number]) - len(lines[number].lstrip())
    lines[number] = " " * indent + "weight: [100"
    return {ROUTES_FILE: "\n".join(lines) + "\n"}, f"{ROUTES_FILE}:{number + 1}:{indent + 9}"
