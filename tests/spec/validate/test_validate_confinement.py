"""Where the objects of a source may be, when the operator confines it to its own namespace."""

from __future__ import annotations

import pytest
from fakes.builders import a_virtual_service

from gitmesh.model.diagnostic import Severity
from gitmesh.model.resource import resource_from_body
from gitmesh.validate.confinement import Bounds, outside

HERE = a_virtual_service("reviews: v1")
THERE = resource_from_body(
    {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "pay", "namespace": "shop"},
        "spec": {},
    }
)
NAMESPACE = resource_from_body({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
SERVICE = resource_from_body(
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "shop"}}
)
ALL = [HERE, THERE, NAMESPACE, SERVICE]


def found(bounds: Bounds) -> list[str]:
    return [str(finding.key) for finding in outside(ALL, bounds)]


def test_without_bounds_objects_may_be_anywhere():
    assert found(Bounds()) == []


def test_what_is_applied_must_be_in_the_one_namespace():
    assert found(Bounds("default")) == ["VirtualService shop/pay"]
    assert found(Bounds("shop")) == ["VirtualService default/reviews"]


@pytest.mark.parametrize(
    ("foundations", "expected"),
    [
        ((), ["VirtualService shop/pay"]),
        (("Namespace",), ["VirtualService shop/pay", "Namespace shop"]),
        (("CustomResourceDefinition",), ["VirtualService shop/pay"]),
    ],
)
def test_foundations_are_outside_of_every_namespace_once_the_source_asks_for_them(foundations, expected):
    assert found(Bounds("default", foundations)) == expected


def test_the_finding_says_what_where_and_what_to_do():
    finding = next(iter(outside([THERE], Bounds("default"))))
    assert (finding.code, finding.severity) == ("GM030", Severity.ERROR)
    assert "VirtualService shop/pay is in namespace shop" in finding.message
    assert "crossNamespace" in finding.hint
