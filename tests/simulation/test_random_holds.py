"""Random days of a source whose commits drop most of what it owns, with people who approve and take over.

Each seed is one world. Whatever goes wrong, nothing is deleted that nobody approved, what a person has taken
over is never written, and once it is quiet everything is as Git says.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from fakes.cluster import Delay, Fault, Late, Request
from fakes.daemon_world import LIFE, DaemonWorld, a_rule, a_service, files, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import DESTINATION_RULE, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.source import APPROVE_ANNOTATION

REST = tuple(f"other{number}" for number in range(6))
WEIGHTS = ("v1 100, v2 0", "v1 50, v2 50", "v1 0, v2 100")
STEPS = 60
QUIET_SECONDS = 700  # a fight with whoever drifts may have to end first


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


@dataclass
class Watch:
    """What somebody outside sees. `allowed`: a person has approved that most of it goes."""

    world: DaemonWorld
    allowed: bool = False
    taken_over: bool = False
    violations: list[str] = field(default_factory=list)

    def asked(self, request: Request) -> None:
        """A write that is sent while the object is a person's; one that was on its way before is no sin."""
        if LIFE.get() is None or not request.writes:
            return
        if request.verb == "delete" and request.name in REST and not self.allowed:
            self.violations.append(f"{request} without an approval")
        if self.taken_over and (request.kind, request.name) == ("VirtualService", "reviews"):
            live = self.world.life.live.snapshot() if self.world.life and self.world.life.live else None
            key = VIRTUAL_SERVICE.key("default", "reviews")
            seen = live.resources.get(key) if live else None
            if seen is not None and "gitmesh.dev/reconcile" in seen.annotations:
                self.violations.append(f"{request} although a person has taken it over")

    def written(self, request: Request, *_: Any) -> None:
        if request.verb == "apply" and request.name in REST:
            self.allowed = False  # what was approved is over: it is back


class Day:
    """One world and what people do in it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = DaemonWorld(seed)
        self.watch = Watch(self.world)
        self.world.cluster.asked = self.watch.asked
        self.world.cluster.written = self.watch.written
        self.world.cluster.faults = self._fault
        self.chaos = 0.0
        self.repository = self.world.add_source()
        self.group: Any = None

    def _fault(self, request: Request) -> Any:
        if self.random.random() >= self.chaos:
            return None
        kinds: list[Any] = [Delay(0.3), Fault.REQUEST_LOST, Fault.THROTTLED]
        if request.writes:
            kinds += [Fault.ANSWER_LOST, Fault.BROKEN, Late(0.8)]
        return self.random.choice(kinds)

    def push(self, *, whole: bool) -> None:
        names = REST if whole else REST[:1]
        service = a_service("reviews", self.random.choice(WEIGHTS))
        self.repository.push(files(service, a_rule("reviews"), *(a_rule(name) for name in names)))

    def approve(self) -> None:
        plan = self.world.status().held_plan
        if plan is not None:
            self.watch.allowed = True
            self._annotate(TRAFFIC_SOURCE, "mesh", APPROVE_ANNOTATION, plan.hash)

    def take_over(self) -> None:
        self._annotate(VIRTUAL_SERVICE, "reviews", "gitmesh.dev/reconcile", "disabled")
        self.watch.taken_over = True

    def give_back(self) -> None:
        self.watch.taken_over = False
        self._annotate(VIRTUAL_SERVICE, "reviews", "gitmesh.dev/reconcile", None)

    def suspend(self) -> None:
        on = self.random.random() < 0.5
        self.world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"suspend": on}}, manager="kubectl-edit")

    def drift(self) -> None:
        spec = a_service("reviews", "v1 1, v2 99")["spec"]
        if self.world.cluster.find(VIRTUAL_SERVICE, "default", "reviews"):
            self.world.patch(VIRTUAL_SERVICE, "reviews", {"spec": spec}, manager="kubectl-edit")

    async def restart(self) -> None:
        if self.world.life:
            self.world.life.kill()
        await anyio.sleep(self.random.choice([0.1, 2.0]))
        self.world.spawn(self.group)

    def _annotate(self, kind: Any, name: str, annotation: str, value: str | None) -> None:
        if self.world.cluster.find(kind, "default", name):
            patch = {"metadata": {"annotations": {annotation: value}}}
            self.world.patch(kind, name, patch, manager="kubectl-annotate")

    async def step(self) -> None:
        what = self.random.choice(["whole", "few", "few", "approve", "approve", *"tgsdrc"])
        self.world.log(f"person: {what}")
        match what:
            case "whole" | "few":
                self.push(whole=what == "whole")
            case "approve":
                self.approve()
            case "t":
                self.take_over()
            case "g":
                self.give_back()
            case "s":
                self.suspend()
            case "d":
                self.drift()
            case "r":
                await self.restart()
            case "c":
                self.chaos = self.random.choice([0.0, 0.1, 0.3])
        await anyio.sleep(self.random.choice([0.05, 1.0, 5.0, 12.0]))

    async def play(self) -> None:
        async with anyio.create_task_group() as self.group:
            self.push(whole=True)
            self.world.spawn(self.group)
            await self.world.until(lambda: self.world.ready() == ("True", "Applied"))
            for _ in range(STEPS):
                await self.step()
            await self.quiet()
            assert not self.watch.violations, self.watch.violations[0] + "\n" + self.world.tail(80)
            assert not self.world.crashes, self.world.crashes[0]
            self.group.cancel_scope.cancel()

    async def quiet(self) -> None:
        """Nothing goes wrong any more; the last word of Git and of people is that all of it is to be live."""
        self.chaos = 0.0
        self.give_back()
        self.world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"suspend": False}}, manager="kubectl-edit")
        self.repository.push(
            files(a_service("reviews", "v1 30, v2 70"), a_rule("reviews"), *map(a_rule, REST))
        )
        await anyio.sleep(QUIET_SECONDS)
        assert self.world.ready() == ("True", "Applied"), self.world.tail(60)
        assert self.world.live() == {"v1": 30, "v2": 70}
        assert len(self.world.cluster.all(DESTINATION_RULE)) == len(REST) + 1
        status = self.world.status()
        assert (status.held_plan, status.skipped, len(status.owned)) == (None, (), len(REST) + 2)


@pytest.mark.parametrize("seed", range(25))
def test_nothing_is_deleted_that_nobody_approved_and_in_the_end_git_is_live(seed: int):
    async def day() -> None:
        await Day(seed).play()

    run_virtually(day)
