"""Host patterns, indexed so that finding those that cover a host takes no walk over all of them.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class HostIndex(Generic[T]):
    """Values by host or by host with a leading wildcard. Whole and covering matches as in `hosts.covers`."""

    def __init__(self) -> None:
        self._exact: dict[str, list[T]] = {}
        self._by_suffix: dict[str, list[T]] = {}
        self._lengths: set[int] = set()

    def add(self, pattern: str, value: T) -> None:
        """Put a value under a host or a wildcard."""
        if pattern.startswith("*"):
            self._by_suffix.setdefault(pattern[1:], []).append(value)
            self._lengths.add(len(pattern) - 1)
        else:
            self._exact.setdefault(pattern, []).append(value)

    def covering(self, host: str) -> Iterator[T]:
        """Yield the values of every pattern that covers the host (itself a host or a wildcard)."""
        yield from self._exact.get(host, ())
        rest = host.removeprefix("*") if host.startswith("*") else host
        for length in self._lengths:
            if length <= len(rest):
                yield from self._by_suffix.get(rest[len(rest) - length :], ())
