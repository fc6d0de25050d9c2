"""Promises about proofs: a webhook counts only from who knows the secret, and only once."""

import pytest
from fakes.hooks import KINDS, NOW, SECRET, SIGNING_TOKEN, Hook, hook

from gitmesh.web.hooks.proof import Proved, Refused, key_of, prove

WINDOW = 300.0
NO_PROOFS = ["", "sha256=", "sha1=00", "ü" * 64, "\x00", "t=,v1=", "t=1,t=2,v1=0", "v1,"]
SECRETS = [(kind, SECRET) for kind in KINDS] + [("gitlab", SIGNING_TOKEN)]


def checked(kind: str, request: Hook, *, secret: str = SECRET, now: float = NOW):
    return prove(kind, request.headers, request.body, secret, now=now, window=WINDOW)


@pytest.mark.parametrize(("kind", "secret"), SECRETS)
def test_what_the_forge_signed_is_genuine(kind: str, secret: str):
    proof = checked(kind, hook(kind, secret=secret), secret=secret)
    assert isinstance(proof, Proved)
    assert proof.marks
    assert proof.until == NOW + WINDOW


@pytest.mark.parametrize(("kind", "secret"), SECRETS)
def test_another_secret_is_refused(kind: str, secret: str):
    other = "whsec_YW5vdGhlcg==" if secret is SIGNING_TOKEN else "another"
    assert isinstance(checked(kind, hook(kind, secret=other), secret=secret), Refused)


@pytest.mark.parametrize(("kind", "secret"), [pair for pair in SECRETS if pair != ("gitlab", SECRET)])
def test_a_body_that_was_changed_on_its_way_is_refused(kind: str, secret: str):
    """GitLab's secret token alone says nothing of the body; its signing token does."""
    sent = hook(kind, secret=secret)
    assert isinstance(checked(kind, Hook(sent.headers, sent.body + b" "), secret=secret), Refused)


@pytest.mark.parametrize(("kind", "secret"), SECRETS)
def test_a_request_without_a_proof_is_refused(kind: str, secret: str):
    bare = Hook({"content-type": "application/json"}, hook(kind).body)
    assert isinstance(checked(kind, bare, secret=secret), Refused)


@pytest.mark.parametrize(
    "given", ["", "sha256=", "sha1=00", "ü" * 64, "\x00", "t=,v1=", "t=1,t=2,v1=0", "v1,"]
)
@pytest.mark.parametrize(("kind", "secret"), SECRETS)
def test_a_proof_that_is_none_is_refused_whatever_it_is(kind: str, secret: str, given: str):
    sent = hook(kind, secret=secret)
    names = ("signature", "token")
    headers = {k: given if any(n in k for n in names) else v for k, v in sent.headers.items()}
    assert isinstance(checked(kind, Hook(headers, sent.body), secret=secret), Refused)


@pytest.mark.parametrize(("kind", "secret"), [("generic", SECRET), ("gitlab", SIGNING_TOKEN)])
@pytest.mark.parametrize("away", [-301, 301])
def test_a_signed_moment_that_is_far_from_now_is_refused(kind: str, secret: str, away: int):
    request = hook(kind, secret=secret, moment=NOW + away)
    proof = checked(kind, request, secret=secret)
    assert isinstance(proof, Refused)
    assert "compare the two clocks" in proof.why


@pytest.mark.parametrize("moment", ["99999999999999999999", "-1", "1e9", "²", "0x1", " 1", "nan"])
def test_a_moment_that_is_no_number_of_seconds_is_refused(moment: str):
    headers = {"x-gitmesh-signature": f"t={moment},v1={'0' * 64}"}
    assert isinstance(checked("generic", Hook(headers, b"{}")), Refused)


def test_a_signed_moment_is_remembered_until_it_is_too_old_and_not_only_as_long_as_the_window():
    proof = checked("generic", hook("generic", moment=NOW + 200))
    assert isinstance(proof, Proved)
    assert proof.until == NOW + 200 + WINDOW


def test_two_signatures_count_while_a_secret_is_being_changed():
    old, new = hook("generic", secret="old"), hook("generic")
    both = f"{old.headers['x-gitmesh-signature']},v1={new.headers['x-gitmesh-signature'].partition('v1=')[2]}"
    assert isinstance(checked("generic", Hook({"x-gitmesh-signature": both}, new.body)), Proved)


@pytest.mark.parametrize(("kind", "secret"), SECRETS)
def test_a_delivery_that_comes_again_has_the_same_marks(kind: str, secret: str):
    first = checked(kind, hook(kind, secret=secret), secret=secret)
    again = checked(kind, hook(kind, secret=secret), secret=secret, now=NOW + 10)
    assert isinstance(first, Proved)
    assert isinstance(again, Proved)
    assert set(first.marks) & set(again.marks)


@pytest.mark.parametrize("kind", ["github", "bitbucket-server"])
def test_a_recorded_body_with_another_delivery_id_is_recognised_where_bodies_differ(kind: str):
    first, again = checked(kind, hook(kind)), checked(kind, hook(kind, delivery="d-2"))
    assert isinstance(first, Proved)
    assert isinstance(again, Proved)
    assert set(first.marks) & set(again.marks)


@pytest.mark.parametrize("kind", ["gitea", "forgejo", "bitbucket", "gitlab"])
def test_pushes_back_and_forth_are_told_apart_by_their_delivery_ids(kind: str):
    first, again = checked(kind, hook(kind)), checked(kind, hook(kind, delivery="d-2"))
    assert isinstance(first, Proved)
    assert isinstance(again, Proved)
    assert not set(first.marks) & set(again.marks)


@pytest.mark.parametrize(
    ("kind", "secret"), [("github", ""), ("generic", " \t"), ("gitlab", "whsec_"), ("gitlab", "whsec_ü!")]
)
def test_a_secret_that_is_none_is_never_accepted(kind: str, secret: str):
    with pytest.raises(ValueError, match=r"empty|base64"):
        key_of(kind, secret)
