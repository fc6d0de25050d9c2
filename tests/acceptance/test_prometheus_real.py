"""PrometheusMetrics against Debian's Prometheus, which scrapes small expositions on loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import pytest

from gitmesh.engine.clock import SystemClock
from gitmesh.model.metrics import LatencyQuery, RequestQuery, RequestStats, ValueQuery
from gitmesh.model.rollout import Target
from gitmesh.observe.errors import MetricsError
from gitmesh.observe.prometheus import PrometheusMetrics

pytestmark = [pytest.mark.anyio, pytest.mark.real]

HOSTILE = 'v2"} or vector(1)\n\\'
TOOLS = Path(__file__).parents[2] / ".tools" / "bin"
SCRAPE_SECONDS = 0.2
NOW = SystemClock().now


class Exposition:
    """A counter per (version, code, grpc status) to one host, as an Envoy or an Istio sidecar shows it."""

    def __init__(self, host: str, counts: dict[tuple[str, str, str], int], name: str = "") -> None:
        self.host = f"{host}.default.svc.cluster.local"
        self.counts = counts
        self.buckets: dict[tuple[str, str], int] = {}
        self.name = name or "istio_requests_total"

    def text(self) -> str:
        lines = [f"# TYPE {self.name} counter"]
        for (version, code, grpc), count in dict(self.counts).items():
            lines.append(
                f'{self.name}{{reporter="source",destination_service="{self.host}",'
                f'destination_version="{version}",response_code="{code}",'
                f'grpc_response_status="{grpc}"}} {count}'
            )
            # The other end counts the same requests again.
            lines.append(lines[-1].replace('"source"', '"destination"'))
        for (version, bound), count in dict(self.buckets).items():
            lines.append(
                f'istio_request_duration_milliseconds_bucket{{reporter="source",le="{bound}",'
                f'destination_service="{self.host}",destination_version="{version}"}} {count}'
            )
        return "\n".join(lines) + "\n"

    @contextmanager
    def served(self) -> Iterator[str]:
        text = self.text

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = text().encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


REVIEWS = Exposition("reviews", {("v2", "200", ""): 1000, ("v2", "503", ""): 400, ("v1", "200", ""): 9})
RATINGS = Exposition("ratings", {("v2", "200", ""): 5}, "envoy_istio_requests_total")
LATER = Exposition("later", {("v2", "200", ""): 30})
ONE, TWO = Exposition("details", {("v2", "200", ""): 50}), Exposition("details", {("v2", "200", ""): 70})


def binary() -> str:
    found = shutil.which("prometheus", path=str(TOOLS)) or shutil.which("prometheus")
    assert found, "no prometheus binary: run `make tools`"
    return found


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("prometheus")
    url = f"http://127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        targets = [stack.enter_context(e.served()) for e in (REVIEWS, RATINGS, ONE, TWO, LATER)]
        config = directory / "prometheus.yml"
        config.write_text(
            f"global: {{scrape_interval: {int(SCRAPE_SECONDS * 1000)}ms, scrape_timeout: 200ms}}\n"
            f"scrape_configs: [{{job_name: mesh, static_configs: [{{targets: {targets}}}]}}]\n"
        )
        command = [
            binary(),
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={url.removeprefix('http://')}",
            "--log.level=error",
        ]
        process = subprocess.Popen(command)
        try:
            yield url
        finally:
            process.kill()
            process.wait()


def metrics_of(url: str) -> PrometheusMetrics:
    return PrometheusMetrics(url, timeout=timedelta(seconds=5), response_bytes_max=1_000_000)


def asked(of: Exposition, version: str = "v2", seconds: float = 3) -> RequestQuery:
    return RequestQuery(Target(host=of.host, subset="x", version=version), timedelta(seconds=seconds))


async def until(
    ask: Callable[[], Awaitable[RequestStats]], wanted: tuple[float, float], seconds: float = 10
) -> RequestStats:
    """Ask until the answer is (requests, failed); a Prometheus that is not up yet counts as no answer."""
    last: object = None
    with anyio.move_on_after(seconds):
        while True:
            try:
                last = stats = await ask()
                if (stats.requests, stats.failed) == wanted:
                    return stats
            except MetricsError as error:
                last = error
            await anyio.sleep(0.05)
    raise AssertionError(f"wanted {wanted}, last answer: {last}")


async def settled(metrics: PrometheusMetrics, seconds: float) -> None:
    """Wait until every target has been scraped for so long."""
    then = f"offset {int(seconds * 1000)}ms" if seconds else ""
    with anyio.fail_after(30):
        while True:
            try:
                status, body = await metrics._endpoint.request(
                    "POST", "/api/v1/query", {"query": f"up {then} == 1"}
                )
                if status == 200 and body.count(b'"instance"') == 5:
                    return
            except MetricsError:
                pass
            await anyio.sleep(0.1)


async def test_requests_and_failures_of_a_short_window_are_counted_exactly(prometheus: str) -> None:
    """Old counts do not matter, the first value of a new series does, and a restart is no loss."""
    metrics, counts = metrics_of(prometheus), REVIEWS.counts

    async def count(version: str = "v2", seconds: float = 3) -> RequestStats:
        return await metrics.count(asked(REVIEWS, version, seconds))

    await settled(metrics, 0)
    assert (await count(seconds=60)).failed == 0, "what was before is in no window"
    await settled(metrics, 3)

    counts[("v2", "200", "")] += 10
    counts[("v2", "500", "")] = 3  # born inside the window
    counts[("v2", "0", "")] = 2  # no answer at all
    counts[("v2", "404", "")] = 4  # the caller's fault
    counts[("v2", "200", "14")] = 1  # gRPC: unavailable, on HTTP 200
    counts[("v2", "200", "5")] = 1  # gRPC: not found
    stats = await until(count, (21, 6))
    assert 'destination_version="v2"' in stats.query
    assert (await count("v1")).requests == 0
    assert (await count("v3")).requests == 0, "no series at all"
    assert (await count("")).requests == 21, "without a version: all of the host"
    assert (await count(HOSTILE)).requests == 0
    await until(count, (0, 0))

    REVIEWS.counts = {("v2", "200", ""): 7}  # restarted: counts from zero again
    await until(count, (7, 0))
    await metrics.close()


async def test_a_window_between_two_scrapes_still_sees_what_grew(prometheus: str) -> None:
    """`increase` alone would need two samples inside the window."""
    metrics = metrics_of(prometheus)
    await settled(metrics, 1)
    RATINGS.counts[("v2", "200", "")] = 12
    await until(lambda: metrics.count(asked(RATINGS, seconds=SCRAPE_SECONDS * 0.7)), (7, 0))
    await metrics.close()


async def test_what_is_counted_from_a_moment_on_only_grows_and_joins_what_was_counted_before(
    prometheus: str,
) -> None:
    """An anchor that is moved at a check neither loses a request nor counts one twice."""
    metrics, counts = metrics_of(prometheus), LATER.counts
    await settled(metrics, 1)
    start = since = NOW()
    counted = 0.0
    for number in range(20):
        counts[("v2", "200", "")] += 7
        if number == 12:
            counts[("v2", "503", "")] = 5  # a series that is born on the way
        await anyio.sleep(0.11)
        now = NOW()
        if number % 3 == 2:
            query = RequestQuery(asked(LATER).target, now - since, since)
            counted += (await metrics.count(query)).requests
            since = now

    async def whole() -> RequestStats:
        now = NOW()
        tail = await metrics.count(RequestQuery(asked(LATER).target, now - since, since))
        return RequestStats(counted + tail.requests, 0, tail.query)

    await until(whole, (20 * 7 + 5, 0))

    async def at_once() -> RequestStats:
        now = NOW()
        return await metrics.count(RequestQuery(asked(LATER).target, now - start, start))

    await until(at_once, (20 * 7 + 5, 5))
    await metrics.close()


async def test_durations_are_counted_by_bucket_and_a_query_gives_one_number(prometheus: str) -> None:
    metrics = metrics_of(prometheus)
    LATER.buckets = {("v2", "500"): 100, ("v2", "1000"): 120, ("v2", "+Inf"): 120}
    await anyio.sleep(3 * SCRAPE_SECONDS)
    since = NOW()
    LATER.buckets = {("v2", "500"): 190, ("v2", "1000"): 219, ("v2", "+Inf"): 220}

    async def slow() -> RequestStats:
        query = LatencyQuery(asked(LATER).target, NOW() - since, since)
        stats = await metrics.latency(query)
        return RequestStats(stats.requests, stats.slower_than(500), stats.query)

    await until(slow, (100, 10))
    value = await metrics.value(
        ValueQuery(f'count(istio_requests_total{{destination_service="{LATER.host}"}})')
    )
    assert value.value >= 2
    with pytest.raises(MetricsError, match="series where one was meant"):
        await metrics.value(ValueQuery("up"))
    with pytest.raises(MetricsError, match="parse error"):
        await metrics.value(ValueQuery("sum("))
    await metrics.close()


async def test_two_sidecars_are_added_up(prometheus: str) -> None:
    metrics = metrics_of(prometheus)
    await settled(metrics, 3)
    ONE.counts[("v2", "200", "")] += 1
    TWO.counts[("v2", "503", "")] = 2
    await until(lambda: metrics.count(asked(ONE)), (3, 2))
    await metrics.close()
