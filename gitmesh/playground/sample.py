"""The sample service: answers who it is, and can be told to fail or to be slow. One process for each Pod.

Stage: playground (face). Only the standard library, so that it starts in a moment and stays small:
`python -m gitmesh.playground.sample --host 127.64.0.1 --port 9080 --name reviews --version v1`.

It writes one line of JSON to standard output when it listens, and ends when its standard input ends: so it
never outlives whoever started it. On the control port, GET /__control tells what it has served and
PUT /__control {"error_percent": 30, "latency_ms": 20} sets the knobs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections import deque
from typing import Any

_HEAD_MAX = 65_536
_ECHOED = ("host", "user-agent", "end-user", "x-request-id", "x-envoy-original-path", "x-canary")
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}
_WINDOW_SECONDS = 10


class Service:
    """What the service is, how it misbehaves, and what it has served."""

    def __init__(self, name: str, version: str, pod: str) -> None:
        self.name, self.version, self.pod = name, version, pod
        self.error_percent = 0.0
        self.latency_ms = 0.0
        self.requests = 0
        self.failed = 0
        self.last_request_at = 0.0
        self.last_request_monotonic = 0.0
        self._due = 0.0  # how much of the next failure has come together
        self._seconds: deque[tuple[int, int]] = deque(maxlen=_WINDOW_SECONDS)  # second, requests in it

    def take_request(self) -> bool:
        """Count a request; say whether it fails. Failures are spread evenly: 30 % are 3 of any 10."""
        self.requests += 1
        self.last_request_at = time.time()
        self.last_request_monotonic = time.monotonic()
        self._count_second(int(self.last_request_monotonic))
        self._due += self.error_percent
        if self._due < 100:
            return False
        self._due -= 100
        self.failed += 1
        return True

    def _count_second(self, second: int) -> None:
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))

    def set_knobs(self, knobs: Any) -> str:
        """Take new knobs; return what is wrong with them, or an empty text."""
        if not isinstance(knobs, dict) or not knobs.keys() <= {"error_percent", "latency_ms"}:
            return "send an object with error_percent and latency_ms"
        error_percent = knobs.get("error_percent", self.error_percent)
        latency_ms = knobs.get("latency_ms", self.latency_ms)
        if not _is_between(error_percent, 0, 100) or not _is_between(latency_ms, 0, 60_000):
            return "error_percent is 0 to 100, latency_ms is 0 to 60000"
        if error_percent != self.error_percent:
            self._due = 0.0
        self.error_percent, self.latency_ms = float(error_percent), float(latency_ms)
        return ""

    def identity(self) -> dict[str, Any]:
        """Return who this is."""
        return {"service": self.name, "version": self.version, "pod": self.pod}

    def report(self) -> dict[str, Any]:
        """Return the knobs and the counts. Times are seconds; monotonic ones are the machine's, not ours."""
        now = int(time.monotonic())
        last_full = sum(count for second, count in self._seconds if second == now - 1)
        return {
            **self.identity(),
            "error_percent": self.error_percent,
            "latency_ms": self.latency_ms,
            "requests": self.requests,
            "failed": self.failed,
            "requests_per_second": last_full,
            "last_request_at": self.last_request_at,
            "last_request_monotonic": self.last_request_monotonic,
        }


def _is_between(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection: requests one after another, each answered before the next is read."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.buffer = b""
        self.busy = False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self.buffer += data
        try:
            self._next()
        except ValueError:  # a chunk size that is no number
            self.transport.close()

    def _next(self) -> None:
        while not self.busy and not self.transport.is_closing():
            request = self._take()
            if request is None:
                return
            self.handle(*request)

    def _take(self) -> tuple[str, str, dict[str, str], bytes] | None:
        """Take one whole request off the buffer."""
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            if len(self.buffer) > _HEAD_MAX:
                self.transport.close()
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        words = first.split(" ")
        if len(words) != 3:
            self.transport.close()
            return None
        body = _body(headers, rest)
        if body is None:
            return None
        content, self.buffer = body
        return words[0], words[1], headers, content

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        """Answer one request of the mesh."""
        fails = self.service.take_request()
        answer = {
            **self.service.identity(),
            "path": path,
            "headers": {name: headers[name] for name in _ECHOED if name in headers},
        }
        status = 500 if fails else 200
        if fails:
            answer["error"] = "told to fail"
        if self.service.latency_ms <= 0:
            self.answer(status, answer, method)
            return
        self.busy = True
        asyncio.get_running_loop().call_later(
            self.service.latency_ms / 1000, self._answer_late, status, answer, method
        )

    def _answer_late(self, status: int, answer: dict[str, Any], method: str) -> None:
        self.busy = False
        if not self.transport.is_closing():
            self.answer(status, answer, method)
            self._next()

    def answer(self, status: int, content: dict[str, Any], method: str = "GET") -> None:
        """Write one response."""
        body = json.dumps(content).encode() + b"\n"
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Internal Server Error')}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"x-service-version: {self.service.version}\r\nx-service-pod: {self.service.pod}\r\n\r\n"
        )
        self.transport.write(head.encode("latin-1") + (b"" if method == "HEAD" else body))


class Control(Connection):
    """One connection to the control port."""

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        """Answer one request of the control port."""
        if path != "/__control":
            self.answer(404, {"error": "there is only /__control"})
        elif method == "GET":
            self.answer(200, self.service.report())
        elif method == "PUT":
            try:
                problem = self.service.set_knobs(json.loads(body))
            except ValueError:
                problem = "the body is no JSON"
            self.answer(400 if problem else 200, {"error": problem} if problem else self.service.report())
        else:
            self.answer(405, {"error": "use GET or PUT"})


def _body(headers: dict[str, str], rest: bytes) -> tuple[bytes, bytes] | None:
    """Split the body off what follows the head; None while it is not here whole."""
    if headers.get("transfer-encoding", "").lower() != "chunked":
        length = headers.get("content-length", "0")
        size = int(length) if length.isdigit() else 0
        return (rest[:size], rest[size:]) if len(rest) >= size else None
    content = b""
    while True:
        line, found, after = rest.partition(b"\r\n")
        if not found:
            return None
        size = int(line.partition(b";")[0] or b"0", 16)
        if len(after) < size + 2:
            return None
        content, rest = content + after[:size], after[size + 2 :]
        if size == 0:
            return content, rest


async def _serve(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    service = Service(options.name, options.version, options.pod or f"{options.name}-{options.version}")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 4096) else stop.set())
    try:
        control = await loop.create_server(lambda: Control(service), options.host, options.control_port)
        await loop.create_server(lambda: Connection(service), options.host, options.port, backlog=1024)
    except OSError as error:
        _say({"error": f"{options.host}:{options.port}: {error.strerror}", "errno": error.errno})
        os._exit(3)
    _say({"ready": True, "control": control.sockets[0].getsockname()[1]})
    await stop.wait()
    # Envoy keeps connections open, and closing them one by one would only delay the end.
    os._exit(0)


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="python -m gitmesh.playground.sample")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9080)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--name", required=True)
    parser.add_argument("--version", default="")
    parser.add_argument("--pod", default="")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
