"""Short ways to write the nouns of a test, as in `a_rollout(at_percent=25)`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gitmesh.decide.transitions import dwell
from gitmesh.istio.canonical import spec_hash
from gitmesh.istio.weights import describe_weights, interpolate
from gitmesh.model.analysis import Analysis, Mode
from gitmesh.model.metric import Metric
from gitmesh.model.metrics import RequestStats
from gitmesh.model.plan import Change, Plan
from gitmesh.model.policy import RolloutPolicy, RolloutPolicySpec
from gitmesh.model.resource import Resource, ResourceKey, resource_from_body
from gitmesh.model.rollout import Outcome, Phase, RolloutRecord, Snapshot, Target, Verdict
from gitmesh.model.source import OWNER_ANNOTATION
from gitmesh.model.steps import Step
from gitmesh.model.values import parse_duration

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SOURCE = "gitmesh/mesh"
ANALYSIS = Analysis(
    mode=Mode.THRESHOLD,
    interval=timedelta(seconds=1),
    window=timedelta(seconds=5),
    failures=2,
    metrics=(Metric(max=5.0, min_requests=20),),
)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def a_route(text: str, host: str = "reviews", **fields: Any) -> dict[str, Any]:
    """`"v1 75, v2 25"` -> an HTTP route; `"v1"` -> one destination without weight."""
    entries = []
    for part in text.split(","):
        subset, _, weight = part.strip().partition(" ")
        entry: dict[str, Any] = {"destination": {"host": host, "subset": subset}}
        entries.append({**entry, "weight": int(weight)} if weight else entry)
    return {**fields, "route": entries}


def a_spec(text: str, **fields: Any) -> dict[str, Any]:
    """`"reviews: v1 75, v2 25"` -> a VirtualService spec with one route."""
    host, _, weights = text.partition(":")
    return {"hosts": [host], "http": [a_route(weights, host)], **fields}


def a_resource(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> Resource:
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"namespace": "default", "name": name, **metadata},
        "spec": spec,
    }
    return resource_from_body(body)


def a_virtual_service(text: str = "reviews: v1", **fields: Any) -> Resource:
    """`"reviews: v1 75, v2 25"`; keyword arguments are further fields of the spec."""
    spec = a_spec(text, **fields)
    return a_resource("VirtualService", spec["hosts"][0], spec)


def a_destination_rule(text: str = "reviews: v1, v2", name: str = "", **fields: Any) -> Resource:
    """`"reviews: v1, v2"` -> a DestinationRule with these subsets."""
    host, _, subsets = text.partition(":")
    names = [s.strip() for s in subsets.split(",") if s.strip()]
    spec = {"host": host, "subsets": [{"name": s, "labels": {"version": s}} for s in names], **fields}
    return a_resource("DestinationRule", name or host, spec)


def a_service_entry(name: str, *hosts: str) -> Resource:
    spec = {"hosts": list(hosts), "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]}
    return a_resource("ServiceEntry", name, spec)


def owned(resource: Resource, source: str = SOURCE) -> Resource:
    """The same object as GitMesh would have left it in the cluster."""
    metadata = {
        **resource.metadata,
        "labels": {**resource.labels, "app.kubernetes.io/managed-by": "gitmesh"},
        "annotations": {**resource.annotations, OWNER_ANNOTATION: source},
        "resourceVersion": "7",
        "uid": "u-7",
        "managedFields": [{"manager": "gitmesh"}],
    }
    return Resource(resource.key, resource.api_version, {**resource.body, "metadata": metadata})


def a_set(*resources: Resource) -> dict[ResourceKey, Resource]:
    return {resource.key: resource for resource in resources}


def a_policy_spec(
    steps: str = "5 10s, 25 10s, 50 10s, 100", *, bake: str = "0s", analysis: Analysis | None = ANALYSIS
) -> RolloutPolicySpec:
    """`"5 10s, 100"`: progress and hold of each step."""
    parts = [part.split() for part in steps.split(",")]
    parsed = tuple(
        Step(progress=float(p[0]), hold=parse_duration(p[1] if len(p) > 1 else "0s")) for p in parts
    )
    return RolloutPolicySpec(steps=parsed, bake=parse_duration(bake), analysis=analysis)


def a_policy(steps: str = "5 10s, 25 10s, 50 10s, 100", **fields: Any) -> RolloutPolicy:
    return RolloutPolicy(name="careful", namespace="default", spec=a_policy_spec(steps, **fields))


def a_target(version: str = "v2", host: str = "reviews.default.svc.cluster.local") -> Target:
    return Target(host=host, subset=version, version=version)


def a_verdict(outcome: str = "pass", at: datetime = NOON) -> Verdict:
    return Verdict(at=at, outcome=Outcome(outcome))


def stats(*, error_percent: float = 0.0, requests: float = 200) -> RequestStats:
    return RequestStats(requests, requests * error_percent / 100, "istio_requests_total")


def a_rollout(
    *,
    at_percent: float = 25,
    stable: str = "reviews: v1 100, v2 0",
    canary: str = "reviews: v1 0, v2 100",
    steps: str = "5 10s, 25 10s, 50 10s, 100",
    bake: str = "0s",
    analysis: Analysis | None = ANALYSIS,
    effective: bool = True,
    now: datetime = NOON,
    **fields: Any,
) -> RolloutRecord:
    """A rollout in motion, in the step with that progress, which went live `now`."""
    policy = a_policy_spec(steps, bake=bake, analysis=analysis)
    progresses = [step.progress for step in policy.steps]
    if at_percent not in progresses:
        raise ValueError(f"no step of {steps!r} has {at_percent} %: such a rollout cannot be")
    old, new = a_spec(stable), a_spec(canary)
    record = RolloutRecord(
        phase=Phase.PROMOTING if at_percent == 100 else Phase.PROGRESSING,
        source=SOURCE,
        policy="careful",
        policy_spec=policy,
        revision="main@1111111",
        step=progresses.index(at_percent),
        steps=len(progresses),
        progress=at_percent,
        weights=describe_weights(interpolate(old, new, at_percent)),
        started_at=now - seconds(60),
        entered_at=now,
        stable=Snapshot(spec=old, hash=spec_hash(old), revision="main@0000000"),
        canary=Snapshot(spec=new, hash=spec_hash(new), revision="main@1111111"),
        canary_hash=spec_hash(new),
        targets=(a_target(),),
    )
    seen = {"effective_at": now, "next_at": now + dwell(record)} if effective else {}
    return record.model_copy(update={**seen, **fields})


def resolve(host: str, subset: str) -> Target:
    """Metrics know a subset by its own name."""
    return Target(host=host, subset=subset, version=subset)


def after(change: Change) -> Resource | None:
    """The object after a change, as a server would have stored it."""
    return None if change.after is None else owned(change.after)


def carry_out(plan: Plan, live: dict[ResourceKey, Resource]) -> dict[ResourceKey, Resource]:
    """The cluster after the plan."""
    state = dict(live)
    for change in plan.changes():
        stored = after(change)
        if stored is None:
            state.pop(change.key, None)
        else:
            state[change.key] = stored
    return state
