"""One Pod: its process, kept running; its knobs, kept turned; its status, kept true.

Stage: playground (effect).
"""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import structlog

from gitmesh.engine.clock import Clock
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.model.resource import ResourceKey
from gitmesh.playground.child import Child
from gitmesh.playground.errors import PlaygroundError
from gitmesh.playground.pod_reports import PodReports, timestamp
from gitmesh.playground.pods import Identity, Knobs, PodState, identity_of, knobs_of

READY_SECONDS_MAX = 15.0
CONTROL_TIMEOUT = aiohttp.ClientTimeout(total=5)
BACKOFF_SECONDS = (0.1, 10.0)
HEALTHY_SECONDS = 10.0
DRAIN_SECONDS = 0.3  # the mesh learns of the deletion while the process still answers

_log = structlog.get_logger("gitmesh.playground")


class PodProcess:
    """Runs until its Pod is gone. `take` is told each change of the Pod; `leave` that it was deleted."""

    def __init__(
        self,
        client: ClusterClient,
        session: aiohttp.ClientSession,
        key: ResourceKey,
        body: Body,
        *,
        address: Callable[[bool], str],
        logs: Path,
        clock: Clock,
    ) -> None:
        self.key = key
        self._session, self._clock = session, clock
        self._reports = PodReports(client, key, clock)
        self._body = body
        self._address = address
        self._log_file = logs / f"pod-{key.namespace}-{key.name}.log"
        self._child: Child | None = None
        self._control = ""
        self._wake = anyio.Event()
        self._scope = anyio.CancelScope()
        self._set_knobs = Knobs()

    @property
    def pid(self) -> int | None:
        """The process id; None while there is no process."""
        return self._child.pid if self._child is not None and self._child.is_running else None

    @property
    def state(self) -> PodState:
        """Where the process is."""
        return self._reports.state

    @property
    def is_reported_ready(self) -> bool:
        """True when the process answers and the API server has been told so."""
        return self.state.ready and self._reports.is_told

    def take(self, body: Body) -> None:
        """Look at the Pod as it is now."""
        self._body = body
        self._wake.set()
        self._reports.look_at(body)

    def leave(self) -> None:
        """End the process: the Pod is gone."""
        self._scope.cancel()

    async def report(self) -> dict[str, Any]:
        """Return what the sample service says of itself. Raises PlaygroundError when it does not answer."""
        try:
            async with self._session.get(self._control, timeout=CONTROL_TIMEOUT) as response:
                answer: dict[str, Any] = await response.json()
                return answer
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise PlaygroundError(
                f"{self.key} does not answer at {self._control or 'all'}: {error}"
            ) from error

    async def run(self) -> None:
        """Keep the process running and the status true."""
        try:
            with self._scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._reports.run)
                    await self._keep_running()
                    group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                if self._scope.cancel_called and self.pid is not None:
                    await self._clock.sleep(DRAIN_SECONDS)
                await self._end_child()

    async def _keep_running(self) -> None:
        backoff, longest = BACKOFF_SECONDS
        while True:
            began = self._clock.monotonic()
            identity = identity_of(self._body)
            if identity is None:  # relabelled: no longer ours
                return
            try:
                await self._start(identity)
                ended = await self._follow(identity)
            except PlaygroundError as error:
                ended = str(error)
            await self._end_child()
            restarts = self.state.restarts + 1
            failed = replace(self.state, ready=False, restarts=restarts, reason="Error", message=ended)
            self._reports.become(failed)
            _log.warning("pod ended", pod=str(self.key), why=ended)
            if self._clock.monotonic() - began > HEALTHY_SECONDS:
                backoff = BACKOFF_SECONDS[0]
            await self._clock.sleep(backoff)
            backoff = min(backoff * 2, longest)

    async def _start(self, identity: Identity) -> None:
        address = self._address(False)
        answer = await self._launch(identity, address)
        if answer.get("errno") == errno.EADDRINUSE:  # another playground of this machine has it
            address = self._address(True)
            answer = await self._launch(identity, address)
        if not answer.get("ready"):
            raise PlaygroundError(str(answer.get("error") or f"it did not start; see {self._log_file}"))
        self._control = f"http://{address}:{answer['control']}/__control"
        await self._turn_knobs(knobs_of(self._body))
        started_at = timestamp(self._clock)
        self._reports.become(
            replace(self.state, phase="Running", ready=True, address=address, started_at=started_at,
                    reason="", message=self._set_knobs.problem)
        )  # fmt: skip

    async def _launch(self, identity: Identity, address: str) -> dict[str, Any]:
        await self._end_child()
        command = [sys.executable, "-m", "gitmesh.playground.sample", "--host", address]
        command += ["--port", str(identity.port), "--name", identity.name, "--pod", identity.pod]
        command += [f"--version={identity.version}"]
        self._child = await Child.start(f"pod {identity.pod}", command, self._log_file)
        with anyio.move_on_after(READY_SECONDS_MAX):
            try:
                answer: dict[str, Any] = json.loads(await self._child.line() or "{}")
                return answer
            except ValueError:
                return {}
        return {"error": f"it was not ready after {READY_SECONDS_MAX:g} s"}

    async def _follow(self, identity: Identity) -> str:
        """Turn knobs until the process ends or must be another one; return why."""
        assert self._child is not None
        ended: list[int] = []

        async def wait(child: Child) -> None:
            ended.append(await child.wait())
            self._wake.set()

        async with anyio.create_task_group() as group:
            group.start_soon(wait, self._child)
            while not ended and identity_of(self._body) == identity:
                knobs = knobs_of(self._body)
                if knobs != self._set_knobs:
                    await self._turn_knobs(knobs)
                    self._reports.become(replace(self.state, message=knobs.problem))
                await self._wake.wait()
                self._wake = anyio.Event()
            group.cancel_scope.cancel()
        return f"the process ended with status {ended[0]}" if ended else "the Pod has changed"

    async def _turn_knobs(self, knobs: Knobs) -> None:
        wanted = {"error_percent": knobs.error_percent, "latency_ms": knobs.latency_ms}
        try:
            async with self._session.put(self._control, json=wanted, timeout=CONTROL_TIMEOUT) as response:
                response.raise_for_status()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise PlaygroundError(f"{self._control} does not take the knobs: {error}") from error
        self._set_knobs = knobs

    async def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.stop()
        self._set_knobs = Knobs()
