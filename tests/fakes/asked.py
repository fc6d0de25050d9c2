"""Requests put to GitMesh's own matching, written as people write them."""

from __future__ import annotations

from typing import Any

from fakes.mesh_objects import objects

from gitmesh.istio.matching.answer import Answer
from gitmesh.istio.matching.outcome import Forward
from gitmesh.istio.matching.request import Caller, read_request
from gitmesh.istio.matching.traffic import Traffic

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {selector: {app: reviews}, clusterIP: 10.0.0.7, ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings}
spec: {selector: {app: ratings}, ports: [{name: http, port: 80}, {name: http-admin, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: mongo}
spec: {selector: {app: mongo}, ports: [{name: mongo, port: 27017}]}
---
"""


def rules(
    http: str, *, name: str = "reviews", hosts: str = "[reviews]", more: str = "", meta: str = ""
) -> str:
    """Return a VirtualService with these rules (YAML of a list)."""
    text = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}{", " + meta if meta else ""}}}
spec:
  hosts: {hosts}
  {more or "exportTo: ['*']"}
  http:
"""
    return text + "\n".join(f"    {line}" for line in http.strip("\n").splitlines()) + "\n---\n"


def to(subset: str, **match: Any) -> str:
    """Return one rule that goes to a subset of reviews."""
    found = f"match: [{match['match']}], " if "match" in match else ""
    return f"- {{{found}route: [{{destination: {{host: reviews, subset: {subset}}}}}]}}\n"


def asked(text: str, request: str, headers: str = "", caller: Caller | None = None, **options: Any) -> Answer:
    """Ask `GET http://reviews:9080/`; headers are written `a: b, c: d`."""
    method, _, url = request.rpartition(" ")
    pairs = [tuple(part.split(": ", 1)) for part in headers.split(", ") if part]
    traffic = Traffic(objects(SERVICES + text), **options)
    return traffic.answer(read_request(method or "GET", url, pairs), caller or Caller())


def subsets_of(answer: Answer) -> list[str]:
    """Return the subsets (or, without one, the hosts) that a request goes to."""
    outcome = answer.action.outcome
    assert isinstance(outcome, Forward), outcome
    return [share.destination.subset or share.destination.host for share in outcome.shares]
