"""From the path of a field to its line and column.

Stage: parse (pure). Only files that have findings are read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from gitmesh.model.diagnostic import Diagnostic, in_order
from gitmesh.model.resource import Location
from gitmesh.model.revision import SourceFile
from gitmesh.parse.marks import Node, Place, locate, read_marks
from gitmesh.parse.text import decode


def pinpoint(files: Mapping[str, SourceFile], diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Narrow `at` from the object to the field that `path` names, or to the nearest field above it.

    Returns all findings in the order of files, lines and columns.
    """
    found = tuple(diagnostics)
    objects: dict[str, dict[Place, Node]] = {}
    result = []
    for diagnostic in found:
        at = diagnostic.at
        if at is None or not diagnostic.path or at.file not in files:
            result.append(diagnostic)
            continue
        if at.file not in objects:
            objects[at.file] = objects_by_place(files[at.file])
        node = objects[at.file].get((at.line, at.column))
        result.append(diagnostic if node is None else replace(diagnostic, at=_narrowed(diagnostic, at, node)))
    return in_order(result)


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
