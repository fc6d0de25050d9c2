"""When a rollout would take which step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fakes.builders import NOON, a_policy_spec, a_rollout, a_virtual_service, seconds

from gitmesh.decide.timeline import DONE, Standing, Timeline, timelines
from gitmesh.model.freeze import Freeze
from gitmesh.model.policy import OnDeadline, Window
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.model.selector import Selector
from gitmesh.model.steps import Gate, RequestMatch, Step

SERVICE = a_virtual_service()
DAY = Window(cron="0 8 * * *", duration=seconds(8 * 3600))  # 8:00 to 16:00 UTC
MINUTES = "5 10m, 25 20m, 100"


def a_waiting(steps: str = MINUTES, gates: dict[int, Gate] | None = None, **policy: Any) -> RolloutRecord:
    spec = a_policy_spec(steps, bake="5m").model_copy(update=policy)
    at = {i: {"gate": gate} for i, gate in (gates or {}).items()}
    walked = tuple(step.model_copy(update=at.get(i, {})) for i, step in enumerate(spec.steps))
    record = a_rollout(at_percent=spec.steps[0].progress, steps=steps).model_copy(
        update={"phase": Phase.WAITING, "policy_spec": spec.model_copy(update={"steps": walked})}
    )
    return record.model_copy(update={"started_at": None, "step": 0})


def way(record: RolloutRecord, *freezes: Freeze, now: datetime = NOON) -> Timeline:
    return timelines({SERVICE.key: Standing(record, SERVICE, "careful")}, freezes, now)[SERVICE.key]


def told(found: Timeline) -> list[str]:
    """`"25 % 12:10"`, with a day where it is another one, and with its gate before it."""
    lines = []
    for stop in found.stops:
        moment = f"{stop.at:%H:%M}" if stop.at else "never"
        later = f"+{(stop.at.date() - NOON.date()).days} " if stop.at and stop.at.date() > NOON.date() else ""
        lines.append(f"{stop.gate + ', ' if stop.gate else ''}{stop.label} {later}{moment}")
    return lines


def test_a_rollout_takes_its_holds_and_its_bake():
    assert told(way(a_waiting())) == ["5 % 12:00", "25 % 12:10", "100 % 12:30", f"{DONE} 12:35"]
    assert way(a_waiting()).warnings == ()


def test_what_is_on_its_way_goes_on_from_where_it_is():
    record = a_rollout(at_percent=25, steps=MINUTES, bake="5m")
    assert told(way(record, now=NOON + seconds(300))) == ["25 % 12:05", "100 % 12:20", f"{DONE} 12:25"]
    assert told(way(record, now=NOON + seconds(3600)))[1] == "100 % 13:00"


def test_a_change_that_moves_no_weight_is_live_at_once_and_bakes():
    record = a_waiting().model_copy(update={"steps": 0})
    assert told(way(record)) == ["100 % 12:00", f"{DONE} 12:05"]


def test_behind_a_gate_no_moment_is_fixed():
    found = way(a_waiting(gates={1: Gate(manual=True)}))
    assert told(found) == ["5 % 12:00", "25 % 12:10", "manual gate, 100 % 12:30", f"{DONE} 12:35"]
    assert [stop.is_fixed for stop in found.stops] == [True, True, False, False]


def test_matches_and_mirrors_have_their_names():
    steps = (
        Step(match=(RequestMatch(cookies={"group": "beta"}),), hold=seconds(60)),
        Step(mirror=10.0),
        Step(progress=100.0),
    )
    record = a_waiting().model_copy(
        update={"policy_spec": a_policy_spec().model_copy(update={"steps": steps})}
    )
    labels = [stop.label for stop in way(record).stops]
    assert labels == ["chosen requests", "mirror 10 %", "100 %", DONE]


def test_a_rollout_that_begins_too_late_for_its_window_is_told_to_stay_over_night():
    late = NOON + seconds(3 * 3600 + 45 * 60)  # 15:45
    found = way(a_waiting(windows=(DAY,)), now=late)
    assert told(found) == ["5 % 15:45", "25 % 15:55", "100 % +1 08:00", f"{DONE} +1 08:05"]
    assert found.warnings == (
        "it cannot end before its window closes, Mon 02 Mar 16:00 UTC: it stays at 25 % until "
        "Tue 03 Mar 08:00 UTC",
    )


def test_a_rollout_that_waits_for_its_window_and_fits_is_no_reason_to_warn():
    evening = NOON + seconds(8 * 3600)
    found = way(a_waiting(windows=(DAY,)), now=evening)
    assert told(found)[0] == "5 % +1 08:00"
    assert found.warnings == ()


def test_a_freeze_that_begins_too_soon_is_told():
    freeze = Freeze("sale", NOON + seconds(1500), NOON + seconds(7200), "sre", "Black Friday")
    found = way(a_waiting(), freeze)
    assert told(found)[2:] == ["100 % 14:00", f"{DONE} 14:05"]
    assert found.warnings == (
        "it cannot end before freeze sale by sre: Black Friday begins, Mon 02 Mar 12:25 UTC: it stays at 25 "
        "% until Mon 02 Mar 14:00 UTC",
    )


def test_a_freeze_for_others_is_not():
    freeze = Freeze("sale", NOON, NOON + seconds(7200), "sre", "x", Selector(names=("ratings",)))
    assert way(a_waiting(), freeze).warnings == ()


def test_a_deadline_that_cannot_be_kept_is_told():
    found = way(a_waiting(deadline=seconds(1800)))
    (warning,) = found.warnings
    assert "is rolled back at Mon 02 Mar 12:30 UTC: its deadline is 30m" in warning
    (warning,) = way(a_waiting(deadline=seconds(1800), on_deadline=OnDeadline.HOLD)).warnings
    assert "stays where it is" in warning


def test_windows_that_never_open_are_told():
    found = way(a_waiting(windows=(DAY.model_copy(update={"timezone": "Mars"}),)))
    assert told(found) == ["5 % never", "25 % never", "100 % never", f"{DONE} never"]
    why = "its windows never open: there is no time zone 'Mars'"
    assert found.warnings == (f"it does not begin within a year: {why}",)


def test_what_is_at_rest_has_no_way():
    for phase in (Phase.SUCCEEDED, Phase.ROLLED_BACK):
        assert timelines({SERVICE.key: Standing(a_rollout(phase=phase), SERVICE)}, (), NOON) == {}


# Several


def a_way(steps: str = "50 10m, 100", begins: str = "Waiting", **policy: Any) -> RolloutRecord:
    """A rollout that waits, or is in its first step, by a policy of its own, without a bake."""
    spec = a_policy_spec(steps).model_copy(update=policy)
    at_percent = spec.steps[0].progress
    record = a_rollout(at_percent=at_percent, steps=steps, policy_spec=spec, phase=Phase(begins))
    return record if begins != "Waiting" else record.model_copy(update={"started_at": None, "step": 0})


def several(*freezes: Freeze, now: datetime = NOON, **records: RolloutRecord) -> dict[str, Timeline]:
    """The ways of rollouts of one policy, by name."""
    services = {name: a_virtual_service(f"{name}: v1") for name in records}
    standing = {services[n].key: Standing(record, services[n], "careful") for n, record in records.items()}
    found = timelines(standing, freezes, now, exists=lambda key: key in standing)
    return {key.name: way for key, way in found.items()}


def moments(found: Timeline) -> list[str]:
    return [f"{stop.at:%H:%M}" if stop.at else "never" for stop in found.stops]


def test_what_comes_after_others_begins_when_they_are_done_and_no_moment_of_it_is_fixed():
    found = several(ratings=a_way(), reviews=a_way(after=("ratings",)))
    assert moments(found["ratings"]) == ["12:00", "12:10", "12:10"]
    assert moments(found["reviews"]) == ["12:10", "12:20", "12:20"]
    assert [(s.after, s.is_fixed) for s in found["reviews"].stops] == [
        ("after ratings", False),
        ("", False),
        ("", False),
    ]
    assert [(s.after, s.is_fixed) for s in found["ratings"].stops] == [("", True)] * 3


def test_what_comes_after_something_that_is_rolled_back_or_not_there_does_not_begin():
    back = a_rollout(phase=Phase.ROLLED_BACK)
    found = several(ratings=back, reviews=a_way(after=("ratings",)))
    assert list(found) == ["reviews"]
    assert moments(found["reviews"]) == ["never"] * 3
    assert found["reviews"].warnings == (
        "it does not begin within a year: waits for ratings, which is RolledBack",
    )
    (warning,) = several(reviews=a_way(after=("ratings",)))["reviews"].warnings
    assert warning.endswith("waits for ratings, which does not exist")


def test_no_more_begin_at_once_than_the_policy_says():
    one = a_way(max_concurrent=1)
    found = several(a=one, b=one, c=one)
    assert [moments(found[name])[0] for name in "abc"] == ["12:00", "12:10", "12:20"]
    assert [found[name].stops[0].after for name in "abc"] == [""] + ["after others of its policy"] * 2


def test_a_group_with_different_policies_goes_at_the_pace_of_the_slowest():
    fast, slow = a_way("20 1m, 40 1m, 100", group="shop"), a_way("50 30m, 100", group="shop")
    found = several(a=fast, b=slow)
    assert moments(found["a"]) == ["12:00", "12:30", "12:31", "12:31"]
    assert moments(found["b"]) == ["12:00", "12:30", "12:31"]


def test_the_window_of_one_holds_the_whole_group_and_each_says_whose_it_is():
    narrow = a_way("50 50m, 100", group="shop", windows=(Window(cron="0 12 * * *", duration=seconds(1800)),))
    found = several(a=a_way("50 5m, 100", group="shop"), b=narrow)
    assert [moments(found[name]) for name in "ab"] == [["12:00"] * 3] * 2
    assert found["a"].stops[1].at == NOON + seconds(86400)
    assert found["a"].warnings == (
        "it cannot end before the window of b, of its group, closes, Mon 02 Mar 12:30 UTC: it stays at 50 % "
        "until Tue 03 Mar 12:00 UTC",
    )
    assert found["b"].warnings[0].startswith("it cannot end before its window closes, Mon 02 Mar 12:30 UTC")


def test_a_group_whose_windows_never_overlap_is_told():
    noon, night = (Window(cron=f"0 {hour} * * *", duration=seconds(3600)) for hour in (12, 23))
    found = several(a=a_way(group="shop", windows=(noon,)), b=a_way(group="shop", windows=(night,)))
    assert [moments(found[name]) for name in "ab"] == [["never"] * 3] * 2
    assert [w.partition(": outside")[0] for w in found["a"].warnings + found["b"].warnings] == [
        "it does not begin within a year: waits for b of group shop",
        "it does not begin within a year",
    ]


def test_a_freeze_of_one_is_told_to_its_group():
    freeze = Freeze("sale", NOON + seconds(300), NOON + seconds(3600), "sre", "x", Selector(names=("b",)))
    found = several(freeze, a=a_way(group="shop"), b=a_way(group="shop"))
    assert found["a"].warnings == (
        "it cannot end before freeze sale by sre: x begins for b, of its group, Mon 02 Mar 12:05 UTC: it "
        "stays at 50 % until Mon 02 Mar 13:00 UTC",
    )


def test_behind_the_gate_of_a_mate_no_moment_is_fixed_either():
    gated = a_waiting("50 10m, 100", gates={0: Gate(manual=True)}, group="shop", bake=seconds(0))
    found = several(a=a_way(group="shop"), b=gated)
    assert [stop.is_fixed for stop in found["a"].stops] == [True, False, False]


def test_one_that_is_at_rest_or_rolled_back_counts_for_its_group():
    back = a_way(group="shop").model_copy(update={"phase": Phase.ROLLED_BACK})
    found = several(a=a_way(group="shop"), b=back)
    assert found["a"].warnings == ("it does not begin within a year: b of group shop is rolled back",)


# Calendars


def test_a_window_shorter_than_a_hold_takes_one_step_each_time():
    short = Window(cron="0 12 * * *", duration=seconds(300))
    found = way(a_waiting(windows=(short,)))
    assert told(found) == ["5 % 12:00", "25 % +1 12:00", "100 % +2 12:00", f"{DONE} +3 12:00"]
    (warning,) = found.warnings
    assert "its window closes, Mon 02 Mar 12:05 UTC: it stays at 5 % until Tue 03 Mar 12:00 UTC" in warning


def test_a_window_keeps_its_place_in_the_day_when_clocks_are_set():
    office = Window(cron="0 9 * * *", duration=seconds(3600), timezone="Europe/Berlin")
    friday = datetime(2026, 3, 28, 8, 30, tzinfo=UTC)  # 9:30 there; clocks go forward in the night
    found = way(a_waiting("50 1h, 100", windows=(office,)), now=friday)
    assert found.stops[1].at == datetime(2026, 3, 29, 7, 0, tzinfo=UTC)
    assert "until Sun 29 Mar 09:00 Europe/Berlin" in found.warnings[0]


def test_a_freeze_and_windows_together_let_it_go_on_when_both_do():
    freeze = Freeze("sale", NOON + seconds(300), NOON + seconds(20 * 3600), "sre", "x")  # until 8:00
    later = DAY.model_copy(update={"cron": "0 9 * * *"})
    found = way(a_waiting(windows=(later,)), freeze)
    assert told(found)[:2] == ["5 % 12:00", "25 % +1 09:00"]
    assert found.warnings[0].startswith("it cannot end before freeze sale by sre: x begins")


def test_what_is_held_already_is_not_told_as_if_it_were_to_come():
    record = a_rollout(at_percent=25, steps=MINUTES)
    policy = record.policy_spec
    assert policy
    night = Window(cron="0 22 * * *", duration=seconds(7200))
    held = record.model_copy(update={"policy_spec": policy.model_copy(update={"windows": (night,)})})
    assert way(held, now=NOON + seconds(7200)).warnings == ()
    assert told(way(held, now=NOON + seconds(7200)))[1] == "100 % 22:00"


def test_a_pause_and_an_end_that_never_comes_are_told_with_the_deadline():
    paused = a_waiting().model_copy(update={"suspended": "paused by ada"})
    assert way(paused).warnings == ("it is paused by ada: nothing goes forward before it is resumed",)
    freeze = Freeze("law", NOON + seconds(900), NOON + seconds(3 * 366 * 86400), "legal", "a suit")
    found = way(a_waiting(deadline=seconds(7200)), freeze)
    assert told(found)[1:3] == ["25 % 12:10", "100 % never"]
    first, second, third = found.warnings
    assert first.endswith("begins, Mon 02 Mar 12:15 UTC: it stays at 25 %")
    assert second.startswith(
        "it does not get past 25 % within a year: freeze law by legal: a suit, until Sun 04 Mar 2029"
    )
    assert third.startswith("it cannot end in time, and is rolled back at Mon 02 Mar 14:00 UTC")


def test_looking_ahead_is_bounded():
    many = {f"r{number:03}": a_way("1 1s, 2 1s, 3 1s, 100", max_concurrent=1) for number in range(300)}
    found = several(**many)
    assert found["r000"].warnings == ("too many rollouts depend on one another to tell what comes later",)
    assert moments(found["r000"])[0] == "12:00"
