"""The configuration that README, demo and tests use has nothing wrong with it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from fakes.examined import findings, parsed

from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.validate.policies import read_policies

ROOT = Path(__file__).parents[3]
FILES = {
    str(path.relative_to(ROOT)): path.read_bytes()
    for folder in ("manifests/bookinfo", "policies")
    for path in sorted((ROOT / folder).glob("*.yaml"))
}
HOSTS = ("reviews.default.svc.cluster.local", "ratings.default.svc.cluster.local")


def test_nothing_is_found():
    assert len(FILES) == 6
    assert [str(d) for d in findings(FILES, known_hosts=HOSTS)] == []


def test_the_policy_moves_reviews_and_nothing_else():
    resources = parsed(FILES).resources
    (policy,) = read_policies(resources)
    moved = [
        key.name
        for key, r in resources.items()
        if key.kind == "VirtualService" and policy.matches(key, r.spec)
    ]
    assert moved == ["reviews"]
    assert [step.progress for step in policy.spec.steps] == [10, 25, 50, 100]
    assert policy.spec.analysis is not None
    assert policy.spec.analysis.interval == timedelta(seconds=0.5)


def test_reviews_begins_with_everything_on_v1():
    resources = parsed(FILES).resources
    (rule,) = resources[VIRTUAL_SERVICE.key("default", "reviews")].spec["http"]
    assert {part["destination"]["subset"]: part["weight"] for part in rule["route"]} == {"v1": 100, "v2": 0}
    assert rule["name"]
