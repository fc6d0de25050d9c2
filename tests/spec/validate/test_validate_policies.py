"""RolloutPolicies: valid ones are read, and each VirtualService has at most one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fakes.examined import findings, parsed

from gitmesh.validate.policies import read_policies

REVIEWS = (
    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\n"
    "spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}\n"
)


def policy(spec: str, name: str = "careful") -> str:
    head = f"apiVersion: gitmesh.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {{name: {name}}}\n"
    return head + f"spec: {{{spec}}}\n"


def test_a_policy_is_read_with_its_place():
    text = policy("select: {names: [reviews]}, steps: [{progress: 10%, hold: 1m30s}, {progress: 100}]")
    (found,) = read_policies(parsed(text).resources)
    assert (found.name, found.namespace) == ("careful", "default")
    assert [(s.progress, s.hold) for s in found.spec.steps] == [
        (10.0, timedelta(seconds=90)),
        (100.0, timedelta(0)),
    ]


def test_a_policy_that_is_not_valid_is_left_out():
    assert read_policies(parsed(policy("steps: []")).resources) == ()


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ("stepps: []", "GM101", "did you mean steps?"),
        ("steps: []", "GM106", "at least 1"),
        ("steps: [{hold: 1s}, {progress: 100}]", "GM301", "one of progress, match and mirror"),
        ("steps: [{progress: 50}, {progress: 50}, {progress: 100}]", "GM301", "must grow"),
        ("steps: [{progress: 50}]", "GM301", "last step"),
        ("steps: [{progress: 101}]", "GM301", "between 0 and 100"),
        ("steps: [{progress: half}, {progress: 100}]", "GM301", "not a percentage"),
        ("bake: 10", "GM301", "a duration is text"),
        ("analysis: {interval: 1m, window: 1s}", "GM301", "window must not be shorter"),
        ("analysis: {metrics: [{name: latency, max: 1}]}", "GM301", "there are error-rate, latency-p99"),
        ("analysis: {onInsufficientData: ignore}", "GM104", "one of: hold, rollback"),
        ("select: {kinds: [Gateway]}", "GM104", "VirtualService"),
        ("select: [reviews]", "GM102", "must be a mapping, found a list"),
    ],
)
def test_a_broken_policy_says_what_is_wrong(spec: str, code: str, words: str):
    (found,) = findings(REVIEWS + "---\n" + policy(spec))
    assert found.code == code
    assert words in f"{found.message}; {found.hint}"


def test_two_policies_for_one_virtual_service_are_an_error_that_names_both():
    found = findings("---\n".join([REVIEWS, policy("bake: 2s"), policy("bake: 1s", "fast")]))
    assert [d.code for d in found] == ["GM302"]
    assert "default/careful and default/fast" in found[0].message


def test_a_policy_that_selects_nothing_is_a_warning():
    found = findings(REVIEWS + "---\n" + policy("select: {namespaces: [other]}"))
    assert [(d.code, d.severity) for d in found] == [("GM303", "warning")]
