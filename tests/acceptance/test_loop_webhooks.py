"""Promises about webhooks in the whole product: a push is live at once, whichever replica hears of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from fakes.envoy_messages import free_port
from fakes.git_http import git_over_http
from fakes.hooks import SECRET, Hook, hook, payload
from fakes.real_loop import RULES, Daemon, Play, World, gitmesh, routes, running_daemon, until, wait_until

from gitmesh.model.kinds import NAMESPACE

pytestmark = [pytest.mark.anyio, pytest.mark.real]

FILES = {"rules.yaml": RULES, "routes.yaml": routes(100, 0)}
RECEIVERS = """\
receivers:
  - name: forge
    kind: gitea
    secret: {file: %s}
  - name: script
    kind: generic
    secret: {file: %s}
"""


@contextmanager
def a_daemon_that_hears(play: Play, directory: Path, *options: str) -> Iterator[tuple[Daemon, int]]:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "secret").write_text(f"{SECRET}\n")
    (directory / "receivers.yaml").write_text(RECEIVERS % ((directory / "secret",) * 2))
    port = free_port()
    more = (f"--receiver=127.0.0.1:{port}", f"--receivers={directory / 'receivers.yaml'}", *options)
    with running_daemon(play, directory, *more) as daemon:
        yield daemon, port


async def send(port: int, path: str, request: Hook) -> tuple[int, str]:
    def talk() -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("POST", path, request.body, dict(request.headers))
            answer = connection.getresponse()
            return answer.status, answer.read(1_000).decode()
        finally:
            connection.close()

    return await to_thread.run_sync(talk)


async def test_a_push_that_a_forge_tells_of_is_live_although_the_poll_is_an_hour_away(
    play: Play, world: World, tmp_path: Path
):
    with a_daemon_that_hears(play, tmp_path / "daemon") as (_, port):
        revision = await world.publish(FILES)
        with git_over_http(world.repository.origin.parent) as server:
            url = f"{server.url}/origin.git"
            await world.follow(url)
            await world.wait_applied(revision)
            asked, written = len(server.requests), await world.versions()
            pushed = await world.publish({"routes.yaml": routes(30, 70)})
            with anyio.move_on_after(0.5):
                await world.wait_weights(30, 70)
            assert (len(server.requests), await world.versions()) == (asked, written), "nobody has asked yet"

            other = payload("gitea", url=url, ref="refs/heads/other")
            assert await send(port, "/hooks/forge", hook("gitea", other)) == (200, "no source follows that\n")
            forged = hook("gitea", payload("gitea", url=url), secret="guessed", delivery="2")
            assert (await send(port, "/hooks/forge", forged))[0] == 401
            assert len(server.requests) == asked, "neither of the two asks Git"

            genuine = hook("gitea", payload("gitea", url=url), delivery="3")
            assert await send(port, "/hooks/forge", genuine) == (202, "woken: 1\n")
            await world.wait_applied(pushed)
            assert await world.weights() == (30, 70)
            once = len(server.requests)
            assert (await send(port, "/hooks/forge", genuine))[0] == 200
            with anyio.move_on_after(0.5):
                await anyio.sleep_forever()
            assert len(server.requests) == once, "a replay asks nobody"


async def test_a_push_is_applied_within_a_second_of_its_webhook(play: Play, world: World, tmp_path: Path):
    """The best of five: what else the machine does is not our promise."""
    with a_daemon_that_hears(play, tmp_path / "daemon") as (_, port):
        revision = await world.publish(FILES)
        with git_over_http(world.repository.origin.parent) as server:
            url = f"{server.url}/origin.git"
            await world.follow(url)
            await world.wait_applied(revision)
            seconds = []
            for number in range(1, 6):
                await world.publish({"routes.yaml": routes(number, 100 - number)})
                began = time.monotonic()
                await send(
                    port, "/hooks/forge", hook("gitea", payload("gitea", url=url), delivery=str(number))
                )
                await world.wait_weights(number, 100 - number)
                seconds.append(time.monotonic() - began)
    assert min(seconds) < 1, seconds


async def test_g29_a_webhook_leaves_a_token_on_the_source_and_the_status_echoes_it(
    play: Play, world: World, tmp_path: Path
):
    with a_daemon_that_hears(play, tmp_path / "daemon") as (_, port):
        revision = await world.publish(FILES)
        await world.follow()
        await world.wait_applied(revision)
        signed = hook("generic", payload("generic", url=world.repository.url), moment=int(time.time()))
        assert (await send(port, "/hooks/script", signed))[0] == 202
        path = r"jsonpath={.metadata.annotations.gitmesh\.dev/sync-requested}"
        token = (await world.kubectl("get", "trafficsource", world.name, "-o", path)).strip()
        assert len(token) == 16

        async def echoed() -> bool:
            return (await world.status()).last_handled_sync == token

        await until("the token in status.lastHandledSync", echoed)


async def test_a_webhook_that_reaches_a_replica_that_does_not_lead_is_served_by_the_one_that_does(
    play: Play, world: World, tmp_path: Path
):
    home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gitmesh-system"}}
    await world.client.apply(NAMESPACE, home)
    with running_daemon(play, tmp_path / "leader", "--leader-election") as leader:
        await to_thread.run_sync(lambda: wait_until("one to lead", lambda: '"leading"' in leader.log))
        with a_daemon_that_hears(play, tmp_path / "other", "--leader-election") as (other, port):
            revision = await world.publish(FILES)
            with git_over_http(world.repository.origin.parent) as server:
                url = f"{server.url}/origin.git"
                await world.follow(url)
                await world.wait_applied(revision)
                pushed = await world.publish({"routes.yaml": routes(40, 60)})
                request = hook("gitea", payload("gitea", url=url))
                assert (await send(port, "/hooks/forge", request))[0] == 202
                await world.wait_applied(pushed)
                assert await world.weights() == (40, 60)
                assert '"leading"' not in other.log


def test_the_command_says_what_is_wrong_with_its_receivers(play: Play, tmp_path: Path):
    file = tmp_path / "receivers.yaml"
    file.write_text("receivers: [{name: forge, kind: github, secret: {file: /nowhere}}]")
    run = ("run", "--playground-dir", str(play.directory), "--data-dir", str(tmp_path / "data"))
    ran = gitmesh(*run, f"--receivers={file}")
    assert (ran.status, "--receiver and --receivers belong together" in ran.err) == (2, True)
    at = f"--receiver=127.0.0.1:{free_port()}"
    ran = gitmesh(*run, at, f"--receivers={file}")
    assert (ran.status, "receiver forge: cannot read its secret from /nowhere" in ran.err) == (2, True), (
        ran.all
    )
    file.write_text("receivers: [{name: forge, kind: github}]")
    ran = gitmesh(*run, at, f"--receivers={file}")
    assert (ran.status, "receivers.0.secret: Field required" in ran.err) == (2, True), ran.all
    file.write_text("receivers: [{name: Forge!, kind: gogs, secret: {env: X}}]")
    assert gitmesh(*run, at, f"--receivers={file}").status == 2
