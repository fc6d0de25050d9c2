"""A pass that is under way ends when its source is gone, or wants nothing more."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import TRAFFIC_SOURCE, VIRTUAL_SERVICE

SETTLE_SECONDS = 60


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def asks(**spec: object) -> Callable[[DaemonWorld], None]:
    return lambda world: world.patch(TRAFFIC_SOURCE, "mesh", {"spec": spec})


def is_deleted(world: DaemonWorld) -> None:
    world.cluster.take(TRAFFIC_SOURCE, "default", "mesh")


CHANGES: dict[str, Callable[[DaemonWorld], None]] = {
    "is deleted": is_deleted,
    "is suspended": asks(suspend=True),
}


def between_two_waves(act: Callable[[DaemonWorld], None], then: Callable[[DaemonWorld], None]) -> None:
    """Let something happen while the rule is written and the routes wait for it to settle."""

    async def story() -> None:
        world = DaemonWorld(settle=f"{SETTLE_SECONDS}s")
        world.add_source(deletionPolicy="orphan").push(
            files(a_service("reviews", "v1 100"), a_rule("reviews"))
        )

        async def play(_: object) -> None:
            await world.until(
                lambda: any(r.kind == "DestinationRule" and not r.dry_run for r in world.writes())
            )
            act(world)
            await anyio.sleep(3 * SETTLE_SECONDS)
            then(world)

        await in_world(world, play)

    run_virtually(story)


def routes_are_live(world: DaemonWorld) -> bool:
    return world.cluster.find(VIRTUAL_SERVICE, "default", "reviews") is not None


@pytest.mark.parametrize("change", CHANGES, ids=lambda name: name.replace(" ", "-"))
def test_the_next_wave_is_not_written_when_its_source(change: str):
    between_two_waves(CHANGES[change], lambda world: _(not routes_are_live(world), world))


def test_a_label_or_a_status_of_a_source_stops_nothing():
    def label(world: DaemonWorld) -> None:
        world.patch(TRAFFIC_SOURCE, "mesh", {"metadata": {"labels": {"team": "mesh"}}})

    between_two_waves(label, lambda world: _(routes_are_live(world), world))


def _(holds: bool, world: DaemonWorld) -> None:
    assert holds, world.tail()
