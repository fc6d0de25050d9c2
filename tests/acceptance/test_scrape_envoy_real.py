"""ScrapeMetrics reads a real Envoy: what was asked is what is counted, also when nobody answers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from fakes.mesh_objects import pod, service, subsets, to, virtual_service
from fakes.real_envoy import client_of, envoy
from fakes.upstreams import upstreams

from gitmesh.engine.clock import SystemClock
from gitmesh.model.metrics import RequestQuery
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
