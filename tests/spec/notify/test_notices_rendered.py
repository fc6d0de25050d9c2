"""A notice as a CloudEvent, as a Slack message and as a commit status: what is said, and what never is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes.notices import COMMIT, NOON, URL, a_notice, a_rollback, a_step

from gitmesh.model.notice import TEXT_CHARS_MAX
from gitmesh.model.notifications import NotificationConfig, NotificationTarget
from gitmesh.notify.cloudevents import as_bytes, cloud_event, signature_headers
from gitmesh.notify.repositories import place_of, without_login
from gitmesh.notify.slack_text import message, metadata


def a_target(kind: str, **fields: Any) -> NotificationTarget:
    token = {"env": "TOKEN"}
    given = {"github": {"token": token}, "gitlab": {"token": token}, "gitea": {"token": token}}.get(kind, {})
    return NotificationTarget.model_validate({"name": kind, "kind": kind, **given, **fields})


# CloudEvents ---------------------------------------------------------------------------------------------


def test_a_cloud_event_has_every_attribute_that_the_specification_demands():
    event = cloud_event(a_step(25, step=1))
    assert event["specversion"] == "1.0"
    assert event["type"] == "dev.gitmesh.rollout.step"
    assert event["source"] == "/gitmesh.dev/trafficsources/default/mesh"
    assert event["subject"] == "networking.istio.io/VirtualService/shop/reviews"
    assert event["time"] == "2026-03-02T12:00:00+00:00"
    assert event["datacontenttype"] == "application/json"
    assert event["data"]["rollout"] == {
        "run": "run-1",
        "phase": "Progressing",
        "progress": 25,
        "weights": "v1 75, v2 25",
        "step": 1,
        "steps": 3,
        "policy": "default/careful",
    }


def test_what_is_told_twice_has_the_same_id_also_by_another_replica_later():
    told, again = a_rollback(), a_rollback(at=NOON + timedelta(hours=1), again=True)
    assert told.id == again.id
    assert a_rollback(since=NOON + timedelta(hours=1)).id != told.id
    assert len({a_step(10).id, a_step(25, step=1).id, a_step(10, run="run-2").id}) == 3


def test_the_signature_is_that_of_standard_webhooks():
    body = as_bytes(cloud_event(a_notice(message="Grüße")))
    key = b"0123456789abcdef0123456789abcdef"
    secret = f"whsec_{base64.b64encode(key).decode()}"
    headers = signature_headers(secret, "msg-1", 1_772_452_800, body)
    digest = hmac.new(key, b"msg-1.1772452800." + body, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg-1", "1772452800")
    assert json.loads(body)["data"]["message"] == "Grüße"


def test_a_secret_without_the_mark_is_taken_as_it_is():
    marked = signature_headers(f"whsec_{base64.b64encode(b'plain').decode()}", "1", 2, b"{}")
    assert signature_headers("plain", "1", 2, b"{}") == marked
    with pytest.raises(ValueError, match="no base64"):
        signature_headers("whsec_???", "1", 2, b"{}")


def test_a_text_from_git_is_bounded_and_has_no_control_characters():
    event = cloud_event(a_notice(message="\x1b[31m" + "x" * 10_000, findings=("\x00" + "y" * 10_000,)))
    assert len(event["data"]["message"]) == TEXT_CHARS_MAX
    assert event["data"]["message"].startswith(" [31m")
    assert len(event["data"]["findings"][0]) == TEXT_CHARS_MAX


# Slack ---------------------------------------------------------------------------------------------------


def test_a_message_says_what_happened_to_what_and_where_it_stands():
    said = message(a_step(25, step=1), "https://gitmesh.example.com")
    assert said["text"] == "RolloutStep shop/reviews: 25 %"
    first, second, context = said["blocks"]
    assert "*RolloutStep shop/reviews*" in first["text"]["text"]
    assert "25 % · Progressing, step 2 of 3" in second["text"]["text"]
    assert "v1 75, v2 25" in second["text"]["text"]
    facts = context["elements"][0]["text"]
    assert facts.startswith("source default/mesh · main@0123456 · policy default/careful")
    assert facts.endswith("<https://gitmesh.example.com|open>")


def test_nothing_from_git_becomes_a_link_or_a_mention():
    said = json.dumps(message(a_notice(message="<!channel> & <https://evil.example.com|here>")))
    assert "<!channel>" not in said
    assert "<https://evil" not in said
    assert "&lt;!channel&gt; &amp; " in said


def test_no_block_is_longer_than_slack_takes():
    said = message(a_notice(message="&" * 5_000, findings=tuple("<" * 5_000 for _ in range(5))))
    assert all(len(b["text"]["text"]) <= 3_000 for b in said["blocks"] if b["type"] == "section")


def test_the_one_message_of_a_rollout_carries_which_rollout_it_is_of():
    assert metadata(a_step(10)) == metadata(a_rollback())
    assert metadata(a_step(10)) != metadata(a_step(10, run="run-2"))


# Commit statuses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "source_url", "fields", "posted_to"),
    [
        ("github", URL, {}, f"https://api.github.com/repos/mesh/traffic/statuses/{COMMIT}"),
        ("github", "git@github.com:mesh/traffic.git", {}, f"https://api.github.com/repos/mesh/traffic/statuses/{COMMIT}"),
        ("github", "ssh://git@ssh.github.com:443/mesh/traffic", {}, f"https://api.github.com/repos/mesh/traffic/statuses/{COMMIT}"),
        (
            "github",
            "https://git.example.com/mesh/traffic",
            {"url": "https://git.example.com"},
            f"https://git.example.com/api/v3/repos/mesh/traffic/statuses/{COMMIT}",
        ),
        (
            "gitlab",
            "https://gitlab.com/group/sub/traffic.git",
            {},
            f"https://gitlab.com/api/v4/projects/group%2Fsub%2Ftraffic/statuses/{COMMIT}",
        ),
        (
            "gitea",
            "ssh://git@git.example.com:2222/mesh/traffic.git",
            {"url": "https://git.example.com/api/v1/"},
            f"https://git.example.com/api/v1/repos/mesh/traffic/statuses/{COMMIT}",
        ),
        (
            "gitea",
            "file:///srv/traffic",
            {"url": "http://127.0.0.1:3000", "repository": "mesh/traffic"},
            f"http://127.0.0.1:3000/api/v1/repos/mesh/traffic/statuses/{COMMIT}",
        ),
    ],
)  # fmt: skip
def test_the_repository_is_read_out_of_the_url_of_the_source(
    kind: str, source_url: str, fields: dict[str, Any], posted_to: str
):
    place = place_of(a_target(kind, **fields), source_url)
    assert place is not None
    assert place.status_url(kind, COMMIT) == posted_to


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com.evil.example.com/mesh/traffic",
        "https://evil.example.com/github.com/mesh/traffic",
        "git@gitlab.com:mesh/traffic.git",
        "https://github.com/traffic",
        "https://github.com/mesh/traffic/../../user",
        "file:///srv/traffic",
        "http://[bad",
        "",
    ],
)
def test_a_token_goes_to_no_server_but_its_own(url: str):
    assert place_of(a_target("github"), url) is None


def test_no_login_of_a_url_is_told():
    assert without_login("https://user:secret@git.example.com/a/b?token=x") == "https://git.example.com/a/b"
    assert without_login("git@git.example.com:a/b.git") == "git@git.example.com:a/b.git"


# The configuration ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "webhook"}, "one of url and urlFrom"),
        ({"kind": "webhook", "url": "ftp://example.com"}, "begins with http"),
        ({"kind": "webhook", "url": "https://a.example.com", "urlFrom": {"env": "A"}}, "one of url and"),
        ({"kind": "slack", "url": "https://hooks.slack.com/x"}, "one of urlFrom"),
        ({"kind": "slack", "token": {"env": "A"}}, "token and channel belong together"),
        ({"kind": "apprise"}, "apprise needs urlFrom"),
        ({"kind": "github"}, "needs a token"),
        ({"kind": "github", "token": {"env": "A"}, "repository": "traffic"}, "owner/name"),
        ({"kind": "github", "token": {"env": "A"}, "secret": {"env": "B"}}, "only a webhook"),
        ({"kind": "apprise", "urlFrom": {"env": "A"}, "headers": {"X": {"env": "B"}}}, "webhook has headers"),
        ({"kind": "github", "token": {"env": "A"}, "select": {"severity": "error"}}, "sources alone"),
        ({"kind": "slack", "urlFrom": {"env": "A", "file": "b"}}, "one of file and env"),
    ],
)  # fmt: skip
def test_a_target_that_makes_no_sense_is_refused_with_the_reason(fields: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        NotificationTarget.model_validate({"name": "it", **fields})


def test_two_targets_have_two_names():
    one = {"name": "it", "kind": "webhook", "url": "https://a.example.com"}
    with pytest.raises(ValueError, match="two targets have the name it"):
        NotificationConfig.model_validate({"targets": [one, one]})


def test_the_words_of_a_notice_do_not_change_its_topic():
    step = a_step(10)
    assert replace(step, message="other words").news == step.news
    assert a_step(10).topic == a_rollback().topic
