"""Promises about payloads: each forge's push is understood, and nothing that is none does harm."""

import copy
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from fakes.hooks import HTTPS, KINDS, SSH, hook, payload
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmesh.web.hooks.payload import REFS_MAX, Malformed, Other, Push, Ref, read_payload

MAIN = Ref("branch", "main")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def read(kind: str, document: Any = None, **options: Any) -> Push | Other | Malformed:
    request = hook(kind, document, **options)
    return read_payload(kind, request.headers, request.body)


@pytest.mark.parametrize("kind", KINDS)
def test_a_push_names_the_repository_and_the_branch(kind: str):
    said = read(kind)
    assert isinstance(said, Push)
    assert said.refs == (MAIN,)
    wanted = "https://bitbucket.org/mesh/traffic" if kind == "bitbucket" else HTTPS
    assert wanted in said.urls
    if kind not in ("bitbucket", "bitbucket-server", "generic"):
        assert SSH in said.urls


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "bitbucket"])
def test_a_branch_keeps_its_slashes_and_a_tag_is_no_branch(kind: str):
    said = read(kind, payload(kind, ref="refs/heads/release/1.x"))
    assert isinstance(said, Push)
    assert said.refs == (Ref("branch", "release/1.x"),)
    document = payload(kind, ref="refs/tags/v1.2.3")
    if kind == "gitlab":
        document["object_kind"] = "tag_push"
    said = read(kind, document)
    assert isinstance(said, Push)
    assert said.refs == (Ref("tag", "v1.2.3"),)


def test_bitbucket_tells_of_several_refs_and_of_ones_that_are_gone():
    document = payload("bitbucket")
    document["push"]["changes"] += [
        {"old": {"type": "tag", "name": "v1"}, "new": None},
        {"old": None, "new": {"type": "branch", "name": "new"}},
        {"old": None, "new": {"type": "named_branch", "name": "of another system"}},
    ]
    said = read("bitbucket", document)
    assert isinstance(said, Push)
    assert said.refs == (MAIN, Ref("tag", "v1"), Ref("branch", "new"))


def test_a_ref_that_nobody_follows_concerns_nobody():
    said = read("github", payload("github", ref="refs/pull/7/merge"))
    assert isinstance(said, Push)
    assert said.refs == ()


def test_a_generic_webhook_may_leave_the_ref_out_and_means_any():
    said = read("generic", {"repository": HTTPS})
    assert said == Push((HTTPS,), None)


def test_what_a_forge_does_not_serve_may_be_null():
    document = payload("gitlab")
    document["project"]["git_ssh_url"] = None
    said = read("gitlab", document)
    assert isinstance(said, Push)
    assert SSH not in said.urls


@pytest.mark.parametrize("kind", ["github", "gitea", "forgejo"])
def test_a_form_is_read_like_json(kind: str):
    body = urlencode({"payload": json.dumps(payload(kind))}).encode()
    request = hook(kind, body=body)
    headers = {**request.headers, "content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    said = read_payload(kind, headers, body)
    assert isinstance(said, Push)
    assert said.refs == (MAIN,)


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("github", "ping"),
        ("gitea", "ping"),
        ("bitbucket", "diagnostics:ping"),
        ("bitbucket-server", "diagnostics:ping"),
    ],
)
def test_a_ping_is_a_ping(kind: str, event: str):
    assert read(kind, {"zen": "Keep it"}, event=event) == Other(event, ping=True)


def test_events_that_nobody_asked_for_are_ignored():
    assert read("github", {"action": "opened"}, event="pull_request") == Other("pull_request")
    assert read("gitlab", {"object_kind": "merge_request"}) == Other("merge_request")


BODIES = [
    b"",
    b"null",
    b"[]",
    b"0",
    b'"text"',
    b"{",
    b'{"ref": ',
    b"{}",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"ref": "\\ud800"}',
    b'{"ref": NaN}',
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:16]))
@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_is_no_push_is_malformed(kind: str, body: bytes):
    assert isinstance(read(kind, body=body), Malformed)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of every field, at any depth."""
    found = [at] if at else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [place for key, part in inner for place in places(part, (*at, key))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", [None, 0, True, "", "\x00", "x" * 5_000, [], {}, [None], [[]], {"a": 1}])
def test_cve_2025_59531_59537_59538_no_field_of_another_type_does_harm(kind: str, wrong: Any):
    """Null, empty and wrong fields, one at a time, in every place: there is an answer, and never a crash."""
    for place in places(payload(kind)):
        document = copy.deepcopy(payload(kind))
        holder = document
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = wrong
        assert isinstance(read(kind, document), Push | Other | Malformed)
        del holder[place[-1]]
        assert isinstance(read(kind, document), Push | Other | Malformed)


EMPTY = {
    "github": {"ref": "refs/heads/main", "repository": {}},
    "gitea": {"ref": "refs/heads/main", "repository": None},
    "forgejo": {"ref": None, "repository": {"clone_url": HTTPS}},
    "gitlab": {"object_kind": "push", "ref": "refs/heads/main", "project": {"git_http_url": ""}},
    "bitbucket": {"repository": {"full_name": "mesh/traffic"}, "push": {"changes": []}},
    "bitbucket-server": {
        "repository": {"links": {"clone": []}},
        "changes": [{"ref": {"id": "refs/heads/x"}}],
    },
    "generic": {"repository": HTTPS, "ref": "main"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_lacks_a_part_is_malformed_and_the_part_is_named(kind: str):
    said = read(kind, EMPTY[kind])
    assert isinstance(said, Malformed)
    assert said.why.isprintable()
    assert len(said.why) < 200


def test_more_refs_than_anybody_pushes_are_malformed():
    document = payload("bitbucket")
    document["push"]["changes"] *= REFS_MAX + 1
    assert isinstance(read("bitbucket", document), Malformed)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(document=JSON)
def test_no_json_does_harm(kind: str, document: Any):
    assert isinstance(read(kind, document), Push | Other | Malformed)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(body=st.binary(max_size=200), form=st.booleans())
def test_no_bytes_do_harm(kind: str, body: bytes, form: bool):
    request = hook(kind, body=body)
    headers = {**request.headers, "content-type": "application/x-www-form-urlencoded" if form else ""}
    assert isinstance(read_payload(kind, headers, body), Push | Other | Malformed)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(inner=JSON)
def test_no_json_inside_a_push_does_harm(kind: str, inner: Any):
    for name in payload(kind):
        assert isinstance(read(kind, {**payload(kind), name: inner}), Push | Other | Malformed)
