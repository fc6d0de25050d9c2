"""Alarms of both kinds, the daemon's and those of virtual time, keep the same promises."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest
from fakes.virtual_time import VirtualAlarms, VirtualClock, run_virtually

from gitmesh.engine.alarms import SchedulerAlarms
from gitmesh.engine.clock import SystemClock

pytestmark = pytest.mark.anyio
SOON = timedelta(milliseconds=30)


@pytest.fixture
def alarms(anyio_backend: str) -> SchedulerAlarms:
    return SchedulerAlarms()


async def test_an_alarm_of_the_past_rings_at_once_and_only_once(alarms: SchedulerAlarms):
    alarms.start()
    rung = anyio.Event()
    count: list[int] = []
    alarms.at("a", SystemClock().now() - timedelta(hours=1), lambda: (count.append(1), rung.set()))
    with anyio.fail_after(5):
        await rung.wait()
    await anyio.sleep(0.05)
    assert len(count) == 1
    alarms.stop()


async def test_the_same_name_replaces_and_a_cancelled_alarm_is_silent(alarms: SchedulerAlarms):
    alarms.start()
    now, last = SystemClock().now(), anyio.Event()
    heard: list[str] = []
    alarms.at("a", now + SOON, lambda: heard.append("first"))
    alarms.at("a", now + 2 * SOON, lambda: heard.append("second"))
    alarms.at("b", now + SOON, lambda: heard.append("cancelled"))
    alarms.cancel("b")
    alarms.cancel("never set")
    alarms.at("c", now + 4 * SOON, last.set)
    with anyio.fail_after(5):
        await last.wait()
    assert heard == ["second"]
    alarms.stop()


async def test_a_repeated_alarm_rings_on(alarms: SchedulerAlarms):
    alarms.start()
    heard: list[int] = []
    done = anyio.Event()

    def ring() -> None:
        heard.append(1)
        if len(heard) == 3:
            done.set()

    alarms.every("a", SOON, ring)
    with anyio.fail_after(5):
        await done.wait()
    alarms.stop()


async def test_when_the_clock_was_set_every_alarm_rings_and_repeated_ones_go_on(alarms: SchedulerAlarms):
    alarms.start()
    heard: list[str] = []
    later = SystemClock().now() + timedelta(hours=1)
    alarms.at("a", later, lambda: heard.append("a"))
    alarms.every("b", timedelta(hours=1), lambda: heard.append("b"))
    for _ in range(2):
        alarms.ring_all(SystemClock().now())
        await anyio.sleep(0.1)
    assert sorted(heard) == ["a", "b", "b"]
    alarms.stop()


def test_virtual_alarms_wait_for_the_time_of_day_also_when_it_is_set_back():
    async def story() -> None:
        clock = VirtualClock()
        alarms, rung = VirtualAlarms(clock), []
        alarms.at("a", clock.now() + timedelta(seconds=10), lambda: rung.append(clock.monotonic()))
        alarms.at("b", clock.now() - timedelta(seconds=10), lambda: rung.append(clock.monotonic()))
        await anyio.sleep(5)
        clock.set_back(3)
        await anyio.sleep(20)
        assert rung == [0, 13]

    run_virtually(story)
