"""What the daemon remembers of a source between two passes. None of it is truth: all can be rebuilt.

Stage: engine (shell).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf

from gitmesh.decide.fights import Contest
from gitmesh.decide.retarget import snapshot
from gitmesh.decide.verdict import take_verdict
from gitmesh.engine.targets import Rules
from gitmesh.model.context import Context
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.effect import Watch
from gitmesh.model.freeze import Freeze
from gitmesh.model.kinds import DESTINATION_RULE, VIRTUAL_SERVICE
from gitmesh.model.plan import Refusal
from gitmesh.model.policy import RolloutPolicy, most_precise
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet, content_hash
from gitmesh.model.revert import Revert
from gitmesh.model.revision import Revision
from gitmesh.model.rollout import Decision, GateAnswer, Phase, RolloutRecord, Snapshot, Verdict
from gitmesh.model.standing import Approval, HeldPlan
from gitmesh.observe.reported import Look
from gitmesh.parse.manifests import NOTHING_READ, Parsed
from gitmesh.parse.positions import NOTHING_PLACED, Pinpointed
from gitmesh.plan.alike import Alike
from gitmesh.validate.check import NOTHING_VALIDATED, Validated
from gitmesh.validate.confinement import Bounds
from gitmesh.validate.guardrail_rules import Compiled
from gitmesh.validate.guardrails_plan import Note
from gitmesh.validate.route_tests.run import NOTHING_TESTED, Tested

WALKED = frozenset({VIRTUAL_SERVICE.kind, DESTINATION_RULE.kind})  # what has rollouts
SAME_MOMENT = timedelta(milliseconds=200)
VERDICTS_MAX = 100  # as many as a policy can ask for in a row
NEWS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Desired:
    """What an accepted revision asks for: traffic resources, and the policies and guardrails for their way.

    `restored`: read from the mirror after a restart and not fetched. It may be older than what is live, when
    a status could not be written; so it deletes nothing.
    """

    revision: Revision
    resources: ResourceSet
    policies: tuple[RolloutPolicy, ...]
    restored: bool = False
    managed: ResourceSet = field(default_factory=dict, repr=False, compare=False)  # all that Git has of ours
    guardrails: tuple[Compiled, ...] = ()  # those that look at plans
    freezes: tuple[Freeze, ...] = ()
    foundations: ResourceSet = field(default_factory=dict)  # whatever of them the source lets through
    _chosen: dict[ResourceKey, RolloutPolicy | None] = field(default_factory=dict, repr=False, compare=False)
    _steered: list[frozenset[ResourceKey]] = field(default_factory=list, repr=False, compare=False)
    _contents: dict[ResourceKey, Snapshot] = field(default_factory=dict, repr=False, compare=False)

    @property
    def steered(self) -> frozenset[ResourceKey]:
        """The keys of what a policy selects; with freezes, of everything that they may hold."""
        if not self._steered and not (self.policies or self.freezes):
            self._steered.append(frozenset())
        if not self._steered:
            walked = [r for r in self.resources.values() if r.key.kind in WALKED]
            if not self.freezes:
                walked = [r for r in walked if self.policies and self.policy_of(r) is not None]
            self._steered.append(frozenset(r.key for r in walked))
        return self._steered[0]

    def learn(self, before: Desired) -> None:
        """Take over from an earlier revision which policy an object has, where neither has changed."""
        if before.policies == self.policies:
            same, was = self.resources.get, before.resources
            self._chosen.update(
                (key, policy) for key, policy in before._chosen.items() if same(key) is was.get(key)
            )

    def content_of(self, resource: Resource) -> Snapshot:
        """Return the content of one of these resources."""
        if resource.key not in self._contents:
            self._contents[resource.key] = snapshot(resource, self.revision.short)
        return self._contents[resource.key]

    @property
    def content(self) -> str:
        """Names what Git says of all objects. Looks at each of them: not for every pass."""
        return content_hash({key.path: resource.body for key, resource in self.resources.items()})

    def policy_of(self, resource: Resource) -> RolloutPolicy | None:
        """Return the policy that selects one of these resources most precisely.

        Two that are equally precise are an error on validation. Looked for once: nothing here ever changes.
        """
        if resource.key not in self._chosen:
            best = most_precise(self.policies, resource.key, resource.spec)
            self._chosen[resource.key] = next(iter(best), None)
        return self._chosen[resource.key]


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found in a revision's files; `findings` are all of them, with their places."""

    parsed: Parsed = NOTHING_READ
    validated: Validated = NOTHING_VALIDATED
    placed: Pinpointed = NOTHING_PLACED
    tested: Tested = NOTHING_TESTED
    findings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What findings are for: equal questions have equal answers, and are asked once."""

    revision: Revision
    default_namespace: str
    context: Context
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Moved:
    """One rollout in one pass: before, after, and why. `waits`: it may be written down later."""

    key: ResourceKey  # of the VirtualService
    before: RolloutRecord | None
    after: RolloutRecord
    decision: Decision
    waits: bool = False

    @property
    def changed(self) -> bool:
        """True when there is something to write down now."""
        return not self.waits and self.before is not self.after and self.before != self.after

    @property
    def goes_back(self) -> bool:
        """True when it was rolled back and that has not been seen live yet."""
        return self.after.phase is Phase.ROLLED_BACK and self.after.effective_at is None

    @property
    def may_have_moved(self) -> bool:
        """True when a step was on its way: its write may come late, whoever sent it."""
        return self.before is not None and self.before.phase.in_motion and self.before.effective_at is None


@dataclass(frozen=True, slots=True)
class Taken:
    """A record, verdicts, and the record with them."""

    before: RolloutRecord
    verdicts: tuple[Verdict, ...]
    after: RolloutRecord


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided at a moment, and everything that it was decided from."""

    live: object  # the snapshot; every other one is another
    world: tuple[object, ...]
    at: datetime
    moved: tuple[Moved, ...]

    def is_of(self, now: datetime) -> bool:
        """Say whether it was decided at this moment, as far as anybody can tell."""
        return timedelta(0) <= now - self.at < SAME_MOMENT


@dataclass(frozen=True, slots=True)
class News:
    """An event that people are to see on an object. `noticed`: a notice of its own was told of it."""

    about: Resource
    type: str  # Normal or Warning
    reason: str
    message: str
    noticed: bool = False


@dataclass(frozen=True, slots=True)
class Withheld:
    """A revision that was fetched and is not taken over until a person says so."""

    reason: str  # of the condition Ready
    message: str
    revision: str  # `name@commit`


@dataclass(frozen=True, slots=True)
class Unready:
    """What a source waits for, as its condition says it. A cycle waits until a person breaks it."""

    reason: str
    message: str

    @property
    def is_cycle(self) -> bool:
        """True when it can never become ready by itself."""
        return self.reason == "DependencyCycle"


@dataclass(frozen=True, slots=True)
class SignedRevision:
    """A revision that was signed as its source demands."""

    revision: str  # `name@commit`
    by: str


@dataclass(frozen=True, slots=True)
class Reported:
    """What the mesh says of the objects of a source, and from which objects that is known.

    `looks` holds those that have a word to say.
    """

    resources: ResourceSet
    owned: frozenset[ResourceKey]
    looks: Mapping[ResourceKey, Look]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sorted:
    """The findings of a revision, the worst first."""

    of: tuple[Diagnostic, ...]
    findings: tuple[Diagnostic, ...]
    has_errors: bool


@dataclass(slots=True)
class SourceMemory:
    """Everything that one source's passes, fetches and checks hand to one another."""

    key: ResourceKey
    # fetch
    fetched: Revision | None = None
    withheld: Withheld | None = None  # the newest revision, where it is not `fetched`
    signed: SignedRevision | None = None  # the newest, where signatures are demanded
    fetch_error: str = ""
    handled_sync: str = ""
    awaited: tuple[str, float] | None = None  # what was fetched and is not live yet, and when, as spans count
    restored: bool = False  # the accepted revision was found in the mirror
    news_at: float = -inf  # when `fetched` came, as spans count
    looked_at: float = -inf  # when the last fetch began that worked
    considered: float = -inf  # the same, as the last pass found it
    unseen: frozenset[ResourceKey] = frozenset()  # dependencies not considered since `fetched` came
    # parse, validate
    examined: Examined | None = None
    ahead: tuple[Judged, Examined] | None = None  # what a fetch has read, before a pass looks at it
    judged: Judged | None = None
    findings: tuple[Diagnostic, ...] = ()
    sorted: Sorted | None = None
    candidate: Desired | None = None  # without errors, and not let through yet
    desired: Desired | None = None
    waits: Unready | None = None  # for a source that it depends on
    applied: Desired | None = None  # the last one of which all was live
    # decide
    records: dict[ResourceKey, RolloutRecord] = field(default_factory=dict)  # not written down yet
    read: dict[ResourceKey, tuple[Resource, RolloutRecord | None]] = field(default_factory=dict)
    unread: frozenset[ResourceKey] = frozenset()  # the objects whose records make no sense
    verdicts: dict[ResourceKey, tuple[Verdict, ...]] = field(default_factory=dict)  # not written down yet
    taken: dict[ResourceKey, Taken] = field(default_factory=dict)  # what verdicts made of a record last
    decided: Decided | None = None  # by the last pass
    git_rules: Rules = field(default_factory=Rules)
    live_rules: Rules = field(default_factory=Rules)  # the same for all sources
    reverts: dict[ResourceKey, Revert] = field(default_factory=dict)  # what became of them last
    answers: dict[ResourceKey, GateAnswer] = field(default_factory=dict)  # of hooks, by what they are about
    # plan
    refused: frozenset[Refusal] = frozenset()  # of the last pass, so that each is told once
    alike: Alike = field(default_factory=Alike)
    notes: tuple[Note, ...] = ()  # what guardrails said of the last plan that was not empty
    held: HeldPlan | None = None
    approval: Approval | None = None  # as it is written down next; None: as the status has it
    inventoried: tuple[frozenset[ResourceKey], frozenset[ResourceKey]] | None = None  # live and told: alike
    # apply
    contests: dict[ResourceKey, Contest] = field(default_factory=dict)  # what was written lately
    fights: set[ResourceKey] = field(default_factory=set)  # those of them that are one
    swept: float = -inf  # when all of them were looked at last (monotonic)
    founded: tuple[str, float] = ("", 0.0)  # which foundations were found right, and when (monotonic)
    ground: frozenset[ResourceKey] = frozenset()  # the foundations that are wanted
    effects: dict[ResourceKey, Watch] = field(default_factory=dict)  # whether what changed is in effect
    reported: Reported | None = None
    effects_restored: bool = False  # what the status said of them was taken up
    failures: int = 0  # passes in a row that could not do all they wanted
    news: deque[News] = field(default_factory=lambda: deque(maxlen=NEWS_MAX))  # not told yet
    accepted_told: str | None = None  # the accepted revision of which people were told; None: of nothing yet
    runs_told: set[ResourceKey] = field(default_factory=set)  # rollouts that were told of since the start

    @property
    def at(self) -> str:
        """The revision that is desired, in short; empty where there is none."""
        return self.desired.revision.short if self.desired else ""

    @property
    def news_of_git(self) -> tuple[object, ...]:
        """What a fetch may change, and a pass should then look at."""
        news = self.fetched, self.withheld, self.signed, self.fetch_error
        return *news, self.handled_sync, self.desired

    def hear(self, key: ResourceKey, verdict: Verdict) -> None:
        """Keep a verdict until a record with it is written."""
        self.verdicts[key] = (*self.verdicts.get(key, ()), verdict)[-VERDICTS_MAX:]

    def fold(self, key: ResourceKey) -> None:
        """Keep only the last verdict of a record that waits to be written, and what all of them made of it.

        Should they have to be taken again, the last one has counted what those before it had.
        """
        known, verdicts = self.taken.get(key), self.verdicts.get(key, ())
        if known is not None and known.verdicts == verdicts:
            self.verdicts[key] = last = verdicts[-1:]
            self.taken[key] = Taken(known.before, last, known.after)

    @property
    def heard(self) -> tuple[object, ...]:
        """Everything here that decisions are made from, as it is now."""
        known = dict(self.records), dict(self.verdicts), dict(self.reverts), dict(self.answers)
        return self.desired, self.waits, *known

    def take(self, key: ResourceKey, record: RolloutRecord, verdicts: tuple[Verdict, ...]) -> RolloutRecord:
        """Return a record that has taken in verdicts.

        Weighing is the dearest part of a decision. The guard does it when it hears a verdict, apart from
        passes, and each pass until it is written down finds it done.
        """
        if not verdicts:
            return record
        known = self.taken.get(key)
        if known is None or known.before is not record or verdicts[: len(known.verdicts)] != known.verdicts:
            known = Taken(record, (), record)
        after = known.after
        for verdict in verdicts[len(known.verdicts) :]:
            after = take_verdict(after, verdict)
        self.taken[key] = Taken(record, verdicts, after)
        return after


@dataclass(slots=True)
class Memory:
    """All sources, by key."""

    sources: dict[ResourceKey, SourceMemory] = field(default_factory=dict)
    live_rules: Rules = field(default_factory=Rules)

    def of(self, key: ResourceKey) -> SourceMemory:
        """Return the memory of a source, new if there is none."""
        if key not in self.sources:
            self.sources[key] = SourceMemory(key, live_rules=self.live_rules)
        return self.sources[key]
