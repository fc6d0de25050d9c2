"""A changed configuration takes effect while the daemon runs; a wrong one changes nothing.

Stage: engine (shell). What changed is found by reading and comparing, never by what an event says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import anyio

from gitmesh.engine.meters import Meters
from gitmesh.model.config import NEEDS_RESTART, Config
from gitmesh.model.errors import EdgeError

DEBOUNCE_SECONDS = 0.1  # an editor, and the kubelet, need several steps for one change
LOOK_SECONDS = 30.0  # where no event comes, as on some network file systems
SHOWN_MAX = 10

Tell = Callable[[str, str, str], Awaitable[None]]  # type, reason, message: an event that people see


@dataclass(frozen=True, slots=True)
class Reading:
    """The configuration as it stands now. Equal digests: equal files. `problems` say where and what."""

    digest: str
    config: Config | None
    problems: tuple[str, ...] = ()


class Reloader:
    """Looks at the configuration when woken, and now and then."""

    def __init__(
        self,
        read: Callable[[], Reading],
        first: Reading,
        apply: Callable[[Config], Awaitable[None]],
        *,
        tell: Tell,
        meters: Meters,
        log: Any,
    ) -> None:
        assert first.config is not None, "a daemon does not start with a wrong configuration"
        self._read = read
        self._apply = apply
        self._tell = tell
        self._meters = meters
        self._log = log
        self._digest = first.digest
        self._wanted = anyio.Event()
        self._told_fixed: tuple[str, ...] = ()
        self.config = first.config

    def wake(self) -> None:
        """Ask for a look soon."""
        self._wanted.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            with anyio.move_on_after(LOOK_SECONDS):
                await self._wanted.wait()
                await anyio.sleep(DEBOUNCE_SECONDS)
            self._wanted = anyio.Event()
            await self.look()

    async def look(self) -> None:
        """Read once, and apply what has changed."""
        found = self._read()
        if found.digest == self._digest:
            return
        self._digest = found.digest
        problems = found.problems
        if found.config is not None:
            config = kept(found.config, self.config)
            try:
                await self._apply(config)
            except EdgeError as error:
                problems = (str(error),)
            else:
                await self._applied(found.config, config)
                return
        await self._refused(problems)

    async def _applied(self, wanted: Config, config: Config) -> None:
        changed, self.config = different(self.config, config), config
        self._meters.config_reloads.labels("applied").inc()
        self._meters.config_valid.set(1)
        self._log.info("configuration reloaded", stage="engine", changed=changed)
        if changed:
            await self._tell("Normal", "ConfigReloaded", f"now in force: {', '.join(changed)}")
        fixed = tuple(different(config, wanted))
        if fixed and fixed != self._told_fixed:
            self._log.warning("a restart is needed", stage="engine", settings=list(fixed))
            message = f"these settings need a restart, until then they stay: {', '.join(fixed)}"
            await self._tell("Warning", "RestartNeeded", message)
        self._told_fixed = fixed

    async def _refused(self, problems: tuple[str, ...]) -> None:
        self._meters.config_reloads.labels("refused").inc()
        self._meters.config_valid.set(0)
        self._log.error(
            "configuration refused: the one before stays in force",
            stage="engine",
            problems=list(problems[:SHOWN_MAX]),
            count=len(problems),
        )
        await self._tell("Warning", "ConfigRefused", "; ".join(problems[:SHOWN_MAX]))


def kept(wanted: Config, running: Config) -> Config:
    """Return the wanted configuration with what cannot change as it is."""
    return reduce(lambda config, path: _with(config, running, path), NEEDS_RESTART, wanted)


def _with(into: Any, source: Any, path: tuple[str, ...]) -> Any:
    name, *rest = path
    value = getattr(source, name)
    if rest:
        value = _with(getattr(into, name), value, tuple(rest))
    return into.model_copy(update={name: value})


def different(before: Any, after: Any) -> list[str]:
    """Return the names, as a file writes them, of the settings that differ."""
    found = []
    for name, field in type(after).model_fields.items():
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        shown = field.alias or name
        inner = hasattr(type(new), "model_fields") and type(old) is type(new)
        found += [f"{shown}.{part}" for part in different(old, new)] if inner else [shown]
    return found
