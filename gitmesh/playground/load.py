"""The load generator: requests at a fixed rate over kept connections, and a record of what came back.

Stage: playground (effect).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import anyio

from gitmesh.engine.clock import Clock
from gitmesh.playground.translate.listeners import Address

RATE_MAX = 2_000.0
SECONDS_KEPT = 900
TIMEOUT_SECONDS = 5.0
VERSION_HEADER = "x-service-version"
_BEHIND_SECONDS_MAX = 0.2
NO_ANSWER = 0


@dataclass(slots=True)
class Second:
    """What came back in one second. `start` is monotonic; a request without an answer has status 0."""

    start: int
    total: int = 0
    failed: int = 0
    by_version: Counter[str] = field(default_factory=Counter)
    failed_by_version: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over some seconds."""

    total: int
    failed: int
    by_version: dict[str, int]
    failed_by_version: dict[str, int]

    def share(self, version: str) -> float:
        """Return the percentage of requests that this version answered."""
        return 100.0 * self.by_version.get(version, 0) / self.total if self.total else 0.0


class LoadRecord:
    """Everything that is known about the answers. Times are those of the monotonic clock."""

    def __init__(self) -> None:
        self.seconds: deque[Second] = deque(maxlen=SECONDS_KEPT)
        self.total = 0
        self.failed = 0
        self.skipped = 0  # requests that were due, but too late to be sent
        self.statuses: Counter[int] = Counter()
        self.first_failure_at: float | None = None
        self.last_failure_at: float | None = None
        self.first_response_at: dict[str, float] = {}
        self.last_response_at: dict[str, float] = {}

    def note(self, at: float, status: int, version: str) -> None:
        """Take one answer: the time it came, its status, and the version that gave it (may be empty)."""
        failed = status == NO_ANSWER or status >= 500
        second = self._second(int(at))
        self.statuses[status] += 1
        self.total += 1
        second.total += 1
        if version:
            second.by_version[version] += 1
            self.first_response_at.setdefault(version, at)
            self.last_response_at[version] = at
        if failed:
            self.failed += 1
            second.failed += 1
            second.failed_by_version[version] += 1
            self.last_failure_at = at
            if self.first_failure_at is None:
                self.first_failure_at = at

    def since(self, at: float) -> Tally:
        """Return the sums from that time on; the second in which it lies counts whole."""
        return _tally(second for second in self.seconds if second.start >= int(at))

    def last(self, now: float, seconds: int) -> Tally:
        """Return the sums of the last full seconds before `now`."""
        return _tally(s for s in self.seconds if int(now) - seconds <= s.start < int(now))

    def forget_marks(self) -> None:
        """Begin a new chapter: first failure and first and last responses are those from now on."""
        self.first_failure_at = self.last_failure_at = None
        self.first_response_at.clear()
        self.last_response_at.clear()

    def _second(self, start: int) -> Second:
        if not self.seconds or self.seconds[-1].start < start:
            self.seconds.append(Second(start))
        return self.seconds[-1]


def _tally(seconds: Iterable[Second]) -> Tally:
    total = failed = 0
    by_version: Counter[str] = Counter()
    failed_by_version: Counter[str] = Counter()
    for second in seconds:
        total += second.total
        failed += second.failed
        by_version += second.by_version
        failed_by_version += second.failed_by_version
    return Tally(total, failed, dict(by_version), dict(failed_by_version))


class LoadGenerator:
    """Sends GET requests to a listener of the mesh. `record` can be read at any time."""

    def __init__(
        self,
        address: Address,
        *,
        clock: Clock,
        host: str = "reviews:9080",
        path: str = "/reviews",
        rate: float = 200.0,
        connections: int = 8,
    ) -> None:
        if not 0 < rate <= RATE_MAX:
            raise ValueError(f"rate is {rate:g}: at most {RATE_MAX:g} requests a second")
        self.record = LoadRecord()
        self._address = address
        self._clock = clock
        self._rate = rate
        self._connections = connections
        self._request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: gitmesh-load\r\n\r\n".encode()

    async def run(self) -> None:
        """Send until cancelled. Each connection keeps its own beat, evenly shifted against the others."""
        start = self._clock.monotonic()
        async with anyio.create_task_group() as group:
            for number in range(self._connections):
                group.start_soon(self._keep_sending, start + number / self._rate)

    async def _keep_sending(self, due: float) -> None:
        beat = self._connections / self._rate
        connection = _Connection(self._address)
        try:
            while True:
                await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
                status, version = await connection.ask(self._request)
                now = self._clock.monotonic()
                self.record.note(now, status, version)
                if status == NO_ANSWER:
                    await self._clock.sleep(beat)
                due += beat
                # After a pause of the machine, or of Envoy, the past is not sent all at once.
                if due < now - _BEHIND_SECONDS_MAX:
                    missed = int((now - due) / beat)
                    self.record.skipped += missed
                    due += missed * beat
        finally:
            connection.close()


class _Connection:
    """One kept HTTP/1.1 connection, opened again when it breaks."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, str]:
        """Send one request; return status and version. A broken connection is no answer: status 0."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._ask(request)
        except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError):
            self.close()
            return NO_ANSWER, ""

    async def _ask(self, request: bytes) -> tuple[int, str]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._address.host, self._address.port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        first, *lines = head.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            self.close()
        return int(first.split(" ")[1]), headers.get(VERSION_HEADER, "")

    def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            with suppress(OSError):
                streams[1].close()
