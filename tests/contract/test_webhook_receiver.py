"""Promises of the receiver over real HTTP: what comes in is bounded, answered, and decides nothing."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from fakes.hooks import HTTPS, KINDS, NOW, SECRET, SIGNING_TOKEN, Hook, hook, payload
from fakes.virtual_time import VirtualClock

from gitmesh.engine.meters import Meters
from gitmesh.engine.report import Source
from gitmesh.kube.errors import ClusterError, NotFoundError
from gitmesh.model.errors import EdgeError
from gitmesh.model.receivers import Receiver, ReceiverLimits
from gitmesh.model.resource import ResourceKey, resource_from_body
from gitmesh.model.source import TrafficSourceSpec, TrafficSourceStatus
from gitmesh.web.hooks.receiver import HookReceiver
from gitmesh.web.serving import serve_strangers

pytestmark = pytest.mark.anyio
START = datetime.fromtimestamp(NOW, UTC)
LIMITS = ReceiverLimits()
FAST = ReceiverLimits(request_timeout=timedelta(milliseconds=300))


class Clock(VirtualClock):
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        super().__init__()
        self.time, self.elapsed = START, 100.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.elapsed


@dataclass
class Site:
    """A receiver that listens, and what became of what it was sent."""

    port: int
    clock: Clock
    meters: Meters
    receiver: HookReceiver | None = None
    woken: list[str] = field(default_factory=list)
    failure: ClusterError | None = None

    async def send(
        self, path: str, request: Hook | None = None, *, method: str = "POST", **headers: str
    ) -> tuple[int, str]:
        def talk() -> tuple[int, str]:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                sent = request or Hook({}, b"")
                connection.request(method, path, sent.body, {**sent.headers, **headers})
                answer = connection.getresponse()
                return answer.status, answer.read(10_000).decode()
            finally:
                connection.close()

        return await to_thread.run_sync(talk)

    def count(self, receiver: str, outcome: str) -> float:
        return self.meters.webhooks.labels(receiver, outcome)._value.get()


def a_source(name: str, url: str, branch: str = "main") -> Source:
    body = {
        "apiVersion": "gitmesh.dev/v1alpha1",
        "kind": "TrafficSource",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {},
    }
    return Source(resource_from_body(body), TrafficSourceSpec(url=url, branch=branch), TrafficSourceStatus())


def receivers(directory: Path, sources: Sequence[str]) -> list[Receiver]:
    found = []
    for name, kind, secret in [*((k, k, SECRET) for k in KINDS), ("signing", "gitlab", SIGNING_TOKEN)]:
        file = directory / name
        file.write_text(f"{secret}\n")
        body = {"name": name, "kind": kind, "secret": {"file": str(file)}, "sources": sources}
        found.append(Receiver.model_validate(body))
    return found


SOURCES = [
    a_source("traffic", HTTPS),
    a_source("live", HTTPS, "live"),
    a_source("cloud", "git@bitbucket.org:mesh/traffic.git"),
]


@asynccontextmanager
async def a_site(
    directory: Path, limits: ReceiverLimits = LIMITS, sources: Sequence[str] = ()
) -> AsyncIterator[Site]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    site = Site(port, Clock(), Meters())

    async def wake(key: ResourceKey) -> None:
        await anyio.lowlevel.checkpoint()
        if site.failure is not None:
            raise site.failure
        site.woken.append(key.name)

    receiver = HookReceiver(
        receivers(directory, sources),
        limits,
        sources=lambda: SOURCES,
        wake=wake,
        clock=site.clock,
        meters=site.meters,
    )
    site.receiver = receiver
    async with anyio.create_task_group() as group:
        group.start_soon(serve_strangers, receiver.app(), "127.0.0.1", port, limits)
        with anyio.fail_after(20):
            while True:
                try:
                    stream = await anyio.connect_tcp("127.0.0.1", port)
                    break
                except OSError:
                    await anyio.sleep(0.02)
        await stream.aclose()
        yield site
        group.cancel_scope.cancel()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with a_site(tmp_path) as running:
        yield running


@pytest.mark.parametrize("kind", KINDS)
async def test_a_push_wakes_exactly_the_sources_that_follow_it(site: Site, kind: str):
    assert await site.send(f"/hooks/{kind}", hook(kind)) == (202, "woken: 1\n")
    assert site.woken == ["cloud" if kind == "bitbucket" else "traffic"]
    assert site.count(kind, "woken") == 1


async def test_gitlabs_signing_token_is_known_beside_its_secret_token(site: Site):
    assert (await site.send("/hooks/signing", hook("gitlab", secret=SIGNING_TOKEN)))[0] == 202
    assert (await site.send("/hooks/signing", hook("gitlab")))[0] == 401


async def test_a_push_that_nobody_follows_wakes_nobody(site: Site):
    request = hook("github", payload("github", ref="refs/heads/feature"))
    assert await site.send("/hooks/github", request) == (200, "no source follows that\n")
    assert site.woken == []


async def test_a_ping_is_answered(site: Site):
    assert await site.send("/hooks/github", hook("github", {"zen": "x"}, event="ping")) == (200, "pong\n")


@pytest.mark.parametrize("kind", KINDS)
async def test_g33_a_bad_signature_is_401_and_nothing_happens(site: Site, kind: str):
    assert (await site.send(f"/hooks/{kind}", hook(kind, secret="wrong")))[0] == 401
    assert (await site.send(f"/hooks/{kind}", Hook({}, hook(kind).body)))[0] == 401
    assert site.woken == []
    assert site.count(kind, "refused") == 2


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"{}", b"\xff", b'{"ref": null}', b"[" * 9_999])
@pytest.mark.parametrize("kind", KINDS)
async def test_g33_a_signed_body_that_makes_no_sense_is_400(site: Site, kind: str, body: bytes):
    status, text = await site.send(f"/hooks/{kind}", hook(kind, body=body))
    assert status == 400, text
    assert site.woken == []


@pytest.mark.parametrize("length", [3_145_729, 50_000_000])
async def test_g33_cve_2024_40634_a_huge_body_is_413_and_is_not_kept(site: Site, length: int):
    status, text = await site.send("/hooks/github", hook("github", body=b"x" * length))
    assert (status, text) == (413, "the body has more than 3145728 bytes\n")
    assert (await site.send("/hooks/github", hook("github")))[0] == 202


async def test_cve_2024_40634_a_body_that_is_said_to_be_endless_is_not_even_read(site: Site):
    async with await anyio.connect_tcp("127.0.0.1", site.port) as stream:
        await stream.send(b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 413 ")


async def test_only_post_is_allowed_and_other_paths_tell_nothing(site: Site):
    for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS"):
        assert (await site.send("/hooks/github", method=method))[0] == 405
    for path in (
        "/",
        "/hooks",
        "/hooks/",
        "/hooks/unknown",
        "/hooks/github/",
        "/hooks/a/b",
        "/metrics",
        "/%00",
    ):
        assert await site.send(path, hook("github")) == (404, "Not Found")
    assert site.woken == []


async def test_a_delivery_that_comes_again_does_nothing(site: Site):
    for kind in KINDS:
        first = await site.send(f"/hooks/{kind}", hook(kind))
        again = await site.send(f"/hooks/{kind}", hook(kind))
        assert (first[0], again) == (202, (200, "this delivery came before\n"))
    assert len(site.woken) == len(KINDS)
    assert site.count("github", "replayed") == 1


async def test_after_the_window_a_signed_moment_is_too_old_and_a_delivery_may_be_sent_again(site: Site):
    for kind in ("generic", "github"):
        await site.send(f"/hooks/{kind}", hook(kind))
    site.clock.time += timedelta(seconds=301)
    assert (await site.send("/hooks/generic", hook("generic")))[0] == 401
    assert (await site.send("/hooks/github", hook("github")))[0] == 202, "somebody pressed Redeliver"


async def test_a_delivery_that_the_cluster_did_not_take_may_come_again(site: Site):
    site.failure = ClusterError("patch: connection refused", retryable=True)
    status, text = await site.send("/hooks/github", hook("github"))
    assert (status, "connection" in text) == (503, False), "a stranger learns nothing of the cluster"
    site.failure = None
    assert (await site.send("/hooks/github", hook("github")))[0] == 202


async def test_a_source_that_was_deleted_a_moment_ago_is_no_failure(site: Site):
    site.failure = NotFoundError("gone", retryable=False)
    assert (await site.send("/hooks/github", hook("github")))[0] == 202


async def test_too_many_webhooks_are_429_and_strangers_do_not_use_the_allowance_up(tmp_path: Path):
    async with a_site(tmp_path, ReceiverLimits(hooks_per_minute_max=3)) as site:
        for _ in range(10):
            assert (await site.send("/hooks/github", hook("github", secret="wrong")))[0] == 401
        statuses = [(await site.send("/hooks/gitea", hook("gitea", delivery=str(n))))[0] for n in range(5)]
        assert statuses == [202, 202, 202, 429, 429]
        assert (await site.send("/hooks/forgejo", hook("forgejo")))[0] == 202, "each receiver has its own"
        site.clock.elapsed += 20
        assert (await site.send("/hooks/gitea", hook("gitea", delivery="later")))[0] == 202


async def test_a_body_that_does_not_arrive_is_408(tmp_path: Path):
    async with a_site(tmp_path, FAST) as site:
        async with await anyio.connect_tcp("127.0.0.1", site.port) as stream:
            await stream.send(b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            assert (await stream.receive()).startswith(b"HTTP/1.1 408 ")
        assert site.count("github", "slow") == 1


async def test_headers_without_end_are_refused(site: Site):
    async with await anyio.connect_tcp("127.0.0.1", site.port) as stream:
        answer = b""
        try:
            await stream.send(b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 200_000)
            answer = await stream.receive()
        except (anyio.BrokenResourceError, anyio.EndOfStream):
            pass  # it was closed before we could read why
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert (await site.send("/hooks/github", hook("github")))[0] == 202


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"POST /hooks/github HTTP/9.9\r\n\r\n",
        b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nz\r\n",
        b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
)
async def test_what_is_no_http_harms_nobody(site: Site, raw: bytes):
    async with await anyio.connect_tcp("127.0.0.1", site.port) as stream:
        await stream.send(raw)
    assert (await site.send("/hooks/github", hook("github")))[0] == 202


async def test_a_secret_is_read_anew_and_its_loss_is_503(site: Site, tmp_path: Path):
    (tmp_path / "github").write_text("another")
    assert (await site.send("/hooks/github", hook("github")))[0] == 401
    assert (await site.send("/hooks/github", hook("github", secret="another")))[0] == 202
    (tmp_path / "github").unlink()
    assert (await site.send("/hooks/github", hook("github", delivery="2")))[0] == 503
    (tmp_path / "github").write_text("")
    assert (await site.send("/hooks/github", hook("github", secret="")))[0] == 503, "never without a secret"


async def test_no_secret_and_nothing_of_a_body_is_logged(site: Site, capfd: pytest.CaptureFixture[str]):
    await site.send("/hooks/gitlab", hook("gitlab"))
    await site.send("/hooks/gitlab", hook("gitlab", secret="tried-in-vain", delivery="2"))
    await site.send("/hooks/github", hook("github", {"ref": "quoted-text", "repository": {}}))
    out, err = capfd.readouterr()
    said = out + err
    assert "outcome" in said
    assert [word for word in (SECRET, "tried-in-vain", "quoted-text") if word in said] == []


@pytest.mark.parametrize("secret", [{"file": "/nowhere/at/all"}, {"env": "GITMESH_TEST_NO_SUCH_VARIABLE"}])
def test_there_is_no_receiver_without_a_secret(secret: dict[str, str]):
    receiver = Receiver.model_validate({"name": "open", "kind": "github", "secret": secret})
    everything: dict[str, Any] = {"sources": list, "wake": None, "clock": Clock(), "meters": Meters()}
    with pytest.raises(EdgeError, match="receiver open"):
        HookReceiver([receiver], ReceiverLimits(), **everything)


async def test_cve_2026_44936_no_address_of_a_payload_is_ever_asked(site: Site):
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/mesh/traffic.git"
        for kind in KINDS:
            assert (await site.send(f"/hooks/{kind}", hook(kind, payload(kind, url=url))))[0] < 300
        with pytest.raises(BlockingIOError):
            trap.accept()


async def test_cve_2026_40109_a_genuine_webhook_wakes_no_source_that_its_receiver_may_not(tmp_path: Path):
    """The proof says who sends; what it may do is another question, and is asked as well."""
    async with a_site(tmp_path, sources=["default/live"]) as site:
        assert await site.send("/hooks/github", hook("github")) == (200, "no source follows that\n")
        request = hook("github", payload("github", ref="refs/heads/live"))
        assert await site.send("/hooks/github", request) == (202, "woken: 1\n")
        assert site.woken == ["live"]


async def test_receivers_change_while_they_listen_and_remember_what_they_had(site: Site, tmp_path: Path):
    assert site.receiver is not None
    assert (await site.send("/hooks/github", hook("github")))[0] == 202
    by_name = {receiver.name: receiver for receiver in receivers(tmp_path, ())}
    narrowed = by_name["github"].model_copy(update={"sources": ("default/live", "default/traffic")})
    other = by_name["gitea"].model_copy(update={"name": "other"})
    site.receiver.configure([narrowed, other])
    assert await site.send("/hooks/github", hook("github")) == (200, "this delivery came before\n")
    assert (await site.send("/hooks/other", hook("gitea")))[0] == 202
    assert (await site.send("/hooks/gitea", hook("gitea")))[0] == 404
    (tmp_path / "gitea").write_text("")
    with pytest.raises(EdgeError, match="receiver other: the secret is empty"):
        site.receiver.configure([other])
    assert await site.send("/hooks/github", hook("github", delivery="2")) == (
        200,
        "this delivery came before\n",
    )
