"""Every forward write names the version that it changes: one that is carried out late is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml
from fakes.builders import a_set, owned

from gitmesh.apply.executor import dry_run, execute
from gitmesh.kube.protocol import Body
from gitmesh.model.kinds import Kind
from gitmesh.model.plan import Plan
from gitmesh.model.resource import ResourceSet, resource_from_body
from gitmesh.model.source import TrafficSourceSpec
from gitmesh.plan.planner import PlanInput, make_plan, make_rollback_plan

pytestmark = pytest.mark.anyio
SOURCE = "default/mesh"


def a_resource_set(text: str) -> ResourceSet:
    return a_set(*(resource_from_body(body) for body in yaml.safe_load_all(text)))


def live(text: str) -> ResourceSet:
    """Objects of the source, as the server has them: each with a version and a uid."""
    return {
        key: owned(resource, SOURCE).with_metadata(resourceVersion=f"1{number}", uid=f"uid-{number}")
        for number, (key, resource) in enumerate(sorted(a_resource_set(text).items()))
    }


RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  subsets: [%s]
"""
ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: %s}}]}]
"""
BEFORE = f"{RULE % '{name: v1}'}\n---\n{ROUTE % 'v1'}"
AFTER = f"{RULE % '{name: v2}'}\n---\n{ROUTE % 'v2'}"


def given(before: str, after: str) -> PlanInput:
    there = live(before) if before else {}
    return PlanInput(
        source=SOURCE,
        revision="main@2",
        effective=a_resource_set(after) if after else {},
        live=there,
        inventory=frozenset(there),
        previous_revision="main@1",
        spec=TrafficSourceSpec.model_validate(
            {"url": "https://git.example.com/x", "limits": {"deletePercentMax": 100}}
        ),
        settle_seconds=timedelta(0).total_seconds(),
    )


class Server:
    """Keeps the versions that writes name; each write makes a new one."""

    def __init__(self) -> None:
        self.named: list[tuple[str, str, str]] = []
        self.count = 100

    async def apply(self, kind: Kind, body: Body, *, force: bool = False, dry_run: bool = False) -> Body:
        metadata = body["metadata"]
        self.named.append((kind.kind, metadata["name"], metadata.get("resourceVersion", "")))
        self.count += not dry_run
        return {**body, "metadata": {**metadata, "resourceVersion": str(self.count)}}

    async def delete(self, kind: Kind, namespace: str, name: str, **named: Any) -> None:
        self.named.append((kind.kind, name, f"{named['version']} {named['uid']}"))


async def carried_out(plan: Plan) -> list[tuple[str, str, str]]:
    server = Server()

    async def sleep(seconds: float) -> None: ...

    async for applied in execute(plan, server, sleep):
        assert applied.error is None
    return server.named


async def test_an_update_names_what_it_saw_and_a_second_one_what_the_first_one_made():
    """The rule gains v2, the route moves, and then the rule loses v1: two updates of one object."""
    assert await carried_out(make_plan(given(BEFORE, AFTER))) == [
        ("DestinationRule", "reviews", "10"),
        ("VirtualService", "reviews", "11"),
        ("DestinationRule", "reviews", "101"),
    ]


async def test_the_dry_run_asks_of_what_is_live_before_all_of_it():
    server = Server()
    await dry_run(make_plan(given(BEFORE, AFTER)), server)
    assert sorted(version for _, _, version in server.named) == ["10", "10", "11"]


async def test_a_delete_names_version_and_uid():
    plan = make_plan(given(BEFORE, RULE % "{name: v1}"))
    assert await carried_out(plan) == [("VirtualService", "reviews", "11 uid-1")]


async def test_a_create_can_name_nothing():
    plan = make_plan(given("", BEFORE))
    assert [version for _, _, version in await carried_out(plan)] == ["", ""]


async def test_a_rollback_waits_for_nobody_and_names_nothing():
    """See docs/decisions/0013: it has to go through whatever comes late before it."""
    keys = frozenset(key for key in a_resource_set(AFTER) if key.kind == "VirtualService")
    plan = make_rollback_plan(given(BEFORE, AFTER), keys)
    assert {version for _, _, version in await carried_out(plan)} == {""}
