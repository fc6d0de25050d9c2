"""The data plane: takes snapshots and has Envoy serve them, one acknowledged step after the other.

Stage: playground (effect). The order is clusters of old and new, routes, clusters of new only; no step begins
before Envoy has acknowledged the one before, so that no route ever names a cluster that is not there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import structlog

from gitmesh.engine.clock import Clock, SystemClock
from gitmesh.playground.envoy.admin import Admin
from gitmesh.playground.envoy.binary import find_envoy
from gitmesh.playground.envoy.bootstrap import bootstrap
from gitmesh.playground.envoy.errors import AddressInUseError, EnvoyError, Rejected
from gitmesh.playground.envoy.files import CLUSTERS, LISTENERS, Files
from gitmesh.playground.envoy.ports import claim
from gitmesh.playground.envoy.precheck import Precheck
from gitmesh.playground.envoy.process import EnvoyProcess, Line
from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.translate import translate
from gitmesh.playground.translate.listeners import Address, gateway_listener, mesh_listener, probe_listener
from gitmesh.playground.translate.naming import Envoy

_ACKNOWLEDGE_SECONDS_MAX = 10.0
_REASON_SECONDS_MAX = 0.5
_REASON_PREFIX = "Filesystem config update rejected: "
_POLL_SECONDS = (0.001, 0.05)
_log = structlog.get_logger("gitmesh.playground.envoy")
_ANY = Address("127.0.0.1", 0)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the data plane listens. A port 0 asks for a free one."""

    mesh: Address = _ANY
    gateway: Address = _ANY
    probe: Address = _ANY
    admin: Address = _ANY

    @property
    def metrics_url(self) -> str:
        """Where the request statistics are, in Prometheus' text format."""
        return f"{self.admin.url}/stats/prometheus?usedonly"


class DataPlane:
    """An Envoy that serves the last snapshot that it accepted. Use it as an async context manager."""

    def __init__(
        self,
        directory: Path,
        addresses: Addresses = Addresses(),
        *,
        binary: Path | None = None,
        clock: Clock | None = None,
        on_line: Callable[[Line], None] | None = None,
    ) -> None:
        self.addresses = addresses
        self._directory = directory
        self._binary = binary
        self._clock = clock or SystemClock()
        self._on_line = on_line or _log_line
        self._version = 0
        self._published: dict[str, tuple[str, list[Envoy]]] = {}
        self._one_at_a_time = anyio.Lock()
        self._stack = AsyncExitStack()
        self.snapshot = Snapshot()

    async def __aenter__(self) -> Self:
        """Start Envoy with an empty mesh. Raises EnvoyError."""
        binary = self._binary or find_envoy()
        wanted = {name: getattr(self.addresses, name) for name in ("mesh", "gateway", "probe", "admin")}
        self.addresses = Addresses(**claim(wanted))
        self._files = Files(self._directory)
        self.precheck = Precheck(binary, self._files)
        self.admin = Admin(self.addresses.admin)
        self._lay_out()
        boot = bootstrap(self.addresses.admin, self._files.path(CLUSTERS), self._files.path(LISTENERS))
        path = self._files.write("bootstrap", boot)
        self.process = EnvoyProcess(binary, path, self.admin, self._clock, self._on_line)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.admin.close)
            stack.push_async_callback(self._stop)
            await self.process.start()
            await self._check_listeners()
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            tasks.start_soon(self.process.supervise)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop Envoy after its running requests."""
        await self._stack.aclose()  # without the error, so that it stays what it is: no group around it

    async def _stop(self) -> None:
        with anyio.CancelScope(shield=True):
            await self.process.stop()

    async def apply(self, snapshot: Snapshot) -> None:
        """Have Envoy serve `snapshot`.

        Raises Rejected, and then Envoy serves what it did before; EnvoyError when it does not answer.
        """
        async with self._one_at_a_time:
            await self.precheck.check(self.snapshot, snapshot)
            before = self.snapshot
            try:
                await self._publish(CLUSTERS, {**self._clusters(), **snapshot.clusters})
                for name, config in snapshot.routes.items():
                    await self._publish(name, {name: config})
            except Rejected:
                await self._restore(before)
                raise
            self.snapshot = snapshot
            await self._publish(CLUSTERS, snapshot.clusters)

    def _clusters(self) -> Mapping[str, Envoy]:
        """Return the clusters that Envoy has: routes may name each of them."""
        return {cluster["name"]: cluster for cluster in self._published[CLUSTERS][1]}

    async def _restore(self, snapshot: Snapshot) -> None:
        """Serve `snapshot` again: its routes before the clusters that only the other one needs go."""
        for name, config in snapshot.routes.items():
            await self._publish(name, {name: config})
        await self._publish(CLUSTERS, snapshot.clusters)

    async def _publish(self, name: str, resources: Mapping[str, Envoy]) -> None:
        """Replace one file and wait for Envoy's answer; nothing happens when it is served already."""
        wanted = list(resources.values())
        last = self._published[name]
        if last[1] == wanted:
            return
        lives, seen = self.process.lives, self.process.last_line
        refused_before = await self._refusals(name)
        version = self._write(name, wanted)
        self._published[name] = last  # until Envoy says yes: otherwise the next attempt would do nothing
        deadline = self._clock.monotonic() + _ACKNOWLEDGE_SECONDS_MAX
        pause, longest = _POLL_SECONDS
        while self._clock.monotonic() < deadline:
            known, refused = await self._answer(name)
            if known == version:
                self._published[name] = (version, wanted)
                return
            if refused > (refused_before if self.process.lives == lives else 0):
                reason = await self._reason(seen)
                # A file that Envoy refused must not be what an Envoy that comes back begins with.
                self._files.publish(name, *last)
                raise Rejected(name if name == CLUSTERS else f"{name} routes", reason)
            await self._clock.sleep(pause)
            pause = min(pause * 2, longest)
        raise EnvoyError(f"Envoy has not taken the {name} within {_ACKNOWLEDGE_SECONDS_MAX:g} s")

    def _write(self, name: str, resources: Iterable[Envoy]) -> str:
        self._version += 1
        version = str(self._version)
        content = list(resources)
        self._files.publish(name, version, content)
        self._published[name] = (version, content)
        return version

    async def _refusals(self, name: str) -> int:
        return (await self._answer(name))[1]

    async def _answer(self, name: str) -> tuple[str, int]:
        """Return the version that Envoy serves, and how often it refused one. Nothing while it is away."""
        try:
            stats = await self.admin.stats(rf"{_stat(name)}\.(version_text|update_rejected|update_failure)$")
        except EnvoyError:
            return "", 0
        version = next((v for s, v in stats.items() if s.endswith("version_text")), "")
        return version, sum(int(v) for s, v in stats.items() if not s.endswith("version_text"))

    async def _reason(self, seen: int) -> str:
        line = await self.process.line_after(seen, _tells_why, seconds=_REASON_SECONDS_MAX)
        return line.text.removeprefix(_REASON_PREFIX) if line else "no reason given"

    def _lay_out(self) -> None:
        """Write the files of an empty mesh; the listeners stay as they are from now on."""
        empty = translate({})
        self.snapshot = Snapshot(empty.clusters, empty.routes)
        self._write(CLUSTERS, ())
        for name, config in empty.routes.items():
            self._write(name, [config])
        mesh, gateway = self._files.path("mesh"), self._files.path("gateway")
        listeners = (
            mesh_listener(self.addresses.mesh, mesh),
            gateway_listener(self.addresses.gateway, gateway),
            probe_listener(self.addresses.probe, mesh),
        )
        self._write(LISTENERS, listeners)

    async def _check_listeners(self) -> None:
        """Raise AddressInUseError when Envoy could not open a listener, although the port was free before."""
        version, refused = await self._answer(LISTENERS)
        if refused or version != self._published[LISTENERS][0]:
            raise AddressInUseError(f"Envoy cannot listen: {await self._reason(0)}")


def _stat(name: str) -> str:
    prefixes = {CLUSTERS: r"^cluster_manager\.cds", LISTENERS: r"^listener_manager\.lds"}
    return prefixes.get(name, rf"\.rds\.{name}")


def _log_line(line: Line) -> None:
    level = logging.ERROR if line.level in ("error", "critical") else logging.WARNING
    _log.log(level, "Envoy says", logger=line.logger, text=line.text)


def _tells_why(line: Line) -> bool:
    return "rejected" in line.text or "cannot bind" in line.text or line.text.startswith("Error adding")
