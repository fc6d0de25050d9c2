"""The notifier: told once, retried, bounded, in order, and never in the way of anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import anyio
import pytest
from fakes.notices import NOON, FakeOutlet, a_commit_status, a_notice, a_rollback, a_step
from fakes.virtual_time import VirtualClock, run_virtually

from gitmesh.model.notice import CommitStatus, Notice
from gitmesh.model.notifications import NotificationConfig
from gitmesh.notify.errors import DeliveryError
from gitmesh.notify.mailbox import Mailbox, Recently
from gitmesh.notify.notifier import Notifier

DOWN = DeliveryError("chat: HTTP 503")
MINUTE = timedelta(minutes=1)


class Desk:
    """A notifier with its outlets, at work."""

    def __init__(self, *outlets: FakeOutlet, **config: Any) -> None:
        self.clock = VirtualClock()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.outlets = outlets
        self.notifier = Notifier(
            outlets, NotificationConfig(**config), self.clock, lambda *what: self.counts.update([what])
        )


def at_desk(desk: Desk, work: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(desk.notifier.run)
            await work()
            group.cancel_scope.cancel()

    run_virtually(run)


# What was told --------------------------------------------------------------------------------------------


def test_the_same_news_is_told_once_within_the_window_and_again_after_it():
    told, notice = Recently(10 * MINUTE), a_notice("DriftHealed", "warning")
    times = [NOON, NOON + 9 * MINUTE, NOON + 11 * MINUTE]
    assert [told.is_repeat(notice, now) for now in times] == [False, True, False]


def test_what_people_believe_is_what_was_told_last():
    told = Recently(10 * MINUTE)
    failed = a_notice("FetchFailed", "error", same="FetchFailed", subject="fetch")
    works = a_notice("FetchRecovered", "info", same="FetchRecovered", subject="fetch")
    assert [told.is_repeat(item, NOON) for item in (failed, failed, works, failed)] == [
        False,
        True,
        False,
        False,
    ]


def test_a_clock_that_was_set_back_silences_nothing():
    told, notice = Recently(10 * MINUTE), a_notice()
    told.is_repeat(notice, NOON)
    assert not told.is_repeat(notice, NOON - timedelta(hours=5))


def test_a_commit_status_is_news_only_when_its_state_changes():
    told = Recently(None)
    states = ["pending", "pending", "success", "success", "pending"]
    later = [NOON + timedelta(days=400 * i) for i in range(len(states))]
    repeats = [told.is_repeat(a_commit_status(s), now) for s, now in zip(states, later, strict=True)]
    assert repeats == [False, True, False, True, False]


# What waits -----------------------------------------------------------------------------------------------


def test_the_oldest_progress_is_dropped_before_any_failure():
    box = Mailbox(3, merges=False)
    failure, steps = a_rollback(), [a_step(10), a_step(20, 1), a_step(30, 2)]
    assert box.put(failure) is None
    assert box.put(steps[0]) is None
    assert box.put(steps[1]) is None
    assert box.put(steps[2]) is steps[0]
    assert box.put(a_rollback("run-2")) is steps[1]
    assert box.put(a_rollback("run-3")) is steps[2]
    assert box.put(a_step(40)) is not failure  # nor for progress that comes later
    assert len(box) == 3


def test_what_is_on_its_way_is_neither_dropped_nor_changed():
    box = Mailbox(1, merges=True)
    first, second, third = a_step(10), a_step(20, 1), a_step(30, 2)
    box.put(first)
    assert box.first() is first
    assert box.put(second) is second
    assert box.first() is first
    box.done()
    box.put(third)
    assert box.first() is third


def test_where_things_stand_is_shown_only_the_newest_waits():
    box = Mailbox(10, merges=True)
    box.put(a_step(10))
    box.put(a_step(10, run="run-2"))
    box.put(newest := a_step(30, 2))
    assert len(box) == 2
    assert box.first() is newest


def test_a_rollback_that_waits_is_not_replaced_by_what_matters_less():
    box = Mailbox(10, merges=True)
    box.put(back := a_rollback())
    box.put(a_notice("Resumed", "info", rollout=a_step(0).rollout))
    assert len(box) == 2
    assert box.first() is back


# Delivery -------------------------------------------------------------------------------------------------


def test_everybody_is_told_in_order():
    chat, mail = FakeOutlet("chat"), FakeOutlet("mail")
    desk = Desk(chat, mail)
    items = [a_step(10), a_step(20, 1), a_rollback()]

    async def work() -> None:
        for item in items:
            desk.notifier.tell(item)
        await anyio.sleep(1)

    at_desk(desk, work)
    assert chat.taken == mail.taken == items
    assert desk.counts == {("chat", "delivered"): 3, ("mail", "delivered"): 3}


def test_a_target_that_is_down_is_tried_again_less_and_less_often_and_holds_up_no_other():
    chat, mail = FakeOutlet("chat"), FakeOutlet("mail")
    chat.answers = [DOWN] * 3
    desk = Desk(chat, mail)

    async def work() -> None:
        desk.notifier.tell(a_rollback())
        await anyio.sleep(0.5)
        assert (len(mail.taken), len(chat.tried)) == (1, 1)
        await anyio.sleep(6)  # after 1, 2 and 4 s
        assert len(chat.tried) == 3
        await anyio.sleep(1)
        assert len(chat.taken) == 1

    at_desk(desk, work)
    assert desk.counts["chat", "retried"] == 3


def test_a_target_is_left_alone_for_as_long_as_it_asks():
    chat = FakeOutlet("chat")
    chat.answers = [DeliveryError("chat: HTTP 429", after_seconds=120)]
    desk = Desk(chat)

    async def work() -> None:
        desk.notifier.tell(a_rollback())
        await anyio.sleep(119)
        assert chat.taken == []
        await anyio.sleep(2)
        assert len(chat.taken) == 1

    at_desk(desk, work)


def test_what_a_target_refuses_is_not_tried_again_and_the_next_one_is():
    chat = FakeOutlet("chat")
    chat.answers = [DeliveryError("chat: HTTP 400", retryable=False), RuntimeError("a bug")]
    desk = Desk(chat)

    async def work() -> None:
        for item in (a_step(10), a_step(20, 1), a_rollback()):
            desk.notifier.tell(item)
        await anyio.sleep(1)

    at_desk(desk, work)
    assert chat.taken == [a_rollback()]
    assert desk.counts == {("chat", "refused"): 2, ("chat", "delivered"): 1}


def test_it_is_given_up_after_its_time_and_may_be_told_anew():
    chat = FakeOutlet("chat")
    chat.answers = [DOWN] * 1_000
    desk = Desk(chat, give_up=timedelta(minutes=5))

    async def work() -> None:
        desk.notifier.tell(a_rollback())
        await anyio.sleep(600)
        assert desk.notifier.waiting == 0
        tried = len(chat.tried)
        chat.answers = []
        desk.notifier.tell(a_rollback())
        await anyio.sleep(1)
        assert len(chat.tried) == tried + 1

    at_desk(desk, work)
    assert desk.counts["chat", "refused"] == 1
    assert desk.counts["chat", "delivered"] == 1


def test_what_is_dropped_is_counted():
    chat = FakeOutlet("chat")
    chat.answers = [DOWN] * 1_000
    desk = Desk(chat, queue_max=5)

    async def work() -> None:
        for number in range(20):
            desk.notifier.tell(a_step(number, number))
        await anyio.sleep(1)
        assert desk.notifier.waiting == 5

    at_desk(desk, work)
    assert desk.counts["chat", "dropped"] == 15


def test_what_waits_is_tried_once_more_when_the_daemon_stops():
    chat, dead = FakeOutlet("chat"), FakeOutlet("dead")
    desk = Desk(chat, dead)
    dead.answers = [DOWN] * 1_000

    async def run() -> None:
        desk.notifier.tell(a_rollback())
        await desk.notifier.close(3.0)

    run_virtually(run)
    assert chat.taken == [a_rollback()]
    assert (chat.closed, dead.closed, len(dead.tried)) == (True, True, 1)


def test_a_bug_in_a_target_is_not_the_problem_of_who_tells(monkeypatch: pytest.MonkeyPatch):
    chat = FakeOutlet("chat")
    desk = Desk(chat)

    def takes(item: object) -> bool:
        raise RuntimeError("a bug")

    monkeypatch.setattr(chat, "takes", takes)
    desk.notifier.tell(a_rollback())
    assert desk.notifier.waiting == 0


def test_without_targets_nothing_is_kept():
    desk = Desk()
    desk.notifier.tell(a_rollback())
    assert desk.notifier.waiting == 0


def test_other_targets_are_told_from_the_moment_of_a_change_and_what_waited_is_tried_once_more():
    before, dead, after = FakeOutlet("chat"), FakeOutlet("dead"), FakeOutlet("chat")
    desk = Desk(before, dead)
    dead.answers = [DOWN] * 1_000

    async def work() -> None:
        desk.notifier.tell(a_rollback())
        await anyio.sleep(0.5)
        desk.notifier.configure([after], NotificationConfig())
        await anyio.sleep(10)
        assert (before.taken, len(dead.tried)) == ([a_rollback()], 2)
        assert (before.closed, dead.closed, after.closed) == (True, True, False)
        desk.notifier.tell(a_rollback())
        await anyio.sleep(1)
        assert (len(before.taken), after.taken) == (1, [a_rollback()])

    at_desk(desk, work)


# Another leader ------------------------------------------------------------------------------------------


def test_what_another_leader_told_meanwhile_is_not_known_so_the_same_is_told_again():
    desk = Desk(FakeOutlet(), FakeOutlet("commits", merges=True))

    async def work() -> None:
        for item in (a_step(10), a_commit_status("success")):
            desk.notifier.tell(item)
            desk.notifier.tell(item)
        await anyio.sleep(1)
        desk.notifier.begin()
        for item in (a_step(10), a_commit_status("success")):
            desk.notifier.tell(item)
        await anyio.sleep(1)

    at_desk(desk, work)
    for outlet in desk.outlets:
        assert Counter(map(type, outlet.taken)) == {Notice: 2, CommitStatus: 2}
        assert outlet.begun == 1


def test_who_leads_no_more_does_not_say_how_things_stood():
    """The new leader has said how they stand; what happened is told all the same."""
    chat, hook = FakeOutlet("chat", merges=True), FakeOutlet("hook")
    desk = Desk(chat, hook)
    happened = a_notice("DriftHealed", "warning")
    other = a_step(70, source="default/other", run="run-9")

    async def work() -> None:
        for outlet in desk.outlets:
            outlet.answers = [DOWN]
        for item in (a_step(10), a_commit_status(), happened, other):
            desk.notifier.tell(item)
        await anyio.sleep(0.5)  # the first attempt has failed
        desk.notifier.leave(frozenset({"default/mesh"}))
        await anyio.sleep(60)

    at_desk(desk, work)
    assert chat.taken == [happened, other]
    assert hook.taken == [a_step(10), a_commit_status(), happened, other]
