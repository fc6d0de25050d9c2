"""What the running daemon says of itself: every line of its log, its metrics, its messages, its traces."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from aiohttp import web
from fakes.envoy_messages import free_port
from fakes.kubectl import TOOLS
from fakes.notice_targets import TOKEN, FakeSlack, Served, serving, signed_by
from fakes.real_loop import RULES, Daemon, Play, World, policy, routes, running_daemon, until

from gitmesh.cli.log_lines import FIELDS
from gitmesh.model.rollout import Phase

pytestmark = [pytest.mark.anyio, pytest.mark.real]
STAGES = {"fetch", "parse", "validate", "observe", "decide", "plan", "apply", "notify", "engine"}
SLOW = policy((10, "1h"), (100, "0s"))
STEPS = policy((10, "300ms"), (50, "300ms"), (100, "0s"))


async def babble(port: int) -> None:
    """Say what is no HTTP."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(b"\x16\x03 hello\r\n\r\n")
        with contextlib.suppress(anyio.EndOfStream):
            await stream.receive()


def written(directory: Path, config: dict[str, Any]) -> Path:
    directory.mkdir()
    (directory / "config.yaml").write_text(json.dumps(config))
    return directory / "config.yaml"


def logs(directory: Path) -> str:
    return "".join(file.read_text() for file in directory.glob("*/daemon.log"))


def criticised(text: str) -> list[str]:
    """What promtool has against the metrics of ours."""
    promtool = TOOLS / "bin" / "promtool"
    assert promtool.exists(), "promtool is missing: run `make tools`"
    command = [str(promtool), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    return [line for line in (done.stdout + done.stderr).splitlines() if "gitmesh_" in line]


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def lines(daemon: Daemon) -> list[dict[str, Any]]:
    return [json.loads(line) for line in daemon.log.splitlines()]


async def a_whole_rollout(world: World) -> str:
    """A first commit, a rollout to the other version, and a commit that is refused; return its revision."""
    await world.publish({"rules.yaml": RULES, "routes.yaml": routes(100, 0), "policy.yaml": STEPS})
    await world.follow()
    await world.wait_ready("True")
    revision = await world.publish({"routes.yaml": routes(0, 100)})
    await world.wait_phase(Phase.SUCCEEDED)
    await world.wait_applied(revision)
    await world.publish({"broken.yaml": "kind: ["})
    await world.wait_ready("False", "ValidationFailed")
    return revision


async def test_every_line_of_the_log_says_stage_source_revision_and_rollout(
    play: Play, world: World, tmp_path: Path
):
    port = free_port()
    options = ("--log-level=debug", f"--listen=127.0.0.1:{port}")
    with running_daemon(play, tmp_path / "daemon", *options) as daemon:
        revision = await a_whole_rollout(world)
        await babble(port)
        await until("a line of a library", lambda: seen("Invalid HTTP request" in daemon.log))
    told = lines(daemon)
    assert all(tuple(line)[: len(FIELDS)] == FIELDS for line in told)
    assert {line["stage"] for line in told} <= STAGES
    assert "uvicorn.error" in {line.get("logger") for line in told}
    ours = [line for line in told if line["source"] == world.source_name]
    by_message: dict[str, list[dict[str, Any]]] = {}
    for line in ours:
        by_message.setdefault(line["message"], []).append(line)
    moved = by_message["rollout moved"]
    rollout = "VirtualService default/reviews"
    assert {(line["stage"], line["rollout"]) for line in moved} == {("decide", rollout)}
    assert {line["revision"] for line in moved} >= {revision}
    assert {line["stage"] for line in by_message["fetched"]} == {"fetch"}
    changed = [line for line in by_message["change applied"] if "VirtualService" in line["resource"]]
    assert all(line["revision"] for line in changed)
    assert changed[-1]["rollout"] == rollout


@asynccontextmanager
async def a_daemon(
    play: Play, directory: Path, config: dict[str, Any], *options: str
) -> AsyncIterator[Daemon]:
    """Run a daemon on a configuration file. It is waited for in a thread: this loop serves its targets."""
    file = written(directory, config)
    daemon = Daemon(play, directory, (f"--config={file}", *options))
    daemon.start()
    try:
        await anyio.to_thread.run_sync(daemon.wait_started)
        yield daemon
    finally:
        await anyio.to_thread.run_sync(daemon.stop)


async def test_people_are_told_by_one_message_signed_events_and_the_status_of_each_commit(
    play: Play, world: World, tmp_path: Path
):
    """The daemon is ended in the middle of the rollout and started again; the message stays one."""
    slack = FakeSlack()
    (tmp_path / "token").write_text(TOKEN)
    secret = {"file": str(tmp_path / "token")}
    async with serving(slack) as chat, serving() as hook, serving() as forge:
        targets = [
            {"name": "chat", "kind": "slack", "url": f"{chat.url}/api", "token": secret, "channel": "C1"},
            {"name": "hook", "kind": "webhook", "url": hook.url, "secret": secret},
            {
                "name": "forge",
                "kind": "gitea",
                "url": forge.url,
                "token": secret,
                "repository": "a/b",
            },
        ]
        config = {"notifications": {"targets": targets}}
        async with a_daemon(play, tmp_path / "first", config):
            await world.publish({"rules.yaml": RULES, "routes.yaml": routes(100, 0), "policy.yaml": SLOW})
            await world.follow()
            await world.wait_ready("True")
            revision = await world.publish({"routes.yaml": routes(0, 100)})
            await world.wait_phase(Phase.PROGRESSING)
            await until("the message of the rollout", lambda: seen(slack.rollouts()))
        async with a_daemon(play, tmp_path / "second", config):
            await until("the message found again", lambda: seen("conversations.history" in methods(chat)))
            ran = await world.gitmesh("promote", "reviews", "--full")
            assert ran.status == 0, ran.all
            await world.wait_phase(Phase.SUCCEEDED)
            await until("the end of the message", lambda: seen(ended(slack)))
            await until("the end of the commit", lambda: seen(states(forge)[-1:] == ["success"]))
            broken = await world.publish({"broken.yaml": "kind: ["})
            await until("the refusal", lambda: seen("RevisionRefused" in events(hook)))
            await until("the failed commit", lambda: seen(states(forge)[-1:] == ["failure"]))
    assert len(slack.rollouts()) == 1
    assert {"RolloutStarted", "RolloutSucceeded", "RevisionRefused"} <= set(events(hook))
    assert all(signed_by(TOKEN.encode(), request, body) for request, body in hook.came)
    commits = [request.path.rpartition("/")[2] for request, _ in forge.came]
    assert commits[-1].startswith(broken.partition("@")[2])
    assert any(commit.startswith(revision.partition("@")[2]) for commit in commits)
    assert "daemon stopped" in logs(tmp_path)
    assert TOKEN not in logs(tmp_path)


async def seen(what: Any) -> bool:
    return bool(what)


def methods(chat: Served) -> list[str]:
    return [request.path.rpartition("/")[2] for request, _ in chat.came]


def ended(slack: FakeSlack) -> bool:
    return any(text.startswith("RolloutSucceeded") for text in slack.rollouts())


def events(hook: Served) -> list[str]:
    return [body["data"]["event"] for body in hook.bodies()]


def states(forge: Served) -> list[str]:
    return [body["state"] for body in forge.bodies()]


async def test_the_metrics_of_a_running_daemon_are_those_that_prometheus_likes(
    play: Play, world: World, tmp_path: Path
):
    """And its traces reach a collector."""
    port = free_port()
    came: list[str] = []

    def collect(request: web.Request, body: Any) -> web.Response:
        came.append(request.path)
        return web.Response()

    async with serving(collect) as collector:
        config = {"tracing": {"endpoint": f"{collector.url}/v1/traces"}}
        async with a_daemon(play, tmp_path / "daemon", config, f"--listen=127.0.0.1:{port}"):
            revision = await a_whole_rollout(world)
            text = await anyio.to_thread.run_sync(lambda: page(f"http://127.0.0.1:{port}/metrics"))
    assert came
    assert set(came) == {"/v1/traces"}
    name = world.source_name
    assert f'gitmesh_source_stalled{{source="{name}"}} 1.0' in text
    assert f'gitmesh_source_ready{{source="{name}"}} 0.0' in text
    applied = next(line for line in text.splitlines() if f'source="{name}",state="applied"' in line)
    assert revision.partition("@")[2] in applied
    assert 'gitmesh_api_requests_total{outcome="success",verb="apply"}' in text
    assert 'gitmesh_leader{shard="0/1"} 1.0' in text
    assert "process_resident_memory_bytes" in text
    assert criticised(text) == []
