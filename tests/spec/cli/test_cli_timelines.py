"""How `gitmesh plan` writes the dated way of a rollout."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from fakes.builders import NOON, a_policy_spec, a_rollout, a_set, a_virtual_service, seconds

from gitmesh.cli.timelines import Ways, render_ways, ways_as_json, ways_of
from gitmesh.engine.memory import Desired, Moved
from gitmesh.model.freeze import Freeze
from gitmesh.model.policy import Window
from gitmesh.model.revision import Revision
from gitmesh.model.rollout import Hold, Phase
from gitmesh.model.steps import Gate

SERVICE = a_virtual_service()
OFFICE = Window(cron="10 9 * * mon-fri", duration=timedelta(hours=8), timezone="Europe/Berlin")


def ways(steps: str, *freezes: Freeze, gate: int | None = None, **policy: Any) -> Ways:
    spec = a_policy_spec(steps).model_copy(update=policy)
    if gate is not None:
        gated = (
            s.model_copy(update={"gate": Gate(manual=True)}) if i == gate else s
            for i, s in enumerate(spec.steps)
        )
        spec = spec.model_copy(update={"steps": tuple(gated)})
    record = a_rollout(at_percent=100, steps=steps).model_copy(
        update={"phase": Phase.WAITING, "policy_spec": spec, "step": 0, "started_at": None}
    )
    desired = Desired(Revision("c", "main", {}), a_set(SERVICE), (), freezes=freezes)
    return ways_of([Moved(SERVICE.key, record, record, Hold(""))], desired, NOON)


def lines(found: Ways) -> list[str]:
    return list(render_ways(found, NOON))


def test_days_and_moments_are_those_of_the_policys_zone():
    found = ways("25 10m, 50 24h, 100", gate=0, windows=(OFFICE.model_copy(update={"cron": "30 13 * * *"}),))
    assert lines(found)[0] == (
        "VirtualService default/reviews by policy careful: 25 % Mon 13:30, manual gate, 50 % not before "
        "Mon 13:40, 100 % not before Tue 13:40, done not before Tue 13:40 (Europe/Berlin)"
    )


def test_a_far_day_has_a_date_and_short_holds_have_seconds():
    freeze = Freeze("sale", NOON, NOON + timedelta(days=10), "sre", "x")
    (line,) = lines(ways("50 3s, 100", freeze))
    assert line.endswith(
        ": 50 % Thu 12 Mar 12:00:00, 100 % Thu 12 Mar 12:00:03, done Thu 12 Mar 12:00:03 (UTC)"
    )


def test_what_begins_now_says_so_and_warnings_have_lines_of_their_own():
    freeze = Freeze("sale", NOON + seconds(60), NOON + seconds(3600), "sre", "Black Friday")
    line, warning = lines(ways("50 10m, 100", freeze))
    assert ": 50 % now, 100 % Mon 13:00" in line
    assert warning.startswith("warning: VirtualService default/reviews: it cannot end before freeze sale")


def test_programs_get_the_same():
    found = json.loads(json.dumps(ways_as_json(ways("50 10m, 100", gate=0))))
    assert found == [
        {
            "name": "VirtualService default/reviews",
            "policy": "careful",
            "stops": [
                {"label": "50 %", "notBefore": "2026-03-02T12:00:00+00:00"},
                {"label": "100 %", "notBefore": "2026-03-02T12:10:00+00:00", "gate": "manual gate"},
                {"label": "done", "notBefore": "2026-03-02T12:10:00+00:00"},
            ],
            "warnings": [],
        }
    ]
