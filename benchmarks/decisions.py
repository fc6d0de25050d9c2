"""What deciding costs with 1,000 rollouts in motion: with nothing due, with all of them checked; and memory.

Everything between what is known and what is to be written: turn each rollout towards Git, take in its
verdict, decide, overlay, compare with what is live. Nothing is sent anywhere. It runs in a process of its
own, whose memory is the other figure.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from anyio import to_thread

from benchmarks.figures import Figure
from gitmesh.decide.questions import questions
from gitmesh.decide.verdict import judge
from gitmesh.engine.memory import Desired, Moved, SourceMemory
from gitmesh.engine.planning import move_rollouts, plan_input
from gitmesh.engine.report import Source, read_source
from gitmesh.engine.rollouts import confirmed, load_records, rollout_key
from gitmesh.model.config import Config
from gitmesh.model.kinds import DESTINATION_RULE, TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.metrics import RequestStats
from gitmesh.model.plan import Plan
from gitmesh.model.policy import RolloutPolicy, RolloutPolicySpec
from gitmesh.model.resource import Resource, ResourceKey, resource_from_body
from gitmesh.model.revision import Revision
from gitmesh.observe.live import LiveState
from gitmesh.plan.planner import is_live, make_plan

ROLLOUTS = 1_000
TURNS = 15
MILLISECONDS_MAX = 50.0
MEGABYTES_MAX = 250.0
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SOURCE = "gitmesh-system/mesh"
POLICY = {
    "select": {"kinds": ["VirtualService"], "hosts": ["*"]},
    "steps": [{"progress": 5, "hold": "10m"}, {"progress": 50, "hold": "10m"}, {"progress": 100}],
    "windows": [{"cron": "0 9 * * mon-fri", "duration": "8h", "timezone": "UTC"}],
    "analysis": {
        "metrics": [
            {"name": "error-rate", "max": "1%"},
            {"name": "error-rate", "compare": "stable", "margin": "1%"},
        ]
    },
    "bake": "10m",
}


@dataclass
class World:
    """So many rollouts in motion, as a daemon knows them between two passes."""

    memory: SourceMemory
    source: Source
    config: Config = field(default_factory=lambda: Config(data_dir=Path("/nowhere")))
    live: dict[ResourceKey, Resource] = field(default_factory=dict)
    rollouts: dict[ResourceKey, Resource] = field(default_factory=dict)
    now: datetime = NOON
    version: int = 0

    @property
    def state(self) -> LiveState:
        """What is live now."""
        return LiveState(
            resources=MappingProxyType(dict(self.live)),
            services={},
            sources={self.source.resource.key: self.source.resource},
            rollouts=MappingProxyType(dict(self.rollouts)),
            version=self.version,
        )

    def decide(self, state: LiveState) -> tuple[list[Moved], Plan, int]:
        """Do what a pass does between reading and writing; say also how many are live as they should be."""
        moved = move_rollouts(self.source, self.memory, state, self.config, self.now)
        assert self.memory.desired is not None
        resources = self.memory.desired.resources
        given = plan_input(self.source, self.memory, resources, moved, state, self.config)
        plan = make_plan(given)
        there = [m.key for m in moved if m.key in state.resources]
        live = [key for key in there if is_live(given.effective[key], state.resources[key], given)]
        return moved, plan, len(live)

    def carry_out(self) -> None:
        """Make one pass and have the cluster take all of it."""
        moved, plan, _ = self.decide(self.state)
        for change in plan.changes():
            if change.after is not None:
                self.live[change.key] = self.stored(change.after)
        for item in moved:
            self._write(replace(item, after=confirmed(item, self.now).after))
        self.version += 1

    def check(self) -> None:
        """Have the guard check every rollout, and hear about a hundred good requests of each."""
        for key, record in load_records(self.memory, self.state, SOURCE).items():
            answers = {query: RequestStats(100.0, 0.0, "q") for query in questions(record, self.now)}
            self.memory.hear(key, judge(record, answers, self.now))
            self.memory.take(key, record, self.memory.verdicts[key])

    def _write(self, item: Moved) -> None:
        key = rollout_key(item.key)
        body = {
            "apiVersion": TRAFFIC_ROLLOUT.api_version,
            "kind": TRAFFIC_ROLLOUT.kind,
            "metadata": {"namespace": key.namespace, "name": key.name},
            "spec": {},
            "status": item.after.as_json(),
        }
        self.rollouts[key] = self.stored(resource_from_body(body))
        self.memory.read[key] = self.rollouts[key], item.after
        self.memory.verdicts.pop(item.key, None)

    def stored(self, resource: Resource) -> Resource:
        self.version += 1
        body = json.loads(json.dumps(resource.with_metadata(resourceVersion=str(self.version)).body))
        return resource_from_body(body)


def a_world(rollouts: int) -> World:
    """Return a world in which so many rollouts have been at 5 % for a minute."""
    source = read_source(
        resource_from_body(
            {
                "apiVersion": TRAFFIC_SOURCE.api_version,
                "kind": TRAFFIC_SOURCE.kind,
                "metadata": {"namespace": "gitmesh-system", "name": "mesh"},
                "spec": {"url": "https://git.example.com/mesh.git"},
            }
        )
    )
    assert isinstance(source, Source)
    world = World(SourceMemory(source.resource.key), source)
    world.memory.desired = _desired(rollouts, canary=0, revision="a" * 40)
    world.carry_out()
    world.memory.desired = _desired(rollouts, canary=100, revision="b" * 40)
    for _ in range(2):  # what is new waits; then it begins
        world.carry_out()
    world.now += timedelta(minutes=1)
    return world


def _desired(rollouts: int, *, canary: int, revision: str) -> Desired:
    policy = RolloutPolicy(name="careful", namespace="default", spec=RolloutPolicySpec.model_validate(POLICY))
    found = [o for number in range(rollouts) for o in _objects(f"svc-{number}", canary)]
    resources = {r.key: r for r in map(resource_from_body, found)}
    return Desired(Revision(revision, "", "main"), resources, (policy,))


def _objects(name: str, canary: int) -> list[dict[str, Any]]:
    metadata = {"namespace": "default", "name": name}
    host = f"{name}.default.svc.cluster.local"
    routes = [
        {"destination": {"host": name, "subset": "v1"}, "weight": 100 - canary},
        {"destination": {"host": name, "subset": "v2"}, "weight": canary},
    ]
    spec = {
        "hosts": [name],
        "http": [
            {
                "name": "beta",
                "match": [{"headers": {"beta": {"exact": "yes"}}}],
                "timeout": "2s",
                "route": routes,
            },
            {
                "name": "all",
                "timeout": "5s",
                "retries": {"attempts": 2, "perTryTimeout": "2s"},
                "route": routes,
            },
        ],
    }
    subsets = [{"name": v, "labels": {"version": v}} for v in ("v1", "v2")]
    rule = {"host": host, "subsets": subsets}
    return [
        {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": content}
        for kind, content in ((VIRTUAL_SERVICE, spec), (DESTINATION_RULE, rule))
    ]


# Measuring --------------------------------------------------------------------------------------------------


def milliseconds_of(world: World) -> list[float]:
    """Return how long each of some passes computes. What others do on this machine is not counted."""
    found, state = [], world.state
    world.decide(state)
    for _ in range(TURNS):
        began = time.process_time()
        world.decide(state)
        found.append((time.process_time() - began) * 1000)
    return found


def run(rollouts: int) -> dict[str, Any]:
    """Measure in this process."""
    world = a_world(rollouts)
    gc.collect()
    idle = milliseconds_of(world)
    world.check()
    checked = milliseconds_of(world)
    moved, plan, live = world.decide(world.state)
    assert (len(moved), live, plan.is_empty) == (rollouts, rollouts, True)
    assert all(item.changed and item.after.phase.in_motion for item in moved)
    status = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return {"idle": idle, "checked": checked, "megabytes": kilobytes / 1024}


async def measure(directory: Path) -> list[Figure]:
    """Measure in another process."""
    command = [sys.executable, "-m", "benchmarks.decisions"]
    done = await to_thread.run_sync(lambda: subprocess.run(command, check=True, stdout=subprocess.PIPE))
    found = json.loads(done.stdout)
    figures = []
    for name, what in (("idle", "with nothing due"), ("checked", "with all of them checked")):
        middle, slowest = statistics.median(found[name]), max(found[name])
        figures.append(
            Figure(
                f"a decision pass over {ROLLOUTS:,} rollouts {what}",
                f"p50 {middle:.0f}, max {slowest:.0f} ms of processor time",
                f"under {MILLISECONDS_MAX:g} ms",
                middle < MILLISECONDS_MAX,
            )
        )
    megabytes = found["megabytes"]
    asked, met = f"under {MEGABYTES_MAX:g} MB", megabytes < MEGABYTES_MAX
    return [*figures, Figure(f"memory with {ROLLOUTS:,} rollouts", f"{megabytes:.0f} MB at most", asked, met)]


if __name__ == "__main__":
    print(json.dumps(run(ROLLOUTS)))
