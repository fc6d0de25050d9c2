"""A changed configuration takes effect while the daemon runs; a wrong one changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gitmesh.engine.meters import Meters
from gitmesh.engine.reloading import Reading, Reloader, different, kept
from gitmesh.kube.errors import ClusterError
from gitmesh.model.config import NEEDS_RESTART, Config
from gitmesh.parse.setting_names import all_settings

pytestmark = pytest.mark.anyio
FIRST = Config(data_dir="/data")
SETTLE = timedelta(seconds=9)


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, text: str, **values: Any) -> None:
        self.lines.append((text, values))

    warning = error = info


class World:
    """A file that the test writes, and what the daemon does about it."""

    def __init__(self) -> None:
        self.file = Reading("1", FIRST)
        self.applied: list[Config] = []
        self.told: list[tuple[str, str, str]] = []
        self.impossible = ""
        self.meters, self.log = Meters(), Log()
        self.reloader = Reloader(
            lambda: self.file, self.file, self.apply, tell=self.tell, meters=self.meters, log=self.log
        )

    async def apply(self, config: Config) -> None:
        if self.impossible:
            raise ClusterError(self.impossible, retryable=False)
        self.applied.append(config)

    async def tell(self, *event: str) -> None:
        self.told.append(event)

    async def write(self, digest: str, config: Config | None, *problems: str) -> None:
        self.file = Reading(digest, config, problems)
        await self.reloader.look()

    def count(self, outcome: str) -> float:
        return self.meters.config_reloads.labels(outcome)._value.get()

    @property
    def valid(self) -> float:
        return self.meters.config_valid._value.get()


async def test_a_changed_file_takes_effect_and_names_what_changed():
    world = World()
    changed = FIRST.model_copy(
        update={"settle": SETTLE, "git": FIRST.git.model_copy(update={"files_max": 3})}
    )
    await world.write("2", changed)
    assert world.applied == [changed]
    assert world.told == [("Normal", "ConfigReloaded", "now in force: settle, git.filesMax")]
    assert (world.count("applied"), world.count("refused"), world.valid) == (1, 0, 1)


async def test_a_file_that_was_only_touched_does_nothing():
    world = World()
    await world.write("1", FIRST)
    assert (world.applied, world.told, world.log.lines) == ([], [], [])


async def test_a_wrong_file_changes_nothing_and_is_told_with_its_place():
    world = World()
    await world.write("2", None, "gitmesh.yaml:3:1: sttle: no such setting; did you mean settle?")
    assert world.applied == []
    assert world.reloader.config == FIRST
    (event,) = world.told
    assert event[:2] == ("Warning", "ConfigRefused")
    assert "gitmesh.yaml:3:1" in event[2]
    assert (world.count("applied"), world.count("refused"), world.valid) == (0, 1, 0)
    await world.write("1", FIRST)
    assert world.valid == 1, "put right, it is in force again"


async def test_what_the_parts_cannot_go_by_is_refused_as_a_whole():
    world = World()
    world.impossible = "no such address"
    await world.write("2", FIRST.model_copy(update={"settle": SETTLE}))
    assert world.reloader.config == FIRST
    assert world.told == [("Warning", "ConfigRefused", "no such address")]


async def test_what_needs_a_restart_stays_and_is_named_once_and_the_rest_takes_effect():
    world = World()
    lease = FIRST.lease.model_copy(update={"name": "other"})
    wanted = FIRST.model_copy(update={"settle": SETTLE, "listen_port": 9, "lease": lease})
    await world.write("2", wanted)
    assert world.applied == [FIRST.model_copy(update={"settle": SETTLE})]
    assert world.told[1] == (
        "Warning",
        "RestartNeeded",
        "these settings need a restart, until then they stay: listenPort, lease.name",
    )
    await world.write("3", wanted.model_copy(update={"findings_max": 3}))
    assert [event[1] for event in world.told] == ["ConfigReloaded", "RestartNeeded", "ConfigReloaded"]


def test_every_setting_either_takes_effect_or_is_kept():
    """Each setting, changed alone, is in force after a reload, or named as one that needs a restart."""
    other: dict[type, Any] = {bool: True, int: 77, str: "other", timedelta: timedelta(hours=3)}
    for setting in all_settings():
        config: Any = FIRST
        for name in setting.fields[:-1]:
            config = getattr(config, name)
        value = getattr(config, setting.fields[-1])
        changed = other.get(type(value), "/other")
        for depth in range(len(setting.fields) - 1, -1, -1):
            parent: Any = FIRST
            for name in setting.fields[:depth]:
                parent = getattr(parent, name)
            changed = parent.model_copy(update={setting.fields[depth]: changed})
        left = different(FIRST, kept(changed, FIRST))
        assert (left == []) is setting.needs_restart, setting.name


def test_what_needs_a_restart_is_a_setting():
    for fixed in NEEDS_RESTART:
        assert any(setting.fields[: len(fixed)] == fixed for setting in all_settings()), fixed
