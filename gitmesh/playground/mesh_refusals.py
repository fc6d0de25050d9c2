"""Objects that Envoy refuses: found among the others, and held at their last accepted content.

Stage: playground (pure, except for the question that is handed in).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gitmesh.model.kinds import NETWORKING
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet, content_hash

# Says why a set of objects is refused; empty when it is not.
Refuses = Callable[[ResourceSet], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused content. `held` is what is served in its place: None where nothing was accepted before."""

    hash: str
    reason: str
    held: Resource | None


class Refusals:
    """Remembers what was refused, so that the same content does not go out again, and what was accepted."""

    def __init__(self) -> None:
        self._refused: dict[ResourceKey, Refusal] = {}
        self._accepted: ResourceSet = {}

    def effective(self, resources: ResourceSet) -> ResourceSet:
        """Return the objects to serve: refused content is replaced by what was accepted before it."""
        for key, refusal in tuple(self._refused.items()):
            if key not in resources or _hash(resources[key]) != refusal.hash:
                del self._refused[key]
        served = dict(resources)
        for key, refusal in self._refused.items():
            if refusal.held is None:
                del served[key]
            else:
                served[key] = refusal.held
        return served

    def reasons(self) -> dict[ResourceKey, str]:
        """Return why each refused object is refused."""
        return {key: refusal.reason for key, refusal in self._refused.items()}

    def accept(self, served: ResourceSet) -> None:
        """Remember what Envoy serves."""
        self._accepted = served

    async def blame(self, served: ResourceSet, reason: str, refuses: Refuses) -> frozenset[ResourceKey]:
        """Find and remember which of the changed objects are refused; none when no object is to blame.

        When no single object is refused by itself, all of Istio's that changed are: they do not go together.
        """
        changed = [key for key in sorted(served) if self._has_changed(key, served[key])]
        base = {key: value for key, value in served.items() if key not in changed}
        base |= {key: self._accepted[key] for key in changed if key in self._accepted}

        async def refused(keys: Sequence[ResourceKey]) -> str:
            return await refuses({**base, **{key: served[key] for key in keys}})

        together = [key for key in changed if key.group == NETWORKING] or changed
        guilty = await _search(changed, refused) or dict.fromkeys(together, reason)
        for key, why in guilty.items():
            self._refused[key] = Refusal(_hash(served[key]), why, self._accepted.get(key))
        return frozenset(guilty)

    def _has_changed(self, key: ResourceKey, resource: Resource) -> bool:
        before = self._accepted.get(key)
        return before is None or (before is not resource and _content(before) != _content(resource))


def _content(resource: Resource) -> object:
    """Return what of an object can make a configuration wrong."""
    if resource.key.group == NETWORKING:
        return resource.spec
    rest = {name: value for name, value in resource.body.items() if name != "metadata"}
    return {**rest, "labels": dict(resource.labels), "annotations": dict(resource.annotations)}


def _hash(resource: Resource) -> str:
    return content_hash(_content(resource))


async def _search(
    keys: Sequence[ResourceKey], refused: Callable[[Sequence[ResourceKey]], Awaitable[str]]
) -> dict[ResourceKey, str]:
    """Halve until each culprit stands alone: few questions where few are guilty."""
    if not keys:
        return {}
    reason = await refused(keys)
    if not reason or len(keys) == 1:
        return dict.fromkeys(keys, reason) if reason else {}
    middle = len(keys) // 2
    return {**await _search(keys[:middle], refused), **await _search(keys[middle:], refused)}
