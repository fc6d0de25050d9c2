"""Where in files an object's field stands.

Stage: none (face). Each file is read again at most once, and only when a place in it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.resource import Location, ResourceKey, ResourceSet
from gitmesh.model.revision import SourceFile
from gitmesh.parse.positions import NOTHING_PLACED, Pinpointed, pinpoint_again


class Places:
    """Finds file, line and column of fields. Without files, everything is nowhere."""

    def __init__(self, files: Mapping[str, SourceFile], resources: ResourceSet) -> None:
        self._files = files
        self._resources = resources
        self._known: Pinpointed = NOTHING_PLACED

    def of(self, key: ResourceKey, path: tuple[str | int, ...] = ()) -> Location | None:
        """Return where a field stands; None for an object that no file holds."""
        resource = self._resources.get(key)
        if resource is None or resource.origin is None:
            return None
        at = resource.origin.location
        asked = Diagnostic("", Severity.INFO, "", at=at, path=path)
        self._known = pinpoint_again(self._files, [asked], self._known)
        return self._known.findings[0].at
