"""The notifier: takes what happened at once, and tells the targets in its own time.

Stage: notify (effect). Each target has a queue and a task of its own, so that one that is slow or down holds
up neither the others nor the work. Delivery is at least once while this process lives. See
docs/notifications.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
import structlog

from gitmesh.model.notice import CommitStatus, shortened
from gitmesh.model.notifications import NotificationConfig
from gitmesh.model.resource import ResourceKey
from gitmesh.notify.errors import DeliveryError
from gitmesh.notify.mailbox import Item, Mailbox, Recently
from gitmesh.notify.outlet import Clock, Outlet

RETRY_FIRST_SECONDS, RETRY_MAX_SECONDS = 1.0, 60.0
_DOUBLINGS_MAX = 10
LEAVING_SECONDS = 3.0  # for what waits for a target that is one no longer

_log = structlog.get_logger("gitmesh.notify", stage="notify")

Count = Callable[[str, str], None]  # target, outcome: delivered, dropped, refused or retried


@dataclass(slots=True)
class _Line:
    """One target with what waits for it."""

    outlet: Outlet
    box: Mailbox
    told: Recently
    wanted: anyio.Event = field(default_factory=anyio.Event)
    begun: bool = False
    scope: anyio.CancelScope | None = None  # while it is at work


class Notifier:
    """Tells targets. `tell` never waits and never raises."""

    def __init__(
        self, outlets: Sequence[Outlet], config: NotificationConfig, clock: Clock, count: Count
    ) -> None:
        self._clock = clock
        self._count = count
        self._give_up_seconds = config.give_up.total_seconds()
        self._window = config.window
        self._lines = _lines(outlets, config)
        self._changed = anyio.Event()
        self._states = Recently(None)

    def configure(self, outlets: Sequence[Outlet], config: NotificationConfig) -> None:
        """Tell these targets from now on. What waits for those before is tried once more."""
        self._give_up_seconds = config.give_up.total_seconds()
        self._window = config.window
        for line in self._lines:
            if line.scope is not None:
                line.scope.cancel()
        self._lines = _lines(outlets, config)
        self._changed.set()

    def begin(self) -> None:
        """Take note that work begins here. What others told meanwhile is not known: nothing is a repeat."""
        self._states = Recently(None)
        for line in self._lines:
            line.told = Recently(self._window)
            line.outlet.begin()

    def leave(self, sources: frozenset[str]) -> None:
        """Leave it to another daemon to say how sources stand: what waits here is older than its word."""
        for line in self._lines:
            if line.outlet.merges:
                line.box.leave(sources)

    @property
    def waiting(self) -> int:
        """How much has not been told yet."""
        return sum(len(line.box) for line in self._lines)

    def tell(self, item: Item) -> None:
        """Take an item for every target that is to be told of it; returns at once."""
        if not self._lines:
            return
        try:
            self._tell(item)
        except Exception:  # whoever tells is at work on something that matters more
            _log.exception("notice not taken", **_about(item))

    def _tell(self, item: Item) -> None:
        now = self._clock.now()
        if isinstance(item, CommitStatus) and self._states.is_repeat(item, now):
            return
        for line in self._lines:
            if not line.outlet.takes(item):
                continue
            if not isinstance(item, CommitStatus) and line.told.is_repeat(item, now):
                continue
            dropped = line.box.put(item)
            if dropped is not None:
                self._count(line.outlet.name, "dropped")
                _log.warning(
                    "notice dropped: too much waits for this target",
                    target=line.outlet.name,
                    **_about(dropped),
                )
            line.wanted.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as group:
            while True:
                self._changed = anyio.Event()
                for line in self._lines:
                    if not line.begun:
                        line.begun = True
                        group.start_soon(self._work, line)
                await self._changed.wait()

    async def close(self, patience_seconds: float) -> None:
        """Try once more to tell what waits, for a short while; then release connections.

        Call it when `run` has ended.
        """
        with anyio.CancelScope(shield=True):
            if self.waiting:
                with anyio.move_on_after(patience_seconds):
                    async with anyio.create_task_group() as group:
                        for line in self._lines:
                            group.start_soon(self._flush, line)
            if self.waiting:
                _log.warning("notices lost: the daemon stops", count=self.waiting)
            for line in self._lines:
                await line.outlet.close()

    async def _work(self, line: _Line) -> None:
        with anyio.CancelScope() as line.scope:
            while True:
                line.wanted = anyio.Event()
                while (item := line.box.first()) is not None:
                    await self._deliver(line, item)
                await line.wanted.wait()
        line.scope = None
        with anyio.move_on_after(LEAVING_SECONDS):  # others have taken its place
            await self._flush(line)
        await line.outlet.close()

    async def _flush(self, line: _Line) -> None:
        while (item := line.box.first()) is not None:
            if await self._try(line, item) is not None:
                return
            line.box.done()

    async def _deliver(self, line: _Line, item: Item) -> None:
        """Tell one thing, again and again until it is taken, refused, or too old."""
        began, failures = self._clock.monotonic(), 0
        while (error := await self._try(line, item)) is not None:
            failures += 1
            backoff = min(RETRY_FIRST_SECONDS * (1 << min(failures - 1, _DOUBLINGS_MAX)), RETRY_MAX_SECONDS)
            delay = max(backoff, error.after_seconds)
            spent = self._clock.monotonic() - began
            if not error.retryable or spent + delay > self._give_up_seconds:
                self._give_up(line, item, error)
                break
            self._count(line.outlet.name, "retried")
            if failures == 1:
                _log.warning(
                    "notice not delivered yet", target=line.outlet.name, error=str(error), **_about(item)
                )
            await self._clock.sleep(delay)
            if not line.box.holds(item):
                break
        line.box.done()

    async def _try(self, line: _Line, item: Item) -> DeliveryError | None:
        try:
            await line.outlet.deliver(item)
        except DeliveryError as error:
            return error
        except Exception as error:  # a bug that one notice meets must not silence the target
            _log.exception("notice failed unexpectedly", target=line.outlet.name, **_about(item))
            return DeliveryError(f"{line.outlet.name}: {type(error).__name__}", retryable=False)
        self._count(line.outlet.name, "delivered")
        return None

    def _give_up(self, line: _Line, item: Item, error: DeliveryError) -> None:
        self._count(line.outlet.name, "refused")
        if isinstance(item, CommitStatus):
            self._states.forget(item)
        else:
            line.told.forget(item)
        _log.error("notice given up", target=line.outlet.name, error=str(error), **_about(item))


def _about(item: Item) -> dict[str, str]:
    """Return what a line of the log says of an item."""
    if isinstance(item, CommitStatus):
        return {"source": item.source, "revision": item.commit[:7]}
    rollout = str(ResourceKey.from_path(item.about)) if item.rollout else ""
    return {"source": item.source, "revision": shortened(item.revision), "rollout": rollout}


def _lines(outlets: Sequence[Outlet], config: NotificationConfig) -> list[_Line]:
    return [
        _Line(outlet, Mailbox(config.queue_max, merges=outlet.merges), Recently(config.window))
        for outlet in outlets
    ]
