"""Results of one translation that the next one uses again, where what they were made of is the same.

Stage: playground translation (pure: what is kept is what would be made anew). Inputs are compared by
identity: an object that did not change is the very same object, and nobody changes one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any, TypeVar

from gitmesh.playground.translate.fields import Reports, Untranslated

_Made = TypeVar("_Made")
_Heard = TypeVar("_Heard")
_TURNS_UNUSED_MAX = 3  # a few, so that a try with other objects in between costs nothing
_ROOM_MIN = 10_000


@dataclass(slots=True)
class _Kept:
    inputs: Sequence[object]
    result: Any
    said: Sequence[Untranslated]
    turn: int
    world: Sequence[object] = ()
    heard: Any = None


class Memo:
    """Keeps results by name, each with what it reported: that is reported again when the result is used."""

    def __init__(self, reports: Reports | None = None) -> None:
        # One for all turns, because what is kept holds fields, and these report here.
        self.reports = reports or Reports()
        self._kept: dict[Hashable, _Kept] = {}
        self._turn = 0
        self._room = _ROOM_MIN

    def begin(self) -> Reports:
        """Begin a translation: nothing is reported yet."""
        self.reports.clear()
        self._turn += 1
        if len(self._kept) > self._room:
            # Not sooner: what a kept result was made of is not asked for, until it must be made again.
            oldest = self._turn - _TURNS_UNUSED_MAX
            self._kept = {name: kept for name, kept in self._kept.items() if kept.turn >= oldest}
            self._room = 2 * len(self._kept) + _ROOM_MIN
        return self.reports

    def keep(self, name: Hashable, inputs: Sequence[object], make: Callable[[], _Made]) -> _Made:
        """Return what `make` returns, or what it did before when it depends on nothing but these inputs."""
        kept = self._kept.get(name)
        if kept is not None and _same(kept.inputs, inputs):
            last: _Made = self._again(kept)
            return last
        with self.reports.recording() as said:
            result = make()
        self._kept[name] = _Kept(inputs, result, tuple(said), self._turn)
        return result

    def follow(
        self,
        name: Hashable,
        inputs: Sequence[object],
        world: Sequence[object],
        make: Callable[[], tuple[_Made, _Heard]],
        still: Callable[[_Heard], bool],
    ) -> _Made:
        """As `keep`, for what depends on few things of a `world` which are not known before.

        `make` returns what it heard of the world beside its result; `still` says whether that is so yet.
        """
        kept = self._kept.get(name)
        fits = kept is not None and _same(kept.inputs, inputs)
        if kept is not None and fits and (_same(kept.world, world) or still(kept.heard)):
            kept.world = world
            last: _Made = self._again(kept)
            return last
        with self.reports.recording() as said:
            result, heard = make()
        self._kept[name] = _Kept(inputs, result, tuple(said), self._turn, world, heard)
        return result

    def same(self, name: Hashable, value: _Made) -> _Made:
        """Return the value of an earlier turn if it is equal: who compares the two then sees so at once."""
        kept = self._kept.get(name)
        if kept is not None and (kept.result is value or kept.result == value):
            kept.turn = self._turn
            last: _Made = kept.result
            return last
        self._kept[name] = _Kept((), value, (), self._turn)
        return value

    def _again(self, kept: _Kept) -> Any:
        kept.turn = self._turn
        if kept.said:
            self.reports.repeat(kept.said)
        return kept.result


def _same(old: Sequence[object], new: Sequence[object]) -> bool:
    return len(old) == len(new) and all(map(is_, old, new))
