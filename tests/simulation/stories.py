"""Stories of one rollout in virtual time: push, wait, disturb, and look at everything that was ever live."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
from fakes.cluster import Request
from fakes.daemon_world import (
    DaemonWorld,
    Repository,
    a_policy,
    a_rule,
    a_service,
    files,
    in_world,
)
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import (
    DESTINATION_RULE,
    EVENT,
    TRAFFIC_KINDS,
    TRAFFIC_ROLLOUT,
    TRAFFIC_SOURCE,
    VIRTUAL_SERVICE,
)
from gitmesh.model.resource import resource_from_body
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.plan.references import missing_subsets

OLD, NEW = "v1 100, v2 0", "v1 0, v2 100"
SUBSETS = ("v1", "v2", "v3")


class Story:
    """A world with one daemon, one repository and the VirtualService `reviews`.

    `path` holds the weights of `reviews` after every write of the daemon that changed them, `phases` the
    phases of its record.
    """

    def __init__(self, policy: Mapping[str, Any] | None, **config: Any) -> None:
        self.world = DaemonWorld(**config)
        self.policy = policy
        self.repository: Repository = self.world.add_source()
        self.group: anyio.abc.TaskGroup | None = None
        self.path: list[dict[str, int]] = []
        self.phases: list[Phase] = []
        self.missing: list[str] = []
        self.world.cluster.written = self._written

    def _written(self, request: Request, noted: Any, before: Any, after: Any) -> None:
        if request.kind in {kind.kind for kind in TRAFFIC_KINDS}:
            self.missing += [f"{request}: {key}" for key in self._missing_subsets()]
        if request.name != "reviews" or not after:
            return
        self.world.log(f"wrote {request}")
        if request.kind == VIRTUAL_SERVICE.kind:
            weights = any_weights_of(after["spec"])
            if self.path[-1:] != [weights]:
                self.path.append(weights)
        if request.kind == TRAFFIC_ROLLOUT.kind and after.get("status"):
            phase = Phase(after["status"]["phase"])
            if self.phases[-1:] != [phase]:
                self.phases.append(phase)

    def _missing_subsets(self) -> Any:
        kinds = (VIRTUAL_SERVICE, DESTINATION_RULE)
        return missing_subsets(resource_from_body(b) for k in kinds for b in self.world.cluster.all(k))

    # What a story does

    def push(self, weights: str, *others: Mapping[str, Any], **route: Any) -> None:
        """Commit `reviews` with these weights, its subsets and its policy."""
        self.push_all(a_service("reviews", weights, **route), *others)

    def push_all(self, *bodies: Mapping[str, Any]) -> None:
        policy = () if self.policy is None else (self.policy,)
        self.repository.push(files(a_rule("reviews", SUBSETS), *policy, *bodies))

    async def at(self, progress: float, seconds: float = 60) -> float:
        """Wait until a step is live."""
        return await self.world.until(
            lambda: (r := self.world.record()) and r.progress == progress and r.effective_at, seconds
        )

    async def phase(self, phase: Phase, seconds: float = 120) -> float:
        return await self.world.until(lambda: self.record.phase is phase, seconds)

    async def finish(self, seconds: float = 200) -> None:
        """Wait until a rollout has begun, and until it has come to its good end."""
        await self.world.until(lambda: self.record.phase.in_motion)
        await self.phase(Phase.SUCCEEDED, seconds)

    async def live(self, weights: dict[str, int], seconds: float = 60) -> float:
        return await self.world.until(lambda: self.world.live() == weights, seconds)

    def fail(self, percent: float = 50, version: str = "v2") -> None:
        self.world.metrics.error_percent["reviews", version] = percent

    async def restart(self) -> None:
        """Kill the daemon, and start one with an empty memory."""
        assert self.world.life
        assert self.group
        self.world.life.kill()
        await anyio.lowlevel.checkpoint()
        self.world.spawn(self.group)

    def edit(self, weights: str) -> None:
        """Change the live weights as a person with kubectl would."""
        self.world.cluster.put(a_service("reviews", weights), manager="kubectl-edit")

    def set_source(self, **spec: Any) -> None:
        """Change the spec of the source, as a person would."""
        body = self.world.cluster.find(TRAFFIC_SOURCE, "default", "mesh")
        assert body is not None
        kept = {"name": "mesh", "namespace": "default"}
        self.world.cluster.put({**body, "metadata": kept, "spec": {**body["spec"], **spec}})

    # What a story looks at

    @property
    def record(self) -> RolloutRecord:
        record = self.world.record()
        assert record is not None
        return record

    @property
    def canary(self) -> list[int]:
        """The weights that v2 had, one after another."""
        return [weights.get("v2", 0) for weights in self.path]

    @property
    def spec(self) -> Mapping[str, Any]:
        found = self.world.cluster.find(VIRTUAL_SERVICE, "default", "reviews")
        assert found is not None
        return found["spec"]

    def events(self, reason: str) -> list[Any]:
        return [
            e
            for e in self.world.cluster.all(EVENT, "default")
            if e["reason"] == reason and e["involvedObject"]["kind"] == VIRTUAL_SERVICE.kind
        ]


def any_weights_of(spec: Mapping[str, Any]) -> dict[str, int]:
    """Return the weights of the last HTTP route, else of the last TLS or TCP route, by subset or host."""
    routes = spec.get("http") or spec.get("tls") or spec["tcp"]
    entries = routes[-1]["route"]
    names = [e["destination"].get("subset") or e["destination"]["host"] for e in entries]
    if len(entries) == 1:
        return {names[0]: 100}
    return {name: w for name, e in zip(names, entries, strict=True) if (w := int(e.get("weight", 0)))}


Plot = Callable[[Story], Awaitable[None]]


def tell(
    plot: Plot,
    policy: Mapping[str, Any] | None = None,
    *,
    begins: str | Mapping[str, Any] = OLD,
    **config: Any,
) -> Story:
    """Tell a story that begins when the first commit, `begins`, is live and its rollout at rest."""
    stories: list[Story] = []

    async def whole() -> None:
        story = Story(policy, **config)
        stories.append(story)
        story.push_all(a_service("reviews", begins) if isinstance(begins, str) else begins)

        async def act(group: Any) -> None:
            story.group = group
            await story.world.until(lambda: story.world.ready() == ("True", "Applied"))
            await anyio.sleep(0.1)
            story.path[:], story.phases[:] = story.path[-1:], story.phases[-1:]
            await plot(story)

        await in_world(story.world, act)

    run_virtually(whole)
    assert not stories[0].missing, stories[0].missing[0]
    return stories[0]


def rising(numbers: list[int]) -> bool:
    return all(earlier < later for earlier, later in itertools.pairwise(numbers))


def seldom(policy: dict[str, Any], interval: str = "10s", window: str = "30s") -> dict[str, Any]:
    """The same policy, judged less often: long stories then take less time."""
    analysis = {**policy["spec"]["analysis"], "interval": interval, "window": window}
    return {**policy, "spec": {**policy["spec"], "analysis": analysis}}


__all__ = ["NEW", "OLD", "Story", "a_policy", "a_rule", "a_service", "rising", "seldom", "tell"]
