"""Reading an object field by field: wrong types and unsupported values become reports, never exceptions.

Stage: playground translation (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.values import parse_duration

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Untranslated:
    """A part of an object that has no effect on the playground's traffic, and why.

    A note says that something is as it is in the playground on purpose, and asks for nothing.
    """

    key: ResourceKey
    path: Path
    message: str
    is_note: bool = False

    @property
    def place(self) -> str:
        """The field as people write it: `spec.http[0].delegate`."""
        return render_path(self.path)

    def __str__(self) -> str:
        return f"{self.key}: {self.place}: {self.message}"


def render_path(path: Path) -> str:
    """Write a path as people do: `spec.http[0].delegate`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


class Reports:
    """Collects reports during one translation; the same field is reported once, however often it is read."""

    def __init__(self) -> None:
        self._by_field: dict[tuple[ResourceKey, tuple[str, ...]], Untranslated] = {}
        self._recordings: list[list[Untranslated]] = []

    def add(self, key: ResourceKey, path: Path, message: str, *, is_note: bool = False) -> None:
        """Keep the first report about a field."""
        self._keep(Untranslated(key, path, message, is_note))

    def repeat(self, said: Iterable[Untranslated]) -> None:
        """Report again what was said before."""
        for item in said:
            self._keep(item)

    @contextmanager
    def recording(self) -> Iterator[list[Untranslated]]:
        """Collect what is reported meanwhile."""
        said: list[Untranslated] = []
        self._recordings.append(said)
        try:
            yield said
        finally:
            self._recordings.pop()

    def clear(self) -> None:
        """Forget every report."""
        self._by_field.clear()

    def _keep(self, item: Untranslated) -> None:
        self._by_field.setdefault((item.key, tuple(map(str, item.path))), item)
        for said in self._recordings:
            said.append(item)

    def all(self) -> tuple[Untranslated, ...]:
        """Return every report, by object and then by field."""
        ordered = sorted(self._by_field, key=lambda item: (item[0], item[1]))
        return tuple(self._by_field[item] for item in ordered)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of one object: its value, and the path by which a report names it."""

    key: ResourceKey
    path: Path
    value: Any
    reports: Reports

    @property
    def present(self) -> bool:
        """Say whether the field is there; null counts as absent."""
        return self.value is not None

    def report(self, message: str) -> None:
        """Say that this field has no effect, and why."""
        self.reports.add(self.key, self.path, message)

    def note(self, message: str) -> None:
        """Say what the playground makes of this field on purpose."""
        self.reports.add(self.key, self.path, message, is_note=True)

    def __getitem__(self, name: str) -> Field:
        value = self.value
        if value is None:
            return Field(self.key, (*self.path, name), None, self.reports)
        # For speed: nothing is done more often than this, and nearly every mapping is a dict.
        mapping = value if type(value) is dict else self._typed(Mapping, "a mapping")
        return self._child(name, mapping.get(name) if mapping is not None else None)

    def items(self) -> Iterator[Field]:
        """Yield the elements of a list; nothing when it is absent."""
        for index, value in enumerate(self._typed(list, "a list") or ()):
            yield self._child(index, value)

    def entries(self) -> Iterator[tuple[str, Field]]:
        """Yield the entries of a mapping, sorted by name as pilot does."""
        for name, value in sorted((self._typed(Mapping, "a mapping") or {}).items()):
            yield str(name), self._child(str(name), value)

    def text(self, default: str = "") -> str:
        """Return the text, or `default` when it is absent or no text."""
        value = self._typed(str, "text")
        return default if value is None else value

    def texts(self) -> list[str]:
        """Return the texts of a list."""
        return [item.text() for item in self.items()]

    def integer(self, default: int = 0) -> int:
        """Return the whole number, or `default`."""
        value = self._typed(int, "a whole number")
        return default if value is None else value

    def number(self) -> float | None:
        """Return the number, or None."""
        value = self._typed((int, float), "a number")
        return None if value is None else float(value)

    def boolean(self, *, default: bool = False) -> bool:
        """Return the truth value, or `default`."""
        if isinstance(self.value, bool):
            return self.value
        if self.present:
            self.report("should be true or false")
        return default

    def duration(self) -> str | None:
        """Return the duration as Envoy's JSON writes it (`1.5s`), or None."""
        if not self.present:
            return None
        try:
            return envoy_seconds(parse_duration(self.text()).total_seconds())
        except (ValueError, OverflowError):
            self.report("is not a duration such as 10s or 1m30s")
            return None

    def _child(self, name: str | int, value: Any) -> Field:
        # A field that was merged from two objects holds fields: each keeps the place where it was written.
        if isinstance(value, Field):
            return value
        return Field(self.key, (*self.path, name), value, self.reports)

    def _typed(self, wanted: Any, called: str) -> Any:
        if self.value is None:
            return None
        if isinstance(self.value, wanted) and not isinstance(self.value, bool):
            return self.value
        self.report(f"should be {called}")
        return None


def spec_of(resource: Resource, reports: Reports) -> Field:
    """Return the root of reading: the object's spec."""
    return Field(resource.key, ("spec",), resource.body.get("spec"), reports)


def envoy_seconds(seconds: float) -> str:
    """Write seconds in the JSON form of a protobuf Duration."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def is_zero(duration: str) -> bool:
    """Say whether a duration in Envoy's form is no time at all."""
    return float(duration.removesuffix("s")) == 0
