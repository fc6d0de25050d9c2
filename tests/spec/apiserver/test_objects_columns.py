"""Printer columns show what kubectl shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gitmesh.playground.apiserver.objects.columns import age, cell, find, human_duration

NOW = datetime(2024, 5, 10, 12, 0, tzinfo=UTC)
BODY: dict[str, Any] = {
    "metadata": {"name": "r", "creationTimestamp": "2024-05-08T09:00:00Z", "annotations": {"a.b/c": "d"}},
    "spec": {"hosts": ["a", "b"], "weight": 25, "ratio": 2.5, "suspend": False, "map": {"x": 1}},
    "status": {
        "conditions": [
            {"type": "Stalled", "status": "False"},
            {"type": "Ready", "status": "True", "code": 7},
        ],
        "empty": None,
    },
}


@pytest.mark.parametrize(
    ("path", "kind", "shown"),
    [
        (".metadata.name", "string", "r"),
        (".spec.hosts", "string", '["a","b"]'),
        (".spec.map", "string", '{"x":1}'),
        (".spec.weight", "string", "25"),
        (".spec.suspend", "string", "false"),
        (".spec.hosts[0]", "string", "a"),
        (".spec.hosts[-1]", "string", "b"),
        (".spec.hosts[5]", "string", None),
        (".spec.hosts[*]", "string", "a"),
        ('.status.conditions[?(@.type=="Ready")].status', "string", "True"),
        (".status.conditions[?(@.type == 'Ready')].status", "string", "True"),
        (".status.conditions[?(@.type!='Ready')].status", "string", "False"),
        (".status.conditions[?(@.code==7)].type", "string", "Ready"),
        (".status.conditions[?(@.code)].type", "string", "Ready"),
        ('.status.conditions[?(@.type=="Missing")].status', "string", None),
        (r".metadata.annotations.a\.b/c", "string", "d"),
        (".metadata.annotations['a.b/c']", "string", "d"),
        ("{.metadata.name}", "string", "r"),
        ("$.metadata.name", "string", "r"),
        (".spec.weight", "integer", 25),
        (".spec.ratio", "integer", 2),
        (".spec.ratio", "number", 2.5),
        (".spec.suspend", "boolean", False),
        (".spec.suspend", "integer", None),
        (".spec.weight", "boolean", None),
        (".metadata.name", "integer", None),
        (".metadata.creationTimestamp", "date", "2d3h"),
        (".metadata.name", "date", "<invalid>"),
        (".spec.weight", "date", None),
        (".spec.missing.deep", "string", None),
        (".status.empty", "string", None),
        (".spec.hosts[", "string", None),
        (".spec..hosts", "string", None),
    ],
)
def test_a_cell_shows(path: str, kind: str, shown: object) -> None:
    value = cell(BODY, path, kind, NOW)
    assert (value, type(value)) == (shown, type(shown))


def test_a_star_finds_every_item() -> None:
    assert find(BODY, ".status.conditions[*].type") == ["Stalled", "Ready"]


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(seconds=-10), "<invalid>"),
        (timedelta(seconds=-1), "0s"),
        (timedelta(seconds=0), "0s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(minutes=2), "2m"),
        (timedelta(minutes=5, seconds=7), "5m7s"),
        (timedelta(minutes=10, seconds=7), "10m"),
        (timedelta(minutes=179), "179m"),
        (timedelta(hours=3), "3h"),
        (timedelta(hours=7, minutes=59), "7h59m"),
        (timedelta(hours=8, minutes=59), "8h"),
        (timedelta(hours=47, minutes=59), "47h"),
        (timedelta(days=2), "2d"),
        (timedelta(days=2, hours=3, minutes=5), "2d3h"),
        (timedelta(days=8, hours=3), "8d"),
        (timedelta(days=729), "729d"),
        (timedelta(days=730), "2y"),
        (timedelta(days=740), "2y10d"),
        (timedelta(days=365 * 8 + 1), "8y"),
    ],
)
def test_an_age_has_the_units_that_matter(span: timedelta, text: str) -> None:
    assert human_duration(span.total_seconds()) == text


@pytest.mark.parametrize(
    "text", ["2024-05-10T11:55:00Z", "2024-05-10T11:55:00.000000Z", "2024-05-10T13:55:00+02:00"]
)
def test_an_age_is_read_from_any_rfc_3339_form(text: str) -> None:
    assert age(text, NOW) == "5m"
