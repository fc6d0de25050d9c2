"""Options and calls that every command shares which talks to a cluster.

Stage: none (face).
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import anyio
import click

from gitmesh.cli.main import Refused
from gitmesh.cli.options import cluster_options as cluster_options
from gitmesh.engine.clock import SystemClock
from gitmesh.kube.connect import connect
from gitmesh.kube.protocol import ClusterClient
from gitmesh.model.errors import EdgeError
from gitmesh.observe.live import LiveCache, LiveState
from gitmesh.playground.state import default_directory

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Connection:
    """Which cluster a command works on."""

    kubeconfig: Path | None
    context: str
    playground: dict[str, Any] | None


def connection(
    kubeconfig: Path | None, context: str, playground: bool, playground_dir: Path | None
) -> Connection:
    """Say which cluster the options mean."""
    if not playground and playground_dir is None:
        return Connection(kubeconfig, context, None)
    if kubeconfig is not None:
        raise click.UsageError("--playground and --kubeconfig name two clusters; give one of them")
    state = (playground_dir or default_directory()) / "playground.json"
    try:
        found = json.loads(state.read_text())
    except FileNotFoundError:
        raise Refused(f"no playground runs here: {state} is missing; start one with `gitmesh play`") from None
    except (OSError, ValueError) as error:
        raise Refused(f"{state} cannot be read: {error}; start the playground again") from None
    return Connection(Path(found["kubeconfig"]), "", found)


@contextlib.asynccontextmanager
async def cluster(where: Connection) -> AsyncIterator[ClusterClient]:
    """Connect, and close afterwards."""
    client = await connect(where.kubeconfig, context=where.context, timeout=timedelta(seconds=10))
    try:
        yield client
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def watching(client: ClusterClient) -> AsyncIterator[tuple[LiveCache, Callable[[], Awaitable[None]]]]:
    """Keep a watch cache while the body runs; the second value waits for the next change."""
    changed = anyio.Event()

    async def wait() -> None:
        nonlocal changed
        await changed.wait()
        changed = anyio.Event()

    cache = LiveCache(client, clock=SystemClock(), on_change=lambda key: changed.set())
    async with anyio.create_task_group() as group:
        group.start_soon(cache.run)
        await cache.wait_synced()
        yield cache, wait
        group.cancel_scope.cancel()


async def look(client: ClusterClient) -> LiveState:
    """Return what is live now."""
    async with watching(client) as (cache, _):
        return cache.snapshot()


def run_async(work: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function to its end. A signal that ends the process is Ctrl-C: everything is closed."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        return anyio.run(work)
    except BaseExceptionGroup as group:
        raise _meant(group) from None


def _meant(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what a person should read of a group: task groups wrap also a single error.

    A group that holds a bug is returned whole: then the traceback is wanted.
    """
    expected, unexpected = group.split((EdgeError, click.ClickException))
    if unexpected is not None or expected is None:
        return group
    first: BaseException = expected
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
