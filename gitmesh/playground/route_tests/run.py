"""Running route tests on a real Envoy that is started for them.

Stage: playground (effect). Envoy has the last word; where GitMesh's own matching comes to another verdict,
that is told, because it is the one by which a daemon accepts commits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from gitmesh.engine.clock import Clock, SystemClock
from gitmesh.istio.matching.request import Caller, Request
from gitmesh.model.resource import ResourceSet
from gitmesh.model.route_test import Expect
from gitmesh.playground.envoy.dataplane import DataPlane
from gitmesh.playground.envoy.errors import EnvoyError
from gitmesh.playground.envoy.virtual_hosts import VirtualHosts
from gitmesh.playground.route_tests.callers import Cast, Routes, cast_of
from gitmesh.playground.route_tests.echo import echo_server
from gitmesh.playground.route_tests.observing import observe, picks, taken_by
from gitmesh.playground.route_tests.stubs import PICK, listener_name, stubbed
from gitmesh.playground.route_tests.wire import Wire
from gitmesh.playground.system_roots import find_system_roots
from gitmesh.playground.translate import Translation, translate
from gitmesh.playground.translate.doors import Address
from gitmesh.validate.route_tests.judge import Miss, judge
from gitmesh.validate.route_tests.observed import Observed
from gitmesh.validate.route_tests.run import Result, Tested

_AT_ONCE = 8
_OTHER_REPLIES = ("status", "path", "authority", "request_headers", "response_headers")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case, run. `error` says why it could not be run.

    `differs` says what GitMesh's own matching came to, where that is another verdict.
    """

    predicted: Result
    observed: Observed | None
    misses: tuple[Miss, ...]
    seconds: float
    error: str = ""
    differs: str = ""

    @property
    def passed(self) -> bool:
        """Say whether everything holds."""
        return not self.misses and not self.error


@asynccontextmanager
async def real_envoy(directory: Path, tested: Tested) -> AsyncIterator[Bench]:
    """Start an Envoy for the cases of a revision. Raises EnvoyError."""
    assert tested.world is not None
    results = tested.results
    cast = cast_of(result.caller for result in results if isinstance(result.caller, Caller))
    resources: ResourceSet = {**tested.world.resources, **{pod.key: pod for pod in cast.pods}}
    async with AsyncExitStack() as stack:
        echo = await stack.enter_async_context(echo_server())
        plane = await stack.enter_async_context(DataPlane(directory))
        translation = translate(resources, system_roots=find_system_roots())
        bench = Bench(translation, cast, plane)
        stack.callback(bench.close)
        await bench.serve(results, echo)
        yield bench


class Bench:
    """An Envoy with the routes of a revision, and every sender of its tests."""

    def __init__(self, translation: Translation, cast: Cast, plane: DataPlane) -> None:
        self._translation = translation
        self._routes = Routes(translation, cast)
        self._plane = plane
        self._wire = Wire()
        self._clock: Clock = SystemClock()
        self._places: dict[str, Address] = {}
        self._hosts: dict[str, VirtualHosts] = {}

    def close(self) -> None:
        """Release connections."""
        self._wire.close()

    async def serve(self, results: tuple[Result, ...], echo: Address) -> None:
        """Have Envoy serve the routes that these cases meet."""
        sidecars: dict[str, None] = {}
        gateways: dict[str, None] = {}
        for result in results:
            if isinstance(result.caller, Caller) and result.case.request is not None:
                routes, _ = self._routes.of(result.caller, result.case.request)
                if routes:
                    (gateways if result.caller.is_gateway else sidecars)[routes] = None
        await self._plane.apply(stubbed(self._translation, sidecars, gateways, echo))
        listeners = await self._plane.admin.json("listeners")
        for status in listeners.get("listener_statuses", ()):
            socket = status["local_address"].get("socket_address")
            if socket:
                self._places[status["name"]] = Address(socket["address"], socket["port_value"])

    async def run(
        self, results: tuple[Result, ...], on_outcome: Callable[[int, Outcome], None] = lambda place, o: None
    ) -> list[Outcome]:
        """Run cases, several at a time; `on_outcome` is told each with its place, in the order of ending."""
        outcomes: dict[int, Outcome] = {}
        waiting = iter(enumerate(results))

        async def work() -> None:
            for place, result in waiting:
                outcomes[place] = await self._one(result)
                on_outcome(place, outcomes[place])

        async with anyio.create_task_group() as tasks:
            for _ in range(_AT_ONCE):
                tasks.start_soon(work)
        return [outcomes[place] for place in range(len(results))]

    async def _one(self, result: Result) -> Outcome:
        began = self._clock.monotonic()
        case = result.case
        if not isinstance(result.caller, Caller) or case.request is None:
            return Outcome(result, None, (), 0.0, error=result.skipped)
        try:
            observed = await self._observed(result, result.caller, case.request)
        except EnvoyError as error:
            return Outcome(result, None, (), self._clock.monotonic() - began, error=str(error))
        misses = judge(case.expect, observed, case.namespace)
        seconds = self._clock.monotonic() - began
        return Outcome(result, observed, misses, seconds, differs=difference(result, misses))

    async def _observed(self, result: Result, caller: Caller, request: Request) -> Observed:
        case, reasons = result.case, result.observed.reasons if result.observed else ()
        routes, why = self._routes.of(caller, request)
        if not routes:
            return Observed(why, reasons=reasons)
        place = self._places[listener_name(routes)]
        # An edge says so itself, from the connection.
        extra = {"x-forwarded-proto": request.scheme} if caller.is_gateway else {}
        first = await self._wire.send(place, request, {**extra, PICK: "0"})
        if routes not in self._hosts:
            self._hosts[routes] = VirtualHosts(self._translation.routes[routes])
        taken = taken_by(first, self._hosts[routes], request.authority)
        others = picks(taken)[1:] if _looks_at_replies(case.expect) else []
        received = [first, *[await self._wire.send(place, request, {**extra, PICK: str(n)}) for n in others]]
        return observe(taken, received, case.namespace, reasons)


def _looks_at_replies(expect: Expect) -> bool:
    return any(getattr(expect, name) not in (None, {}) for name in _OTHER_REPLIES)


def difference(predicted: Result, misses: tuple[Miss, ...]) -> str:
    """Return what GitMesh's own matching says, where its verdict is another one than Envoy's."""
    if predicted.skipped or predicted.observed is None:
        return ""
    unsure = {name.partition(".")[2] or name for r in predicted.observed.replies for name in r.unsure}
    ours = {miss.field.lower() for miss in predicted.misses}
    envoys = {m.field.lower() for m in misses if m.field.lower().partition(".")[2] not in unsure}
    envoys -= unsure
    return "" if ours == envoys else predicted.observed.says
