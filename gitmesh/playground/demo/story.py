"""The story: five scenes, and what each promises.

Stage: playground (face). Every number comes from real requests through a real Envoy, or from the API server.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.model.source import TrafficSourceStatus
from gitmesh.playground.demo.files import broken, with_weights
from gitmesh.playground.demo.promise import Promise, Teller
from gitmesh.playground.demo.world import World

Seen = Callable[[], Awaitable[Any]]

PUSH_SECONDS_MAX = 1.0
RAMP_SECONDS_MAX = 40.0
ROLLBACK_SECONDS_MAX = 3.0
HEAL_SECONDS_MAX = 1.0
QUIET_SECONDS = 1.0
FAULT_PERCENT = 30
# How far a measured share may be from the written one by chance. It is looked at dozens of times in a run, so
# five standard deviations: chance alone then breaks the promise in fewer than one run of ten thousand.
SIGMAS = 5.0


@dataclass(slots=True)
class Story:
    """Tells the scenes in order and collects the promises."""

    world: World
    tell: Teller
    promises: list[Promise] = field(default_factory=list)

    async def run(self) -> list[Promise]:
        """Tell everything; return what was promised and what was measured."""
        await self.beginning()
        await self.good_version()
        await self.revert()
        await self.bad_version()
        await self.hand_edit()
        await self.broken_file()
        return self.promises

    def promise(self, title: str, promised: str, measured: str, held: bool) -> None:
        """Add a line to the table."""
        self.promises.append(Promise(title, promised, measured, held))
        self.tell.say(f"{'held' if held else 'BROKEN'}: {title}: {measured} (promised: {promised})")

    # Scenes ------------------------------------------------------------------------------------------------

    async def beginning(self) -> None:
        """Wait until the first revision is live and traffic flows to v1."""
        world = self.world
        self.tell.scene("The daemon makes the cluster follow the repository")
        status = await world.until("the first revision to be applied", self._applied)
        await world.until("traffic to v1", self._only("v1"))
        self.tell.say(
            f"{short(status.last_applied_revision)} is live; {len(status.owned)} objects; "
            f"all requests to reviews are answered by v1"
        )

    async def good_version(self) -> None:
        """Push v1 -> v2 and follow the ramp to its end."""
        world = self.world
        self.tell.scene("A push moves reviews from v1 to v2, step by step")
        failed, total = world.record.failed, world.record.total
        world.record.forget_marks()
        pushed = await world.push(with_weights(world.repository.work, v1=0, v2=100), "Move reviews to v2")
        first = await world.until("the first request to v2", self._first("v2"), 10)
        self.promise(
            "push to first request on v2",
            f"under {PUSH_SECONDS_MAX:g} s",
            f"{first - pushed:.2f} s",
            first - pushed < PUSH_SECONDS_MAX,
        )
        worst = await self._follow(Phase.SUCCEEDED, "v2")
        self.promise(
            "measured share follows the written weight",
            f"within {SIGMAS:g} sigma at each step",
            f"worst {worst.points:.1f} points off, {worst.sigmas:.1f} sigma",
            worst.sigmas <= SIGMAS,
        )
        lost = world.record.failed - failed
        self.promise("requests lost in the ramp", "0", f"{lost} of {world.record.total - total}", lost == 0)

    async def revert(self) -> None:
        """Revert the commit: back at once."""
        world = self.world
        self.tell.scene("git revert: back on v1 at once, for that is a rollback that Git asks for")
        failed = world.record.failed
        pushed = await world.push_revert()
        await world.until("all traffic to be on v1", self._only("v1"))
        took = world.record.last_response_at["v2"] - pushed
        self.promise(
            "revert to last request on v2",
            f"under {PUSH_SECONDS_MAX:g} s",
            f"{took:.2f} s",
            took < PUSH_SECONDS_MAX and world.record.failed == failed,
        )

    async def bad_version(self) -> None:
        """Make v2 fail, push it again, and watch the guard roll back."""
        world = self.world
        self.tell.scene(f"v2 now fails {FAULT_PERCENT} % of its requests, and is pushed again")
        await world.make_fail("reviews-v2", FAULT_PERCENT)
        failed = world.record.failed
        world.record.forget_marks()
        await world.push(with_weights(world.repository.work, v1=0, v2=100), "Move reviews to v2 again")
        await self._follow(Phase.ROLLED_BACK, "v1")
        record = await world.rollout()
        assert record is not None
        first, last = world.record.first_failure_at, world.record.last_response_at["v2"]
        assert first is not None
        self.tell.say(record.message)
        self.promise(
            "first error to last request on v2",
            f"under {ROLLBACK_SECONDS_MAX:g} s",
            f"{last - first:.2f} s, {world.record.failed - failed} requests failed",
            0 < last - first < ROLLBACK_SECONDS_MAX,
        )
        status = await world.source()
        ready = next(c for c in status.conditions if c.type == "Ready")
        self.promise(
            "Git being ahead is shown, not hidden",
            "Ready False, RolledBack",
            f"Ready {ready.status}, {ready.reason}",
            ready.reason == "RolledBack",
        )
        await world.make_fail("reviews-v2", 0)

    async def hand_edit(self) -> None:
        """Edit a weight by hand: it is put right again."""
        world = self.world
        self.tell.scene("Somebody edits the weights by hand")
        before = (await world.virtual_service())["spec"]
        edited = swapped(before)
        await world.edit_by_hand(edited)
        began = world.now()
        await world.until("the weights to be as before", self._spec_is(before), 10)
        took = world.now() - began
        self.promise(
            "drift is healed", f"under {HEAL_SECONDS_MAX:g} s", f"{took:.2f} s", took < HEAL_SECONDS_MAX
        )

    async def broken_file(self) -> None:
        """Push a file that is no YAML: nothing changes, and the place is named."""
        world = self.world
        self.tell.scene("A broken file is pushed")
        before = await world.virtual_service()
        failed, total = world.record.failed, world.record.total
        files, place = broken(world.repository.work)
        await world.push(files, "Break the routes")
        status = await world.until("the verdict on the broken commit", self._refused)
        finding = next(f for f in status.findings if f.severity == "error")
        self.tell.say(f"{finding.at}: {finding.code}: {finding.message}")
        await world.clock.sleep(QUIET_SECONDS)  # a write, or a lost request, would come now
        after = await world.virtual_service()
        same = before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
        self.promise(
            "a broken commit changes nothing",
            "no write, 0 requests lost",
            f"{'no write' if same else 'written'}, {world.record.failed - failed} of "
            f"{world.record.total - total} lost",
            same and world.record.failed == failed,
        )
        self.promise("the error's place", place, finding.at, finding.at == place)

    # What is looked for ------------------------------------------------------------------------------------

    async def _applied(self) -> TrafficSourceStatus | None:
        status = await self.world.source()
        ready = any(c.type == "Ready" and c.status == "True" for c in status.conditions)
        return status if ready else None

    async def _refused(self) -> TrafficSourceStatus | None:
        status = await self.world.source()
        return status if any(f.severity == "error" for f in status.findings) else None

    def _only(self, version: str) -> Seen:
        async def seen() -> bool:
            tally = self.world.record.last(self.world.now(), 1)
            return tally.total > 0 and tally.by_version.get(version, 0) == tally.total

        return seen

    def _first(self, version: str) -> Seen:
        async def seen() -> float | None:
            return self.world.record.first_response_at.get(version)

        return seen

    def _spec_is(self, spec: object) -> Seen:
        async def seen() -> bool:
            return bool((await self.world.virtual_service())["spec"] == spec)

        return seen

    async def _follow(self, end: Phase, version: str) -> Deviation:
        """Show the rollout until it is in that phase and that version alone answers.

        Returns the worst deviation of the measured share from the written weight on the way.
        """
        watch = _Watch(self.world)
        alone = self._only(version)
        began = False

        async def seen() -> bool:
            nonlocal began
            record = await self.world.rollout()
            began = began or (record is not None and record.phase.in_motion)
            if record is None or not began:  # what stands there is the rollout before
                return False
            self.tell.show(self.world.moment(record))
            watch.take(record)
            return record.phase is end and await alone()

        await self.world.until(f"the rollout to be {end.value}", seen, RAMP_SECONDS_MAX)
        self.tell.settle()
        return watch.worst


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far a measured share was from the written one."""

    points: float = 0.0
    sigmas: float = 0.0


class _Watch:
    """Compares shares with weights over the full seconds in which a step was live from end to end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.worst = Deviation()

    def take(self, record: RolloutRecord) -> None:
        """Look once."""
        if record.effective_at is None or not 0 < record.progress < 100:
            return
        age = self._world.effective_seconds(record)
        since = math.ceil(self._world.now() - age + 0.2)
        seconds = int(self._world.now()) - since
        if seconds < 1:
            return
        tally = self._world.record.last(self._world.now(), seconds)
        if tally.total == 0:
            return
        p = record.progress / 100
        sigma = 100 * math.sqrt(p * (1 - p) / tally.total)
        points = abs(tally.share("v2") - record.progress)
        if points / sigma > self.worst.sigmas:
            self.worst = Deviation(points, points / sigma)


def swapped(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec with the weights of its first route the other way round."""
    first, *rest = spec["http"]
    weights = [d.get("weight", 0) for d in first["route"]][::-1]
    route = [{**d, "weight": w} for d, w in zip(first["route"], weights, strict=True)]
    return {**spec, "http": [{**first, "route": route}, *rest]}


def short(revision: str) -> str:
    """Shorten `branch@commit` for people."""
    branch, _, commit = revision.rpartition("@")
    return f"{branch}@{commit[:7]}"
