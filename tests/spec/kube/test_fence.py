"""A process writes only while its Lease is certain to be its own, by a clock that a freeze does not stop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from fakes.election import FakeClock, LeaseServer, elector, for_ever

from gitmesh.engine.clock import SystemClock
from gitmesh.kube.client import KubeClient
from gitmesh.kube.errors import ClusterError
from gitmesh.kube.fence import Fence, FencedError
from gitmesh.kube.lease import DEFAULT
from gitmesh.model.kinds import VIRTUAL_SERVICE

pytestmark = pytest.mark.anyio
BODY = {"metadata": {"namespace": "default", "name": "reviews", "resourceVersion": "1"}}
UNNAMED = {"metadata": {"namespace": "default", "name": "reviews"}}
DEADLINE = DEFAULT.renew_deadline.total_seconds()


class Api:
    """The official client as far as a call needs it; `meanwhile` runs between the check and the sending."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.sent: list[str] = []
        self.user_agent = "gitmesh"
        self.meanwhile = meanwhile
        self.configuration = SimpleNamespace(host="http://server", auth_settings=self._auth)

    async def _auth(self) -> dict[str, str]:
        self.meanwhile()
        return {}

    async def param_serialize(self, method: str, path: str, **_: Any) -> tuple[Any, ...]:
        return method, path, {}, None, None

    async def call_api(self, method: str, *_: Any, **__: Any) -> Any:
        self.sent.append(method)
        raise OSError("sent")


WRITES: list[Callable[[KubeClient], Any]] = [
    lambda client: client.apply(VIRTUAL_SERVICE, BODY),
    lambda client: client.apply(VIRTUAL_SERVICE, BODY, dry_run=True),
    lambda client: client.create(VIRTUAL_SERVICE, BODY),
    lambda client: client.replace(VIRTUAL_SERVICE, BODY),
    lambda client: client.replace_status(VIRTUAL_SERVICE, BODY),
    lambda client: client.merge_patch(VIRTUAL_SERVICE, "default", "reviews", {}),
    lambda client: client.delete(VIRTUAL_SERVICE, "default", "reviews"),
]


def a_client(api: Api, left: Callable[[], float]) -> KubeClient:
    return KubeClient(api, timeout=timedelta(seconds=5)).fenced(Fence(left, lambda: 0.0))


@pytest.mark.parametrize("write", WRITES)
async def test_nothing_that_writes_is_sent_without_the_lease(write: Callable[[KubeClient], Any]):
    api = Api()
    with pytest.raises(FencedError, match="another replica may lead"):
        await write(a_client(api, lambda: 0.0))
    assert api.sent == []


@pytest.mark.parametrize("write", WRITES)
async def test_a_process_that_was_frozen_after_the_check_is_checked_again(write: Callable[[KubeClient], Any]):
    left = 3.0

    def freeze() -> None:
        nonlocal left
        left = -1.0

    api = Api(freeze)
    with pytest.raises(FencedError):
        await write(a_client(api, lambda: left))
    assert api.sent == []


@pytest.mark.parametrize("write", WRITES)
async def test_with_the_lease_it_is_sent(write: Callable[[KubeClient], Any]):
    api = Api()
    with pytest.raises(ClusterError, match="sent"):
        await write(a_client(api, lambda: 3.0))
    assert len(api.sent) == 1


async def test_a_write_without_an_answer_is_remembered_for_a_while_and_a_refused_one_is_not():
    now, left = 100.0, 3.0
    fence = Fence(lambda: left, lambda: now)
    client = KubeClient(Api(), timeout=timedelta(seconds=5)).fenced(fence)
    assert not fence.is_open(15)
    with pytest.raises(ClusterError):
        await client.get(VIRTUAL_SERVICE, "default", "reviews")
    assert not fence.is_open(15)
    for guarded in (
        client.apply(VIRTUAL_SERVICE, BODY),
        client.apply(VIRTUAL_SERVICE, UNNAMED, dry_run=True),
        client.replace_status(VIRTUAL_SERVICE, BODY),
        client.delete(VIRTUAL_SERVICE, "default", "reviews", uid="u", version="1"),
        client.create(VIRTUAL_SERVICE, UNNAMED),
    ):
        with pytest.raises(ClusterError):
            await guarded
        assert not fence.is_open(15), "the server itself refuses it when it comes too late"
    with pytest.raises(ClusterError):
        await client.apply(VIRTUAL_SERVICE, UNNAMED)
    assert fence.is_open(15)
    now += 16
    assert not fence.is_open(15)
    left = 0.0
    with pytest.raises(FencedError):
        await client.apply(VIRTUAL_SERVICE, UNNAMED)
    assert not fence.is_open(15)


async def test_a_leader_of_which_a_write_was_never_answered_lets_its_lease_run_out():
    server, clock, log = LeaseServer(), FakeClock(), []
    leader = elector(server, clock, "a")
    leader.unsure = lambda: True
    async with anyio.create_task_group() as group:
        group.start_soon(leader.run, for_ever(log, "a"))
        await clock.advance(1)
        group.cancel_scope.cancel()
    assert server.history == ["a"], "and nobody else leads before that"


async def test_reading_needs_no_lease():
    api = Api()
    with pytest.raises(ClusterError, match="sent"):
        await a_client(api, lambda: 0.0).get(VIRTUAL_SERVICE, "default", "reviews")
    assert api.sent == ["GET"]


async def test_a_refused_write_was_not_carried_out_and_says_so():
    error = FencedError("write")
    assert error.retryable
    assert "not sent" in str(error)


async def test_the_lease_is_certain_for_the_renew_deadline_after_the_request_that_renewed_it():
    server, clock, log = LeaseServer(), FakeClock(), []
    leader = elector(server, clock, "a")
    assert leader.seconds_left() == 0
    async with anyio.create_task_group() as group:
        group.start_soon(leader.run, for_ever(log, "a"))
        await clock.advance(1)
        assert DEADLINE - 2 < leader.seconds_left() <= DEADLINE
        await clock.advance(30)
        assert leader.seconds_left() > DEADLINE - 3, "renewed again and again"
        clock.time += 60  # frozen: nothing of this process ran meanwhile
        assert leader.seconds_left() < 0
        group.cancel_scope.cancel()


def test_the_clock_of_the_machine_goes_on_while_it_is_suspended():
    import time

    assert abs(SystemClock().monotonic() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 60
