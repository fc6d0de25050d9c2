"""A reflector tells each change once, survives what the server does, and never spins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from gitmesh.kube.errors import ClusterError, NotFoundError, RejectedError, WatchExpiredError
from gitmesh.kube.protocol import Body, Listing, WatchEvent
from gitmesh.kube.reflector import BACKOFF_MAX_SECONDS, NOT_SERVED_SECONDS, Reflector
from gitmesh.model.kinds import SERVICE
from gitmesh.model.resource import ResourceKey

pytestmark = pytest.mark.anyio
DOWN = ClusterError("refused", retryable=True)
EXPIRED = WatchExpiredError("too old", retryable=True, status=410)
ABSENT = NotFoundError("no such kind", retryable=False, status=404)
FORBIDDEN = RejectedError("forbidden", retryable=False, status=403)


class ScriptOver(BaseException):
    """The script has no more lines: the test is over."""


class FakeClock:
    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await anyio.lowlevel.checkpoint()


class ScriptedClient:
    """Answers each call by the next line of the script. A number in a watch lets that many seconds pass."""

    def __init__(self, clock: FakeClock, script: list[Any]) -> None:
        self.clock = clock
        self.script = script
        self.asked: list[str] = []

    def _next(self) -> Any:
        if not self.script:
            raise ScriptOver
        return self.script.pop(0)

    async def list(self, kind: Any, *, namespace: str = "", page_size: int = 500) -> Listing:
        self.asked.append("list")
        answer = self._next()
        if isinstance(answer, Exception):
            raise answer
        version, *items = answer
        return Listing(tuple(items), version)

    async def watch(
        self, kind: Any, *, resource_version: str, namespace: str = "", timeout_seconds: int = 300
    ) -> AsyncIterator[WatchEvent]:
        self.asked.append(f"watch {resource_version}")
        for line in self._next():
            if isinstance(line, Exception):
                raise line
            if isinstance(line, int):
                self.clock.time += line
            elif callable(line):
                line()
            else:
                yield line


def body(name: str, version: str) -> Body:
    return {"metadata": {"namespace": "default", "name": name, "resourceVersion": version}}


def event(type_: Any, name: str, version: str) -> WatchEvent:
    return WatchEvent(type_, body(name, version))


def bookmark(version: str) -> WatchEvent:
    return WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": version}})


class World:
    def __init__(self, *script: Any) -> None:
        self.clock = FakeClock()
        self.client = ScriptedClient(self.clock, list(script))
        self.told: list[tuple[str, str, str]] = []
        self.listed: list[tuple[set[str], str]] = []
        self.reflector = Reflector(
            self.client,  # type: ignore[arg-type]  # the script knows only what a reflector asks
            SERVICE,
            on_event=self.tell,
            on_listed=lambda keys, version: self.listed.append(({k.name for k in keys}, version)),
            clock=self.clock,
            jitter=lambda: 1.0,
        )

    def tell(self, type_: str, key: ResourceKey, body: Body | None) -> None:
        version = body["metadata"]["resourceVersion"] if body else ""
        self.told.append((type_, key.name, version))

    async def play(self) -> World:
        with pytest.raises(ScriptOver):
            await self.reflector.run()
        return self


def checking(states: list[Any], read: Callable[[], Any]) -> Callable[[], None]:
    return lambda: states.append(read())


async def test_a_listing_and_then_each_event_are_told_once() -> None:
    world = await World(
        ("5", body("a", "1"), body("b", "2")),
        [bookmark("5"), event("MODIFIED", "a", "6"), event("DELETED", "b", "7"), event("ADDED", "c", "8")],
    ).play()
    assert world.told == [
        ("ADDED", "a", "1"),
        ("ADDED", "b", "2"),
        ("MODIFIED", "a", "6"),
        ("DELETED", "b", "7"),
        ("ADDED", "c", "8"),
    ]
    assert world.listed == [({"a", "b"}, "5")]
    assert world.reflector.synced
    assert world.reflector.connected


async def test_a_watch_goes_on_where_the_last_one_ended_also_after_a_broken_connection() -> None:
    world = await World(
        ("5",), [event("ADDED", "a", "6"), 60], [bookmark("9"), 60, DOWN], [60, DOWN], [DOWN]
    ).play()
    assert world.client.asked == ["list", "watch 5", "watch 6", "watch 9", "watch 9", "watch 9"]
    assert world.told == [("ADDED", "a", "6")]


async def test_a_relist_after_an_expired_watch_tells_only_the_difference() -> None:
    world = await World(
        ("5", body("same", "1"), body("changed", "2"), body("gone", "3")),
        [EXPIRED],
        ("9", body("same", "1"), body("changed", "8"), body("new", "9")),
    ).play()
    assert world.told[3:] == [("DELETED", "gone", ""), ("MODIFIED", "changed", "8"), ("ADDED", "new", "9")]
    assert world.client.asked[:3] == ["list", "watch 5", "list"]


async def test_a_server_whose_store_was_set_back_is_listed_again() -> None:
    world = await World(("50", body("a", "40")), [bookmark("7")], ("7", body("a", "6"))).play()
    assert world.client.asked[:3] == ["list", "watch 50", "list"]
    assert world.told[-1] == ("MODIFIED", "a", "6")


async def test_a_server_that_is_down_is_asked_more_and_more_rarely() -> None:
    world = await World(*[DOWN] * 12).play()
    assert world.clock.slept[:4] == [0.2, 0.4, 0.8, 1.6]
    assert world.clock.slept[-1] == BACKOFF_MAX_SECONDS
    assert not world.reflector.connected
    assert not world.reflector.synced
    assert world.reflector.error == "refused"


async def test_a_server_that_ends_every_watch_at_once_does_not_make_it_spin() -> None:
    world = await World(("5",), *[[bookmark("5")]] * 8).play()
    assert world.clock.slept == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0]


async def test_a_watch_that_stood_long_is_followed_by_the_next_without_a_pause() -> None:
    world = await World(("5",), [300], [300], [300]).play()
    assert world.clock.slept == []


async def test_what_was_told_stays_while_the_server_is_away_and_the_state_says_so() -> None:
    states: list[Any] = []
    world = World(("5", body("a", "1")), [bookmark("5"), 60, DOWN], [DOWN], [])
    world.client.script[-1] = [
        checking(states, lambda: world.reflector.connected),
        bookmark("5"),
        checking(states, lambda: world.reflector.connected),
    ]
    await world.play()
    assert states == [False, True]
    assert world.told == [("ADDED", "a", "1")]


async def test_a_kind_that_is_not_served_is_empty_and_looked_for_slowly() -> None:
    world = await World(ABSENT, ABSENT, ("5", body("a", "1"))).play()
    assert world.clock.slept[:2] == [NOT_SERVED_SECONDS, NOT_SERVED_SECONDS]
    assert world.told == [("ADDED", "a", "1")]
    assert world.reflector.served


async def test_the_objects_of_a_kind_whose_crd_was_removed_are_gone() -> None:
    world = await World(("5", body("a", "1")), [bookmark("5"), 9, ABSENT]).play()
    assert world.told == [("ADDED", "a", "1"), ("DELETED", "a", "")]
    assert not world.reflector.served
    assert world.reflector.synced


async def test_a_forbidden_kind_is_neither_synced_nor_given_up() -> None:
    world = await World(FORBIDDEN, FORBIDDEN, ("5",)).play()
    assert world.client.asked == ["list", "list", "list", "watch 5"]
    assert world.clock.slept == [0.2, 0.4]


async def test_it_ends_when_it_is_cancelled() -> None:
    world = World(("5",))

    async def forever(*_: Any, **__: Any) -> AsyncIterator[WatchEvent]:
        await anyio.sleep_forever()
        yield bookmark("5")

    world.client.watch = forever  # type: ignore[method-assign]
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(world.reflector.run)
            await world.reflector.wait_synced()
            group.cancel_scope.cancel()
