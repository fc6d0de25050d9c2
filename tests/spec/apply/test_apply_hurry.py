"""A write that nothing may hold up is tried beside one that hangs, and never given up for being slow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest
from fakes.virtual_time import run_virtually

from gitmesh.apply.hurry import ATTEMPTS_MAX, Hurried
from gitmesh.kube.errors import ClusterError, RejectedError, StaleWriteError
from gitmesh.kube.protocol import Body
from gitmesh.model.kinds import VIRTUAL_SERVICE, Kind

BODY = {"metadata": {"name": "reviews"}}
BROKE = ClusterError("the connection broke", retryable=True)
STALE = StaleWriteError("the object has been modified", retryable=True, status=409)
Answer = float | ClusterError  # seconds until it works, or what goes wrong at once


class Server:
    """Answers each attempt as it is told; the last word counts for all that follow."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = answers
        self.attempts = self.under_way = self.most = self.given_up = 0

    async def apply(self, kind: Kind, body: Body, *, force: bool = False, dry_run: bool = False) -> Body:
        answer = self.answers[min(self.attempts, len(self.answers) - 1)]
        self.attempts += 1
        if isinstance(answer, ClusterError):
            raise answer
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await anyio.sleep(answer)
        except anyio.get_cancelled_exc_class():
            self.given_up += 1
            raise
        finally:
            self.under_way -= 1
        return body


def hurried(server: Server, patience: float = 2.0) -> tuple[float, Body | ClusterError]:
    """Return how long it took, and what came of it."""
    found: list[tuple[float, Body | ClusterError]] = []

    async def story() -> None:
        began = anyio.current_time()
        client = Hurried(server, patience)  # type: ignore[arg-type]  # the part of a client that is used
        result: Body | ClusterError
        try:
            result = await client.apply(VIRTUAL_SERVICE, BODY, force=True)
        except ClusterError as error:
            result = error
        found.append((anyio.current_time() - began, result))

    run: Callable[[Callable[[], Awaitable[None]]], object] = run_virtually
    run(story)
    return found[0]


def test_what_is_answered_soon_is_asked_once():
    server = Server(0.15)
    assert hurried(server) == (pytest.approx(0.15), BODY)
    assert server.attempts == 1


def test_an_attempt_that_hangs_is_joined_by_another_one():
    server = Server(1000, 0.01)
    assert hurried(server) == (pytest.approx(0.21), BODY)
    assert (server.attempts, server.given_up) == (2, 1)


def test_a_slow_server_is_let_finish_what_it_was_asked_first():
    server = Server(1.5)
    assert hurried(server) == (pytest.approx(1.5), BODY)


def test_what_broke_is_tried_again_at_once():
    server = Server(BROKE, STALE, 0.01)
    took, result = hurried(server)
    assert result == BODY
    assert took < 0.2


def test_a_refusal_ends_it():
    server = Server(RejectedError("denied", retryable=False, status=403))
    took, result = hurried(server)
    assert (took, str(result), server.attempts) == (0, "denied", 1)


@pytest.mark.parametrize("seconds", [2.0, 10.0])
def test_patience_ends_and_attempts_are_bounded(seconds: float):
    server = Server(1000)
    took, result = hurried(server, seconds)
    assert took == pytest.approx(seconds)
    assert isinstance(result, ClusterError)
    assert result.retryable
    assert f"no answer within {seconds:g} s" in str(result)
    assert server.most <= ATTEMPTS_MAX
    assert server.under_way == 0


def test_a_server_that_is_down_is_not_flooded():
    server = Server(BROKE)
    took, result = hurried(server, 10)
    assert (took, result) == (pytest.approx(10), BROKE)
    assert server.attempts < 30
