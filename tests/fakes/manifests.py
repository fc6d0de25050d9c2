"""The manifests of this repository as objects: as they are written, and as kubectl builds them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from fakes.kubectl import kubectls

from gitmesh.model.config import ParseLimits
from gitmesh.parse.yaml_text import read_yaml

ROOT = Path(__file__).parents[2]
_LIMITS = ParseLimits(nesting_max=200)


def documents(path: Path) -> list[dict[str, Any]]:
    found, findings = read_yaml(path.name, path.read_text(), _LIMITS)
    assert findings == ()
    return [document.value for document in found]


def built(folder: str) -> list[dict[str, Any]]:
    """What a kustomization comes to, by every kubectl that is there; they agree."""
    found = []
    for kubectl in kubectls().values():
        done = subprocess.run(
            [kubectl, "kustomize", str(ROOT / "manifests" / folder)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        documents, findings = read_yaml("built.yaml", done.stdout, _LIMITS)
        assert findings == ()
        found.append(sorted((d.value for d in documents), key=lambda d: (d["kind"], d["metadata"]["name"])))
    assert found, "kubectl is missing: run `make tools`"
    assert all(one == found[0] for one in found)
    return found[0]
