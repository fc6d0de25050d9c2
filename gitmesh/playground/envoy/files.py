"""Feeding Envoy by files: each kind of resource in its own file, replaced as a whole.

Stage: playground (effect). Envoy reloads a file when another is renamed over it, and then only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from gitmesh.playground.translate.naming import Envoy

CLUSTERS = "clusters"
LISTENERS = "listeners"


class Files:
    """The folder that Envoy reads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.resolve()  # Envoy must find it whatever its working folder is
        self._directory.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> str:
        """Return the file of one kind of resource."""
        return str(self._directory / f"{name}.json")

    def publish(self, name: str, version: str, resources: Iterable[Envoy]) -> None:
        """Replace a file, so that Envoy reads either the old content or the new."""
        self.write(name, {"version_info": version, "resources": list(resources)})

    def write(self, name: str, content: Envoy) -> str:
        """Replace a file by any JSON, and return its path."""
        path = self.path(name)
        fresh = f"{path}.new"
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump(content, file, separators=(",", ":"))
        os.replace(fresh, path)
        return path
