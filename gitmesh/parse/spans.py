"""From where to where each field of a YAML text goes. Built for the few files that suppress a finding.

Stage: parse (pure).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from gitmesh.parse.events import events_of
from gitmesh.parse.marks import Place


@dataclass(slots=True)
class Spans:
    """What stands where. `ends`: where a field, list element or document begins -> where it ends."""

    ends: dict[Place, Place] = field(default_factory=dict)
    scalars: list[tuple[Place, Place]] = field(default_factory=list)

    def in_text(self, place: Place) -> bool:
        """Say whether a place is inside a value, so that a # there begins no comment."""
        at = bisect_right(self.scalars, place, key=lambda scalar: scalar[0]) - 1
        return at >= 0 and place < self.scalars[at][1]

    def starts(self) -> list[Place]:
        """Return where something begins, in order."""
        return sorted(self.ends)


def read_spans(text: str) -> Spans:
    """Return what stands where, as far as the text can be read."""
    builder = _Builder()
    try:
        for event in events_of(text):
            builder.take(event)
    except yaml.YAMLError:
        pass  # what was read before the error still has its places
    return builder.spans


@dataclass(slots=True)
class _Open:
    is_mapping: bool
    start: Place
    key: Place | None = None


class _Builder:
    def __init__(self) -> None:
        self.spans = Spans()
        self._stack: list[_Open] = []
        self._end: Place = (1, 1)

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is ScalarEvent or kind is AliasEvent:
            start = _place(event.start_mark)
            self._end = _place(event.end_mark)
            if start < self._end and kind is ScalarEvent:
                self.spans.scalars.append((start, self._end))
            self._value(start)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            self._stack.append(_Open(kind is MappingStartEvent, _place(event.start_mark)))
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            # The end of an indented collection has no width: it is noticed where the next thing begins.
            if event.end_mark.index > event.start_mark.index:
                self._end = _place(event.end_mark)
            self._value(self._stack.pop().start)

    def _value(self, start: Place) -> None:
        """Note that a value which began at `start` ends here."""
        top = self._stack[-1] if self._stack else None
        if top is None or not top.is_mapping:
            self._note(start)
        elif top.key is None:
            top.key = start
        else:
            self._note(top.key)
            top.key = None

    def _note(self, start: Place) -> None:
        self.spans.ends[start] = max(self._end, self.spans.ends.get(start, self._end))


def _place(mark: Any) -> Place:
    return mark.line + 1, mark.column + 1
