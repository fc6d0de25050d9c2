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
    """One of the numbered states of a mapping that goes on changing; this one never does.

    `steps` are the keys that changed, each from one number to the next; the last led to this one.
    """

    __slots__ = ("_of", "number", "steps")

    def __init__(
        self,
        content: Mapping[_Key, _Value],
        of: object,
        before: Edition[_Key, _Value] | None,
        changed: set[_Key],
    ) -> None:
        """Take a copy. `of` is what it is an edition of, `changed` the keys that differ from `before`."""
        super().__init__(content)
        self._of = of
        self.number, self.steps = 0, ()  # type: tuple[int, tuple[frozenset[_Key], ...]]
        if before is not None:
            self.number = before.number + 1
            if len(changed) <= KEYS_MAX:
                self.steps = (*before.steps[1 - STEPS_MAX :], frozenset(changed))

    def __setitem__(self, key: object, value: object) -> NoReturn:
        raise TypeError("an edition never changes")

    def __delitem__(self, key: object) -> NoReturn:
        raise TypeError("an edition never changes")

    def changed_since(self, earlier: Edition[_Key, _Value]) -> frozenset[_Key] | None:
        """Return the keys with another value, or none, in one of the two; None: that is not known."""
        back = self.number - earlier.number
        if self._of is not earlier._of or not 0 <= back <= len(self.steps):
            return None
        return frozenset().union(*self.steps[len(self.steps) - back :])


def changed_between(earlier: Mapping[_Key, Any], later: Mapping[_Key, Any]) -> Iterable[_Key] | None:
    """Return the keys that may differ between two mappings; None: all of them may."""
    if earlier is later:
        return ()
    if isinstance(earlier, Edition) and isinstance(later, Edition):
        return later.changed_since(earlier)
    return None
