"""The webhook receiver: `POST /hooks/NAME`. What is genuine wakes the sources that it concerns, and no more.

Stage: none (face). A webhook decides nothing: it marks the TrafficSource, and whoever leads looks at Git.
See docs/decisions/0014-a-webhook-only-wakes.md.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import anyio
import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gitmesh.engine.clock import Clock
from gitmesh.engine.meters import Meters
from gitmesh.engine.report import Source
from gitmesh.kube.errors import ClusterError, NotFoundError
from gitmesh.model.errors import EdgeError
from gitmesh.model.receivers import Receiver, ReceiverLimits
from gitmesh.model.resource import ResourceKey
from gitmesh.web.hooks.matching import concerned
from gitmesh.web.hooks.payload import Malformed, Other, Push, read_payload
from gitmesh.web.hooks.proof import SIGNING_TOKEN, Proved, Refused, awaited, prove
from gitmesh.web.hooks.remembered import Allowance, Deliveries
from gitmesh.web.hooks.secret import read_secret

DISCARDED_MAX = 67_108_864  # of a body that is too long: read, so that the answer arrives, and thrown away
_MARKS_OF_ONE = 2
_COMPLAINTS_PER_MINUTE = 10  # in the log, so that a stranger cannot fill it


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender gets, and what is counted."""

    status: int
    outcome: str
    text: str


@dataclass(slots=True)
class _Desk:
    """One receiver with what it remembers."""

    receiver: Receiver
    deliveries: Deliveries
    allowance: Allowance
    complaints: Allowance = field(default_factory=lambda: Allowance(_COMPLAINTS_PER_MINUTE))


class HookReceiver:
    """Takes webhooks. `sources` are the known TrafficSources; `wake` marks one, and raises ClusterError."""

    def __init__(
        self,
        receivers: Iterable[Receiver],
        limits: ReceiverLimits,
        *,
        sources: Callable[[], Iterable[Source]],
        wake: Callable[[ResourceKey], Awaitable[object]],
        clock: Clock,
        meters: Meters,
    ) -> None:
        """Prepare. Raises EdgeError when a receiver has no secret that can be read."""
        self._limits = limits
        self._sources = sources
        self._wake = wake
        self._clock = clock
        self._meters = meters
        self._log: Any = structlog.get_logger("gitmesh.web")
        self._desks: dict[str, _Desk] = {}
        self.configure(receivers)

    def configure(self, receivers: Iterable[Receiver]) -> None:
        """Go by other receivers from the next webhook on; what one remembers it keeps.

        Raises EdgeError, and changes nothing, when one has no secret that can be read.
        """
        wanted = tuple(receivers)
        for receiver in wanted:
            read_secret(receiver)
        most = self._limits.hooks_per_minute_max
        minutes = math.ceil(2 * self._limits.replay_window.total_seconds() / 60) + 1
        marks = minutes * most * _MARKS_OF_ONE
        before, self._desks = self._desks, {}
        for receiver in wanted:
            known = before.get(receiver.name) or _Desk(receiver, Deliveries(marks), Allowance(most))
            known.receiver = receiver
            self._desks[receiver.name] = known

    def app(self) -> Starlette:
        """Return the application. It tells nothing of a path that is no receiver's."""
        application = Starlette(routes=[Route("/hooks/{name}", self._endpoint, methods=["POST"])])
        application.router.redirect_slashes = False
        return application

    async def _endpoint(self, request: Request) -> Response:
        desk = self._desks.get(request.path_params["name"])
        if desk is None:
            return PlainTextResponse("Not Found", status_code=404, headers={"Connection": "close"})
        answer = await self.take(desk, request)
        self._meters.webhooks.labels(desk.receiver.name, answer.outcome).inc()
        self._say(desk, answer)
        # One connection, one webhook: nobody holds on to more.
        headers = {"Connection": "close"} | ({"Retry-After": "60"} if answer.status in (429, 503) else {})
        return PlainTextResponse(f"{answer.text}\n", status_code=answer.status, headers=headers)

    async def take(self, desk: _Desk, request: Request) -> Answer:
        """Take one webhook in."""
        try:
            with anyio.fail_after(self._limits.request_timeout.total_seconds()):
                body = await self._body(request)
        except TimeoutError:
            return Answer(408, "slow", "the body did not arrive in time")
        except ClientDisconnect:
            return Answer(400, "malformed", "the body ended early")
        if body is None:
            return Answer(413, "too_large", f"the body has more than {self._limits.body_bytes_max} bytes")
        try:
            secret = read_secret(desk.receiver)
        except EdgeError as error:
            self._log.error("webhook not taken", stage="engine", error=str(error))
            return Answer(503, "unavailable", "the secret of this receiver cannot be read")
        return await self._judge(desk, dict(request.headers), body, secret)

    async def _body(self, request: Request) -> bytearray | None:
        """Return the body; None when it is too long."""
        most, read, kept = self._limits.body_bytes_max, 0, bytearray()
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > DISCARDED_MAX:
            return None
        async for chunk in request.stream():
            read += len(chunk)
            if read > DISCARDED_MAX:
                return None
            if read <= most:
                kept += chunk
            else:
                kept.clear()
        return kept if read <= most else None

    async def _judge(self, desk: _Desk, headers: dict[str, str], body: bytearray, secret: str) -> Answer:
        receiver, now = desk.receiver, self._clock.now().timestamp()
        expected = awaited(receiver.kind, signing_token=secret.startswith(SIGNING_TOKEN))
        if not any(name in headers for name in expected):
            return Answer(401, "refused", f"there is no header {expected[0]}; give the forge the secret")
        window = self._limits.replay_window.total_seconds()
        proof = prove(receiver.kind, headers, body, secret, now=now, window=window)
        if isinstance(proof, Refused):
            return Answer(401, "refused", proof.why)
        # Only who knows the secret gets here: nobody else can use the allowance up.
        if not desk.allowance.takes(self._clock.monotonic()):
            return Answer(429, "limited", "too many webhooks; the next poll finds what they tell of")
        said = read_payload(receiver.kind, headers, body)
        match said:
            case Malformed():
                return Answer(400, "malformed", said.why)
            case Other():
                return Answer(200, "ping" if said.ping else "ignored", "pong" if said.ping else "ignored")
        return await self._pushed(desk, said, proof, now)

    async def _pushed(self, desk: _Desk, push: Push, proof: Proved, now: float) -> Answer:
        found = concerned(push, desk.receiver, self._sources())
        if not found:  # and not remembered: it may be sent again once there is a source
            return Answer(200, "unmatched", "no source follows that")
        if not desk.deliveries.is_new(proof.marks, proof.until, now):
            return Answer(200, "replayed", "this delivery came before")
        for source in found:
            try:
                await self._wake(source.resource.key)
            except NotFoundError:
                continue  # it was deleted a moment ago
            except ClusterError as error:
                desk.deliveries.forget(proof.marks)
                self._log.warning("webhook not served", stage="engine", source=source.name, error=str(error))
                return Answer(503, "unavailable", "the cluster did not take it; send it again")
            told = {"source": source.name, "receiver": desk.receiver.name}
            self._log.info("woken by a webhook", stage="engine", **told)
        return Answer(202, "woken", f"woken: {len(found)}")

    def _say(self, desk: _Desk, answer: Answer) -> None:
        log = self._log.bind(stage="engine", receiver=desk.receiver.name, outcome=answer.outcome)
        if answer.status < 400:
            log.info("webhook", said=answer.text)
        elif desk.complaints.takes(self._clock.monotonic()):
            log.warning("webhook refused", status=answer.status, said=answer.text)
