"""ScrapeMetrics turns growing counters into requests of a window."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from fakes.builders import NOON

from gitmesh.model.metrics import RequestQuery, RequestStats
from gitmesh.model.rollout import Target
from gitmesh.observe.errors import MetricsError
from gitmesh.observe.growth import SAMPLES_MAX
from gitmesh.observe.http import Endpoint
from gitmesh.observe.scrape import ScrapeMetrics

pytestmark = pytest.mark.anyio
HOST = "reviews.default.svc.cluster.local"


def line(count: float, version: str = "v2", code: str = "200", **more: str) -> str:
    name = more.pop("name", "envoy_istio_requests_total")
    labels = {
        "reporter": "source",
        "destination_service": HOST,
        "destination_version": version,
        "response_code": code,
        "grpc_response_status": "",
    } | more
    return name + "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + f"}} {count}\n"


class World:
    """An endpoint whose text the test sets, and a clock that it moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.text = ""
        self.time = 100.0
        self.scrapes = 0
        self.before_answer: Callable[[], Any] | None = None
        self.error: MetricsError | None = None

        async def get(_: Endpoint) -> bytes:
            self.scrapes += 1
            await anyio.lowlevel.checkpoint()
            if self.error:
                raise self.error
            return self.text.encode()

        monkeypatch.setattr(Endpoint, "get", get)
        self.metrics = ScrapeMetrics(
            "http://127.0.0.1:15090/stats/prometheus",
            timeout=timedelta(seconds=1),
            response_bytes_max=1_000_000,
            clock=self,
        )

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.time)

    async def count(
        self, text: str | None = None, *, after: float = 1, window: float = 5, version: str = "v2"
    ) -> Any:
        self.time += after
        self.text = self.text if text is None else text
        query = RequestQuery(Target(host=HOST, version=version), timedelta(seconds=window))
        stats = await self.metrics.count(query)
        return stats.requests, stats.failed


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


async def test_what_was_counted_before_the_first_scrape_is_in_no_window(world: World) -> None:
    assert await world.count(line(1000) + line(400, code="503")) == (0, 0)
    assert await world.count(line(1010) + line(405, code="503")) == (15, 5)


async def test_a_window_begins_at_the_newest_scrape_that_is_old_enough(world: World) -> None:
    for total in (0, 10, 20, 30):
        await world.count(line(total), after=2)
    assert await world.count(line(40), after=2, window=4) == (20, 0)
    assert await world.count(window=3, after=0) == (20, 0), "no scrape is 3 s old, one is 4 s old"


async def test_a_series_that_appears_began_at_zero(world: World) -> None:
    await world.count(line(5, version="v1"))
    assert await world.count(line(5, version="v1") + line(7, code="503")) == (7, 7)


async def test_a_restarted_process_counts_from_zero(world: World) -> None:
    await world.count(line(1000))
    await world.count(line(1010))
    assert await world.count(line(3)) == (13, 0)
    assert await world.count("") == (13, 0), "nothing exposed yet"
    assert await world.count(line(2)) == (15, 0)


async def test_a_long_pause_is_not_taken_for_the_window(world: World) -> None:
    """What failed an hour ago, while nobody asked, must not fail the next rollout."""
    await world.count(line(0))
    assert await world.count(line(900, code="503"), after=3600) == (0, 0)
    assert await world.count(line(904, code="503")) == (4, 4)


async def test_only_the_client_side_and_one_name_are_counted(world: World) -> None:
    def text(count: int) -> str:
        return (
            line(count)
            + line(count, name="istio_requests_total")
            + line(count, name="istio_requests_total", reporter="destination")
            + line(count, name="istio_requests_total_other")
            + "# istio_requests_total comment\nenvoy_other{} x\n"
        )

    await world.count(text(1))
    assert await world.count(text(4)) == (3, 0)


async def test_versions_are_told_apart_and_no_version_means_all(world: World) -> None:
    await world.count("")
    await world.count(line(3, version="v1") + line(4, version="v2"))
    assert await world.count(after=0, version="v1") == (3, 0)
    assert await world.count(after=0, version="") == (7, 0)
    assert await world.count(after=0, version="v9") == (0, 0)


@pytest.mark.parametrize(
    "text",
    [
        line(float("nan")),
        line(-1),
        "istio_requests_total{a=b} 1\n",
        line(1) + line(1),
        "istio_requests_total\n",
    ],
)
async def test_an_odd_exposition_is_an_error_that_says_where(world: World, text: str) -> None:
    with pytest.raises(MetricsError, match=r"metrics endpoint at http://127\.0\.0\.1:15090/stats/prometheus"):
        await world.count(text)


async def test_questions_at_one_moment_share_one_scrape_and_one_error(world: World) -> None:
    answers: list[RequestStats | MetricsError] = []

    async def ask() -> None:
        try:
            query = RequestQuery(Target(host=HOST, version="v2"), timedelta(seconds=5))
            answers.append(await world.metrics.count(query))
        except MetricsError as error:
            answers.append(error)

    for wanted, error in ((1, None), (2, MetricsError("down")), (3, None)):
        world.error = error
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(ask)
        assert world.scrapes == wanted
    assert [isinstance(answer, MetricsError) for answer in answers] == [False] * 5 + [True] * 5 + [False] * 5


async def test_a_cancelled_scrape_does_not_answer_for_those_who_wait(world: World) -> None:
    await world.count("")
    world.text = line(3)
    counted: list[float] = []

    async def ask() -> None:
        query = RequestQuery(Target(host=HOST, version="v2"), timedelta(seconds=5))
        counted.append((await world.metrics.count(query)).requests)

    async with anyio.create_task_group() as group:
        first = anyio.CancelScope()

        async def ask_and_leave() -> None:
            with first:
                await ask()

        group.start_soon(ask_and_leave)
        group.start_soon(ask)
        await anyio.lowlevel.checkpoint()
        first.cancel()
    assert counted == [3]


async def test_the_history_is_bounded(world: World) -> None:
    for count in range(SAMPLES_MAX * 2):
        await world.count(line(count), after=0.01, window=3600)
    assert len(world.metrics.requests.history) <= SAMPLES_MAX
    assert await world.count(after=0, window=3600) == (SAMPLES_MAX * 2 - 1, 0), "and its beginning is kept"
    assert (await world.count(after=0, window=0.05))[0] == 5, "and its end is exact"


async def test_who_prepared_has_an_answer_to_the_first_question(world: World) -> None:
    world.text = line(100)
    await world.metrics.prepare(RequestQuery(Target(host=HOST, version="v2"), timedelta(seconds=5)))
    assert await world.count(line(130)) == (30, 0)


def cluster(name: str, code: int, count: float, **more: str) -> str:
    labels = {"envoy_response_code": str(code), "envoy_cluster_name": "outbound", "cluster_name": name} | more
    return "envoy_cluster_upstream_rq{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + f"}} {count}\n"


async def test_copies_are_counted_by_the_clusters_they_go_to(world: World) -> None:
    def copied(v2: int, other: int) -> str:
        return (
            line(1)
            + cluster(f"outbound|9080|v2|{HOST}", 200, v2)
            + cluster(f"outbound|9090|v2|{HOST}@default/web", 503, v2)
            + cluster(f"outbound|9080|v2-gitmesh-0123abcd|{HOST}", 200, v2)
            + cluster(f"outbound|9080|v1|{HOST}", 500, other)
            + cluster(f"outbound|9080|v2|ratings.{HOST}", 500, other)
            + cluster("PassthroughCluster", 500, other)
        )

    async def count(subset: str) -> tuple[float, float]:
        target = Target(host=HOST, subset=subset, version=subset and "2.0")
        query = RequestQuery(target, timedelta(seconds=5), copies=True)
        stats = await world.metrics.count(query)
        return stats.requests, stats.failed

    world.text = copied(10, 50)
    assert await count("v2") == (0, 0), "what was before the first scrape is in no window"
    world.time += 1
    world.text = copied(13, 57)
    assert await count("v2") == (9, 3)
    assert await count("") == (16, 10)
    assert await world.count(version="v2") == (0, 0), "whoever sends requests counts no copies"
