"""When steps forward may be taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmesh.model.calendar import cron_problem, zone_problem
from gitmesh.model.policy import Window
from gitmesh.model.values import parse_duration
from gitmesh.model.windows import Calendar, Opening, opening_at


def a_window(cron: str = "0 9 * * mon-fri", duration: str = "8h", timezone: str = "Europe/Berlin") -> Window:
    return Window(cron=cron, duration=parse_duration(duration), timezone=timezone)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def opening(at: str, *windows: Window) -> Opening:
    return opening_at(windows, utc(at))


def test_without_windows_it_is_always_open():
    assert opening("2026-03-02T03:00") == Opening(True)


def test_a_window_is_open_from_its_moment_for_its_duration():
    office = a_window()  # 08:00 to 16:00 UTC in winter
    assert opening("2026-03-02T08:00", office) == Opening(True, utc("2026-03-02T16:00"))
    assert opening("2026-03-02T15:59:59", office) == Opening(True, utc("2026-03-02T16:00"))
    assert opening("2026-03-02T07:59:59", office) == Opening(False, utc("2026-03-02T08:00"))
    assert opening("2026-03-02T16:00", office) == Opening(False, utc("2026-03-03T08:00"))


def test_over_a_weekend_the_next_opening_is_on_monday():
    assert opening("2026-03-06T16:00", a_window()) == Opening(False, utc("2026-03-09T08:00"))


def test_the_wall_clock_of_the_zone_counts_before_and_after_the_clocks_are_set():
    office = a_window(cron="0 9 * * *")
    assert opening("2026-03-28T07:00", office).until == utc("2026-03-28T08:00")
    assert opening("2026-03-29T06:00", office).until == utc("2026-03-29T07:00")
    assert opening("2026-10-25T07:30", office).until == utc("2026-10-25T08:00")


def test_a_moment_that_does_not_exist_is_the_next_one_that_does():
    night = a_window("30 2 * * *", "1h")
    assert opening("2026-03-29T00:59", night) == Opening(False, utc("2026-03-29T01:00"))
    assert opening("2026-03-29T01:30", night) == Opening(True, utc("2026-03-29T02:00"))


def test_a_moment_that_comes_twice_opens_once():
    night = a_window("30 2 * * *", "15m")
    assert opening("2026-10-25T00:30", night) == Opening(True, utc("2026-10-25T00:45"))  # the first 02:30
    assert opening("2026-10-25T01:30", night) == Opening(False, utc("2026-10-26T01:30"))  # the second one


def test_a_window_over_the_setting_of_clocks_lasts_as_long_as_it_says():
    for day in ("2026-03-28", "2026-10-24"):
        long = a_window("0 22 * * sat", "8h")
        start = opening(f"{day}T12:00", long).until
        assert opening_at((long,), start + timedelta(hours=7, minutes=59)).is_open
        assert not opening_at((long,), start + timedelta(hours=8)).is_open


def test_in_the_hour_that_comes_twice_what_began_before_it_is_still_open():
    late = a_window("15 2 * * *", "2h")
    assert opening("2026-10-25T01:10", late) == Opening(True, utc("2026-10-25T02:15"))


def test_windows_that_touch_are_one():
    two = (a_window("0 8 * * *", "4h", "UTC"), a_window("0 12 * * *", "4h", "UTC"))
    assert opening("2026-03-02T09:00", *two) == Opening(True, utc("2026-03-02T16:00"))


def test_windows_without_an_end_in_sight_have_none():
    assert opening("2026-03-02T09:00", a_window("*/20 * * * *", "45m")) == Opening(True, None)


def test_of_several_windows_the_next_one_counts():
    two = (a_window("0 8 * * *", "1h", "UTC"), a_window("0 20 * * *", "1h", "UTC"))
    assert opening("2026-03-02T10:00", *two) == Opening(False, utc("2026-03-02T20:00"))


def test_what_cannot_be_read_never_opens_and_says_why():
    for window in (a_window(timezone="Europe/Atlantis"), a_window(cron="0 9 30 2 *"), a_window(cron="x")):
        found = opening("2026-03-02T09:00", window)
        assert (found.is_open, found.until) == (False, None)
        assert found.problem
    assert opening("2026-03-02T09:00", a_window(timezone="../../etc/passwd")).problem
    one_is_right = opening("2026-03-02T09:00", a_window(cron="x"), a_window())
    assert (one_is_right.is_open, bool(one_is_right.problem)) == (True, True)


@pytest.mark.parametrize(
    "cron", ["", "0 9 * *", "61 * * * *", "0 0 31 2 *", "0 9 * * mon-fri extra", "@daily"]
)
def test_a_cron_expression_that_is_none_is_told(cron: str):
    assert cron_problem(cron)


@pytest.mark.parametrize("cron", ["0 9 * * mon-fri", "*/15 * * * *", "0 0 29 2 *", "0 3 * * MON#1"])
def test_a_cron_expression_is_none_that_is_told(cron: str):
    assert cron_problem(cron) == ""


@pytest.mark.parametrize("name", ["", "Berlin", "Europe/Berlin/x", "/etc/localtime", "..", "Europe/Berl\0in"])
def test_a_time_zone_that_does_not_exist_is_told(name: str):
    assert zone_problem(name)


def test_a_calendar_looks_at_the_same_windows_once():
    calendar = Calendar(utc("2026-03-02T09:00"))
    assert calendar.opening((a_window(),)) is calendar.opening((a_window(),))


CRONS = ["0 9 * * mon-fri", "30 2 * * *", "15 1-3 * * *", "*/20 * * * *", "0 */6 * * *", "45 2 25 10 *"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]


@settings(max_examples=60, deadline=None)
@given(
    cron=st.sampled_from(CRONS),
    zone=st.sampled_from(ZONES),
    duration=st.sampled_from(["7m", "45m", "90m", "8h", "26h"]),
    day=st.sampled_from(["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"]),
    minute=st.integers(-1500, 2900),
)
def test_what_is_said_to_be_open_or_closed_is_so_until_the_moment_that_is_said(
    cron: str, zone: str, duration: str, day: str, minute: int
):
    window = a_window(cron, duration, zone)
    at = utc(day) + timedelta(minutes=minute)
    now = opening_at((window,), at)
    assert now.until is None or now.until > at
    span = min(now.until - at if now.until else timedelta(days=2), timedelta(days=2))
    for part in range(1, 8):
        assert opening_at((window,), at + span * part / 8).is_open == now.is_open
    if span < timedelta(days=2):
        assert opening_at((window,), now.until).is_open != now.is_open
