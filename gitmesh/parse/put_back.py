"""One object in the text of a file, put back to how another version of that file has it.

Stage: parse (pure). Everything else of the file stays byte for byte, comments and all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml
from yaml.events import (
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from gitmesh.istio.canonical import spec_hash
from gitmesh.model.config import ParseLimits
from gitmesh.model.diagnostic import has_errors
from gitmesh.model.resource import Resource, ResourceKey, content_hash
from gitmesh.model.revision import SourceFile
from gitmesh.parse.events import events_of
from gitmesh.parse.manifests import Parsed, parse_files
from gitmesh.parse.text import decode

_SPEC = "spec"


@dataclass(frozen=True, slots=True)
class Reader:
    """How files are read."""

    default_namespace: str
    limits: ParseLimits

    def read(self, path: str, content: bytes) -> Parsed:
        """Read one file by itself."""
        files = {path: SourceFile(path, "", content)}
        return parse_files(files, default_namespace=self.default_namespace, limits=self.limits)

    def holds(self, path: str, content: bytes, key: ResourceKey, spec: str) -> bool:
        """Say whether a version of a file has an object with the spec of this hash."""
        found = self.read(path, content).resources.get(key)
        return found is not None and spec_hash(found.spec) == spec


def put_back(path: str, now: bytes, then: bytes, key: ResourceKey, reader: Reader) -> bytes | None:
    """Return `now` with the object `key` as `then` has it; None where no cut gives exactly that.

    The spec alone is put back where it stands by itself in both texts; else the whole document.
    """
    before, wanted = reader.read(path, now), reader.read(path, then)
    old, new = before.resources.get(key), wanted.resources.get(key)
    texts = _text(now), _text(then)
    if old is None or new is None or texts[0] is None or texts[1] is None:
        return None
    expected = _contents(before, spec=new.spec, of=key)
    for part in _parts((texts[0], old), (texts[1], new)):
        content = part.encode()
        after = reader.read(path, content)
        worse = has_errors(after.diagnostics) and not has_errors(before.diagnostics)
        if not worse and _contents(after) in (expected, _whole(before, new)):
            return content
    return None


def _text(content: bytes) -> str | None:
    text = decode(content)
    return text if text is not None and text.encode() == content else None


def _contents(parsed: Parsed, *, spec: object = None, of: ResourceKey | None = None) -> Mapping[str, str]:
    """Return what a file holds, by object; with another `spec` of the object `of`."""
    found = {r.key.path: r.body for r in (*parsed.resources.values(), *parsed.others.values())}
    if of is not None:
        found[of.path] = {**found[of.path], _SPEC: spec}
    return {path: content_hash(body) for path, body in found.items()}


def _whole(parsed: Parsed, resource: Resource) -> Mapping[str, str]:
    return {**_contents(parsed), resource.key.path: content_hash(resource.body)}


def _parts(present: tuple[str, Resource], earlier: tuple[str, Resource]) -> Iterator[str]:
    """Yield the present text with a part of it as in the earlier one: the smaller part first."""
    here, there = _document(*present), _document(*earlier)
    if here is None or there is None:
        return
    now, then = present[0], earlier[0]
    cuts = [
        (here.fields.get(_SPEC), there.fields.get(_SPEC)),
        ((here.start, here.end), (there.start, there.end)),
    ]
    for cut, source in cuts:
        if cut and source:
            piece = then[slice(*source)]
            wants_line = now[: cut[1]].endswith("\n") and not piece.endswith("\n")
            yield now[: cut[0]] + piece + ("\n" if wants_line else "") + now[cut[1] :]


@dataclass(slots=True)
class _Document:
    """Where a document begins and ends, and each field at its top, up to where the next one begins."""

    start: int
    end: int = 0
    fields: dict[str, tuple[int, int]] = field(default_factory=dict)


def _document(text: str, resource: Resource) -> _Document | None:
    origin = resource.origin
    if origin is None or origin.prefix:  # an element of a List has no text of its own
        return None
    as_yaml = text.replace("\t", " ") if origin.file.lower().endswith(".json") else text
    documents = list(_documents(as_yaml))
    return documents[origin.document] if origin.document < len(documents) else None


def _documents(text: str) -> Iterator[_Document]:
    """Yield the documents that hold a mapping or anything else; their order is that of the reader."""
    depth, document, name, begins = 0, _Document(0), "", 0
    wants_key = False
    try:
        for event in events_of(text):
            kind = type(event)
            if kind is DocumentEndEvent:
                document.end = event.start_mark.index
                if name:
                    document.fields[name] = (begins, document.end)
                yield document
                document, name = _Document(document.end), ""
                continue
            if depth == 0 and hasattr(event, "anchor"):
                document, wants_key = _Document(event.start_mark.index), True
            elif depth == 1 and kind is ScalarEvent and wants_key:
                if name:
                    document.fields[name] = (begins, event.start_mark.index)
                name, begins, wants_key = event.value, event.start_mark.index, False
                continue
            elif depth == 1 and kind not in (MappingEndEvent, SequenceEndEvent):
                wants_key = True
            if kind is MappingStartEvent or kind is SequenceStartEvent:
                depth += 1
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                depth -= 1
    except yaml.YAMLError:
        return
