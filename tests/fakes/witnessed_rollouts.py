"""What a witness before the API server saw of rollouts: records and routes, in the order of the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fakes.witness_proxy import Seen

from gitmesh.istio.canonical import spec_hash
from gitmesh.model.rollout import Outcome, Phase, RolloutRecord

RECORDS, ROUTES = "/trafficrollouts/", "/virtualservices/"


@dataclass(frozen=True)
class Told:
    """One write: a record, or routes. Both empty: the record was deleted."""

    name: str
    seen: Seen
    record: RolloutRecord | None = None
    spec: Mapping[str, Any] | None = None

    @property
    def weights(self) -> dict[str, int]:
        """The weights of routes, by subset."""
        assert self.spec is not None
        return weights_of(self.spec)


def weights_of(spec: Mapping[str, Any]) -> dict[str, int]:
    found = spec["http"][0]["route"]
    return {d["destination"]["subset"]: d.get("weight", 0) for d in found}


def told(seen: Sequence[Seen], names: Sequence[str]) -> Iterator[Told]:
    """Yield what was written of the rollouts of these names."""
    for one in sorted(seen, key=lambda one: one.answered):
        parts = one.path.split("/")
        name = parts[-2] if one.path.endswith("/status") else parts[-1]
        if not one.wrote or name not in names:
            continue
        if RECORDS in one.path and one.method == "DELETE":
            yield Told(name, one)
        elif RECORDS in one.path and one.path.endswith("/status"):
            yield Told(name, one, record=RolloutRecord.model_validate(one.body["status"]))
        elif ROUTES in one.path and one.method == "PATCH":
            yield Told(name, one, spec=one.body["spec"])


def has_failed(record: RolloutRecord) -> bool:
    failed = record.verdict is not None and record.verdict.outcome is Outcome.FAIL
    return record.phase is Phase.ROLLED_BACK or (record.phase.in_motion and failed)


def grown_after_failure(seen: Sequence[Seen], names: Sequence[str], canary: str) -> list[str]:
    """Return the writes that gave a version more although its last record says that it failed.

    A write that was sent before that record was stored could not know of it.
    """
    wrong, last, share = [], dict[str, Told](), dict[str, int]()
    for one in told(seen, names):
        if one.spec is None:
            last[one.name] = one
            continue
        record, before = last.get(one.name), share.get(one.name)
        share[one.name] = now = one.weights[canary]
        if record is None or record.record is None or before is None or now <= before:
            continue
        if has_failed(record.record) and one.seen.began > record.seen.answered:
            wrong.append(f"{one.name}: {canary} went from {before} to {now} after: {record.record.message}")
    return wrong


def quarantined_again(seen: Sequence[Seen], names: Sequence[str]) -> list[str]:
    """Return the writes that brought content that the last record before them keeps out."""
    wrong, last = [], dict[str, Told]()
    for one in told(seen, names):
        if one.spec is None:
            last[one.name] = one
            continue
        record = last.get(one.name)
        if record is None or record.record is None or one.seen.began < record.seen.answered:
            continue
        if spec_hash(one.spec) in record.record.quarantined:
            wrong.append(f"{one.name}: {one.weights} is quarantined and was written")
    return wrong


def unexplained(seen: Sequence[Seen], names: Sequence[str], canary: str) -> list[str]:
    """Return the writes of weights of which no record had been written before, other than the very first.

    A record explains stable, its own step, and each step before it: a step may be held back.
    """
    wrong, known, there = [], {name: set[float]() for name in names}, set[str]()
    for one in told(seen, names):
        if one.record is not None:
            known[one.name] |= explained_by(one.record, canary)
        elif one.spec is not None:
            weight = one.weights[canary]
            if one.name in there and not any(abs(weight - found) < 1 for found in known[one.name]):
                wrong.append(f"{one.name}: {one.weights} has no record")
            there.add(one.name)
    return wrong


def explained_by(record: RolloutRecord, canary: str) -> set[float]:
    """Return the weights of a version that a record may stand for, before they are rounded."""
    begin = weights_of(record.stable.spec)[canary]
    if record.canary is None or record.policy_spec is None:
        return {begin}
    whole = weights_of(record.canary.spec)[canary] - begin
    reached = [step.progress for step in record.policy_spec.steps if step.progress <= record.progress]
    return {begin} | {begin + whole * progress / 100 for progress in reached}


def records_back(seen: Sequence[Seen], names: Sequence[str], commits: Sequence[str]) -> list[str]:
    """Return the records that are about an older commit than the one before them."""
    wrong, reached = [], dict[str, int]()
    for one in told(seen, names):
        if one.record is None or not one.record.revision:
            continue
        number = commits.index(one.record.revision.rpartition("@")[2][:7])
        if number < reached.get(one.name, 0):
            wrong.append(f"{one.name}: commit {number} after {reached[one.name]}: {one.record.message}")
        reached[one.name] = max(number, reached.get(one.name, 0))
    return wrong
