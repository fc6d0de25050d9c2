"""Under which label metrics know a destination: found by host, however many DestinationRules there are."""

from __future__ import annotations

import pytest
from fakes.builders import a_destination_rule, a_resource, a_set, a_virtual_service
from hypothesis import given
from hypothesis import strategies as st

from gitmesh.engine.targets import Rules, resolver, versions
from gitmesh.istio.hosts import covers, fully_qualified
from gitmesh.model.edition import Edition, next_edition
from gitmesh.model.resource import Resource, ResourceSet

HOSTS = ("reviews", "*", "*.example.com", "a.example.com", "b.a.example.com", "*.a.example.com", "*.com", "")


def a_rule(name: str, host: str, **labels: str) -> Resource:
    return a_resource("DestinationRule", name, {"host": host, "subsets": [{"name": "v1", "labels": labels}]})


def names(rules: Rules, host: str) -> list[str]:
    return [rule.key.name for rule in rules.covering(host)]


def test_the_most_precise_rule_speaks_first_whatever_it_is_called():
    rules = Rules().of(
        a_set(
            a_rule("a", "*", version="any"),
            a_rule("b", "*.example.com", version="com"),
            a_rule("c", "shop.example.com", version="shop"),
        )
    )
    assert names(rules, "shop.example.com") == ["c", "b", "a"]
    assert resolver("default", rules)("shop.example.com", "v1").version == "shop"
    assert resolver("default", rules)("other.example.com", "v1").version == "com"


def test_what_git_says_comes_before_what_is_live():
    git = Rules().of(a_set(a_rule("r", "reviews", version="new")))
    live = Rules().of(a_set(a_rule("r", "reviews", version="old")))
    assert resolver("default", git, live)("reviews", "v1").version == "new"
    assert resolver("default", Rules(), live)("reviews", "v1").version == "old"


@pytest.mark.parametrize("subsets", ["v1", 7, ["v1", None, {"name": "v1"}], [{"name": "v1", "labels": "x"}]])
def test_a_malformed_live_rule_leaves_a_subset_its_own_name(subsets: object):
    rule = a_resource("DestinationRule", "bad", {"host": "reviews", "subsets": subsets})
    rules = Rules().of(a_set(rule))
    assert resolver("default", rules)("reviews", "v1").version == "v1"
    assert {t.version for t in versions("reviews.default.svc.cluster.local", rules)} <= {"v1"}


def test_one_changed_object_among_many_is_the_only_one_that_is_looked_at():
    many = Edition(a_set(*(a_destination_rule("reviews: v1", f"rule-{n}") for n in range(300))))
    rules = Rules().of(many)
    other = a_rule("rule-7", "ratings", version="v9")
    after = next_edition(many, [other.key], {other.key: other})
    before = rules.looked
    assert names(rules.of(after), "ratings.default.svc.cluster.local") == ["rule-7"]
    assert rules.looked - before == 1
    assert rules.of(after).looked - before == 1


@given(
    steps=st.lists(
        st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from((*HOSTS, None))), max_size=4), max_size=6
    ),
    host=st.sampled_from(HOSTS[:-1]),
)
def test_rules_that_go_along_say_what_a_search_of_all_says(
    steps: list[list[tuple[str, str | None]]], host: str
):
    full = fully_qualified(host, "default")
    now: ResourceSet = Edition({})
    rules = Rules()
    for step in steps:
        changes = {a_rule(name, "x").key: a_rule(name, to) if to is not None else None for name, to in step}
        given_now = {key: rule for key, rule in {**now, **changes}.items() if rule is not None}
        service = a_virtual_service("reviews: v1")
        now = next_edition(now, changes.keys(), {**given_now, service.key: service})
        searched = [
            r for r in now.values() if covers(fully_qualified(str(r.spec["host"]), r.key.namespace), full)
        ]
        found = list(rules.of(now).covering(full))
        assert sorted(r.key for r in found) == sorted(r.key for r in searched)
        lengths = [len(fully_qualified(str(r.spec["host"]), "default")) for r in found]
        assert lengths == sorted(lengths, reverse=True)
