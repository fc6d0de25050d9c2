"""A mapping as it was at a moment, which knows in what it differs from a moment before.

Stage: none (pure). So what looked at every object once looks only at those that have changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

STEPS_MAX = 32  # moments that a mapping knows the way back to
KEYS_MAX = 500  # of one step; where more have changed, looking at all is as well


class Edition(dict[_Key, _Value]):
    """One state of a mapping that goes on changing; this one never does.

    Its `_steps` are what led to it: each the mark of an earlier edition, and the keys that changed from it to
    the next. Of one edition several may be made: what they have in common is known, and nothing else.
    """

    __slots__ = ("_mark", "_steps")

    def __init__(
        self,
        content: Mapping[_Key, _Value],
        before: Mapping[_Key, _Value] | None = None,
        changed: Iterable[_Key] = (),
    ) -> None:
        """Take a copy. `changed`: every key of which `before` says something else, or one of them lacks."""
        super().__init__(content)
        self._mark = object()
        self._steps: tuple[tuple[object, frozenset[_Key]], ...] = ()
        keys = frozenset(changed)
        if isinstance(before, Edition) and len(keys) <= KEYS_MAX:
            self._steps = (*before._steps[1 - STEPS_MAX :], (before._mark, keys))

    def __setitem__(self, key: object, value: object) -> NoReturn:
        raise TypeError("an edition never changes")

    def __delitem__(self, key: object) -> NoReturn:
        raise TypeError("an edition never changes")

    def changed_since(self, earlier: Edition[_Key, _Value]) -> frozenset[_Key] | None:
        """Return the keys that may differ; None: that is not known."""
        for index, (mark, _) in enumerate(self._steps):
            if mark is earlier._mark:
                return frozenset().union(*(keys for _, keys in self._steps[index:]))
        return None


def changed_between(earlier: Mapping[_Key, Any], later: Mapping[_Key, Any]) -> frozenset[_Key] | None:
    """Return the keys that may differ between two mappings; None: all of them may."""
    if earlier is later:
        return frozenset()
    if isinstance(earlier, Edition) and isinstance(later, Edition):
        return later.changed_since(earlier)
    return None


def next_edition(
    before: Mapping[_Key, _Value], changed: Iterable[_Key], now: Mapping[_Key, _Value]
) -> Edition[_Key, _Value]:
    """Return what becomes of a mapping when these keys, and no others, are as in `now`."""
    keys = frozenset(changed)
    content = dict(before)
    for key in keys:
        if key in now:
            content[key] = now[key]
        else:
            content.pop(key, None)
    return Edition(content, before, keys)
