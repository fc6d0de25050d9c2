"""Promises about who is trusted, which paths a rule means, and who brought a file to where it is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gitmesh.fetch.changes import History
from gitmesh.fetch.globs import matches
from gitmesh.fetch.origins import Brought, brought, carried
from gitmesh.fetch.trust import TrustError, fingerprint, read_trust
from gitmesh.model.source import TrafficSourceSpec

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8PZ1sK0tVqgQG0Zb5m9r6oEw2r0c1aG2yT3lW7pXyz"
SIGNERS = {"configMapRef": {"name": "signers"}}


def at(year: int, month: int = 6, day: int = 1, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def kept(options: str, now: datetime) -> bool:
    line = f"ada@example.com {options} {KEY}".replace("  ", " ")
    allowed, out = read_trust({"allowed_signers": line.encode()}, "here").at(now)
    assert bool(allowed) != bool(out), "a key is in the list, or known as one that is not now"
    return bool(allowed)


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ("", True),
        ('namespaces="git"', True),
        ("cert-authority", True),
        ('valid-before="20270101"', True),
        ('valid-before="20260601"', False),
        ("valid-before=20260601", False),
        ('namespaces="git",valid-after="20260101",valid-before="202606011200Z"', True),
        ('namespaces="git,file",valid-after="20260602"', False),
        ('valid-after="20260531235959"', True),
        ('valid-before="20269999"', False),
        ('VALID-BEFORE="20250101"', False),
    ],
)
def test_a_line_counts_within_its_time(options: str, fits: bool):
    assert kept(options, at(2026)) is fits


def test_a_principal_that_looks_like_an_option_is_none():
    line = f'"valid-before=20200101,ada@example.com" {KEY}'
    assert read_trust({"allowed_signers": line.encode()}, "here").at(at(2026))[0] == f"{line}\n"


def test_a_key_that_has_a_line_for_now_is_not_one_whose_time_is_over():
    old, new = f'ada@example.com valid-before="20200101" {KEY}', f"ada@example.com {KEY}"
    allowed, out = read_trust({"allowed_signers": f"{old}\n{new}\n".encode()}, "here").at(at(2026))
    assert (allowed, out) == (f"{new}\n", frozenset())


@pytest.mark.parametrize("line", ["ada@example.com", KEY, f"ada@example.com x {KEY[:20]}?", "a b c d e", '"'])
def test_a_line_without_names_or_key_is_said(line: str):
    with pytest.raises(TrustError, match="line 2"):
        read_trust({"allowed_signers": f"# signers\n{line}\n".encode()}, "ConfigMap default/signers")


@given(st.text(max_size=80))
def test_no_line_does_harm(line: str):
    fingerprint(line)


@pytest.mark.parametrize(
    ("pattern", "path", "is_meant"),
    [
        ("prod/**", "prod/a.yaml", True),
        ("prod/**", "prod/deep/er/a.yaml", True),
        ("prod/**", "production/a.yaml", False),
        ("prod/**", "dev/prod/a.yaml", False),
        ("prod", "prod/a.yaml", True),
        ("prod/", "prod/deep/a.yaml", True),
        ("prod", "prod", True),
        ("prod", "prod.yaml", False),
        ("**/prod.yaml", "prod.yaml", True),
        ("**/prod.yaml", "a/b/prod.yaml", True),
        ("clusters/*/prod/**", "clusters/eu/prod/x", True),
        ("clusters/*/prod/**", "clusters/eu/west/prod/x", False),
        ("*.yaml", "a.yaml", True),
        ("*.yaml", "a/b.yaml", False),
        ("a.c", "abc", False),
        ("a[bc]", "ab", False),
        ("(a+)+$", "aaaa", False),
        ("**", "anything/at/all", True),
        ("prod/**", "prod/line\nbreak", True),
        ("prod?/x", "prod1/x", True),
    ],
)
def test_patterns_mean_paths(pattern: str, path: str, is_meant: bool):
    assert matches(pattern, path) is is_meant


@given(st.text(max_size=30), st.text(max_size=60))
def test_no_pattern_does_harm(pattern: str, path: str):
    matches(pattern, path)


def past(lines: dict[str, str]) -> History:
    return History({commit: tuple(parents.split()) for commit, parents in lines.items()}, whole=True)


def differing(history: History, *changes: str) -> dict[tuple[str, str], frozenset[str]]:
    """`changes`: pairs such as `c:b`, a commit and a parent of it that has another file."""
    pairs = {tuple(change.split(":")) for change in changes}
    return {
        (commit, parent): frozenset({"f"} if (commit, parent) in pairs else ())
        for commit, parents in history.parents.items()
        for parent in parents
    }


def test_who_changed_a_file_is_found_behind_those_who_did_not():
    history = past({"d": "c", "c": "b", "b": "a"})
    assert brought("d", "f", history, differing(history, "c:b")) == Brought(frozenset("c"))


def test_a_merge_counts_beside_who_changed_it_and_only_on_the_branch_itself():
    history = past({"m": "b x", "x": "w", "w": "a", "b": "a"})
    assert brought("m", "f", history, differing(history, "m:b", "w:a")) == Brought(
        frozenset("w"), frozenset("m")
    )
    pulled = past({"m": "b p", "p": "q b", "q": "a", "b": "a"})
    found = brought("m", "f", pulled, differing(pulled, "p:q", "b:a"))
    assert found == Brought(frozenset("b")), "p brought the branch into work of its own"


def test_who_takes_a_file_from_before_the_accepted_revision_brought_it_back():
    history = past({"m": "b old", "b": "a"})  # old is in the accepted history, where another came after it
    assert brought("m", "f", history, differing(history, "m:b")).origins == frozenset("m")


def test_what_is_older_than_all_that_is_known_has_no_origin():
    assert brought("a", "f", past({}), {}) == Brought(frozenset())


def test_whoever_has_the_same_file_vouches_for_it_where_nothing_was_accepted():
    history = past({"d": "c", "c": "b", "b": "a", "a": ""})
    assert carried("d", "f", history, differing(history, "b:a")).origins == frozenset("dcb")


@pytest.mark.parametrize(
    ("verify", "words"),
    [
        ({}, "signers"),
        ({"signers": {}}, "say one of"),
        ({"signers": {"secretRef": {"name": "a"}, "configMapRef": {"name": "b"}}}, "say one of"),
        ({"signers": SIGNERS, "mode": "none"}, "mode"),
        ({"signers": SIGNERS, "mode": "tag"}, "needs a tag"),
        ({"signers": SIGNERS, "paths": [{"path": "a", "signers": []}]}, "signers"),
        ({"signers": SIGNERS, "paths": [{"path": "a", "signers": ["x", "x"], "min": 2}]}, "min is more"),
        ({"signers": SIGNERS, "paths": [{"path": "/a", "signers": ["x"]}]}, "without a slash"),
        ({"signers": SIGNERS, "paths": [{"path": "a/../b", "signers": ["x"]}]}, "without a slash"),
    ],
)
def test_a_demand_that_cannot_be_meant_is_refused(verify: dict[str, object], words: str):
    with pytest.raises(ValidationError, match=words):
        TrafficSourceSpec.model_validate({"url": "https://git.example.com/a/b", "verify": verify})


def test_a_tag_can_be_demanded_of_who_follows_one():
    spec = {
        "url": "https://git.example.com/a/b",
        "semver": "1.x",
        "verify": {"signers": SIGNERS, "mode": "tag"},
    }
    assert TrafficSourceSpec.model_validate(spec).verify
