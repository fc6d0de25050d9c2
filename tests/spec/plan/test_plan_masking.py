"""What looks like a secret is in no plan, no status and no event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fakes.builders import SOURCE, a_destination_rule, a_set, a_virtual_service, owned
from fakes.examined import files_of

from gitmesh.cli.preview_text import preview_text
from gitmesh.engine.accept import examine
from gitmesh.model.config import ParseLimits
from gitmesh.model.plan import FieldChange
from gitmesh.model.resource import Resource
from gitmesh.model.revision import Revision
from gitmesh.model.source import TrafficSourceSpec
from gitmesh.observe.slim import slim
from gitmesh.plan.masking import blotted, masked, secrets_in
from gitmesh.plan.planner import PlanInput, make_plan
from gitmesh.plan.render import render_json, render_text
from gitmesh.playground.preview import Moved, Shown

TOKEN = "s3cr3t-v4lue"
RULE = a_destination_rule("reviews: v1, v2")
HEADERS = (
    "Authorization",
    "x-api-key",
    "X-Auth-Token",
    "cookie",
    "set-cookie",
    "x-client-secret",
    "X-Password",
)


def shown(desired: Resource, live: Resource | None) -> str:
    """Everything that a plan shows, to people and to programs."""
    given = PlanInput(
        source=SOURCE,
        revision="new",
        effective=a_set(desired, RULE),
        live=a_set(owned(RULE), *([live] if live else [])),
        inventory=frozenset(),
        previous_revision="old",
        spec=TrafficSourceSpec(url="u"),
        settle_seconds=0,
    )
    plan = make_plan(given)
    assert not plan.is_empty
    return "\n".join(render_text(plan)) + json.dumps(render_json(plan))


def with_headers(operations: dict[str, Any]) -> Resource:
    service = a_virtual_service("reviews: v1")
    (route,) = service.spec["http"]
    return service.with_spec({**service.spec, "http": [{**route, "headers": operations}]})


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("way", [("request", "set"), ("request", "add"), ("response", "set")])
def test_cve_2026_42880_a_plan_shows_no_value_of_a_header_that_is_named_like_a_secret(
    name: str, way: tuple[str, str]
):
    def desired(value: str) -> Resource:
        return with_headers({way[0]: {way[1]: {name: value, "x-plain": "open"}}})

    plain = owned(a_virtual_service("reviews: v1"))
    assert TOKEN not in shown(desired(TOKEN), plain), "as part of a whole that is new"
    changed = shown(desired(TOKEN), owned(desired(f"{TOKEN}-old")))
    assert TOKEN not in changed
    assert '"***" -> "***"' in changed, "and that it changes is seen"
    assert TOKEN not in shown(plain.with_metadata(annotations={}), owned(desired(TOKEN))), "nor when it goes"


def test_cve_2025_23216_annotations_and_labels_that_are_named_like_secrets_are_masked():
    live = owned(a_virtual_service("reviews: v1"))
    desired = a_virtual_service("reviews: v1").with_metadata(
        annotations={"example.com/token": TOKEN, "example.com/owner": "shop"}, labels={"password": TOKEN}
    )
    text = shown(desired, live)
    assert TOKEN not in text
    assert "shop" in text


def test_cve_2025_23216_the_copy_that_kubectl_keeps_is_dropped_when_an_object_is_read():
    copy = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": {"token": TOKEN}})}
    body = a_virtual_service("reviews: v2").with_metadata(annotations=copy).body
    assert TOKEN not in json.dumps(slim(body))
    live = owned(Resource(a_virtual_service().key, "networking.istio.io/v1", body))
    assert TOKEN not in shown(a_virtual_service("reviews: v1"), live)


def test_cve_2026_45737_what_others_wrote_on_a_live_object_is_in_no_difference():
    theirs = {"vault.example.com/lease": TOKEN, "example.com/note": TOKEN}
    live = owned(a_virtual_service("reviews: v2").with_metadata(annotations=theirs, labels={"x": TOKEN}))
    assert TOKEN not in shown(a_virtual_service("reviews: v1"), live)


def test_a_preview_of_a_working_copy_masks_too():
    path = ("spec", "http", 0, "headers", "request", "set", "authorization")
    moved = Moved(a_virtual_service().key, "changed", (FieldChange(path, f"{TOKEN}-old", TOKEN),))
    text = preview_text(Shown((moved,)))
    assert "***" in text
    assert TOKEN not in text


@pytest.mark.parametrize("place", ["headers", "withoutHeaders", "queryParams"])
@pytest.mark.parametrize("kind", ["exact", "prefix", "regex"])
def test_what_a_condition_asks_of_a_header_that_is_named_like_a_secret_is_masked(place: str, kind: str):
    def desired(value: str) -> Resource:
        match = {place: {"x-api-key": {kind: value}, "end-user": {kind: "jason"}}}
        service = a_virtual_service("reviews: v1")
        (route,) = service.spec["http"]
        return service.with_spec({**service.spec, "http": [{**route, "match": [match]}, route]})

    changed = shown(desired(TOKEN), owned(desired(f"{TOKEN}-old")))
    assert TOKEN not in changed
    assert '"***" -> "***"' in changed
    assert secrets_in(desired(TOKEN).body) == {TOKEN}


def test_a_secret_is_blotted_wherever_it_is_repeated_and_a_short_word_is_not():
    body = with_headers({"request": {"set": {"Authorization": f"Bearer {TOKEN}", "x-token": "on"}}}).body
    said = {"why": [f"no: {TOKEN}", f"{json.dumps(body)}"], "on": 1}
    told = json.dumps(blotted(said, secrets_in(body)))
    assert TOKEN not in told
    assert '"on": 1' in told
    assert blotted(said, ()) is said


def test_logins_in_urls_are_masked_wherever_they_are():
    value = {"x": [f"https://bob:{TOKEN}@example.com/a", "https://example.com/@home"]}
    assert masked(("spec", "other"), value) == {
        "x": ["https://***@example.com/a", "https://example.com/@home"]
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "servers", 0, "tls", "credentialName"), "front-certificate"),
        (("spec", "trafficPolicy", "loadBalancer", "consistentHash", "httpCookie", "name"), "session"),
        (("spec", "http", 0, "match", 0, "headers", "cookie", "regex"), "^(.*?;)?(type=insider)(;.*)?$"),
        (("spec", "http", 0, "headers", "request", "set", "x-version"), "2"),
        (("spec", "hosts", 0), "tokens.example.com"),
        (("spec", "http", 0, "route", 0, "weight"), 50),
    ],
)
def test_what_is_no_secret_stays_readable(path: tuple[str | int, ...], value: Any):
    assert masked(path, value) == value


def test_g34_no_finding_quotes_what_looks_like_a_secret():
    text = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, labels: {{password: "{TOKEN}!!{"x" * 100}"}}}}
spec:
  hosts: [reviews]
  http:
  - match:
    - headers: {{x-auth-token: {{regex: "[{TOKEN}"}}}}
      queryParams: {{token: {{regex: "({TOKEN}"}}}}
    route: [{{destination: {{host: reviews}}}}]
"""
    files = files_of({"a.yaml": text})
    examined = examine(Revision("1", "1", "main", files), default_namespace="default", limits=ParseLimits())
    told = [str(finding) for finding in examined.findings]
    assert {"GM018", "GM108"} <= {finding.code for finding in examined.findings}
    assert [line for line in told if TOKEN in line] == []
    assert sum("***" in line for line in told) == 3


def test_a_secret_that_was_cut_off_is_blotted_as_far_as_it_goes():
    secret = "".join(chr(ord("a") + n % 26) for n in range(100))
    assert blotted(f"no: {secret[:80]} and {secret}!", {secret}) == "no: *** and ***!"
    assert blotted(f"no: {secret[:15]}", {secret}) == f"no: {secret[:15]}"
