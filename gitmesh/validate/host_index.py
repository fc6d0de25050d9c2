"""Host patterns, indexed so that finding those that cover a host takes no walk over all of them.

Stage: validate (pure).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class HostIndex(Generic[T]):
    """Values by host or by host with a leading wildcard. Whole and covering matches as in `hosts.covers`."""

    def __init__(self) -> None:
        self._exact: dict[str, list[T]] = {}
        self._by_suffix: dict[str, list[T]] = {}
        self._lengths: set[int] = set()
        self._backwards: list[str] | None = None

    def add(self, pattern: str, value: T) -> None:
        """Put a value under a host or a wildcard."""
        if pattern.startswith("*"):
            self._by_suffix.setdefault(pattern[1:], []).append(value)
            self._lengths.add(len(pattern) - 1)
        else:
            self._exact.setdefault(pattern, []).append(value)
        self._backwards = None

    def covering(self, host: str) -> Iterator[T]:
        """Yield the values of every pattern that covers the host (itself a host or a wildcard)."""
        yield from self._exact.get(host, ())
        rest = host.removeprefix("*") if host.startswith("*") else host
        for length in self._lengths:
            if length <= len(rest):
                yield from self._by_suffix.get(rest[len(rest) - length :], ())

    def matching(self, host: str) -> Iterator[T]:
        """Yield the values of every pattern that has a host in common with this one.

        Source: istio/istio pkg/config/host, Name.Matches: one of the two covers the other.
        """
        yield from self.covering(host)
        if not host.startswith("*"):
            return
        if self._backwards is None:
            patterns = (*self._exact, *(f"{suffix}" for suffix in self._by_suffix))
            self._backwards = sorted({pattern[::-1] for pattern in patterns})
        suffix = host[1:][::-1]
        for index in range(bisect_left(self._backwards, suffix), len(self._backwards)):
            if not self._backwards[index].startswith(suffix):
                return
            found = self._backwards[index][::-1]
            yield from self._exact.get(found, ())
            if found != host[1:]:  # the pattern itself was yielded as one that covers
                yield from self._by_suffix.get(found, ())
