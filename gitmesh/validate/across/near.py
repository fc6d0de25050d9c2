"""What a person probably meant, among thousands of names, without comparing with each of them.

Stage: validate (pure). Two names are near when leaving out one character of each makes them equal: that
covers one letter too many, too few, wrong, or two that changed places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_CHARS_MAX = 80


class NearNames:
    """Names by what remains of them when a character is left out."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_rest: dict[str, list[str]] = {}
        for name in names:
            for rest in _rests(name):
                self._by_rest.setdefault(rest, []).append(name)

    def near(self, name: str) -> str:
        """Return the known name that is most like this one; empty when none is near, or when it is known."""
        found = {other for rest in _rests(name) for other in self._by_rest.get(rest, ())}
        if not found or name in found:
            return ""
        return min(found, key=lambda other: (abs(len(other) - len(name)), other))


def _rests(name: str) -> Iterator[str]:
    if len(name) > _CHARS_MAX:
        return
    yield name
    for index in range(len(name)):
        yield name[:index] + name[index + 1 :]
