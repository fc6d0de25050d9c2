"""Models become schemas that an API server takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gitmesh.istio.kinds import MODELS
from gitmesh.model.openapi import structural_schema
from gitmesh.model.rollout import RolloutIntent, RolloutRecord
from gitmesh.model.source import TrafficSourceSpec, TrafficSourceStatus

ALL = [*MODELS.values(), TrafficSourceSpec, TrafficSourceStatus, RolloutRecord, RolloutIntent]


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for child in schema.get("properties", {}).values():
        yield from parts(child)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from parts(schema[name])


@pytest.mark.parametrize("model", ALL, ids=lambda m: m.__name__)
def test_a_schema_is_structural(model):
    for part in parts(structural_schema(model)):
        assert not {"$ref", "$defs", "anyOf", "default", "title", "nullable", "const"} & set(part)
        assert part.get("additionalProperties") is not False
        assert part.get("type") in ("object", "array", "string", "integer", "number", "boolean") or (
            part.get("x-kubernetes-preserve-unknown-fields") or part.get("x-kubernetes-int-or-string")
        )
        assert "items" in part or part.get("type") != "array"


def test_names_are_those_that_people_write():
    schema = structural_schema(MODELS["VirtualService"])
    rule = schema["properties"]["http"]["items"]["properties"]
    assert {"corsPolicy", "mirrorPercent", "mirror_percent", "directResponse"} <= set(rule)
    assert rule["route"]["items"]["required"] == ["destination"]


def test_one_of_groups_have_the_form_of_istio():
    schema = structural_schema(MODELS["VirtualService"])
    uri = schema["properties"]["http"]["items"]["properties"]["match"]["items"]["properties"]["uri"]
    alone = [{"required": [name]} for name in ("exact", "prefix", "regex")]
    assert uri["oneOf"] == [{"not": {"anyOf": alone}}, *alone]


def test_ports_of_a_service_entry_are_a_map_by_name():
    ports = structural_schema(MODELS["ServiceEntry"])["properties"]["ports"]
    assert (ports["x-kubernetes-list-type"], ports["x-kubernetes-list-map-keys"]) == ("map", ["name"])
    assert ports["maxItems"] == 256


def test_times_durations_and_anything():
    record = structural_schema(RolloutRecord)["properties"]
    assert record["enteredAt"] == {"type": "string", "format": "date-time"}
    assert structural_schema(TrafficSourceSpec)["properties"]["interval"] == {"type": "string"}
    spec = record["stable"]["properties"]["spec"]
    assert spec == {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
