"""What stands between stable and target, on a real Envoy: shares are right, and both variants behave."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from math import sqrt
from typing import Any
from uuid import uuid4

import anyio
import pytest
from fakes.mesh_objects import istio, pod, service, subsets, to, virtual_service
from fakes.real_envoy import Answer, Bench, eventually, mesh_bench
from fakes.upstreams import upstreams

from gitmesh.istio.walks import rules, services
from gitmesh.istio.walks.request_ids import pattern, share_of
from gitmesh.model.policy import Walk
from gitmesh.model.stand import END, Stand
from gitmesh.model.steps import RequestMatch

pytestmark = [pytest.mark.anyio, pytest.mark.real]

V1, V2, WEB = (f"127.0.53.{n}" for n in range(1, 4))
URL = "http://reviews:9080"
REQUESTS = 600
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstreams(V1, V2) as number:
        yield number


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory, port: int) -> AsyncIterator[Bench]:
    reviews = service("reviews")
    reviews["spec"]["ports"][0]["targetPort"] = port
    base = [
        reviews,
        pod("reviews", "v1", V1),
        pod("reviews", "v2", V2),
        pod("web", "v1", WEB),
        istio(
            "Gateway",
            "edge",
            {
                "selector": {"istio": "ingressgateway"},
                "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
            },
        ),
    ]
    async with mesh_bench(tmp_path_factory.mktemp("walks"), *base) as found:
        yield found


def spec(*http: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"hosts": ["reviews"], "http": list(http), **fields}


def rule(subset: str = "v1", **fields: Any) -> dict[str, Any]:
    return {"route": [to("reviews", subset)], **fields}


def at(path: str, rule: dict[str, Any]) -> dict[str, Any]:
    return {"match": [{"uri": {"prefix": path}}], **rule}


def saying(variant: str, **fields: Any) -> dict[str, Any]:
    return rule(headers={"response": {"set": {"x-variant": variant}}}, **fields)


async def stand_at(
    bench: Bench, stable: dict[str, Any], target: dict[str, Any], stand: Stand, **routes: Any
) -> dict[str, Any]:
    live = services.effective(stable, target, stand, namespace="default")
    await bench.apply(istio("VirtualService", "reviews", {**live, **routes}), subsets("reviews", "v1", "v2"))
    assert bench.reports() == []
    return dict(live)


async def many(bench: Bench, path: str = "/", count: int = REQUESTS, **options: Any) -> list[Answer]:
    answers: list[Answer] = []
    slots = anyio.CapacityLimiter(8)

    async def one() -> None:
        async with slots:
            answers.append(await bench.send(URL + path, **options))

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(one)
    return answers


def is_about(count: int, share: float, of: int = REQUESTS) -> bool:
    # Six standard deviations: wrong less than once in a hundred million runs.
    return abs(count - of * share) < 6 * sqrt(of * share * (1 - share))


def by_id(percent: float) -> Stand:
    return Stand(percent, walk=Walk.ROUTES)


def on_share(request_id: str, percent: float) -> bool:
    return re.fullmatch(pattern(share_of(percent)), request_id) is not None


OLD, NEW = spec(saying("old")), spec(saying("new", rewrite={"uri": "/rewritten"}))


@pytest.mark.parametrize("percent", [5, 25, 50])
async def test_requests_without_an_id_get_one_before_they_are_routed_and_the_share_is_right(
    bench: Bench, percent: float
):
    await stand_at(bench, OLD, NEW, by_id(percent))
    answers = await many(bench)
    new = [answer for answer in answers if answer.headers["x-variant"] == "new"]
    assert is_about(len(new), percent / 100), len(new)
    for answer in answers:
        request_id = answer.seen["headers"]["x-request-id"]
        assert UUID4.fullmatch(request_id)
        variant = "new" if on_share(request_id, percent) else "old"
        assert answer.headers["x-variant"] == variant, "it goes by the id that the service receives"
        assert answer.seen["path"] == ("/rewritten" if variant == "new" else "/")


async def test_an_id_that_came_with_the_request_is_kept_so_a_whole_trace_meets_one_variant(bench: Bench):
    await stand_at(bench, OLD, NEW, by_id(25))
    for request_id in [str(uuid4()) for _ in range(40)] + ["order-00ff", "no-digits-here!"]:
        answers = [await bench.send(f"{URL}/", headers={"x-request-id": request_id}) for _ in range(2)]
        variant = "new" if on_share(request_id, 25) else "old"
        assert [a.headers["x-variant"] for a in answers] == [variant] * 2
        assert [a.seen["headers"]["x-request-id"] for a in answers] == [request_id] * 2


async def test_an_edge_replaces_the_id_of_a_client_from_outside_so_nobody_chooses_his_variant(bench: Bench):
    await stand_at(bench, OLD, NEW, by_id(50), gateways=["edge"], hosts=["*"])
    outside = {"x-request-id": "order-0000", "x-forwarded-for": "203.0.113.7"}
    for _ in range(10):
        answer = await bench.enter("http://reviews/", headers=outside)
        request_id = answer.seen["headers"]["x-request-id"]
        assert UUID4.fullmatch(request_id)
        assert answer.headers["x-variant"] == ("new" if on_share(request_id, 50) else "old")


async def test_a_share_grows_around_those_that_are_on_it_already(bench: Bench):
    ids = [str(uuid4()) for _ in range(60)]
    before: set[str] = set()
    for percent in (5, 25, 75):
        await stand_at(bench, OLD, NEW, by_id(percent))
        answers = {i: await bench.send(f"{URL}/", headers={"x-request-id": i}) for i in ids}
        now = {i for i, answer in answers.items() if answer.headers["x-variant"] == "new"}
        assert before <= now
        before = now
    assert before


async def test_faults_timeouts_and_retries_of_the_new_rule_hit_its_share_alone(bench: Bench):
    abort = {"fault": {"abort": {"httpStatus": 418, "percentage": {"value": 100}}}}
    await stand_at(bench, spec(rule()), spec(rule(**abort)), by_id(25))
    refused = sum(answer.status == 418 for answer in await many(bench))
    assert is_about(refused, 0.25), refused
    impatient = {"timeout": "0.05s", "retries": {"attempts": 0}}
    await stand_at(bench, spec(rule()), spec(rule(**impatient)), by_id(50))
    for ending, status in (("0000", 504), ("ffff", 200)):
        answer = await bench.send(f"{URL}/slow/200", headers={"x-request-id": f"trace-{ending}"})
        assert answer.status == status


async def test_added_removed_and_reordered_rules_are_met_wholly_or_not_at_all(bench: Bench):
    old = spec(at("/gone", saying("gone")), at("/a", saying("old-a")), at("/", saying("old-all")))
    new = spec(at("/a/new", saying("added")), at("/", saying("new-all")), at("/a", saying("new-a")))
    await stand_at(bench, old, new, by_id(50))
    expected = {
        "/gone": ("new-all", "gone"),
        "/a/new": ("added", "old-a"),
        "/a": ("new-all", "old-a"),
        "/": ("new-all", "old-all"),
    }
    for path, variants in expected.items():
        for ending, variant in zip(("7fff", "8000"), variants, strict=True):
            answer = await bench.send(URL + path, headers={"x-request-id": f"trace-{ending}"})
            assert answer.headers["x-variant"] == variant, path


async def test_what_no_new_rule_takes_is_answered_404_and_not_by_an_old_rule(bench: Bench):
    old, new = spec(at("/gone", rule()), at("/a", rule())), spec(at("/a", rule()))
    await stand_at(bench, old, new, by_id(50))
    assert (await bench.send(f"{URL}/gone", headers={"x-request-id": "t-0000"})).status == 404
    assert (await bench.send(f"{URL}/gone", headers={"x-request-id": "t-ffff"})).status == 200
    assert (await bench.send(f"{URL}/a", headers={"x-request-id": "t-0000"})).status == 200


async def test_at_the_end_and_after_going_back_nothing_is_left(bench: Bench):
    await stand_at(bench, OLD, NEW, by_id(50))
    assert await stand_at(bench, OLD, NEW, END) == NEW
    assert {a.headers["x-variant"] for a in await many(bench, count=40)} == {"new"}
    assert await stand_at(bench, OLD, NEW, by_id(0)) == OLD
    assert {a.headers["x-variant"] for a in await many(bench, count=40)} == {"old"}


# A/B, mirrors


MATCHES = tuple(
    RequestMatch.model_validate(m)
    for m in (
        {"headers": {"x-group": {"exact": "beta"}}},
        {"cookies": {"user": "staff", "lab": "on"}},
        {"sourceLabels": {"app": "web"}},
    )
)


async def test_chosen_requests_go_to_the_canary_wholly_and_all_others_by_weight(bench: Bench):
    await stand_at(bench, spec(rule("v1")), spec(rule("v2")), Stand(0, MATCHES))
    for headers in (
        {"x-group": "beta"},
        {"cookie": "user=staff; lab=on"},
        {"cookie": "a=b; lab=on; c=d;user=staff"},
    ):
        assert (await bench.send(f"{URL}/", headers=headers)).by == V2, headers
    for headers in (
        {},
        {"x-group": "betas"},
        {"cookie": "user=staff"},
        {"cookie": "xuser=staff; lab=on"},
        {"cookie": "user=staffs; lab=on"},
    ):
        assert (await bench.send(f"{URL}/", headers=headers)).by == V1, headers
    assert (await bench.send(f"{URL}/", as_="web-v1.default")).by == V2
    await stand_at(bench, spec(rule("v1")), spec(rule("v2")), Stand(25, MATCHES))
    assert {a.by for a in await many(bench, count=40, headers={"x-group": "beta"})} == {V2}
    assert is_about(sum(a.by == V2 for a in await many(bench)), 0.25)


async def seen_by_v2(bench: Bench, path: str) -> int:
    await bench.apply(virtual_service("reviews", rule("v2")), subsets("reviews", "v1", "v2"))
    return int((await bench.send(f"{URL}/__seen")).seen.get(path, 0))


async def test_a_mirror_step_copies_its_percentage_and_moves_no_request(bench: Bench):
    for percent, least, most in ((100, 100, 100), (50, 20, 80)):
        path = f"/copied/{percent}"
        await stand_at(bench, spec(rule("v1")), spec(rule("v2")), Stand(0, mirror=percent))
        assert {a.by for a in await many(bench, path, count=100)} == {V1}

        async def arrived(path: str = path, least: int = least) -> bool:
            return await seen_by_v2(bench, path) >= least

        await eventually(arrived)
        assert await seen_by_v2(bench, path) <= most


# Twin subsets


def balanced(policy: dict[str, Any]) -> dict[str, Any]:
    return {
        "host": "reviews",
        "subsets": [
            {"name": "v1", "labels": {"version": "v1"}, "trafficPolicy": policy},
            {"name": "v2", "labels": {"version": "v2"}},
        ],
    }


# No request waits for a connection: every one beyond the first at a moment is refused.
TIGHT = {"connectionPool": {"tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}}}
WIDE = {"connectionPool": {"tcp": {"maxConnections": 100}}}


async def with_twins(bench: Bench, stand: Stand) -> dict[str, Any]:
    stable, target = balanced(WIDE), balanced(TIGHT)
    live = rules.effective(stable, target, stand, namespace="default")
    found = rules.twins(stable, target, namespace="default")
    routes = rules.through(spec(rule("v1", retries={"attempts": 0})), found, stand, namespace="default")
    await bench.apply(
        istio("DestinationRule", "reviews", dict(live)), istio("VirtualService", "reviews", dict(routes))
    )
    assert bench.reports() == []
    return dict(live)


async def refused(bench: Bench, count: int) -> int:
    answers: list[Answer] = []

    async def one() -> None:
        answers.append(await bench.send(f"{URL}/slow/400"))

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(one)
    assert {a.status for a in answers} <= {200, 503}
    assert all(a.headers.get("x-envoy-overloaded") == "true" for a in answers if a.status == 503)
    return sum(a.status == 503 for a in answers)


async def test_a_twin_has_the_new_policy_and_its_share_and_the_subset_keeps_the_old_one(bench: Bench):
    await with_twins(bench, Stand(25))
    # Of 40 at a moment about 10 take the twin, which serves one and lets one wait.
    assert 1 <= await refused(bench, 40) <= 25
    await with_twins(bench, Stand(0))
    assert await refused(bench, 40) == 0
    assert await with_twins(bench, END) == balanced(TIGHT)
    assert await refused(bench, 40) >= 30


async def test_what_is_counted_of_a_twin_is_counted_under_the_version_of_its_subset(bench: Bench):
    await with_twins(bench, Stand(50))
    await many(bench, count=40)
    text = await bench.plane.admin.prometheus()
    counted = re.findall(r'istio_requests_total\{.*destination_version="([^"]*)"', text)
    assert "v1" in counted
    assert not [version for version in counted if "gitmesh" in version]


async def test_of_a_root_and_its_delegate_by_ids_the_delegates_new_rules_would_meet_nobody(bench: Bench):
    """Why one of them waits for the other: see gitmesh/decide/delegation.py."""
    parts = (saying("old"), saying("new"))
    inner = services.effective(spec(parts[0]), spec(parts[1]), by_id(50), namespace="default")
    del inner["hosts"]
    through = {"name": "part", "delegate": {"name": "reviews-part"}}
    for root, seen in (
        (spec(through), {"old", "new"}),
        (services.effective(spec(through), spec({**through, "timeout": "5s"}), by_id(50)), {"old"}),
    ):
        delegate = istio("VirtualService", "reviews-part", inner)
        await bench.apply(istio("VirtualService", "reviews", root), delegate, subsets("reviews", "v1", "v2"))
        assert {a.headers["x-variant"] for a in await many(bench, count=60)} == seen
