"""Promises about the sample service and its knobs."""

import asyncio
import json

import pytest

from gitmesh.playground.sample import Connection, Control, Service

pytestmark = pytest.mark.anyio


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def answers(self):
        found, rest = [], self.written
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            size = int(
                next(line for line in head.split(b"\r\n") if line.startswith(b"content-length")).split()[1]
            )
            found.append((int(head.split()[1]), json.loads(rest[:size])))
            rest = rest[size:]
        return found


def connect(service, kind=Connection):
    wire, connection = Wire(), kind(service)
    connection.connection_made(wire)
    return wire, connection


@pytest.fixture
def service():
    return Service("reviews", "v2", "reviews-v2")


GET = b"GET /reviews HTTP/1.1\r\nHost: reviews:9080\r\nX-Secret: 1\r\n\r\n"


async def test_it_says_who_it_is(service):
    wire, connection = connect(service)
    connection.data_received(GET)
    assert wire.answers() == [
        (200, {"service": "reviews", "version": "v2", "pod": "reviews-v2", "path": "/reviews",
               "headers": {"host": "reviews:9080"}})
    ]  # fmt: skip
    assert b"x-service-version: v2\r\n" in wire.written


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_requests_in_pieces_and_in_a_row_are_answered_in_order(service, size):
    post = b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
    chunked = b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    wire, connection = connect(service)
    stream = GET + post + chunked + GET
    for start in range(0, len(stream), size):
        connection.data_received(stream[start : start + size])
    assert [body["path"] for _, body in wire.answers()] == ["/reviews", "/a", "/b", "/reviews"]


@pytest.mark.parametrize(
    ("percent", "failed"), [(0, 0), (1, 10), (30, 300), (50, 500), (99.5, 995), (100, 1000)]
)
def test_failures_are_exact_and_spread_evenly(service, percent, failed):
    service.set_knobs({"error_percent": percent})
    outcomes = [service.take_request() for _ in range(1000)]
    assert sum(outcomes) == failed
    for start in range(0, 1000, 200):
        assert abs(sum(outcomes[start : start + 200]) - failed / 5) <= 1
    assert (service.requests, service.failed) == (1000, failed)


async def test_told_to_fail_it_answers_500_and_still_says_who_it_is(service):
    service.set_knobs({"error_percent": 100})
    wire, connection = connect(service)
    connection.data_received(GET)
    ((status, body),) = wire.answers()
    assert (status, body["version"]) == (500, "v2")


async def test_told_to_be_slow_it_answers_late_and_in_order(service):
    service.set_knobs({"latency_ms": 20})
    wire, connection = connect(service)
    connection.data_received(GET + GET.replace(b"/reviews", b"/second"))
    assert wire.answers() == []
    for _ in range(200):
        await asyncio.sleep(0.005)
        if len(wire.answers()) == 2:
            break
    assert [body["path"] for _, body in wire.answers()] == ["/reviews", "/second"]


@pytest.mark.parametrize(
    "stream",
    [b"nonsense\r\n\r\n", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"x" * 70_000],
)
async def test_what_is_no_http_closes_the_connection(service, stream):
    wire, connection = connect(service)
    connection.data_received(stream)
    assert wire.closed


async def test_the_control_port_sets_and_tells(service):
    wire, control = connect(service, Control)
    body = b'{"error_percent": 30, "latency_ms": 5}'
    control.data_received(b"PUT /__control HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    control.data_received(b"GET /__control HTTP/1.1\r\n\r\n")
    (first, _), (second, report) = wire.answers()
    assert (first, second) == (200, 200)
    assert (report["error_percent"], report["latency_ms"], report["requests"]) == (30.0, 5.0, 0)


@pytest.mark.parametrize(
    "knobs",
    [[], {"x": 1}, {"error_percent": 101}, {"error_percent": "30"}, {"latency_ms": -1}, {"latency_ms": True}],
)
def test_wrong_knobs_change_nothing(service, knobs):
    service.set_knobs({"error_percent": 10})
    assert service.set_knobs(knobs)
    assert (service.error_percent, service.latency_ms) == (10.0, 0.0)


async def test_the_time_of_the_last_request_is_told(service):
    assert service.report()["last_request_monotonic"] == 0
    service.take_request()
    report = service.report()
    assert report["last_request_monotonic"] > 0
    assert report["last_request_at"] > 1e9
