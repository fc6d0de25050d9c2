"""ScrapeMetrics reads a real Envoy: what was asked is what is counted, also when nobody answers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from fakes.mesh_objects import pod, service, subsets, to, virtual_service
from fakes.real_envoy import client_of, envoy
from fakes.real_loop import until
from fakes.upstreams import upstreams

from gitmesh.engine.clock import SystemClock
from gitmesh.model.metrics import LatencyQuery, RequestQuery
from gitmesh.model.rollout import Target
from gitmesh.observe.scrape import ScrapeMetrics

pytestmark = [pytest.mark.anyio, pytest.mark.real]
V1 = "127.0.23.1"
HOST = "reviews.default.svc.cluster.local"


async def test_requests_failures_and_an_unreachable_version_are_counted(tmp_path: Path) -> None:
    with upstreams(V1) as port:
        objects = [
            service("reviews", port),
            pod("reviews", "v1", V1),
            subsets("reviews", "v1", "v2"),
            virtual_service(
                "reviews",
                {"match": [{"uri": {"prefix": "/canary"}}], "route": [to("reviews", "v2")]},
                {"route": [to("reviews", "v1")]},
            ),
        ]
        async with envoy(tmp_path, *objects) as plane, client_of(plane.addresses.mesh) as client:
            metrics = ScrapeMetrics(
                plane.addresses.metrics_url,
                timeout=timedelta(seconds=5),
                response_bytes_max=10_000_000,
                clock=SystemClock(),
            )

            async def count(version: str) -> tuple[float, float]:
                target = Target(host=HOST, version=version)
                stats = await metrics.count(RequestQuery(target, timedelta(minutes=1)))
                return stats.requests, stats.failed

            await client.ask("reviews")
            assert await count("v1") == (0, 0), "what was before the first scrape is in no window"
            for path in ("/", "/status/404", "/status/503", "/status/500", "/canary", "/canary"):
                await client.ask("reviews", path)
            assert await count("v1") == (4, 2)
            assert await count("v2") == (2, 2), "no Pod at all: Envoy answers 503"
            await metrics.close()


async def test_copies_are_counted_with_failures_and_also_when_nobody_is_there(tmp_path: Path) -> None:
    v2 = "127.0.23.2"
    with upstreams(V1, v2) as port:
        objects = [
            service("reviews", port),
            pod("reviews", "v1", V1),
            pod("reviews", "v2", v2),
            subsets("reviews", "v1", "v2", "v3"),
            virtual_service(
                "reviews",
                {"route": [to("reviews", "v1")], "mirrors": [to("reviews", "v2"), to("reviews", "v3")]},
            ),
        ]
        async with envoy(tmp_path, *objects) as plane, client_of(plane.addresses.mesh) as client:
            metrics = ScrapeMetrics(
                plane.addresses.metrics_url,
                timeout=timedelta(seconds=5),
                response_bytes_max=10_000_000,
                clock=SystemClock(),
            )
            minute = timedelta(minutes=1)

            async def count(version: str, *, copies: bool = True) -> tuple[float, float]:
                target = Target(host=HOST, subset=version, version=version)
                stats = await metrics.count(RequestQuery(target, minute, copies=copies))
                return stats.requests, stats.failed

            target = Target(host=HOST, subset="v2", version="v2")
            slow = LatencyQuery(target, minute, copies=True)
            await metrics.prepare(slow)
            await client.ask("reviews")
            await count("v2")
            for path in ("/", "/status/404", "/status/503", "/slow/30"):
                await client.ask("reviews", path)

            async def all_came() -> bool:
                return (await count("v2"))[0] >= 4

            await until("the copies, whose answers nobody waits for", all_came)
            assert await count("v2") == (4, 1)
            assert await count("v3") == (4, 4), "no Pod at all: Envoy answers 503"
            assert await count("v2", copies=False) == (0, 0), "what is sent is counted without copies"

            async def slow_one() -> bool:
                return (await metrics.latency(slow)).slower_than(25) >= 0.9

            await until("the slow copy, which Envoy tells of once a second", slow_one)
            await metrics.close()
