"""A part of the wrong shape hides nothing that is wrong beside it, and nothing is made up for its sake."""

from __future__ import annotations

import pytest
from fakes.examined import told

from gitmesh.model.resource import resource_from_body
from gitmesh.validate.objects import check_object

RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews, reviews]
  http:
    - match: [{uri: {prefx: /a}}]
      route: [{destination: {host: reviews}}]
    - match: [{uri: {prefix: /b}}]
      timeOut: 5s
      route: [{destination: {host: reviews}, weight: "1"}]
    - match: [{uri: {regex: "("}}]
      route: [{destination: {host: reviews}}]
    - route: []
"""


def test_every_rule_is_looked_at():
    assert told(RULES) == [
        "6:20 GM121",
        "8:22 GM101",
        "11:7 GM101",
        "12:54 GM102",
        "13:29 GM108",
        "15:7 GM123",
    ]


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("VirtualService", {"hosts": "a", "http": [{}]}, ["GM102"]),
        ("VirtualService", {"hosts": ["a"], "tcp": [{"route": 1}, {}]}, ["GM102", "GM123"]),
        ("VirtualService", {"hosts": ["a"], "tls": [{"x": 1}, {"match": []}]}, None),
        (
            "DestinationRule",
            {"host": "a", "subsets": [{"name": 1}, {"name": "b_c", "labels": {"a": "b"}}]},
            None,
        ),
        ("ServiceEntry", {"hosts": ["a_b"], "resolution": "STATIC", "endpoints": [{"x": 1}]}, None),
        ("Gateway", {"selector": {"a": "b"}, "servers": [{}, {"hosts": [], "port": 1}]}, None),
        ("Sidecar", {"egress": [{"x": 1}], "ingress": []}, None),
    ],
)
def test_other_lists_as_well(kind: str, spec: dict, expected: list[str] | None):
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": "a", "namespace": "default"},
        "spec": spec,
    }
    found = check_object(resource_from_body(body))
    assert found[0] is None
    if expected is not None:
        assert [d.code for d in found[1]] == expected
    assert all(" 0" not in d.message and "nowhere" not in d.message for d in found[1])
