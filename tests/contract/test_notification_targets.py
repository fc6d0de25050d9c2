"""Targets over real HTTP: signatures verify, answers are heeded, one message follows a rollout."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web
from fakes.certificates import Authority
from fakes.notice_targets import TOKEN, WAIT_SECONDS, FakeSlack, Served, serving, signed_by
from fakes.notices import COMMIT, a_commit_status, a_notice, a_rollback, a_step

from gitmesh.engine.clock import SystemClock
from gitmesh.model.notifications import NotificationConfig
from gitmesh.notify import apprise_outlet
from gitmesh.notify.errors import DeliveryError
from gitmesh.notify.notifier import Notifier
from gitmesh.notify.outlet import Outlet
from gitmesh.notify.outlets import open_outlets
from gitmesh.notify.post import ANSWER_BYTES_MAX

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def an_outlet(timeout: str = "10s", **target: Any) -> AsyncIterator[Outlet]:
    config = NotificationConfig.model_validate({"targets": [{"name": "it", **target}], "timeout": timeout})
    (outlet,) = open_outlets(config, SystemClock())
    try:
        yield outlet
    finally:
        await outlet.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(f"{TOKEN}\n")
    return file


def put(file: Path, text: str) -> None:
    file.write_text(text)


def gone(file: Path) -> None:
    file.unlink()


# Webhooks -------------------------------------------------------------------------------------------------


async def test_a_webhook_gets_a_signed_cloud_event(secret: Path):
    async with (
        serving() as served,
        an_outlet(kind="webhook", url=f"{served.url}/hook", secret={"file": str(secret)}) as outlet,
    ):
        await outlet.deliver(a_rollback())
        ((request, body),) = served.came
        assert request.headers["Content-Type"] == "application/cloudevents+json; charset=UTF-8"
        assert signed_by(TOKEN.encode(), request, body)
        assert not signed_by(b"another", request, body)
        assert json.loads(body)["id"] == request.headers["webhook-id"] == a_rollback().id
        stamp = int(request.headers["webhook-timestamp"])
        assert abs(stamp - SystemClock().now().timestamp()) < 300


async def test_a_webhook_gets_the_headers_that_its_login_needs(secret: Path):
    login = {"Authorization": {"file": str(secret)}}
    async with serving() as served, an_outlet(kind="webhook", url=served.url, headers=login) as outlet:
        await outlet.deliver(a_rollback())
    assert served.came[0][0].headers["Authorization"] == TOKEN


async def test_a_server_of_an_authority_of_ones_own_is_trusted_where_that_is_said(tmp_path: Path):
    authority = Authority()
    put(tmp_path / "ca.pem", authority.pem)
    tls = authority.serving(authority.issue("127.0.0.1"))
    async with serving(tls=tls) as served:
        async with an_outlet(kind="webhook", url=served.url) as stranger:
            with pytest.raises(DeliveryError, match="Certificate"):
                await stranger.deliver(a_rollback())
        ca_file = str(tmp_path / "ca.pem")
        async with an_outlet(kind="webhook", url=served.url, caFile=ca_file) as friend:
            await friend.deliver(a_rollback())
    assert len(served.came) == 1


async def test_a_secret_is_read_anew_for_each_message(secret: Path):
    async with (
        serving() as served,
        an_outlet(kind="webhook", url=served.url, secret={"file": str(secret)}) as it,
    ):
        await it.deliver(a_rollback())
        put(secret, "rotated")
        await it.deliver(a_rollback())
        assert signed_by(b"rotated", *served.came[1])
        gone(secret)
        with pytest.raises(DeliveryError, match="cannot be read: No such file") as refused:
            await it.deliver(a_rollback())
        assert refused.value.retryable
        assert len(served.came) == 2  # never without a signature


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (429, True),
        (500, True),
        (503, True),
        (408, True),
        (400, False),
        (401, False),
        (404, False),
        (302, False),
    ],
)
async def test_what_may_be_different_later_is_tried_again(status: int, retryable: bool):
    headers = {"Retry-After": "7", "Location": "http://169.254.169.254/"}
    async with (
        serving(lambda *_: web.Response(status=status, headers=headers)) as served,
        an_outlet(kind="webhook", url=f"{served.url}/{TOKEN}") as outlet,
    ):
        with pytest.raises(DeliveryError, match=f"it at 127.0.0.1: HTTP {status}") as refused:
            await outlet.deliver(a_rollback())
        assert refused.value.retryable is retryable
        assert refused.value.after_seconds == 7
        assert TOKEN not in str(refused.value)
        assert len(served.came) == 1  # no redirect is followed


async def test_a_date_says_when_to_come_again_and_nobody_says_too_late():
    moment = SystemClock().now() + timedelta(days=400)
    headers = {"Retry-After": moment.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    async with (
        serving(lambda *_: web.Response(status=503, headers=headers)) as served,
        an_outlet(kind="webhook", url=served.url) as outlet,
    ):
        with pytest.raises(DeliveryError) as refused:
            await outlet.deliver(a_rollback())
        assert refused.value.after_seconds == 900


async def test_a_target_that_hangs_or_is_not_there_is_given_its_time_and_no_more():
    async def hang(*_: Any) -> web.Response:
        await asyncio.sleep(WAIT_SECONDS * 2)
        return web.Response()

    async with serving(hang) as served, an_outlet("100ms", kind="webhook", url=served.url) as outlet:
        with pytest.raises(DeliveryError, match=r"no answer within 0\.1 s"):
            await outlet.deliver(a_rollback())
    async with an_outlet(kind="webhook", url=served.url) as outlet:
        with pytest.raises(DeliveryError, match="is it running"):
            await outlet.deliver(a_rollback())


async def test_an_endless_answer_is_not_read():
    async with (
        serving(lambda *_: web.Response(body=b"x" * (ANSWER_BYTES_MAX * 4))) as served,
        an_outlet(kind="webhook", url=served.url) as outlet,
    ):
        await outlet.deliver(a_rollback())


async def test_the_notifier_tries_again_until_the_target_is_back():
    statuses = [500, 429, 200]

    def answer(*_: Any) -> web.Response:
        return web.Response(status=statuses[min(len(served.came), 3) - 1])

    async with serving(answer) as served:
        config = NotificationConfig.model_validate(
            {"targets": [{"name": "it", "kind": "webhook", "url": served.url}]}
        )
        clock, counted = SystemClock(), []
        notifier = Notifier(open_outlets(config, clock), config, clock, lambda *what: counted.append(what))
        async with anyio.create_task_group() as group:
            group.start_soon(notifier.run)
            notifier.tell(a_rollback())
            notifier.tell(a_rollback())
            await served.until(3)
            while notifier.waiting:  # noqa: ASYNC110 (the other side is not ours)
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        await notifier.close(1)
        assert counted == [("it", "retried"), ("it", "retried"), ("it", "delivered")]
        assert len({body for _, body in served.came}) == 1


# Slack ----------------------------------------------------------------------------------------------------


def an_app(served: Served, secret: Path) -> Any:
    api = f"{served.url}/api"
    return an_outlet(kind="slack", url=api, token={"file": str(secret)}, channel="C1")


async def test_an_incoming_webhook_gets_text_and_blocks(secret: Path):
    async with serving(lambda *_: web.Response(text="ok")) as served:
        put(secret, f"{served.url}/services/{TOKEN}")
        async with an_outlet(kind="slack", urlFrom={"file": str(secret)}) as outlet:
            await outlet.deliver(a_rollback())
        (body,) = served.bodies()
        assert body["text"] == "RolledBack shop/reviews: 7.5 % errors, limit 5 %"
        assert set(body) == {"text", "blocks"}


async def test_a_rollout_has_one_message_that_follows_it_and_its_rollback_calls_people(secret: Path):
    slack = FakeSlack()
    async with serving(slack) as served, an_app(served, secret) as outlet:
        for item in (a_step(10), a_step(50, 1), a_step(10, run="run-2"), a_rollback()):
            await outlet.deliver(item)
    first, second = slack.messages.values()
    assert first["text"].startswith("RolledBack")
    assert second["text"].startswith("RolloutStep")
    (reply,) = slack.replies
    assert reply["thread_ts"] == next(iter(slack.messages))
    assert reply["reply_broadcast"] is True


async def test_after_a_restart_the_message_of_a_rollout_is_found_again(secret: Path):
    slack = FakeSlack()
    async with serving(slack) as served:
        for item in (a_step(10), a_step(50, 1), a_step(100, 2)):
            async with an_app(served, secret) as outlet:
                await outlet.deliver(item)
    (message,) = slack.messages.values()
    assert "100 %" in message["blocks"][1]["text"]["text"]


async def test_after_another_leader_its_messages_are_found_and_not_begun_anew(secret: Path):
    """One leads, then the other, then the first again: a rollout of the other has still one message."""
    slack = FakeSlack()
    async with serving(slack) as served, an_app(served, secret) as one, an_app(served, secret) as other:
        for outlet, item in (
            (one, a_step(10)),
            (other, a_step(50, 1)),
            (other, a_step(10, run="run-2")),
            (one, a_step(60, 2, run="run-2")),
        ):
            outlet.begin()
            await outlet.deliver(item)
    assert len(slack.messages) == 2


async def test_without_the_right_to_look_back_a_restart_begins_a_second_message(secret: Path):
    slack = FakeSlack()
    slack.scopes.clear()
    async with serving(slack) as served:
        for _ in range(2):
            async with an_app(served, secret) as outlet:
                await outlet.deliver(a_step(10))
                await outlet.deliver(a_step(50, 1))
    assert len(slack.messages) == 2


async def test_a_message_that_somebody_deleted_is_posted_anew(secret: Path):
    slack = FakeSlack()
    async with serving(slack) as served, an_app(served, secret) as outlet:
        await outlet.deliver(a_step(10))
        slack.messages.clear()
        await outlet.deliver(a_step(50, 1))
        assert len(slack.messages) == 1


@pytest.mark.parametrize(("error", "retryable"), [("ratelimited", True), ("channel_not_found", False)])
async def test_what_slack_says_decides_whether_to_try_again(secret: Path, error: str, retryable: bool):
    slack = FakeSlack()
    slack.errors = [error]
    async with serving(slack) as served, an_app(served, secret) as outlet:
        with pytest.raises(DeliveryError, match=f"Slack says {error}") as refused:
            await outlet.deliver(a_notice())
        assert refused.value.retryable is retryable


# Commit statuses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "path", "login", "failure"),
    [
        ("github", "/api/v3/repos/mesh/traffic", f"Bearer {TOKEN}", "failure"),
        ("gitea", "/api/v1/repos/mesh/traffic", f"token {TOKEN}", "failure"),
        ("gitlab", "/api/v4/projects/mesh%2Ftraffic", TOKEN, "failed"),
    ],
)  # fmt: skip
async def test_a_commit_gets_its_status_in_the_words_of_its_server(
    secret: Path, kind: str, path: str, login: str, failure: str
):
    async with (
        serving(lambda *_: web.json_response({}, status=201)) as served,
        an_outlet(
            kind=kind, url=served.url, token={"file": str(secret)}, repository="mesh/traffic",
            link="https://gitmesh.example.com",
        ) as outlet,
    ):  # fmt: skip
        for state in ("pending", "success", "failure"):
            await outlet.deliver(a_commit_status(state, description="d" * 1_000))
        assert served.paths() == [f"{path}/statuses/{COMMIT}"] * 3
        assert [body["state"] for body in served.bodies()] == ["pending", "success", failure]
        body = served.bodies()[0]
        assert body["context"] == "gitmesh/default/mesh"
        assert body["target_url"] == "https://gitmesh.example.com"
        assert len(body["description"]) == (140 if kind == "github" else 255)
        header = "PRIVATE-TOKEN" if kind == "gitlab" else "Authorization"
        assert served.came[0][0].headers[header] == login


async def test_a_gitlab_that_has_the_state_already_is_content(secret: Path):
    said = {"message": "Cannot transition status via :enqueue from :pending"}
    async with (
        serving(lambda *_: web.json_response(said, status=400)) as served,
        an_outlet(kind="gitlab", url=served.url, token={"file": str(secret)}, repository="a/b") as outlet,
    ):
        await outlet.deliver(a_commit_status())
        said["message"] = "something else"
        with pytest.raises(DeliveryError, match="HTTP 400"):
            await outlet.deliver(a_commit_status())


# Apprise --------------------------------------------------------------------------------------------------


async def test_apprise_tells_the_rest(secret: Path):
    async with serving() as served:
        put(secret, served.url.replace("http://", "json://") + "/hook")
        async with an_outlet(kind="apprise", urlFrom={"file": str(secret)}) as outlet:
            await outlet.deliver(a_rollback(findings=("a.yaml:1: GM001 wrong",)))
        (body,) = served.bodies()
        assert body["title"] == "RolledBack shop/reviews"
        assert body["type"] == "failure"
        assert body["message"].startswith("7.5 % errors, limit 5 %")
        assert "GM001" in body["message"]


async def test_g34_an_address_that_apprise_does_not_know_is_said_without_saying_it(
    secret: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    async with an_outlet(kind="apprise", urlFrom={"file": str(secret)}) as outlet:
        for address in (f"nonsense://{TOKEN}", f"json://user:{TOKEN}@127.0.0.1:1/"):
            put(secret, address)
            with pytest.raises(DeliveryError) as refused:
                await outlet.deliver(a_rollback())
            assert TOKEN not in str(refused.value)
    assert TOKEN not in caplog.text + "".join(capsys.readouterr())


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(apprise_outlet.importlib, "import_module", missing)
    target = {"name": "it", "kind": "apprise", "urlFrom": {"env": "A"}}
    config = NotificationConfig.model_validate({"targets": [target]})
    with pytest.raises(DeliveryError, match=r"pip install 'gitmesh-controller\[notify\]'"):
        open_outlets(config, SystemClock())
