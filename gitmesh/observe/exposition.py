"""Read the lines of a few metrics out of a Prometheus text exposition.

Stage: observe (pure). Source: prometheus.io, "Exposition formats", text-based format 0.0.4.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from gitmesh.model.metrics import COUNT_MAX

# Labels as they stand between the braces; a quoted value may hold any escaped character.
_LINE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*"
    r'(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?[ \t]*'
    r"(\S+)(?:[ \t]+-?\d+)?[ \t]*"
)
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(?:,|$)')
_ESCAPE = re.compile(r"\\(.)")
_UNESCAPED = {"n": "\n", "\\": "\\", '"': '"'}
LINE_CHARS_MAX = 65_536


class MalformedError(ValueError):
    """A line of a metric that was asked for does not follow the format."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One series at one moment. `raw_labels` is the text between the braces: equal text, same series."""

    name: str
    raw_labels: str
    value: float


def samples(body: bytes, names: Collection[str]) -> Iterator[Sample]:
    """Yield the samples of the metrics called `names`, in order; everything else is passed over unread.

    Raises MalformedError.
    """
    # By the start of the line first: an Envoy exposes thousands of lines that nobody asked for.
    starts = tuple(name.encode() for name in names)
    for raw in body.split(b"\n"):
        if not raw.startswith(starts):
            continue
        sample = _sample(raw)
        if sample.name in names:
            yield sample


def labels(raw_labels: str) -> dict[str, str]:
    """Return the labels by name. Raises MalformedError."""
    found: dict[str, str] = {}
    position = 0
    while position < len(raw_labels):
        match = _LABEL.match(raw_labels, position)
        if match is None:
            if raw_labels[position:].strip():
                raise MalformedError(f"labels cannot be read at {raw_labels[position : position + 40]!r}")
            break
        name, value = match.groups()
        if name in found:
            raise MalformedError(f"label {name!r} stands twice")
        found[name] = _ESCAPE.sub(_unescape, value) if "\\" in value else value
        position = match.end()
    return found


def _sample(raw: bytes) -> Sample:
    if len(raw) > LINE_CHARS_MAX:
        raise MalformedError(f"a line is above {LINE_CHARS_MAX} bytes")
    try:
        line = raw.decode()
    except UnicodeDecodeError:
        raise MalformedError(f"not UTF-8: {raw[:60]!r}") from None
    match = _LINE.fullmatch(line.rstrip("\r"))
    if match is None:
        raise MalformedError(f"not a sample: {line[:60]!r}")
    name, raw_labels, number = match.groups()
    return Sample(name, raw_labels or "", _number(number))


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise MalformedError(f"not a number: {text[:40]!r}") from None
    if not 0 <= value <= COUNT_MAX:
        raise MalformedError(f"not a count: {text[:40]!r}")
    return value


def _unescape(match: re.Match[str]) -> str:
    # Source: the format knows three escapes; anything else stays as it was written, as Prometheus reads it.
    return _UNESCAPED.get(match.group(1), match.group(0))
