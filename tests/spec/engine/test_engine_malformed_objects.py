"""One object that makes no sense never stops the others, whatever shape the API server gives it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.engine.reloading import Reading
from gitmesh.model.kinds import DESTINATION_RULE, TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, VIRTUAL_SERVICE, Kind
from gitmesh.parse.settings import Layer, read_file, settle

REVIEWS = (a_service("reviews", "v1 100, v2 0"), a_rule("reviews"))
HALF = (a_service("reviews", "v1 50, v2 50"), a_rule("reviews"))
POLICY = """\
apiVersion: gitmesh.dev/v1alpha1
kind: RolloutPolicy
metadata: {name: careful}
spec:
  select: {names: [ratings]}
  steps: [{progress: 10, hold: banana}, {progress: 100}]
"""


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def play(disturb: Any) -> None:
    """Apply one source, disturb the daemon, and see whether it still follows Git."""

    async def whole() -> None:
        world = DaemonWorld()
        repository = world.add_source()
        repository.push(files(*REVIEWS))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await disturb(world)
            repository.push(files(*HALF))
            await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=30)

        await in_world(world, act)

    run_virtually(whole)


def body(kind: Kind, name: str = "aaa", **parts: Any) -> dict[str, Any]:
    metadata = {"namespace": "default", "name": name, "resourceVersion": "1"}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **parts}


@pytest.mark.parametrize(
    "spec",
    [
        {"url": 5},
        {"url": "git.invalid/x", "interval": "banana"},
        {"url": "git.invalid/x", "interval": 60},
        {"url": "git.invalid/x", "interval": "-1s"},
        {"url": "git.invalid/x", "push": "sometimes"},
        {"url": "git.invalid/x", "limits": "none"},
        {"url": "git.invalid/x", "limits": {"deletePercentMax": "all"}},
        {"url": "git.invalid/x", "surprise": True},
        {"url": None},
        {},
        [],
        "text",
        None,
        7,
    ],
    ids=str,
)
def test_g38_a_source_with_a_wrong_type_duration_or_word_stops_no_other(spec: Any):
    async def disturb(world: DaemonWorld) -> None:
        assert world.life
        assert world.life.live
        assert world.life.daemon
        world.life.live.absorb(body(TRAFFIC_SOURCE, spec=spec))
        world.life.daemon.live_changed(TRAFFIC_SOURCE.key("default", "aaa"))
        await anyio.sleep(5)

    play(disturb)


@pytest.mark.parametrize("kind", [TRAFFIC_SOURCE, TRAFFIC_ROLLOUT, VIRTUAL_SERVICE, DESTINATION_RULE])
@pytest.mark.parametrize("value", [None, "text", 7, [], ["text"], True, {"x": None}, {"source": 7}], ids=str)
def test_g38_no_part_of_an_object_has_to_have_the_shape_that_it_should(kind: Kind, value: Any):
    async def disturb(world: DaemonWorld) -> None:
        assert world.life
        assert world.life.live
        assert world.life.daemon
        for part in ("spec", "status"):
            world.life.live._on_event("ADDED", kind.key("default", f"a-{part}"), {**body(kind), part: value})
            wrong = body(kind, f"a-{part}", **{part: value})
            world.life.live._on_event("MODIFIED", kind.key("default", f"a-{part}"), wrong)
        for part in ("labels", "annotations", "managedFields", "finalizers", "ownerReferences"):
            wrong = body(kind, f"a-{part}", spec={})
            wrong["metadata"][part] = value
            world.life.live._on_event("ADDED", kind.key("default", f"a-{part}"), wrong)
        await anyio.sleep(5)

    play(disturb)


def test_g38_a_policy_with_a_bad_duration_stops_its_own_repository_and_no_other():
    async def disturb(world: DaemonWorld) -> None:
        other = world.add_source("aaa")
        other.push({**files(a_service("ratings", "v1 100"), a_rule("ratings")), "policy.yaml": POLICY})
        await world.until(lambda: world.ready("aaa") == ("False", "ValidationFailed"))
        (finding,) = [f for f in world.status("aaa").findings if "banana" in f.message]
        assert finding.at.startswith("policy.yaml:6:")

    play(disturb)


def test_g38_a_bad_duration_in_the_configuration_keeps_the_whole_one_before():
    layer, _ = read_file("gitmesh.yaml", b"settle: banana\nresync: 1m")
    found = settle([Layer("default", {"dataDir": "/data"}), layer])
    reading = Reading("2", found.config, tuple(map(str, found.problems)))
    assert reading.config is None
    assert reading.problems == (
        "gitmesh.yaml:1:9: settle: 'banana' is not a duration; write for example 30s, 10m or 1h30m",
    )
