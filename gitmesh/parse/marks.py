"""Where each field of a YAML text stands. Built for one file at a time, and thrown away.

Stage: parse (pure). Kept for a whole repository, such trees would take five times the memory of the data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from gitmesh.parse.events import events_of
from gitmesh.parse.scalars import NoJsonValueError, key_text, plain_value

Place = tuple[int, int]  # line and column, from 1


@dataclass(slots=True)
class Node:
    """One value. `keys` and `fields` are those of a mapping, `items` those of a list."""

    place: Place
    is_mapping: bool = False
    is_empty: bool = False  # a scalar without text
    keys: dict[str, Place] = field(default_factory=dict)
    fields: dict[str, Node] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    merged: list[Node] = field(default_factory=list)

    def find(self, name: str) -> tuple[Place, Node] | None:
        """Return the places of a field's name and value, also of a field that `<<` brings in."""
        if name in self.fields:
            return self.keys[name], self.fields[name]
        for source in reversed(self.merged):
            if name in source.fields:
                return source.keys[name], source.fields[name]
        return None


def read_marks(text: str) -> list[Node]:
    """Return the root of each document, as far as the text can be read."""
    builder = _Builder()
    try:
        for event in events_of(text):
            builder.take(event)
    except yaml.YAMLError:
        pass  # what was read before the error still has its places
    return builder.roots


def locate(node: Node, path: tuple[str | int, ...], *, wants_key: bool = False) -> Place:
    """Return the place of the field that a path leads to, or of the nearest field above it."""
    key_place: Place | None = None
    for part in path:
        if isinstance(part, int) and not node.is_mapping:
            if part >= len(node.items):
                return key_place or node.place
            key_place, node = None, node.items[part]
        elif found := node.find(str(part)):
            key_place, node = found
        else:
            # The field is missing: its parent's name says where it should be.
            return key_place or node.place
    return key_place if key_place and (wants_key or node.is_empty) else node.place


@dataclass(slots=True)
class _Open:
    node: Node
    key: str | None = None
    key_place: Place = (1, 1)


class _Builder:
    def __init__(self) -> None:
        self.roots: list[Node] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is ScalarEvent:
            self._scalar(event)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            node = Node(_place(event), is_mapping=kind is MappingStartEvent)
            self._remember(event.anchor, node)
            self._add(node)
            self._stack.append(_Open(node))
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            self._stack.pop()
        elif kind is AliasEvent:
            self._add(self._anchors.get(event.anchor) or Node(_place(event)))
        elif kind is DocumentStartEvent:
            self._anchors.clear()

    def _scalar(self, event: Any) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and top.node.is_mapping and top.key is None:
            top.key, top.key_place = _name(event), _place(event)
            return
        node = Node(_place(event), is_empty=event.implicit[0] and not event.value)
        self._remember(event.anchor, node)
        self._add(node)

    def _remember(self, anchor: str | None, node: Node) -> None:
        if anchor is not None:
            self._anchors[anchor] = node

    def _add(self, node: Node) -> None:
        if not self._stack:
            self.roots.append(node)
            return
        top = self._stack[-1]
        if not top.node.is_mapping:
            top.node.items.append(node)
        elif top.key is None:  # a collection as a key, which the reader refuses
            top.key, top.key_place = "", node.place
        elif top.key == "<<":
            top.node.merged.extend([node] if node.is_mapping else node.items)
            top.key = None
        else:
            top.node.keys[top.key], top.node.fields[top.key] = top.key_place, node
            top.key = None


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _name(event: Any) -> str:
    text: str = event.value
    if not event.implicit[0] or text == "<<":
        return text
    try:
        return key_text(plain_value(text))
    except NoJsonValueError:
        return text
