"""What the mesh says of an object counts, unless it is about an older version of it."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.builders import a_resource, a_set, a_virtual_service

from gitmesh.model.resource import Resource
from gitmesh.observe.reported import look_at

EDGE = a_resource("Gateway", "edge", {"servers": []})


def reported(generation: int = 3, **status: Any) -> str:
    service = a_virtual_service().with_metadata(generation=generation)
    return look_at(Resource(service.key, service.api_version, {**service.body, "status": status})).trouble({})


def a_condition(status: str, type: str = "Reconciled", **fields: Any) -> dict[str, Any]:
    return {"type": type, "status": status, "message": "1 of 3 proxies has it", **fields}


def test_an_object_without_a_status_is_in_no_trouble():
    assert reported() == ""
    assert reported(conditions="x", validationMessages=[7, {"level": 3}], observedGeneration="odd") == ""


def test_not_distributed_to_every_proxy_is_trouble():
    assert reported(conditions=[a_condition("False")]) == (
        "its status says Reconciled is False: 1 of 3 proxies has it"
    )
    assert reported(conditions=[a_condition("True"), a_condition("Unknown", "Programmed")]) == ""
    assert reported(conditions=[a_condition("False", "SomethingElse")]) == ""


@pytest.mark.parametrize("observed", [2, "2"])
def test_a_status_about_an_older_generation_says_nothing(observed: Any):
    assert reported(conditions=[a_condition("False")], observedGeneration=observed) == ""
    assert reported(conditions=[a_condition("False", observedGeneration=observed)]) == ""
    assert reported(conditions=[a_condition("False")], observedGeneration="3")


def test_an_error_of_istiods_analysis_is_trouble_and_a_warning_is_not():
    message = {"type": {"code": "IST0101", "name": "ReferencedResourceNotFound"}, "level": "ERROR"}
    assert reported(validationMessages=[{**message, "level": "WARNING"}, message]) == (
        "its status has an error: IST0101 ReferencedResourceNotFound"
    )
    assert reported(validationMessages=[{**message, "level": "WARNING"}]) == ""


def test_errors_are_listed_with_the_names_that_istiod_leaves_out():
    url = "https://istio.io/v1.30/docs/reference/config/analysis"
    messages = [
        {"type": {"code": code}, "level": "ERROR", "documentationUrl": f"{url}/{code.lower()}/"}
        for code in ("IST0101", "IST0109", "IST0101")
    ]
    assert reported(validationMessages=messages, observedGeneration="3") == (
        f"its status has 2 errors: IST0101 ReferencedResourceNotFound {url}/ist0101/; "
        f"IST0109 ConflictingMeshGatewayVirtualServiceHosts {url}/ist0109/"
    )
    assert len(reported(validationMessages=[{"level": "ERROR", "message": "x" * 9_999}])) <= 300


@pytest.mark.parametrize("kind", [None, 7, {}, {"code": None}, {"code": ["IST0101"]}, {"code": "IST9999"}])
def test_an_error_without_a_known_code_is_an_error_all_the_same(kind: object):
    assert reported(validationMessages=[{"type": kind, "level": "ERROR"}]).startswith(
        "its status has an error"
    )


@pytest.mark.parametrize(
    ("gateways", "found"),
    [
        (["nowhere"], True),
        (["other/edge"], True),
        (["edge"], False),
        (["nowhere", "edge"], False),
        (["nowhere", "mesh"], False),
        ([], False),
        ("edge", False),
    ],
)
def test_a_virtual_service_that_is_bound_to_no_gateway_that_exists_is_in_trouble(gateways: Any, found: bool):
    service = a_virtual_service()
    service = service.with_spec({**service.spec, "gateways": gateways})
    text = look_at(service).trouble(a_set(service, EDGE))
    assert bool(text) == found
    if found:
        assert f"Gateway {'other/edge' if 'other/edge' in gateways else 'default/nowhere'}" in text
