"""From the path of a field to its line and column.

Stage: parse (pure). Only files that have findings are read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from gitmesh.model.diagnostic import Diagnostic, in_order
from gitmesh.model.resource import Location, ResourceKey, ResourceSet
from gitmesh.model.revision import SourceFile
from gitmesh.parse.marks import Node, Place, locate, read_marks
from gitmesh.parse.text import decode

# In one file: where an object begins, the path inside it, and whether the field's name is meant.
_Spot = tuple[int, int, tuple[str | int, ...], bool]


@dataclass(frozen=True, slots=True)
class Pinpointed:
    """Findings with their places, in the order of files, lines and columns; `spots` by path and blob.

    `placed`: by the identity of a finding that was placed, the finding, the blob of its file, and the result.
    """

    findings: tuple[Diagnostic, ...] = ()
    spots: Mapping[tuple[str, str], Mapping[_Spot, Location]] = field(default_factory=dict, repr=False)
    placed: Mapping[int, tuple[Diagnostic, str, Diagnostic]] = field(default_factory=dict, repr=False)


NOTHING_PLACED = Pinpointed()


def pinpoint(files: Mapping[str, SourceFile], diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Narrow `at` from the object to the field that `path` names, or to the nearest field above it.

    Returns all findings in the order of files, lines and columns.
    """
    return pinpoint_again(files, diagnostics, NOTHING_PLACED).findings


def pinpoint_again(
    files: Mapping[str, SourceFile], diagnostics: Iterable[Diagnostic], previous: Pinpointed
) -> Pinpointed:
    """Do the same, and read no file again whose places are known from before."""
    finders: dict[str, _Finder] = {}
    placed: dict[int, tuple[Diagnostic, str, Diagnostic]] = {}
    kept: set[tuple[str, str]] = set()
    result = []
    for diagnostic in diagnostics:
        at = diagnostic.at
        if at is None or not diagnostic.path or at.file not in files:
            result.append(diagnostic)
            continue
        file = files[at.file]
        before = previous.placed.get(id(diagnostic))
        if before is not None and before[0] is diagnostic and file.blob and before[1] == file.blob:
            placed[id(diagnostic)] = before
            kept.add((file.path, file.blob))
            result.append(before[2])
            continue
        if at.file not in finders:
            known = previous.spots.get((file.path, file.blob), {}) if file.blob else {}
            finders[at.file] = _Finder(file, known)
        found = replace(diagnostic, at=finders[at.file].place(diagnostic, at))
        placed[id(diagnostic)] = (diagnostic, file.blob, found)
        result.append(found)
    spots = {key: previous.spots.get(key, {}) for key in kept}
    for finder in finders.values():
        key = finder.file.path, finder.file.blob
        spots[key] = {**spots.get(key, {}), **finder.spots}
    return Pinpointed(in_order(result), spots, placed)


class _Finder:
    """Finds fields in one file, which is read when a place is not known."""

    def __init__(self, file: SourceFile, known: Mapping[_Spot, Location]) -> None:
        self.file = file
        self.spots: dict[_Spot, Location] = {}
        self._known = known
        self._objects: dict[Place, Node] | None = None

    def place(self, diagnostic: Diagnostic, at: Location) -> Location:
        spot = (at.line, at.column, diagnostic.path, diagnostic.wants_key)
        found = self.spots.get(spot) or self._known.get(spot) or self._look(diagnostic, at)
        self.spots[spot] = found
        return found

    def _look(self, diagnostic: Diagnostic, at: Location) -> Location:
        if self._objects is None:
            self._objects = objects_by_place(self.file)
        node = self._objects.get((at.line, at.column))
        return at if node is None else _narrowed(diagnostic, at, node)


def objects_by_place(file: SourceFile) -> dict[Place, Node]:
    """Return every document, and every element of a `List`, by the place where it begins."""
    text = decode(file.content)
    if text is None:
        return {}
    if file.path.lower().endswith(".json"):
        text = text.replace("\t", " ")
    places: dict[Place, Node] = {}
    for root in read_marks(text):
        for node in _with_items(root):
            places.setdefault(node.place, node)
    return places


def _with_items(root: Node) -> Iterator[Node]:
    yield root
    found = root.find("items")
    for element in found[1].items if found else ():
        yield from _with_items(element)


def _narrowed(diagnostic: Diagnostic, at: Location, node: Node) -> Location:
    line, column = locate(node, diagnostic.path, wants_key=diagnostic.wants_key)
    return Location(at.file, line, column)


class Places:
    """Says where fields of objects stand. A file is read when the first place in it is asked for."""

    def __init__(self, files: Mapping[str, SourceFile], resources: ResourceSet) -> None:
        self._files = files
        self._resources = resources
        self._objects: dict[str, dict[Place, Node]] = {}

    def of(self, key: ResourceKey, path: tuple[str | int, ...]) -> Location | None:
        """Return the place of a field, or of the nearest one above it; None for an object without a file."""
        resource = self._resources.get(key)
        origin = resource.origin if resource else None
        if origin is None or origin.file not in self._files:
            return None
        if origin.file not in self._objects:
            self._objects[origin.file] = objects_by_place(self._files[origin.file])
        node = self._objects[origin.file].get((origin.line, origin.column))
        return Location(origin.file, *locate(node, path)) if node else origin.location
