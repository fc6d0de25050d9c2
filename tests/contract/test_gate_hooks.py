"""Hooks are asked over real HTTP, within limits, and whatever is no clear yes is a no."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ThreadedResolver, web
from aiohttp.abc import AbstractResolver, ResolveResult

from gitmesh.observe.hooks import ANSWER_BYTES_MAX, GateHooks

pytestmark = pytest.mark.anyio
TOLD = {"name": "reviews", "progress": 25.0, "evidence": {}}


@contextlib.asynccontextmanager
async def a_hook(
    body: Any = b"", status: int = 200, seconds: float = 0.0, **headers: str
) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Serve one answer to everybody; yield the address and the requests that came."""
    came: list[web.Request] = []
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        came.append(request)
        await asyncio.sleep(seconds)
        return web.Response(body=raw, status=status, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/gate", came
    finally:
        await runner.cleanup()


class Names(AbstractResolver):
    """Looks names up in a list, whose answers change each time as long as there are more of them."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in found
        ]

    async def close(self) -> None:
        pass


async def asked(
    url: str, hosts: tuple[str, ...] = ("*",), timeout: float = 5.0, names: Names | None = None
) -> tuple[bool, str]:
    hooks = GateHooks(hosts, (lambda: names) if names else ThreadedResolver)
    try:
        return await hooks.ask(url, timedelta(seconds=timeout), TOLD)
    finally:
        await hooks.close()


async def test_a_hook_is_told_of_the_rollout_and_its_yes_opens():
    async with a_hook({"allow": True, "reason": "change  CHG-7\nis approved"}) as (url, came):
        assert await asked(url) == (True, "change CHG-7 is approved")
        assert (came[0].method, came[0].path, await came[0].json()) == ("POST", "/gate", TOLD)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"allow": False, "reason": "not on a Friday"}, 200, "not on a Friday"),
        ({"allow": False}, 200, "does not allow"),
        ({"allow": "true"}, 200, "neither"),
        ({}, 204, "neither"),
        ([True], 200, "neither"),
        (b"yes", 200, "neither"),
        (b"\xff\xfe", 200, "neither"),
        ({"allow": True}, 500, "HTTP 500"),
        ({"allow": True, "reason": "moved"}, 302, "HTTP 302: moved"),
        (b"x" * (ANSWER_BYTES_MAX + 1), 200, "was not read"),
    ],
)
async def test_whatever_is_no_clear_yes_is_a_no(body: Any, status: int, words: str):
    async with a_hook(body, status) as (url, _):
        allowed, reason = await asked(url)
    assert not allowed
    assert words in reason


async def test_a_redirect_is_not_followed():
    async with a_hook({"allow": True}) as (target, came), a_hook(b"", 307, Location=target) as (url, _):
        assert await asked(url) == (False, "the hook answered HTTP 307")
        assert came == []


async def test_a_slow_hook_is_a_no():
    async with a_hook({"allow": True}, seconds=5) as (url, _):
        assert await asked(url, timeout=0.2) == (False, "the hook gave no answer within 0.2 s")


async def test_a_hook_that_is_not_there_is_a_no():
    async with a_hook() as (url, _):
        pass
    allowed, reason = await asked(url)
    assert not allowed
    assert reason.startswith("the hook could not be asked")


async def test_only_the_hosts_that_the_daemon_allows_are_asked():
    async with a_hook({"allow": True}) as (url, came):
        assert await asked(url, hosts=("*.example.com",)) == (False, "this daemon asks no hook at 127.0.0.1")
        assert (await asked(url, hosts=("*.example.com", "127.0.0.1")))[0]
        assert len(came) == 1


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
    ],
)
async def test_where_clouds_keep_secrets_nobody_is_asked(host: str):
    allowed, reason = await asked(f"http://{host}/latest/meta-data")
    assert not allowed
    assert "link-local" in reason


async def test_a_name_is_asked_at_the_address_that_it_was_checked_for():
    names = Names(["127.0.0.1"], ["169.254.169.254"])  # the second answer would be the attacker's
    async with a_hook({"allow": True}) as (url, came):
        assert (await asked(url.replace("127.0.0.1", "gate.example.com"), names=names))[0]
    assert (names.asked, len(came)) == (["gate.example.com"], 1)


@pytest.mark.parametrize(
    "answer",
    [
        ["169.254.169.254"],
        ["fe80::1"],
        ["::ffff:169.254.169.254"],
        ["127.0.0.1", "169.254.169.254"],
        ["192.0.0.192", "127.0.0.1"],
    ],
)
async def test_a_name_is_not_asked_when_one_of_its_addresses_is_where_clouds_keep_secrets(answer: list[str]):
    async with a_hook({"allow": True}) as (url, came):
        allowed, reason = await asked(url.replace("127.0.0.1", "gate.example.com"), names=Names(answer))
    assert (allowed, came) == (False, [])
    assert reason.startswith("gate.example.com stands for an address that is not asked: ")


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "169.254.43518", "0251.0376.0251.0376"])
async def test_no_other_way_to_write_an_address_gets_around_that(host: str):
    allowed, reason = await asked(f"http://{host}/latest/meta-data", timeout=2)
    assert not allowed
    assert "allows" not in reason
