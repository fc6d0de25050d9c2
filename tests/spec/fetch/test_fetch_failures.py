"""Promises about how git's complaints are told."""

import pytest

from gitmesh.fetch.errors import BrokenMirrorError
from gitmesh.fetch.failures import explain


@pytest.mark.parametrize(
    ("stderr", "told"),
    [
        (
            "error: unable to write file: No space left on device\nfatal: unpack-objects failed",
            "disk is full",
        ),
        (
            "fatal: write error: File too large\nfatal: fetch-pack: invalid index-pack output",
            "raise git.packBytesMax",
        ),
        ("fatal: detected dubious ownership in repository at '/srv/x'", "belongs to another user"),
        (
            "fatal: could not read Username for 'https://e.com': terminal prompts disabled",
            "did not let us in",
        ),
        ("git@e.com: Permission denied (publickey).\nfatal: Could not read", "did not let us in"),
        ("Host key verification failed.\nfatal: Could not read from remote repository.", "known_hosts"),
        ("fatal: repository 'https://e.com/x/' not found", "no repository"),
        ("fatal: unable to access 'https://e.com/': Could not resolve host: e.com", "Could not resolve host"),
        ("error: object 1234: hasDotgit: contains '.git'\nfatal: fsck error in packed object", "git fsck"),
        ("fatal: early EOF\nfatal: fetch-pack: invalid index-pack output", "early EOF"),
        ("fatal: mismatched algorithms: client sha1; server sha256", "SHA-256"),
        (
            "fatal: Out of memory, malloc failed (tried to allocate 400000000 bytes)\n"
            "fatal: fetch-pack: invalid index-pack output",
            "raise git.memoryBytesMax",
        ),
        ("", "no reason"),
    ],
)
def test_a_complaint_becomes_what_where_and_what_to_do(stderr, told):
    error = explain(stderr, what="fetch main of https://e.com/x")
    assert told in str(error)
    assert "fetch main of https://e.com/x" in str(error)
    assert not isinstance(error, BrokenMirrorError)


@pytest.mark.parametrize(
    "stderr",
    [
        "error: object file objects/ab/cd is empty\nfatal: loose object abcd is corrupt",
        "fatal: not a git repository: '/data/mirror'",
        "fatal: bad object refs/remotes/origin/main",
        "fatal: Unable to create '/data/mirror/shallow.lock': File exists.",
    ],
)
def test_damage_of_our_own_copy_is_recognised(stderr):
    assert isinstance(explain(stderr, what="fetch"), BrokenMirrorError)


@pytest.mark.parametrize(
    "stderr",
    [
        "remote: fatal: loose object abcd is corrupt\nfatal: the remote end hung up unexpectedly",
        "fatal: remote error: loose object abcd is corrupt",
        "fatal: remote error: no\nfatal: bad object refs/heads/main\nwrite error: File too large",
        "fatal: protocol error: unexpected 'not a git repository'",
        "fatal: invalid server response; got 'bad config\nout of memory'",
    ],
)
def test_a_server_cannot_talk_us_into_throwing_the_mirror_away(stderr):
    error = explain(stderr, what="fetch")
    assert not isinstance(error, BrokenMirrorError)
    assert "check that the server is up" in str(error)


def test_a_server_that_says_who_may_not_read_is_believed():
    stderr = "fatal: remote error: access denied or repository not exported: /x"
    assert "there is no repository" in str(explain(stderr, what="fetch"))


def test_text_of_a_server_is_cleaned_and_short():
    told = str(explain("fatal: \x1b[31mhttps://a:hunter2@e.com " + "x" * 5000, what="fetch"))
    assert "\x1b" not in told
    assert "hunter2" not in told
    assert len(told) < 600


def test_a_login_that_another_server_asks_for_is_a_redirect():
    stderr = "fatal: could not read Username for 'https://login.example.com': terminal prompts disabled"
    told = str(explain(stderr, what="fetch main of https://e.com/x"))
    assert "sends us to https://login.example.com, and a login does not go along; set spec.url" in told
