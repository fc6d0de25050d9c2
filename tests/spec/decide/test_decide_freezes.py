"""Times in which nothing goes forward."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from fakes.builders import a_destination_rule, a_virtual_service

from gitmesh.decide.freezes import frozen_by
from gitmesh.model.freeze import Freeze, FreezeSpec, FreezeWindow, freeze_problems, read_freeze

REVIEWS = a_virtual_service()


def a_freeze(name: str = "xmas", **fields: Any) -> Freeze:
    spec = {
        "from": "2026-12-20T18:00",
        "to": "2027-01-03T06:00",
        "timezone": "Europe/Berlin",
        "who": "sre",
        "why": "holidays",
        **fields,
    }
    return read_freeze(FreezeWindow(name=name, namespace="default", spec=FreezeSpec.model_validate(spec)))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def frozen(at: str, *freezes: Freeze) -> str:
    found = frozen_by(freezes, REVIEWS.key, REVIEWS.spec, utc(at))
    return found.name if found else ""


def test_local_moments_are_those_of_the_zone():
    assert (a_freeze().start, a_freeze().end) == (utc("2026-12-20T17:00"), utc("2027-01-03T05:00"))


def test_an_offset_needs_no_zone():
    freeze = a_freeze(**{"from": "2026-12-20T18:00:00+01:00", "to": "2026-12-21T00:00:00Z", "timezone": ""})
    assert (freeze.start, freeze.end) == (utc("2026-12-20T17:00"), utc("2026-12-21T00:00"))


def test_moments_that_come_twice_make_the_freeze_longer():
    freeze = a_freeze(**{"from": "2026-10-25T02:30", "to": "2026-10-25T02:45"})
    assert (freeze.start, freeze.end) == (utc("2026-10-25T00:30"), utc("2026-10-25T01:45"))


def test_a_freeze_begins_with_its_first_moment_and_ends_before_its_last():
    assert [frozen(at, a_freeze()) for at in ("2026-12-20T16:59:59", "2026-12-20T17:00")] == ["", "xmas"]
    assert [frozen(at, a_freeze()) for at in ("2027-01-03T04:59:59", "2027-01-03T05:00")] == ["xmas", ""]


def test_of_several_the_one_that_ends_last_is_told():
    short = a_freeze("short", to="2026-12-24T00:00")
    assert frozen("2026-12-22T00:00", short, a_freeze("long"), short) == "long"


def test_a_selector_limits_what_is_frozen():
    assert frozen("2026-12-22T00:00", a_freeze(select={"names": ["ratings"]})) == ""
    assert frozen("2026-12-22T00:00", a_freeze(select={"hosts": ["rev*"]})) == "xmas"


def test_a_freeze_of_a_namespace_is_for_every_kind_that_can_be_held_unless_it_names_one():
    rule, at = a_destination_rule(), utc("2026-12-22T00:00")
    for select, holds in (
        ({"namespaces": ["default"]}, True),
        ({"hosts": ["reviews"]}, True),
        ({"namespaces": ["default"], "kinds": ["VirtualService"]}, False),
        ({"namespaces": ["default"], "kinds": ["DestinationRule"]}, True),
    ):
        freeze = a_freeze(select=select)
        assert (frozen_by([freeze], rule.key, rule.spec, at) is not None) == holds, select


def test_a_freeze_says_who_and_why():
    assert a_freeze().text == "freeze xmas by sre: holidays"
    odd = a_freeze(who="sre\x1b[2J", why="holidays\nReady True")
    assert odd.text == "freeze xmas by sre [2J: holidays Ready True", (
        "on one line, and nothing that is obeyed"
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"from": "tomorrow"}, "from"),
        ({"from": "2026-12-20T18:00", "timezone": ""}, "from"),
        ({"to": "2026-12-20T18:00"}, "to"),
        ({"timezone": "Europe/Atlantis"}, "timezone"),
        ({"from": "0001-01-01T00:00", "timezone": "Asia/Tokyo"}, "from"),
    ],
)
def test_what_is_wrong_with_a_freeze_is_told_where_it_stands(fields: dict[str, str], field: str):
    plain = {"from": "2026-12-20T18:00", "to": "2027-01-03T06:00", "timezone": "UTC", "who": "a", "why": "b"}
    assert field in freeze_problems(FreezeSpec.model_validate({**plain, **fields}))
    assert freeze_problems(FreezeSpec.model_validate(plain)) == {}
