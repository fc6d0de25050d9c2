"""YAML text to plain values, with the places of documents and of what is wrong.

Stage: parse (pure). Works on the parser's events with a stack of its own, so that neither depth nor aliases
of a hostile file cost memory: an aliased value is shared, and its expansions are counted against a limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from sys import intern
from typing import Any, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from gitmesh.model.config import ParseLimits
from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.resource import Location
from gitmesh.parse import codes
from gitmesh.parse.events import events_of
from gitmesh.parse.lines import LineIndex, lines_of
from gitmesh.parse.scalars import (
    NoJsonValueError,
    check_finite,
    key_text,
    plain_value,
    surprise,
    tagged_value,
)

SHARED_CHARS_MAX = 64  # of a name or value that is kept once, however often it is written

_NOTHING: Any = object()
_MERGE: Any = object()


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: its value, its number in the file from 0, and where it begins."""

    value: Any
    index: int
    line: int
    column: int


class StopReadingError(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, finding: Diagnostic) -> None:
        super().__init__(str(finding))
        self.finding = finding


@dataclass(slots=True)
class _Frame:
    """One collection that is still open."""

    value: Any  # the dict or list
    anchor: str | None
    key: Any = _NOTHING  # of a mapping: the key that waits for its value
    size: int = 1  # values inside, with aliases expanded
    places: dict[str, Any] = field(default_factory=dict)  # key -> mark, to name both places of a duplicate


def read_yaml(
    file: str, text: str, limits: ParseLimits
) -> tuple[tuple[Document, ...], tuple[Diagnostic, ...]]:
    """Return the documents up to the first place that cannot be read, and all findings."""
    reader = _Reader(file, limits)
    documents: list[Document] = []
    try:
        documents.extend(reader.documents(text))
    except StopReadingError as stop:
        reader.findings.append(stop.finding)
    except yaml.YAMLError as error:
        reader.findings.append(syntax_finding(file, text, error))
    except NoJsonValueError as error:
        reader.findings.append(codes.NO_JSON_VALUE.finding(error.reason, reader.here))
    return tuple(documents), tuple(reader.findings)


class _Reader:
    def __init__(self, file: str, limits: ParseLimits) -> None:
        self.file = file
        self.limits = limits
        self.findings: list[Diagnostic] = []
        self.mark: Any = None
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._root: Any = _NOTHING
        self._expanded = 0
        self._has_error = False

    @property
    def here(self) -> Location:
        return self._place(self.mark)

    def documents(self, text: str) -> Iterator[Document]:
        """Yield each document that is not empty."""
        handlers = {
            ScalarEvent: self._scalar,
            MappingStartEvent: self._mapping_start,
            SequenceStartEvent: self._sequence_start,
            MappingEndEvent: self._collection_end,
            SequenceEndEvent: self._collection_end,
            AliasEvent: self._alias,
        }
        index = -1
        root_mark: Any = None
        for event in events_of(text):
            kind = type(event)
            if (handler := handlers.get(kind)) is not None:
                self.mark = event.start_mark
                if root_mark is None:
                    root_mark = event.start_mark
                handler(event)
            elif kind is DocumentStartEvent:
                index += 1
                root_mark = None
                self._begin_document(event, index)
            elif kind is DocumentEndEvent and self._root is not None:
                yield Document(self._root, index, root_mark.line + 1, root_mark.column + 1)

    def _begin_document(self, event: Event, index: int) -> None:
        self.mark = event.start_mark
        self._anchors.clear()
        self._root = _NOTHING
        if index >= self.limits.documents_max:
            self._stop(f"more than {self.limits.documents_max} documents in one file", "split the file")

    def _scalar(self, event: Any) -> None:
        text: str = event.value
        if len(text) <= SHARED_CHARS_MAX:
            text = intern(text)  # ten thousand objects have few names of fields, and many values alike
        if event.tag is not None and event.tag != "!":
            value = tagged_value(event.tag, text)
            check_finite(value)
        elif event.implicit[0]:
            if text == "<<" and self._awaits_key():
                self._stack[-1].key = _MERGE
                return
            value = plain_value(text)
            if value is not text:
                self._look_at(text, value)
        else:
            value = text
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._add(value, 1)

    def _look_at(self, text: str, value: Any) -> None:
        if not self._awaits_key():
            check_finite(value)
        if reason := surprise(text, value):
            hint = f'write "{text}" if you mean text'
            self._report(codes.SURPRISING_SCALAR.finding(reason, self.here, hint=hint))

    def _awaits_key(self) -> bool:
        frame = self._stack[-1] if self._stack else None
        return frame is not None and frame.key is _NOTHING and type(frame.value) is dict

    def _mapping_start(self, event: Any) -> None:
        self._open(_Frame({}, event.anchor))

    def _sequence_start(self, event: Any) -> None:
        self._open(_Frame([], event.anchor))

    def _open(self, frame: _Frame) -> None:
        if self._awaits_key():
            raise NoJsonValueError("the name of a field must be text, not a list or a mapping")
        if len(self._stack) >= self.limits.nesting_max:
            self._stop(f"nested deeper than {self.limits.nesting_max} levels", "flatten the value")
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (_NOTHING, 0)
        self._stack.append(frame)

    def _collection_end(self, event: Any) -> None:
        frame = self._stack.pop()
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.value, frame.size)
        self._add(frame.value, frame.size)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise StopReadingError(codes.SYNTAX.finding(f"no anchor &{event.anchor} before this", self.here))
        value, size = self._anchors[event.anchor]
        if value is _NOTHING:
            raise NoJsonValueError(f"the value of anchor &{event.anchor} contains itself")
        self._expanded += size
        if self._expanded > self.limits.alias_expansions_max:
            limit = self.limits.alias_expansions_max
            self._stop(
                f"aliases expand to more than {limit} values", "write the values out, or split the file"
            )
        self._add(value, size)

    def _add(self, value: Any, size: int) -> None:
        """Put a finished value where it belongs."""
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        frame.size += size
        container = frame.value
        if type(container) is list:
            container.append(value)
        elif frame.key is _NOTHING:
            self._begin_field(frame, value)
        elif frame.key is _MERGE:
            frame.key = _NOTHING
            _merge(container, value)
        else:
            container[frame.key] = value
            frame.key = _NOTHING

    def _begin_field(self, frame: _Frame, key: Any) -> None:
        name = key if type(key) is str else key_text(key)
        first = frame.places.get(name)
        if first is None:
            frame.places[name] = self.mark
        else:
            message = f"the field {name} is here a second time; it is first at {self._place(first)}"
            self._report(codes.DUPLICATE_FIELD.finding(message, self.here, hint="remove one of them"))
        frame.key = name

    def _report(self, finding: Diagnostic) -> None:
        """Keep a finding; of too many, the first error is still kept, as it decides."""
        is_first_error = finding.severity is Severity.ERROR and not self._has_error
        if len(self.findings) < self.limits.diagnostics_max or is_first_error:
            self.findings.append(finding)
            self._has_error = self._has_error or is_first_error

    def _stop(self, message: str, hint: str) -> NoReturn:
        raise StopReadingError(codes.LIMIT.finding(message, self.here, hint=hint))

    def _place(self, mark: Any) -> Location:
        return Location(self.file, mark.line + 1, mark.column + 1) if mark else Location(self.file)


def _merge(into: dict[str, Any], value: Any) -> None:
    """Apply `<<`. Later fields win, also over fields that were written before the merge, as in kubectl."""
    if isinstance(value, dict):
        into.update(value)
    elif isinstance(value, list) and all(isinstance(part, dict) for part in value):
        for part in reversed(value):
            into.update(part)
    else:
        raise NoJsonValueError("<< takes a mapping or a list of mappings")


_HINTS = {
    "mapping values are not allowed in this context": "check the indentation; quote text that has ': ' in it",
    "did not find expected key": "check the indentation of this line and of the one before",
    "did not find expected '-' indicator": "check the indentation of this line and of the one before",
    "could not find expected ':'": "a field needs ': ' after its name",
    "found character that cannot start any token": "quote the text",
    "did not find expected node content": "a value is missing here",
    "did not find expected ',' or ']'": "close the list that begins here with ]",
    "did not find expected ',' or '}'": "close the mapping that begins here with }",
    "found unexpected end of stream": "close the quotes that begin here",
    "found unexpected document indicator": "close the quotes that begin here",
}
# What is wrong is noticed lines later; the place that helps is where it was opened.
_NOT_CLOSED = tuple(problem for problem, hint in _HINTS.items() if "begin" in hint)


def syntax_finding(file: str, text: str, error: yaml.YAMLError) -> Diagnostic:
    """Translate an error of the parser."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        opened = error.context_mark
        if opened is not None and opened.line < mark.line and (error.problem or "") in _NOT_CLOSED:
            mark = opened
        at = _inside(file, text, mark)
        problem = error.problem or "cannot be read"
        if text.splitlines()[mark.line : mark.line + 1] and _char(text, mark.line, mark.column) == "\t":
            return codes.SYNTAX.finding("a tab is used for indentation", at, hint="indent with spaces")
        hint = _HINTS.get(problem, "")
        return codes.SYNTAX.finding(f"not valid YAML: {problem}", at, hint=hint)
    position = getattr(error, "position", None)
    at = _location_of(file, text, position) if isinstance(position, int) else Location(file)
    return codes.SYNTAX.finding(f"not valid YAML: {getattr(error, 'reason', 'cannot be read')}", at)


def _inside(file: str, text: str, mark: Any) -> Location:
    """Return a place of the text. The parser notices at the end of a text as if a line followed there."""
    lines = lines_of(text)
    if mark.line < len(lines):
        return Location(file, mark.line + 1, mark.column + 1)
    return Location(file, len(lines), len(lines[-1]) + 1)


def _char(text: str, line: int, column: int) -> str:
    return text.splitlines()[line][column : column + 1]


def _location_of(file: str, text: str, position: int) -> Location:
    """Return the place of an offset, which the parser counts in bytes."""
    before = text.encode()[:position].decode(errors="ignore")
    return Location(file, *LineIndex(before).place(len(before)))
