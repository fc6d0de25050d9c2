"""How rollouts would go on if all goes well: the very decisions of a pass, played forward in time.

Stage: decide (pure). Evidence is there as soon as it is wanted, gates open when they are reached, writes are
live at once. So windows, freezes, groups, dependencies and limits are heeded as a pass heeds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gitmesh.decide.delegation import walked_before
from gitmesh.decide.gates import gate_of
from gitmesh.decide.schedule import shut_now
from gitmesh.decide.together import Member, missing_dependency, together
from gitmesh.decide.transitions import TABLE, changed, decide, move_of, progress_at
from gitmesh.model.freeze import Freeze
from gitmesh.model.intent import overruling_of
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.rollout import Advance, Decision, Finish, GateAnswer, Hold, Phase, RolloutRecord
from gitmesh.model.steps import Step
from gitmesh.model.windows import Calendar

HORIZON = timedelta(days=366)
_LOOKS_MAX = 20_000  # decisions of single rollouts, all together
DONE = "done"


@dataclass(frozen=True, slots=True)
class Stop:
    """A step and the earliest moment at which it is entered; None: not within the horizon.

    `gate` has to open before it, where there is one, and `after` says for whom it waits. `is_fixed`: neither
    stands before it or an earlier one.
    """

    label: str
    at: datetime | None
    gate: str = ""
    is_fixed: bool = True
    after: str = ""


@dataclass(frozen=True, slots=True)
class Shut:
    """What keeps a rollout from a step whose time has come. `open_at`: when it could last be taken."""

    since: datetime
    open_at: datetime
    whose: ResourceKey


@dataclass(slots=True)
class Way:
    """One rollout on its way. `held` is the last reason not to go on, `shut` the first that was a time."""

    record: RolloutRecord
    service: Resource
    policy: str
    stops: list[Stop] = field(default_factory=list)
    is_fixed: bool = True
    after: str = ""
    held: str = ""
    shut: Shut | None = None
    open_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """True when it is at rest."""
        return not (self.record.phase.in_motion or self.record.phase is Phase.WAITING)

    @property
    def group(self) -> str:
        """The group that it belongs to; empty for none."""
        return self.record.policy_spec.group if self.record.policy_spec else ""


def label_of(step: Step) -> str:
    """Return how people call a step."""
    if step.match:
        return "chosen requests"
    return f"mirror {step.mirror:g} %" if step.mirror else f"{step.progress:g} %"


@dataclass(slots=True)
class Ahead:
    """Plays what is to come for all rollouts of a source. `elsewhere` knows those of others."""

    ways: Mapping[ResourceKey, Way]
    freezes: tuple[Freeze, ...]
    now: datetime
    elsewhere: Callable[[ResourceKey], RolloutRecord | None]
    exists: Callable[[ResourceKey], bool]
    _looks: int = 0
    _groups: dict[str, list[Way]] = field(default_factory=dict)

    def play(self) -> bool:
        """Go on until nothing is left to happen; False when that was too much to look at."""
        for way in self.ways.values():
            self._begin(way)
            self._groups.setdefault(way.group, []).append(way)
        at: datetime | None = self.now
        while at is not None and at - self.now <= HORIZON:
            later = self._turn(at)
            if later is not None:  # else something has moved, which may let something else move
                at = min((moment for moment in later if moment > at), default=None)
            if self._looks > _LOOKS_MAX:
                return False
        for way in self.ways.values():
            self._leave_open(way)
        return True

    def _begin(self, way: Way) -> None:
        record = way.record
        if policy := record.policy_spec:  # neither evidence nor the end of its time stops what goes well
            policy = policy.model_copy(update={"analysis": None, "deadline": None})
        record = changed(record, policy_spec=policy, suspended="", failed_checks=0)
        if record.phase.in_motion:
            record = changed(record, effective_at=record.effective_at or self.now)
            way.stops.append(Stop(self._label(record, max(record.step, 0)), self.now))
        way.record = record

    def _turn(self, at: datetime) -> list[datetime] | None:
        """Let everything decide once; return when it is worth looking again, None when something moved."""
        calendar, moments = Calendar(at), []
        before = walked_before({key: way.record for key, way in self.ways.items()})
        members: list[Member] = []
        for key, way in self.ways.items():
            members.append(self._member(key, way, calendar, before.get(key, "")))
            if isinstance(members[-1].decision, Hold) and members[-1].decision.until:
                moments.append(members[-1].decision.until)
        self._looks += len(members)
        own = {member.key: member for member in members}
        decisions = together(members)
        self._note_who_waits(own, decisions)
        for key, decision in decisions.items():
            if isinstance(decision, Advance | Finish) and gate_of(self.ways[key].record):
                self._unfix(self.ways[key])
        moved = False
        for key, decision in decisions.items():
            way = self.ways[key]
            if isinstance(decision, Advance | Finish):
                self._move(way, decision, at)
                moved = True
            elif not way.is_over:
                way.held = decision.reason
        return None if moved else moments

    def _member(self, key: ResourceKey, way: Way, calendar: Calendar, before: str) -> Member:
        record, at = way.record, calendar.now
        if way.is_over:
            return Member(key, record, Hold(record.message), policy=way.policy)
        overruling = overruling_of(record.overruled, record.awaits or record.canary_hash)
        shut = shut_now(record.policy_spec, way.service, self.freezes, calendar, overruling)
        opened = GateAnswer(step=record.step, content=record.canary_hash, is_open=True, at=at)
        decision = decide(record, shut=shut, gate=opened if gate_of(record) else None, now=at)
        if shut is None:
            way.open_at = at
        elif decision is shut and record.phase.in_motion and way.open_at is not None:
            self._note_shut(way, Shut(at, way.open_at, key))
        missing = missing_dependency(record, key.namespace, self._record_of, self.exists)
        return Member(key, record, decision, missing or before, way.policy)

    def _record_of(self, key: ResourceKey) -> RolloutRecord | None:
        way = self.ways.get(key)
        return way.record if way else self.elsewhere(key)

    def _mates(self, way: Way) -> Sequence[Way]:
        return self._groups[way.group] if way.group else (way,)

    def _unfix(self, way: Way) -> None:
        for mate in self._mates(way):
            mate.is_fixed = False

    def _note_shut(self, way: Way, shut: Shut) -> None:
        if way.shut is not None:
            return
        way.shut = shut
        for mate in self._mates(way):
            if mate.record.phase.in_motion:
                mate.shut = mate.shut or shut

    def _note_who_waits(
        self, own: Mapping[ResourceKey, Member], decisions: Mapping[ResourceKey, Decision]
    ) -> None:
        """Note which rollouts begin only after others: their moments are guesses, for evidence takes time."""
        unready = {self.ways[key].group for key, member in own.items() if not member.begins}
        for key, member in own.items():
            way = self.ways[key]
            waits = member.begins and isinstance(decisions[key], Hold) and not way.after
            if not waits or not (member.waits_for or not way.group or way.group not in unready):
                continue  # what a mate holds has the reasons of the mate
            name = member.waits_for.partition(",")[0]
            self._unfix(way)
            for mate in self._mates(way):
                mate.after = f"after {name}" if name else "after others of its policy"

    def _move(self, way: Way, decision: Advance | Finish, at: datetime) -> None:
        record = way.record
        gate = gate_of(record)
        phase = TABLE[record.phase, move_of(record, decision)]
        label = DONE
        if isinstance(decision, Advance):
            progress = progress_at(record, decision.step)
            record = changed(record, step=decision.step, progress=progress, effective_at=at)
            label = self._label(record, decision.step)
        way.record = changed(record, phase=phase)
        way.stops.append(Stop(label, at, gate.text if gate else "", way.is_fixed, way.after))
        way.after = ""

    def _leave_open(self, way: Way) -> None:
        """Add what is not reached."""
        record = way.record
        if way.is_over:
            return
        first = 0 if record.phase is Phase.WAITING else record.step + 1
        for index in range(first, record.steps or 1):
            way.stops.append(Stop(self._label(record, index), None, is_fixed=False))
        way.stops.append(Stop(DONE, None, is_fixed=False))

    def _label(self, record: RolloutRecord, index: int) -> str:
        policy = record.policy_spec
        return label_of(policy.steps[index]) if policy and record.steps else "100 %"
