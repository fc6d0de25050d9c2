"""What must hold at every write that reaches the cluster, whatever has gone wrong before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from fakes.cluster import Request
from fakes.daemon_world import LIFE, DaemonWorld, Repository, weights_of
from pydantic import ValidationError

from gitmesh.istio.canonical import spec_hash
from gitmesh.istio.weights import interpolate
from gitmesh.model.analysis import Mode
from gitmesh.model.kinds import (
    DESTINATION_RULE,
    EVENT,
    TRAFFIC_KINDS,
    TRAFFIC_ROLLOUT,
    TRAFFIC_SOURCE,
    VIRTUAL_SERVICE,
)
from gitmesh.model.metrics import RequestStats
from gitmesh.model.resource import resource_from_body
from gitmesh.model.rollout import Outcome, Phase, RolloutRecord
from gitmesh.model.source import OWNER_ANNOTATION
from gitmesh.plan.references import missing_subsets

BROKEN_MARK = "666s"  # a timeout that only broken commits have
SECRET = "s3cr3t-of-a-header"
REACTION_SECONDS = 1.0  # from the answer that condemns to stable routes
CALM_SECONDS = 5.0  # so long nothing may have gone wrong before a reaction is timed
HANGING_SECONDS = 11.0  # a query that was asked meanwhile is given up so long after it
OVERHANG_SECONDS = 12.0  # a pass that began in a window may end so long after it
CLOCK_SLACK = timedelta(seconds=25)  # so far a clock may be set back, with what a pass takes
FOREIGN = "foreign"
_TRAFFIC = {kind.kind for kind in TRAFFIC_KINDS}


@dataclass(slots=True)
class Watched:
    """What an observer outside of the daemon knows of one VirtualService."""

    record: RolloutRecord | None = None
    written: dict[str, int] = field(default_factory=dict)  # the weights that a daemon wrote last
    live_since: float | None = None  # when the present step was live first
    ahead: float = 0.0  # how far the clock had been set forward then
    steps: list[int] = field(default_factory=list)  # of the present rollout
    rollout: Any = None  # names the present rollout
    failed_contents: set[str] = field(default_factory=set)
    forgotten: bool = False  # somebody deleted the record, which a daemon may still have known
    along: dict[str, str] = field(default_factory=dict)  # content -> for whom it was rolled back
    condemned: tuple[float, Any] | None = None  # since when, and which rollout


class Safety:
    """Looks at every write of a daemon and notes what should not have been."""

    def __init__(self, world: DaemonWorld, healthy: Callable[[], bool]) -> None:
        self._world = world
        self._healthy = healthy
        self._disturbed_at = 0.0
        self._asked_at = 0  # when the record was sent that is looked at
        self._shown = 0  # lines of the log that were looked through
        self.violations: list[str] = []
        self._watched: dict[str, Watched] = {}
        self._answers: dict[tuple[str, str], list[tuple[int, float, str]]] = {}
        self._sequence = 0
        self._taken: set[str] = set()
        self.ever_taken: set[str] = set()
        self.promoted: set[str] = set()  # what people asked for, as `hash@step`
        self.overruled: set[str] = set()  # what people asked for, as `hash` or `hash@sale`
        world.cluster.asked = self._asked
        world.cluster.written = self._written
        world.metrics.answered = self._answered

    def of(self, name: str) -> Watched:
        return self._watched.setdefault(name, Watched())

    def forget(self, name: str) -> None:
        """A person deleted the record: what was known is known no more."""
        self._watched[name] = Watched(forgotten=True)

    def allow(self, name: str, content: str) -> None:
        """A person asked for failed content again."""
        self.of(name).failed_contents.discard(content)

    def taken_away(self, name: str) -> None:
        """A person deleted a DestinationRule: until it is back, routes that lack it are nobody's fault."""
        self._taken.add(name)
        self.ever_taken.add(name)

    def disturbed(self) -> None:
        """Something goes wrong now that may hold up a rollback."""
        self._disturbed_at = self._world.clock.monotonic()

    def look(self) -> None:
        """Look at what no write shows: what should have been written, and what was said."""
        if not self._healthy():
            self.disturbed()
        for name in self._watched:
            self._look_for_reaction(name)
            self._look_for_the_guard(name)
        lines, self._shown = self._world.lines[self._shown :], len(self._world.lines)
        told = [str(event) for event in self._world.cluster.all(EVENT)]
        sources = [str(source.get("status")) for source in self._world.cluster.all(TRAFFIC_SOURCE)]
        for text in (*lines, *told, *sources):
            if SECRET in text:
                self._say(f"a secret is told: {text[:300]}")

    def _say(self, what: str) -> None:
        self._world.log(f"VIOLATION {what}")
        self.violations.append(what)

    def _asked(self, request: Request) -> tuple[int, Any]:
        self._sequence += 1
        self._check_leader(request)
        found = None
        if request.kind in _TRAFFIC and request.writes:
            kind = next(k for k in TRAFFIC_KINDS if k.kind == request.kind)
            found = self._world.cluster.find(kind, request.namespace, request.name)
        return self._sequence, found

    def _check_leader(self, request: Request) -> None:
        """At most one replica sends writes: the one that holds the Lease."""
        life = LIFE.get()
        if life is None or life.elector is None or not request.writes or request.kind in ("Lease", "Event"):
            return
        others = [o for o in self._world.replicas if o is not life and not o.dead and o.elector]
        leading = [o.number for o in others if o.elector and o.elector.is_leader]
        if leading or not life.elector.is_leader:
            self._say(f"replica {life.number} sends {request}, and {leading or 'nobody'} has the Lease")

    def _answered(self, service: str, version: str, stats: RequestStats) -> None:
        self._sequence += 1
        now, outcome = self._world.clock.monotonic(), _outcome(stats)
        answers = self._answers.setdefault((service, version), [])
        answers.append((self._sequence, now, outcome))
        watched, record = self.of(service), self._stored(service)
        if record is None or not record.phase.in_motion or version not in _versions(record):
            return
        recent = [a for a in answers if watched.rollout and a[1] >= watched.rollout[1]][-2:]
        in_a_row = [a[2] for a in recent] == ["fail", "fail"] and recent[0][1] < now - 0.5
        suffices = _is_damning(stats) if _is_sequential(record) else in_a_row
        calm = self._healthy() and now - self._disturbed_at > CALM_SECONDS
        if (
            suffices
            and calm
            and watched.condemned is None
            and record.policy_spec
            and record.policy_spec.analysis
        ):
            watched.condemned = (now, record.started_at)

    def _look_for_the_guard(self, name: str) -> None:
        """While a rollout is in motion somebody has to look at it, at the interval of its policy."""
        record, watched, now = self._stored(name), self.of(name), self._world.clock.monotonic()
        analysis = record.policy_spec.analysis if record and record.policy_spec else None
        if record is None or analysis is None or not record.phase.in_motion or watched.live_since is None:
            return
        if not self._healthy():
            return
        seen = [answers[-1][1] for (service, _), answers in self._answers.items() if service == name]
        since = max([*seen, watched.live_since, self._disturbed_at + HANGING_SECONDS])
        most = analysis.interval.total_seconds() + REACTION_SECONDS + self._world.metrics.slow_values
        if now - since > most:
            self._say(f"nobody has looked at {name} for {now - since:.3f} s")

    def _look_for_reaction(self, name: str) -> None:
        watched = self.of(name)
        if watched.condemned is None:
            return
        record, (since, rollout) = self._stored(name), watched.condemned
        live = self._world.cluster.find(VIRTUAL_SERVICE, "default", name)
        back = record is None or live is None or live["spec"] == record.stable.spec
        other = record is not None and (record.started_at != rollout or record.phase is Phase.SUCCEEDED)
        if back or other or self._disturbed_at >= since:
            watched.condemned = None
        elif self._world.clock.monotonic() - since > REACTION_SECONDS:
            watched.condemned = None
            self._say(f"{name} was condemned at {since:.3f}, and is not back on stable yet")

    def _written(self, request: Request, noted: tuple[int, Any], before: Any, after: Any) -> None:
        self._world.log(f"wrote {request}" + self._summary(after))
        for name in self._watched:
            self._look_for_reaction(name)
        if request.kind in _TRAFFIC:
            for wrong in self._traffic(request, noted, before, after):
                self._say(f"{request}: {wrong}")
        if request.kind == TRAFFIC_ROLLOUT.kind and request.verb == "delete":
            self.forget(request.name)  # with its VirtualService, which is new when it comes back
        if request.kind == TRAFFIC_ROLLOUT.kind and after and after.get("status"):
            self._asked_at = noted[0]
            for wrong in self._rollout(request.name, RolloutRecord.model_validate(after["status"])):
                self._say(f"{request}: {wrong}")

    @staticmethod
    def _summary(after: Any) -> str:
        if after and after["kind"] == VIRTUAL_SERVICE.kind:
            return f" {weights_of(after['spec'])}"
        if after and after["kind"] == TRAFFIC_ROLLOUT.kind:
            status = after.get("status") or {}
            keys = ("phase", "step", "progress", "failedChecks", "effectiveAt", "canaryHash", "message")
            return " " + " ".join(f"{k}={status.get(k)}" for k in keys)
        return ""

    # Traffic objects

    def _traffic(self, request: Request, noted: tuple[int, Any], before: Any, after: Any) -> Iterator[str]:
        asked_at, found = noted
        owner = (found or {}).get("metadata", {}).get("annotations", {}).get(OWNER_ANNOTATION)
        if found is not None and (request.name == FOREIGN or owner is None):
            yield "changed an object that it does not own"
        if request.verb == "delete" and found is not None:
            yield from self._deleted(request, str(owner))
        missing = self._missing()
        there = {body["metadata"]["name"] for body in self._world.cluster.all(DESTINATION_RULE, "default")}
        self._taken &= {key.name for key in missing} | (self._taken - there)
        for key, needs in missing.items():
            if key.name not in self._taken:
                yield f"{key} names {sorted(map(str, needs))}, which nothing defines"
        if BROKEN_MARK in str(after):
            yield "content of a broken commit is live"
        # Who owns which fields is no traffic: taking ownership over leaves a spec as somebody else wrote it.
        moved = after is not None and (before is None or before["spec"] != after["spec"])
        if request.kind == VIRTUAL_SERVICE.kind and moved:
            yield from self._service(request.name, asked_at, after)

    def _freeze(self) -> Mapping[str, Any]:
        """The freeze of the revision that the daemon follows; empty when there is none."""
        text = self._accepted().get("freezewindow-sale.yaml")
        return {} if text is None else dict(orjson.loads(text)["spec"])

    def _deleted(self, request: Request, owner: str) -> Iterator[str]:
        freeze, now = self._freeze(), self._world.clock.now()
        # A pass that began after the freeze may end in it, when the clock was set back meanwhile.
        if freeze and owner == "default/mesh" and _span(freeze)[0] <= now < _span(freeze)[1] - CLOCK_SLACK:
            yield "deletes in a freeze"
        name = owner.partition("/")[2]
        repository = self._world.repositories[f"https://git.example.com/{name}.git"]
        file = f"{request.kind}-{request.name}.yaml".lower()
        if all(file in files for files in self._followed(repository)):
            yield f"deleted what Git of {name} has"

    def _followed(self, repository: Repository) -> Iterator[Mapping[str, str]]:
        """What a daemon may follow now: the newest that is right, and what that followed a moment ago."""
        now, until = self._world.clock.monotonic(), math.inf
        for commit, at in zip(reversed(repository.fetched), reversed(repository.fetched_at), strict=True):
            files = commit.files
            if files and "bad.yaml" not in files and not any(BROKEN_MARK in text for text in files.values()):
                yield files
                until = min(until, at)
                if now - until > OVERHANG_SECONDS:
                    return

    def _missing(self) -> Any:
        bodies = [
            b
            for kind in (VIRTUAL_SERVICE, DESTINATION_RULE)
            for b in self._world.cluster.all(kind, "default")
        ]
        return missing_subsets(resource_from_body(b) for b in bodies)

    def _service(self, name: str, asked_at: int, after: Any) -> Iterator[str]:
        watched, record = self.of(name), self._stored(name)
        weights = weights_of(after["spec"])
        last = after["spec"]["http"][-1]["route"]  # before it stand the routes of chosen requests
        total = sum(e.get("weight", 0) for e in last)
        if len(last) > 1 and total != 100:
            yield f"weights add to {total}"
        grown = _growing(watched.written, weights, record)
        if record is not None:
            allowed = list(_explained(record))
            if weights not in allowed:
                yield f"no record explains {weights}; the record allows {allowed}"
            judged = record.policy_spec is not None and record.policy_spec.analysis is not None
            now = self._world.clock.now()
            if grown and record.phase.in_motion and self._is_shut(record, now):
                yield f"{grown} grows outside of its windows"
            if grown and record.phase.in_motion and self._is_frozen(record, now):
                yield f"{grown} grows in a freeze"
            # Before the first step there is nothing of this rollout that could have failed.
            if record.phase.in_motion and grown and judged and record.step > 0:
                yield from self._grew(name, grown, asked_at)
            if watched.live_since is None and record.phase.in_motion and weights == allowed[0]:
                self._is_live_now(watched)
        watched.written = weights

    def _grew(self, name: str, grown: list[str], asked_at: int) -> Iterator[str]:
        record = self._stored(name)
        if record is not None and _is_sequential(record):
            if record.verdict is not None and record.verdict.outcome is Outcome.FAIL:
                yield f"{grown} grows after the verdict: {record.verdict.summary}"
            return
        for version in grown:
            before = [a for a in self._answers.get((name, version), []) if a[0] < asked_at]
            started = self.of(name).rollout
            until = self._answered_until(0.35)  # a check that has failed is done so soon
            recent = [a for a in before if a[1] >= started[1] and (a[2] != "fail" or a[1] <= until)]
            if recent and recent[-1][2] == "fail":
                yield f"{version} grows after a failed check at {recent[-1][1]:.3f}"

    def _answered_until(self, seconds: float) -> float:
        """What came later may belong to a check that waits for another, slow answer, for so long at most."""
        now = self._world.clock.monotonic()
        return now - seconds if self._world.metrics.slow_values > 0.1 else now

    def _stored(self, name: str) -> RolloutRecord | None:
        try:
            return self._world.record(name)
        except ValidationError:
            return None

    # Records

    def _rollout(self, name: str, record: RolloutRecord) -> Iterator[str]:
        watched, before = self.of(name), self.of(name).record
        watched.record = record
        yield from self._next_record(name, watched, before, record)
        live = self._world.live(name)
        if watched.live_since is None and record.phase.in_motion and live == next(_explained(record)):
            self._is_live_now(watched)

    def _is_live_now(self, watched: Watched) -> None:
        clock = self._world.clock
        watched.live_since, watched.ahead = clock.monotonic(), clock.ahead

    def _next_record(
        self, name: str, watched: Watched, before: RolloutRecord | None, record: RolloutRecord
    ) -> Iterator[str]:
        if record.phase is Phase.ROLLED_BACK:
            watched.failed_contents.add(record.canary_hash)
            watched.along[record.canary_hash] = record.taken_along
        if not record.phase.in_motion:
            watched.rollout, watched.steps, watched.live_since = None, [], None
            return
        if record.canary_hash in watched.failed_contents and not self._pardoned(watched, record.canary_hash):
            yield f"content {record.canary_hash} goes out again unasked"
        # Other steps of a new policy may give the same place another number; that enters nothing.
        if before is None or record.entered_at != before.entered_at:
            if self._is_shut(record):
                yield f"enters step {record.step} at {record.entered_at}, outside of its window"
            if self._is_frozen(record):
                yield f"enters step {record.step} at {record.entered_at}, in a freeze"
        if watched.rollout is None or watched.rollout[0] != record.started_at:
            watched.rollout = (record.started_at, self._world.clock.monotonic())
            watched.steps, watched.live_since = [record.step], None
            if record.step != 0 and record.steps and not watched.forgotten:
                yield f"a rollout begins at step {record.step}"
            return
        same_policy = before is not None and before.policy_spec == record.policy_spec
        if before is None or record.step == before.step or not same_policy:
            if not same_policy:  # it stays where it is, whatever step that is now
                watched.steps = [record.step]
            return
        leaps = f"{record.canary_hash}@all" in self.promoted
        if (record.step != before.step + 1 and not leaps) or record.step in watched.steps:
            yield f"step {before.step} is followed by step {record.step}"
        by_hand = leaps or f"{record.canary_hash}@{before.step}" in self.promoted
        assert before.policy_spec is not None
        if before.step >= 0 and before.policy_spec.steps[before.step].gate and not by_hand:
            yield f"step {before.step} is left through a closed gate"
        yield from self._dwelt(watched, before, record, by_hand=by_hand)
        watched.steps.append(record.step)
        watched.live_since = None

    def _pardoned(self, watched: Watched, content: str) -> bool:
        """What went back for another member of its group may go again once that one's content is gone."""
        path, _, culprit = watched.along.get(content, "").rpartition("@")
        if not path:
            return False
        name = path.rpartition("/")[2]
        if culprit not in self.of(name).failed_contents:
            return True  # a person asked for that one again
        text = self._accepted().get(f"virtualservice-{name}.yaml")
        return text is None or spec_hash(orjson.loads(text)["spec"]) != culprit

    def _accepted(self) -> Mapping[str, str]:
        """The files of the revision that the daemon follows."""
        commit = self._world.status().accepted_revision.rpartition("@")[2]
        (repository,) = (r for url, r in self._world.repositories.items() if url.endswith("/mesh.git"))
        found = [c.files for c in repository.fetched if c.id == commit]
        return found[-1] if found else {}

    def _is_shut(self, record: RolloutRecord, late: datetime | None = None) -> bool:
        """Nobody who was never asked is heard: only what a person let past its windows goes on outside."""
        wanted = {record.canary_hash, f"{record.canary_hash}@sale"}
        return is_shut(record, late) and not wanted & self.overruled

    def _is_frozen(self, record: RolloutRecord, late: datetime | None = None) -> bool:
        """The same for freezes. `late`: for a write at this moment, by a pass that began before."""
        spec, moment = self._freeze(), late or record.entered_at
        if not spec or moment is None:
            return False
        if spec["overrule"] == "allowed" and f"{record.canary_hash}@sale" in self.overruled:
            return False
        begin, end = _span(spec)
        return begin + timedelta(seconds=OVERHANG_SECONDS if late else 0) <= moment < end

    def _dwelt(
        self, watched: Watched, before: RolloutRecord, after: RolloutRecord, *, by_hand: bool
    ) -> Iterator[str]:
        assert before.policy_spec is not None
        hold = before.policy_spec.steps[before.step].hold.total_seconds()
        clock = self._world.clock
        if watched.live_since is None:
            yield f"leaves step {before.step}, which was never live"
            return
        lived = clock.monotonic() - watched.live_since
        # A clock that was set forward meanwhile has shown more time than passed.
        if not by_hand and lived + clock.ahead - watched.ahead < hold - 1e-6:
            yield f"step {before.step} was live for {lived:.3f} s, hold {hold} s"
        elif before.policy_spec.analysis and before.progress > 0:
            yield from self._proven(watched.live_since, before, after)

    def _proven(self, since: float, before: RolloutRecord, after: RolloutRecord) -> Iterator[str]:
        if _is_sequential(before):
            if after.verdict is None or after.verdict.outcome is not Outcome.PASS:
                yield f"leaves step {before.step} on the verdict {after.verdict}"
            return
        for target in before.targets:
            service = target.host.partition(".")[0]
            seen = [
                a
                for a in self._answers.get((service, target.version), [])
                if a[1] >= since and a[0] < self._asked_at
            ]
            heard = [a for a in seen if a[1] <= self._answered_until(self._world.metrics.slow_values)]
            if not any(answers and answers[-1][2] == "pass" for answers in (seen, heard)):
                yield f"leaves step {before.step} without evidence for {target.version}: {seen[-3:]}"


def _span(freeze: Mapping[str, Any]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(freeze["from"]), datetime.fromisoformat(freeze["to"])


def _outcome(stats: RequestStats) -> str:
    """What one answer is worth by itself, for a policy of thresholds."""
    if not 0 <= stats.failed <= stats.requests < math.inf:
        return "blind"
    if stats.requests < 20:
        return "insufficient"
    return "fail" if stats.failed * 20 > stats.requests else "pass"


def _is_damning(stats: RequestStats) -> bool:
    """Far more failures than it takes to condemn, by whatever evidence."""
    return 0 <= stats.failed <= stats.requests < math.inf and stats.failed >= max(30, 0.2 * stats.requests)


def _versions(record: RolloutRecord) -> set[str]:
    return {target.version for target in record.targets}


def has_windows(record: RolloutRecord) -> bool:
    return record.policy_spec is not None and bool(record.policy_spec.windows)


def is_shut(record: RolloutRecord, late: datetime | None = None) -> bool:
    """Every policy with windows here has the same: each even minute. `late`: for a write at this moment."""
    moment = late or record.entered_at
    if not has_windows(record) or moment is None or moment.minute % 2 == 0:
        return False
    return late is None or moment.second > OVERHANG_SECONDS


def _is_sequential(record: RolloutRecord) -> bool:
    analysis = record.policy_spec.analysis if record.policy_spec else None
    return analysis is not None and analysis.mode is Mode.SEQUENTIAL


def _growing(before: dict[str, int], after: dict[str, int], record: RolloutRecord | None) -> list[str]:
    targets = {t.version for t in record.targets} if record else set()
    return [v for v in sorted(targets) if after.get(v, 0) > before.get(v, 0)]


def _explained(record: RolloutRecord) -> Iterator[dict[str, int]]:
    """The weights that a record allows: its step's first, the step's before it, and stable."""
    stable = record.stable.spec
    if record.phase.in_motion and record.canary is not None:
        yield weights_of(interpolate(stable, record.canary.spec, record.progress, namespace="default"))
        if record.policy_spec and record.steps:
            for step in record.policy_spec.steps:
                if step.progress < record.progress:
                    spec = interpolate(stable, record.canary.spec, step.progress, namespace="default")
                    yield weights_of(spec)
    yield weights_of(stable)
    if record.previous is not None:  # asked for by a person, while the record cannot be written
        yield weights_of(record.previous.spec)
