"""When a rollout would take which step."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fakes.builders import NOON, a_policy_spec, a_rollout, a_virtual_service, seconds

from gitmesh.decide.timeline import DONE, Timeline, timeline
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
    record = a_rollout(at_percent=5, steps=steps).model_copy(
        update={"phase": Phase.WAITING, "policy_spec": spec.model_copy(update={"steps": walked})}
    )
    return record.model_copy(update={"started_at": None, "step": 0})


def way(record: RolloutRecord, *freezes: Freeze, now: datetime = NOON) -> Timeline:
    found = timeline(record, SERVICE, freezes, now)
    assert found is not None
    return found


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
    assert found.warnings == ("it can never begin: its windows never open",)


def test_what_is_at_rest_has_no_way():
    for phase in (Phase.SUCCEEDED, Phase.ROLLED_BACK):
        assert timeline(a_rollout(phase=phase), SERVICE, (), NOON) is None
