"""People ask for everything at any moment, by spec and by annotation, while the API server misbehaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from fakes.cluster import Delay, Fault, Late, Request
from fakes.daemon_world import (
    DaemonWorld,
    a_policy,
    a_rule,
    a_service,
    files,
    in_world,
    weights_of,
    without_threads,
)
from fakes.virtual_time import run_virtually

from gitmesh.decide.requests import asking
from gitmesh.model.intent import RolloutIntent, Verb, patch_of
from gitmesh.model.kinds import TRAFFIC_ROLLOUT, VIRTUAL_SERVICE
from gitmesh.model.rollout import Phase

SEEDS = range(16)
CONTENTS = ("v1 100, v2 0", "v1 0, v2 100", "v1 50, v2 50")
MOMENTS = 60


class People:
    """A world in which people, Git and the API server do as a seed says."""

    def __init__(self, seed: int) -> None:
        self.world = DaemonWorld(seed)
        self.random = self.world.random
        self.repository = self.world.add_source(push=self.random.choice(["allowed", "denied"]))
        self.revert = self.random.choice(["none", "push", "branch"])
        self.chaos = 0.0
        self.wrong: list[str] = []
        self.world.cluster.faults = self._fault
        self.world.cluster.written = self._written
        self._push(CONTENTS[0])

    def _fault(self, request: Request) -> Any:
        if self.random.random() >= self.chaos or not request.writes:
            return None
        return self.random.choice(
            [Delay(1.5), Late(2.5), Late(60), Fault.ANSWER_LOST, Fault.REQUEST_LOST, Fault.STALE]
        )

    def _push(self, weights: str) -> None:
        policy = a_policy(steps="10 3s manual, 50 3s, 100", bake="3s", failures=1)
        policy["spec"]["rollback"] = {"revert": self.revert}
        self.repository.push(files(a_service("reviews", weights), a_rule(), policy))

    def _written(self, request: Request, _: Any, before: Any, after: Any) -> None:
        """Nothing gives the new version more once the record says that it went back."""
        if request.kind != VIRTUAL_SERVICE.kind or not before or not after:
            return
        record = self.world.record()
        more = weights_of(after["spec"]).get("v2", 0) > weights_of(before["spec"]).get("v2", 0)
        if record is None or not more:
            return
        if record.phase is Phase.ROLLED_BACK and weights_of(after["spec"]) != weights_of(record.stable.spec):
            self.wrong.append(f"{request} although {record.message}")

    def act(self) -> None:
        """Do one thing."""
        verb, kind = self.random.choice(list(Verb)), self.random.choice([VIRTUAL_SERVICE, TRAFFIC_ROLLOUT])
        done = self.random.choice(["annotate", "ask", "push", "errors", "chaos", "nothing"])
        self.world.log(f"now {done} {verb} {kind.kind}")
        if done == "annotate" and self.world.cluster.find(kind, "default", "reviews"):
            value = self.random.choice(["true", "full", "because"])
            patch = {"metadata": {"annotations": {verb.annotation: value}}}
            self.world.patch(kind, "reviews", patch, "kubectl-annotate")
        elif done == "ask":
            self.ask(verb)
        elif done == "push":
            self._push(self.random.choice(CONTENTS))
        elif done == "errors":
            self.world.metrics.error_percent["reviews", "v2"] = self.random.choice([0, 100])
        elif done == "chaos":
            self.chaos = self.random.choice([0.0, 0.3])

    def ask(self, verb: Verb) -> None:
        body, record = self.world.cluster.find(TRAFFIC_ROLLOUT, "default", "reviews"), self.world.record()
        if body is None or record is None:
            return
        intent = RolloutIntent.model_validate(body["spec"])
        full, now = self.random.random() < 0.5, self.world.clock.now()
        asked = asking(intent, verb, record, by="ada", why="", now=now, full=full)
        if isinstance(asked, RolloutIntent):
            self.world.patch(TRAFFIC_ROLLOUT, "reviews", {"spec": patch_of(intent, asked)})

    def calm(self) -> None:
        """Let nothing stand in the way of the end."""
        self.chaos = 0.0
        self.world.metrics.error_percent.clear()

    def unsettled(self) -> Iterator[str]:
        """Yield what is not as it should be in the end."""
        record = self.world.record()
        yield from self.wrong
        if record is None or record.phase not in (Phase.SUCCEEDED, Phase.ROLLED_BACK):
            yield f"not at rest: {record and record.phase} {record and record.message}"
        elif self.world.live() != {k: v for k, v in weights_of(record.stable.spec).items() if v}:
            yield f"live {self.world.live()}, stable {weights_of(record.stable.spec)}"
        for kind in (VIRTUAL_SERVICE, TRAFFIC_ROLLOUT):
            body = self.world.cluster.find(kind, "default", "reviews") or {"metadata": {}}
            left = {verb.annotation for verb in Verb} & set(body["metadata"].get("annotations") or {})
            if left:
                yield f"{kind.kind} still has {sorted(left)}"


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_people_ask_for_all_is_right_in_the_end(seed: int, monkeypatch: pytest.MonkeyPatch):
    without_threads(monkeypatch)

    async def story() -> None:
        people = People(seed)

        async def act(_: object) -> None:
            await people.world.until(lambda: people.world.ready() == ("True", "Applied"))
            for _ in range(MOMENTS):
                people.act()
                await anyio.sleep(people.random.uniform(0.1, 4))
            people.calm()
            for _ in range(20):  # whatever was not heard yet, and whatever gate is still closed
                await anyio.sleep(10)
                people.ask(Verb.RESUME)
                people.ask(Verb.PROMOTE)
            wrong = list(people.unsettled())
            assert not wrong, f"{wrong}\n{people.world.tail(80)}"

        await in_world(people.world, act)

    run_virtually(story)
