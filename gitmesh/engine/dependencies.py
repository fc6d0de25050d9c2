"""Sources that depend on others: what a source waits for, and in which order passes go over them.

Stage: plan (called by the daemon and the pass). It holds what goes forward: new revisions, and steps of
rollouts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gitmesh.engine.memory import Memory, SourceMemory, Unready
from gitmesh.engine.report import Source, read_source
from gitmesh.model.kinds import TRAFFIC_SOURCE
from gitmesh.model.resource import Resource, ResourceKey

Sources = Mapping[ResourceKey, Resource]


class Lookout:
    """Has what a source depends on looked at in Git before a new revision of the source goes forward.

    One push may change both, and the source may be fetched first: what the other one said last is about what
    was there before the push then.
    """

    def __init__(self, memory: Memory, want_fetch: Callable[[ResourceKey], None]) -> None:
        self._memory = memory
        self._want_fetch = want_fetch
        self._asked: dict[tuple[ResourceKey, ResourceKey], float] = {}

    def before_pass(self, source: Source, present: Sources) -> None:
        """Note what a source depends on that was not considered since its revision came, and have it fetched.

        Each is asked for once; after that its own retries count. What another daemon works on is not seen
        from here: of that, only its status is known.
        """
        key, memory = source.resource.key, self._memory.of(source.resource.key)
        memory.considered = memory.looked_at
        memory.unseen = frozenset(
            other
            for other in _dependencies(source)
            if other in present and self._memory.of(other).considered < memory.news_at
        )
        for other in memory.unseen:
            if self._asked.get((key, other)) != memory.news_at:
                self._asked[key, other] = memory.news_at
                self._want_fetch(other)

    def is_awaited(self, fetched: ResourceKey) -> bool:
        """Say whether a source waits for a look at this one."""
        return any(fetched in memory.unseen for memory in self._memory.sources.values())


def waits_for(source: Source, sources: Sources, memory: SourceMemory) -> Unready | None:
    """Return what holds a source up; None when all that it depends on is ready at its newest revision."""
    if not source.spec.depends_on:
        return None
    if cycle := _cycle(source.resource.key, sources):
        way = " -> ".join(_name(key) for key in cycle)
        return Unready("DependencyCycle", f"{way}: these sources wait for one another; remove one dependsOn")
    for key in _dependencies(source):
        why = _why_unready(sources.get(key))
        if not why and key in memory.unseen:
            why = "is being looked at in Git"
        if why:
            return Unready("DependencyNotReady", f"TrafficSource {_name(key)} {why}")
    return None


def in_order(sources: Sources) -> list[ResourceKey]:
    """Return the sources in a fixed order, each after those that it depends on; a cycle is cut somewhere."""
    ordered: dict[ResourceKey, None] = {}
    for key in sorted(sources):
        # Without recursion: a chain may be as long as there are sources.
        stack, seen = [(key, iter(_known(key, sources)))], {key}
        while stack:
            here, rest = stack[-1]
            following = next((k for k in rest if k not in ordered and k not in seen), None)
            if following is None:
                ordered[here] = None
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(_known(following, sources))))
    return list(ordered)


def _cycle(begin: ResourceKey, sources: Sources) -> list[ResourceKey]:
    """Return a way from a source back to itself; empty when there is none."""
    came_from: dict[ResourceKey, ResourceKey] = {}
    waiting = [begin]
    while waiting:
        here = waiting.pop()
        for key in _known(here, sources):
            if key == begin:
                way = [here]
                while way[-1] != begin:
                    way.append(came_from[way[-1]])
                return [*reversed(way), begin]
            if key not in came_from:
                came_from[key] = here
                waiting.append(key)
    return []


def _known(key: ResourceKey, sources: Sources) -> list[ResourceKey]:
    source = read_source(sources[key])
    return [k for k in _dependencies(source) if k in sources] if isinstance(source, Source) else []


def _dependencies(source: Source) -> Iterator[ResourceKey]:
    for one in source.spec.depends_on:
        yield TRAFFIC_SOURCE.key(one.namespace or source.resource.key.namespace, one.name)


def _why_unready(resource: Resource | None) -> str:
    if resource is None:
        return "does not exist"
    source = read_source(resource)
    if not isinstance(source, Source):
        return "makes no sense"
    ready = next((c for c in source.status.conditions if c.type == "Ready"), None)
    if ready is None:
        return "was not looked at yet"
    if ready.status != "True":
        return f"is not ready: {ready.reason}"
    behind = source.status.last_applied_revision != source.status.fetched_revision
    changed = ready.observed_generation < int(resource.metadata.get("generation") or 0)
    return "is not live at its newest revision yet" if behind or changed else ""


def _name(key: ResourceKey) -> str:
    return f"{key.namespace}/{key.name}"
