"""From `git push` to a remote repository, by a webhook, to the first request on the new weights.

The daemon polls once an hour, and `git daemon` serves the repository: only the webhook tells of a push.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import time
from pathlib import Path

import aiohttp
import anyio

from benchmarks.figures import Figure, milliseconds, percentile
from benchmarks.push import moved_by_push
from benchmarks.world import benchmark_world
from gitmesh.playground.child import Child

PUSHES = 20
SECRET = "of a measurement"
_LISTENS_SECONDS_MAX = 10.0


async def measure(directory: Path) -> list[Figure]:
    """Push back and forth between v1 and v2, and send what a script would send after each."""
    (directory / "secret").write_text(SECRET)
    (directory / "receivers.yaml").write_text(
        f"receivers: [{{name: script, kind: generic, secret: {{file: {directory / 'secret'}}}}}]"
    )
    git_port, hook_port = _free_port(), _free_port()
    url = f"git://127.0.0.1:{git_port}/origin.git"
    options = (
        "--interval=1h",
        f"--receiver=127.0.0.1:{hook_port}",
        f"--receivers={directory / 'receivers.yaml'}",
    )
    (directory / "git").mkdir()
    server = await Child.start(
        "git daemon",
        (
            *("git", "daemon", "--export-all", f"--base-path={directory / 'git'}"),
            *("--listen=127.0.0.1", f"--port={git_port}", str(directory / "git")),
        ),
        directory / "git.log",
    )
    try:
        await _listens(git_port)
        async with (
            aiohttp.ClientSession() as session,
            benchmark_world(directory, policies=False, url=url, options=options) as world,
        ):

            async def tell() -> None:
                await _send(session, f"http://127.0.0.1:{hook_port}/hooks/script", url)

            versions = ["v2" if number % 2 == 0 else "v1" for number in range(PUSHES)]
            seconds = [await moved_by_push(world, version, tell) for version in versions]
    finally:
        await server.stop()
    return [
        Figure(
            "push and webhook to first request on the new weights",
            milliseconds(seconds),
            "p95 under 1 s",
            percentile(seconds, 95) < 1,
        )
    ]


async def _send(session: aiohttp.ClientSession, address: str, url: str) -> None:
    body = json.dumps({"repository": url, "ref": "refs/heads/main"}).encode()
    now = str(int(time.time()))
    digest = hmac.new(SECRET.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-GitMesh-Signature": f"t={now},v1={digest}"}
    async with session.post(address, data=body, headers=headers) as answer:
        assert answer.status in (200, 202), await answer.text()


async def _listens(port: int) -> None:
    with anyio.fail_after(_LISTENS_SECONDS_MAX):
        while True:
            try:
                stream = await anyio.connect_tcp("127.0.0.1", port)
            except OSError:
                await anyio.sleep(0.02)
            else:
                await stream.aclose()
                return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
