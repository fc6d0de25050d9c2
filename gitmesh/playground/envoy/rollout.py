"""The order in which one snapshot takes the place of another, so that no request meets a gap.

Stage: playground (effect). What is needed comes first, what is not needed any more goes last: secrets,
clusters, listeners, routes are added and changed; then listeners, clusters, and the files of routes and
secrets are taken away. No step begins before Envoy has acknowledged the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gitmesh.engine.clock import Clock
from gitmesh.playground.envoy.delivery import Delivery
from gitmesh.playground.envoy.files import CLUSTERS, LISTENERS, Files, Subscription, routes, secret
from gitmesh.playground.envoy.process import DRAIN_SECONDS
from gitmesh.playground.envoy.snapshot import Snapshot, address_of, may_name, route_names_of, secrets_of
from gitmesh.playground.envoy.sources import with_sources
from gitmesh.playground.translate.naming import Envoy

# How many files Envoy follows beside those of clusters and listeners. Of those that have gone, some stay for
# a while, and a user may have 128 (fs.inotify.max_user_instances) for all processes.
FILES_MAX = 48

_Content = Mapping[Subscription, list[Envoy]]


@dataclass(frozen=True, slots=True)
class _Filled:
    message: Envoy
    inside: Mapping[str, Envoy]  # the route configurations that the listener holds itself
    result: Envoy


class Rollout:
    """Brings snapshots into force in two halves: `make` adds and changes, `clear` takes away."""

    def __init__(self, delivery: Delivery, files: Files, clock: Clock) -> None:
        self._delivery = delivery
        self._path = files.path
        self._clock = clock
        self._filled: dict[tuple[str, str], _Filled] = {}
        self._listeners: Mapping[str, Envoy] = {}  # as they were last, before they were filled
        self._successors: dict[
            str, tuple[str, float]
        ] = {}  # of route configurations that have gone, until when

    def lay_out(self, snapshot: Snapshot) -> None:
        """Write the files with which Envoy begins."""
        for place, content in self._files_of(snapshot).items():
            self._delivery.lay_out(place, content)
        self._delivery.lay_out(CLUSTERS, self._with_sources("clusters", snapshot))
        self._delivery.lay_out(LISTENERS, self._with_sources("listeners", snapshot))

    async def make(self, new: Snapshot) -> None:
        """Bring all of `new` into force, beside what requests that are under way may need of the old.

        Raises Rejected, EnvoyError.
        """
        delivery, files = self._delivery, self._files_of(new)
        # Envoy answers for the files that it follows. It begins to follow those that are new with the
        # listener or cluster that names them, so they must be there before, and their answers come after.
        old_clusters, old_listeners = delivery.resources(CLUSTERS), delivery.resources(LISTENERS)
        followed = _followed((*old_clusters, *old_listeners))
        wanted = _followed((*new.clusters.values(), *new.listeners.values()))
        for place in files.keys() - followed - wanted:
            delivery.lay_out(place, files[place])
        fresh = await delivery.send(_only(files, wanted - followed))
        await delivery.publish(_only(files, {place for place in followed if place.kind == "secrets"}))
        clusters = self._with_sources("clusters", new)
        await delivery.publish({CLUSTERS: _union(old_clusters, clusters)})
        listeners = self._with_sources("listeners", new)
        for step in _listener_steps(old_listeners, listeners):
            await delivery.publish({LISTENERS: step})
        await delivery.taken(fresh)
        self._retire(new)
        await delivery.publish(_only(files, {place for place in followed if place.kind == "routes"}))
        await delivery.publish(self._of_successors(new), if_followed=True)

    async def clear(self, new: Snapshot) -> None:
        """Take away what `new`, which is in force, does not need. Raises EnvoyError."""
        await self._delivery.publish({LISTENERS: self._with_sources("listeners", new)})
        await self._delivery.publish({CLUSTERS: self._with_sources("clusters", new)})
        kept = self._files_of(new).keys() | set(map(routes, self._successors))
        for place in self._delivery.files():
            if place.name and place not in kept:
                self._delivery.forget(place)
        for known in [known for known in self._filled if known[1] not in getattr(new, known[0])]:
            del self._filled[known]

    def _files_of(self, snapshot: Snapshot) -> _Content:
        """Return what stands in files of its own: all secrets, and route configurations up to the limit.

        Envoy watches each file by means of which a user of the machine has few, and ends itself when there
        is none left. What has a file keeps it.
        """
        known = {place.name for place in self._delivery.files() if place.kind == "routes"}
        names = sorted(snapshot.routes, key=lambda name: name not in known)
        room = max(0, FILES_MAX - len(snapshot.secrets))
        return {
            **{secret(name): [message] for name, message in snapshot.secrets.items()},
            **{routes(name): [snapshot.routes[name]] for name in names[:room]},
        }

    def _retire(self, new: Snapshot) -> None:
        """Note which route configuration takes the place of which.

        A listener that names another one than before lets its connections end one by one. Until then their
        requests ask the old one, which must know what holds now, and nothing else.
        """
        now = self._clock.monotonic()
        for name, old in self._listeners.items():
            names = zip(route_names_of(old), route_names_of(new.listeners.get(name, {})), strict=False)
            for before, after in names:
                if before != after:
                    self._successors[before] = (after, now + DRAIN_SECONDS)
        self._listeners = new.listeners
        for name, (_, until) in tuple(self._successors.items()):
            if name in new.routes or until < now:
                del self._successors[name]

    def _of_successors(self, new: Snapshot) -> dict[Subscription, list[Envoy]]:
        """Return the route configurations that have gone, each with the content of its successor."""
        found = {}
        with_file = {place.name for place in self._delivery.files() if place.kind == "routes"}
        for name in self._successors.keys() & with_file:
            last = name
            for _ in self._successors:  # it may have gone in its turn
                last = self._successors.get(last, (last, 0.0))[0]
            if last in new.routes:
                found[routes(name)] = [{**new.routes[last], "name": name}]
        return found

    def _with_sources(self, kind: str, snapshot: Snapshot) -> list[Envoy]:
        """Return messages that say where what they name is; the same objects where nothing changed."""
        messages: Mapping[str, Envoy] = getattr(snapshot, kind)
        files = self._files_of(snapshot)
        without = {name: config for name, config in snapshot.routes.items() if routes(name) not in files}
        filled = []
        for name, message in messages.items():
            if not may_name(message):
                filled.append(message)
                continue
            inside = {n: without[n] for n in route_names_of(message) if n in without} if without else {}
            known = self._filled.get((kind, name))
            if known is None or known.message is not message or known.inside != inside:
                fresh = with_sources(message, self._path, inside)
                known = self._filled[kind, name] = _Filled(message, inside, fresh)
            filled.append(known.result)
        return filled


def _followed(messages: Iterable[Envoy]) -> set[Subscription]:
    """Return the files that listeners and clusters name."""
    found: set[Subscription] = set()
    for message in filter(may_name, messages):
        found.update(map(routes, route_names_of(message)))
        found.update(map(secret, secrets_of(message)))
    return found


def _union(old: Iterable[Envoy], new: Iterable[Envoy]) -> list[Envoy]:
    return list({message["name"]: message for message in (*old, *new)}.values())


def _listener_steps(old: Sequence[Envoy], new: Sequence[Envoy]) -> Iterator[list[Envoy]]:
    """Yield the lists that lead to the new listeners, beside the old ones whose address no new one takes.

    There are two when an address goes from one listener to another that both stay: Envoy has the first let
    go of it only after it has looked for addresses that are there twice.
    """
    before = {listener["name"]: listener for listener in old}
    holders = {place: name for name, item in before.items() if (place := _place(item))}
    wanted = {place: item["name"] for item in new if (place := _place(item))}
    names = {item["name"] for item in new}
    rest = [o for o in old if o["name"] not in names and _place(o) not in wanted]
    blocked = {name for place, name in wanted.items() if holders.get(place, name) in names - {name}}
    if blocked:
        # Each as it was, unless somebody else waits for its address.
        waiting = (before[name] for name in sorted(blocked & before.keys()))
        kept = [item for item in waiting if wanted.get(_place(item), item["name"]) == item["name"]]
        yield [*rest, *kept, *(item for item in new if item["name"] not in blocked)]
    yield [*rest, *new]


def _place(listener: Envoy) -> str:
    """Return the address of a listener; nothing where it has none, or any free one."""
    address = address_of(listener)
    return str(address) if address and address.port else ""


def _only(wanted: _Content, places: Iterable[Subscription]) -> _Content:
    return {place: wanted[place] for place in places if place in wanted}
