"""GitMesh's own matching and Envoy, given the same objects and requests, name the same route.

    .venv/bin/pytest tests/properties/test_matching_agrees_with_envoy.py --examples 2000 [--first SEED]

The two share no code: one reads the objects as Istio's documents and sources say, the other serves what the
playground's translation made of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
import yaml
from fakes.mesh_objects import pod, resource_set, service, subsets
from fakes.random_mesh import LABELS, NAMESPACES, SERVICES, Asked, RandomMesh
from fakes.real_envoy import Bench, mesh_bench

from gitmesh.istio.matching.answer import Answer
from gitmesh.istio.matching.outcome import Forward, NoRoute, Outside, Redirect, Respond, Share
from gitmesh.istio.matching.request import Caller, read_request
from gitmesh.istio.matching.traffic import Traffic
from gitmesh.playground.envoy.probe import ProbeAnswer
from gitmesh.playground.translate.fields import render_path
from gitmesh.playground.translate.gateways import BUILT_IN_PORTS

pytestmark = [pytest.mark.real, pytest.mark.anyio, pytest.mark.timeout(0)]

SECONDS_MAX = 15.0
REQUESTS_PER_WORLD = 60
# Without them an object is not valid any more.
KEPT = (
    "hosts",
    "route",
    "destination",
    "host",
    "redirect",
    "directResponse",
    "port",
    "number",
    "protocol",
    "weight",
)
GATEWAY = "istio-ingressgateway.istio-system"
INGRESS = Caller("istio-system", {"istio": "ingressgateway"}, is_gateway=True, ports=BUILT_IN_PORTS)
CALLERS = {"client": Caller(), GATEWAY: INGRESS} | {
    f"pod-{number}.{namespace}": Caller(namespace, labels)
    for namespace in NAMESPACES
    for number, labels in enumerate(LABELS)
}


def base() -> list[dict[str, Any]]:
    """Services, subsets, and a Pod for each caller."""
    found = []
    for (name, namespace), ports in SERVICES.items():
        body = service(name, ports[0], namespace)
        body["spec"]["ports"] = [{"name": f"http-{port}", "port": port} for port in ports]
        if name == "details":
            body["spec"]["clusterIP"] = "10.0.0.9"
        found.append(body)
    found += [subsets("reviews", "v1", "v2"), subsets("ratings", "v1", "v2")]
    for number, (name, caller) in enumerate(CALLERS.items()):
        if name not in ("client", GATEWAY):
            body = pod("any", "v1", f"127.83.7.{number}")
            body["metadata"] |= {
                "name": name.partition(".")[0],
                "namespace": caller.namespace,
                "labels": dict(caller.labels),
            }
            found.append(body)
    return found


async def test_both_name_the_same_route(tmp_path, request: pytest.FixtureRequest):
    examples = request.config.getoption("--examples", default=None)
    first = request.config.getoption("--first", default=0)
    began, played, asked = time.monotonic(), 0, 0
    async with mesh_bench(tmp_path, *base()) as bench:
        while played < examples if examples else time.monotonic() - began < SECONDS_MAX:
            asked += await play(bench, first + played)
            played += 1
    assert examples or asked >= 1000, "the machine was too slow to say anything"


async def play(bench: Bench, seed: int) -> int:
    mesh = RandomMesh(seed)
    objects = mesh.objects()
    requests = [mesh.asked(mesh.pick(CALLERS)) for _ in range(REQUESTS_PER_WORLD)]
    wrong = await disagreements(bench, objects, requests)
    if wrong:
        asked, why = wrong[0]
        smallest = await reduced(bench, objects, asked)
        for _, least in await disagreements(bench, smallest, [asked]):
            why = least
        pytest.fail(f"seed {seed} (--first {seed} --examples 1): {asked}\n{why}\n{written(smallest)}")
    return len(requests)


async def disagreements(
    bench: Bench, objects: list[dict[str, Any]], requests: list[Asked]
) -> list[tuple[Asked, str]]:
    await bench.apply(*objects)
    traffic = Traffic(resource_set((*bench.base, *objects)))
    found: dict[Asked, str] = {}

    async def ask(asked: Asked) -> None:
        ours = traffic.answer(read_request(asked.method, asked.url, asked.headers), CALLERS[asked.caller])
        routes = routes_of(bench, asked)
        if not routes:
            if not isinstance(ours.action.outcome, NoRoute):
                found[asked] = f"Envoy does not listen\n  ours:  {shown(ours)}"
            return
        for patience_seconds in (0.1, 0):
            envoys = await bench.probe.ask(routes, asked.method, asked.url, asked.headers)
            wrong = list(compare(ours, envoys))
            if not wrong:
                return
            # A worker of Envoy takes routes a moment after its main thread has acknowledged them.
            await anyio.sleep(patience_seconds)
        found[asked] = f"{', '.join(wrong)}\n  ours:  {shown(ours)}\n  Envoy: {envoys}\n"

    async with anyio.create_task_group() as tasks:
        for asked in requests:
            tasks.start_soon(ask, asked)
    return list(found.items())


def routes_of(bench: Bench, asked: Asked) -> str:
    """Return the proxy, or the route configuration of a gateway at the port of the request."""
    if asked.caller != GATEWAY:
        return asked.caller
    servers = next(entry.servers for entry in bench.translation.proxies if entry.name == GATEWAY)
    served = servers.get(read_request(asked.method, asked.url).port or 80)
    return served.routes["*"] if served else ""


async def reduced(bench: Bench, objects: list[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
    """Leave out every object and every rule without which the two still disagree."""
    again = True
    while again:
        again = False
        for smaller in smaller_than(objects):
            if await disagreements(bench, smaller, [asked]):
                objects, again = smaller, True
                break
    return objects


def smaller_than(objects: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for place, body in enumerate(objects):
        yield [*objects[:place], *objects[place + 1 :]]
        for path in removable(body["spec"]):
            yield [*objects[:place], {**body, "spec": without(body["spec"], path)}, *objects[place + 1 :]]


def removable(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in items:
        if name not in KEPT:
            yield (*path, name)
        if name not in ("destination", "headers", "hosts"):
            yield from removable(child, (*path, name))


def without(value: Any, path: tuple[Any, ...]) -> Any:
    head, *rest = path
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k != head or rest}
        return {k: without(v, tuple(rest)) if k == head else v for k, v in kept.items()}
    kept_items = [v for i, v in enumerate(value) if i != head or rest]
    return [without(v, tuple(rest)) if rest and i == head else v for i, v in enumerate(kept_items)]


def compare(ours: Answer, envoys: ProbeAnswer) -> Iterator[str]:
    if ours.taken is not None:
        place = f"{ours.taken.match_key.namespace}/{ours.taken.match_key.name}"
        if (place, render_path(ours.taken.match_path)) != (envoys.source, envoys.rule):
            yield "another rule takes it"
        if ours.taken.name != envoys.route:
            yield "the route has another name"
    elif envoys.source:
        yield "Envoy has a rule for it"
    match ours.action.outcome:
        case Forward() as forward:
            yield from compare_forward(ours, forward, envoys)
        case NoRoute():
            if envoys.found:
                yield "Envoy has a route for it"
        case Outside(blocked):
            if envoys.host != ("block_all" if blocked else "allow_any"):
                yield "Envoy knows the host"
        case Redirect(status) | Respond(status):
            if envoys.status != status:
                yield "Envoy answers otherwise"
    if is_told_apart(ours):
        yield from compare_extras(ours, envoys)


def is_told_apart(ours: Answer) -> bool:
    """Say whether Envoy's answer names one route. Two roots of one delegate leave routes with one name."""
    return ours.taken is None or ours.taken.key == ours.taken.root


def compare_extras(ours: Answer, envoys: ProbeAnswer) -> Iterator[str]:
    abort = envoys.message.get("typed_per_filter_config", {}).get("envoy.filters.http.fault", {}).get("abort")
    fault = ours.action.fault
    if bool(fault and fault.abort) != bool(abort):
        yield "another fault"
    if not isinstance(ours.action.outcome, Forward):
        return
    forward, action = ours.action.outcome, envoys.message.get("route", {})
    seconds = float(action.get("timeout", "15s").removesuffix("s"))
    if seconds != (forward.timeout_seconds or 0):
        yield "another timeout"
    if action.get("retry_policy", {}).get("num_retries", 0) != forward.retries.attempts:
        yield "other retries"
    if len(action.get("request_mirror_policies", ())) != len(forward.mirrors):
        yield "other mirrors"
    if action.get("host_rewrite_literal", "") != forward.rewrite.authority:
        yield "another authority"


def compare_forward(ours: Answer, forward: Forward, envoys: ProbeAnswer) -> Iterator[str]:
    action = envoys.message.get("route", {})
    if ours.taken is None and (envoys.route, envoys.source) != ("default", ""):
        yield "Envoy does not take the route of the service"
    wanted = [(cluster(share), share.weight) for share in forward.shares]
    weighted = [(e["name"], e["weight"]) for e in action.get("weighted_clusters", {}).get("clusters", ())]
    found = weighted or [(action.get("cluster", ""), wanted[0][1])]
    if [(name.partition("@")[0], weight) for name, weight in found] != wanted:
        yield f"other clusters or weights, not {wanted}"
    # Of a cluster that does not exist Envoy says nothing.
    if envoys.cluster and envoys.cluster not in dict(found):
        yield f"another cluster, not one of {wanted}"


def cluster(share: Share) -> str:
    where = share.destination
    return f"outbound|{where.port}|{where.subset}|{where.host}"


def shown(answer: Answer) -> str:
    passed = [
        f"{p.where.match_key.name} {render_path(p.where.match_path)}: {'; '.join(p.reasons)}"
        for p in answer.passed
    ]
    return "\n         ".join([str(answer.taken), str(answer.action), *passed, *map(str, answer.unheard)])


def written(objects: list[dict[str, Any]]) -> str:
    return yaml.safe_dump_all(objects, sort_keys=False, default_flow_style=None)
