"""The daemons of one process: each with its shard, its Lease and its fence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fakes.virtual_time import VirtualClock

from gitmesh.engine.connections import Connections
from gitmesh.engine.crew import hire
from gitmesh.engine.meters import Meters
from gitmesh.model.config import Config
from gitmesh.model.kinds import TRAFFIC_SOURCE


class Anything:
    """A part that nothing is asked of here."""

    def __getattr__(self, name: str) -> Any:
        return Anything()

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return Anything()


class Told:
    """Who is told beside the cluster, as far as a change of leaders goes."""

    def __init__(self) -> None:
        self.left: list[frozenset[str]] = []

    def leave(self, sources: frozenset[str]) -> None:
        self.left.append(sources)


def a_crew(**settings: Any) -> tuple[Any, Told]:
    told, client, ports = Told(), Anything(), Anything()
    ports.notices = told
    config = Config.model_validate({"dataDir": Path("/data"), **settings})
    connections = Connections("me", *(client,) * 3)  # type: ignore[arg-type]
    return hire(config, connections, VirtualClock(), Meters(), lambda *_: ports), told


def test_who_loses_a_shard_leaves_it_to_others_to_tell_how_its_sources_stand():
    (worker,), told = a_crew(leaderElection=True)
    worker.daemon.memory.of(TRAFFIC_SOURCE.key("default", "mesh"))
    assert worker.elector
    worker.elector.lost()
    assert told.left == [frozenset({"default/mesh"})]


def test_each_shard_has_an_election_of_its_own_and_without_elections_there_is_none():
    workers, _ = a_crew(leaderElection=True, sharding={"count": 3})
    assert len({id(worker.elector) for worker in workers}) == 3
    (alone,), _ = a_crew()
    assert alone.elector is None
