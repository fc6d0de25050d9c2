"""The data plane: takes snapshots and has Envoy serve them, one acknowledged step after the other.

Stage: playground (effect). See `rollout.py` for the steps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import structlog

from gitmesh.engine.clock import Clock, SystemClock
from gitmesh.playground.envoy.admin import Admin
from gitmesh.playground.envoy.binary import find_envoy
from gitmesh.playground.envoy.bootstrap import bootstrap
from gitmesh.playground.envoy.delivery import Delivery
from gitmesh.playground.envoy.errors import Rejected
from gitmesh.playground.envoy.files import CLUSTERS, LISTENERS, Files
from gitmesh.playground.envoy.ports import claim, why_not
from gitmesh.playground.envoy.precheck import Precheck
from gitmesh.playground.envoy.process import EnvoyProcess, Line
from gitmesh.playground.envoy.rollout import Rollout
from gitmesh.playground.envoy.snapshot import Snapshot, address_of
from gitmesh.playground.translate.doors import Address, Doors
from gitmesh.playground.translate.naming import Envoy

_log = structlog.get_logger("gitmesh.playground.envoy")
_ANY = Address("127.0.0.1", 0)
_OUTBOUND = Address("127.0.0.1", Doors().outbound_port)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the data plane listens, apart from the addresses of Pods. A port 0 asks for a free one.

    `mesh` is the outbound listener of the built-in client. `outbound` is the port of the Pods' own.
    """

    mesh: Address = _ANY
    gateway: Address = _ANY
    gateway_tls: Address = _ANY
    probe: Address = _ANY
    admin: Address = _ANY
    outbound: Address = _OUTBOUND

    @property
    def doors(self) -> Doors:
        """What translation is to know of them."""
        return Doors(
            client=self.mesh,
            gateway=self.gateway,
            gateway_tls=self.gateway_tls,
            probe=self.probe,
            outbound_port=self.outbound.port,
        )

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
        dns_resolvers: Sequence[Address] = (),
    ) -> None:
        self.addresses = addresses
        self._directory = directory
        self._binary = binary
        self._clock = clock or SystemClock()
        self._on_line = on_line or _log_line
        self._dns_resolvers = tuple(dns_resolvers)
        self._one_at_a_time = anyio.Lock()
        self._stack = AsyncExitStack()
        self._opened: set[Address] = set()
        self.snapshot = Snapshot()
        self.unheard: Mapping[str, str] = {}  # listeners that are left out, and why

    async def __aenter__(self) -> Self:
        """Start Envoy with nothing to serve. Raises EnvoyError."""
        binary = self._binary or find_envoy()
        self.addresses = _claimed(self.addresses)
        files = Files(self._directory)
        self.precheck = Precheck(binary, files)
        self.admin = Admin(self.addresses.admin)
        path = files.write("bootstrap", self._bootstrap(files))
        self.process = EnvoyProcess(binary, path, self.admin, self._clock, self._on_line)
        self.delivery = Delivery(files, self.admin, self.process, self._clock)
        self._rollout = Rollout(self.delivery, files, self._clock)
        self.snapshot = Snapshot()
        self._rollout.lay_out(self.snapshot)
        async with AsyncExitStack() as stack:
            stack.callback(files.clear)
            stack.push_async_callback(self.admin.close)
            stack.push_async_callback(self._stop)
            await self.process.start()
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
        """Have Envoy serve `snapshot`, but for listeners whose address somebody else has: see `unheard`.

        Raises Rejected, and then Envoy serves what it did before; EnvoyError when it does not answer.
        """
        async with self._one_at_a_time:
            snapshot = self._without_unheard(snapshot)
            await self.precheck.check(self.snapshot, snapshot)
            before = self.snapshot
            try:
                await self._rollout.make(snapshot)
            except Rejected:
                await self._rollout.make(before)
                await self._rollout.clear(before)
                raise
            self.snapshot = snapshot
            await self._rollout.clear(snapshot)

    def _without_unheard(self, snapshot: Snapshot) -> Snapshot:
        """Leave out what Envoy could not open: it would refuse the other new listeners with it."""
        unheard = {}
        for name, listener in snapshot.listeners.items():
            address = address_of(listener)
            # Of an address that was ours, a listener that has just gone may still have the socket.
            if address is None or not address.port or address in self._opened:
                continue
            reason = why_not(address)
            if reason:
                unheard[name] = f"cannot listen on {address}: {reason}"
                if name not in self.unheard:
                    _log.warning("a listener is left out", listener=name, why=unheard[name])
            else:
                self._opened.add(address)
        self.unheard = unheard
        listeners = {name: item for name, item in snapshot.listeners.items() if name not in unheard}
        return replace(snapshot, listeners=listeners) if unheard else snapshot

    def _bootstrap(self, files: Files) -> Envoy:
        return bootstrap(
            self.addresses.admin,
            files.path(CLUSTERS),
            files.path(LISTENERS),
            dns=self._dns_resolvers,
        )


def _claimed(wanted: Addresses) -> Addresses:
    """Return the addresses with every port chosen. Raises AddressInUseError."""
    names = [field.name for field in fields(wanted)]
    # Pods have addresses of their own, so their port may well be taken on this one.
    names = [name for name in names if name != "outbound" or wanted.outbound.port == 0]
    return replace(wanted, **claim({name: getattr(wanted, name) for name in names}))


def _log_line(line: Line) -> None:
    level = logging.ERROR if line.level in ("error", "critical") else logging.WARNING
    _log.log(level, "Envoy says", logger=line.logger, text=line.text)
