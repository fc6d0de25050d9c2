"""`gitmesh status`: sources and rollouts at a glance, once or live.

Stage: none (face).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gitmesh.cli.connection import Connection, cluster, cluster_options, connection, look, run_async, watching
from gitmesh.cli.main import Refused
from gitmesh.cli.plain import plain
from gitmesh.cli.source_text import effect_lines, finding_lines, headline, held_lines, skipped_lines
from gitmesh.engine.clock import SystemClock
from gitmesh.engine.report import Source, read_source
from gitmesh.engine.rollouts import read_record
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.observe.live import LiveCache, LiveState

REFRESH_SECONDS = 1.0
PIPED_WIDTH = 4_000
UNBROKEN = ("READY", "REVISION", "OBJECTS", "PHASE", "STEP", "NEXT")
COLOURS = {
    Phase.SUCCEEDED: "green",
    Phase.ROLLED_BACK: "red",
    Phase.PROGRESSING: "cyan",
    Phase.PROMOTING: "cyan",
    Phase.WAITING: "yellow",
}


@click.command()
@click.argument("name", required=False)
@click.option("-w", "--watch", is_flag=True, help="Keep showing it until Ctrl-C.")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@cluster_options
def status(
    name: str | None,
    watch: bool,
    output: str,
    kubeconfig: Path | None,
    context: str,
    playground: bool,
    playground_dir: Path | None,
) -> None:
    """Show every TrafficSource and rollout, or those called NAME.

    A source is Ready when what Git says is live. A rollout shows its step, its written weights, the last
    verdict of the guard with its evidence, and when it moves next.
    """
    where = connection(kubeconfig, context, playground, playground_dir)
    run_async(lambda: _watch(where, name, output) if watch else _once(where, name, output))


async def _once(where: Connection, name: str | None, output: str) -> None:
    async with cluster(where) as client:
        live = await look(client)
    _refuse_unknown(live, name)
    if output == "json":
        click.echo(json.dumps(as_json(live, name), indent=2))
    else:
        _print(Console(), live, name)


async def _watch(where: Connection, name: str | None, output: str) -> None:
    console = Console()
    async with cluster(where) as client, watching(client) as (cache, changed):
        _refuse_unknown(cache.snapshot(), name)
        if output == "json" or not console.is_terminal:
            await _watch_lines(console, cache, changed, name, output)
        with Live(console=console, auto_refresh=False, screen=False) as screen:
            while True:
                screen.update(tables(cache.snapshot(), name, SystemClock().now()), refresh=True)
                with anyio.move_on_after(REFRESH_SECONDS):
                    await changed()


async def _watch_lines(
    console: Console, cache: LiveCache, changed: Callable[[], Awaitable[None]], name: str | None, output: str
) -> None:
    """Print what there is again after each change: JSON on a line, or the tables and an empty line."""
    shown: object = None
    while True:
        state = as_json(cache.snapshot(), name)
        if state != shown and output == "json":
            click.echo(json.dumps(state))
        elif state != shown:
            _print(console, cache.snapshot(), name)
            click.echo()
        shown = state
        await changed()


def _refuse_unknown(live: LiveState, name: str | None) -> None:
    if name is None or any(key.name == name for key in (*live.sources, *live.rollouts)):
        return
    there = ", ".join(sorted({key.name for key in (*live.sources, *live.rollouts)})) or "none"
    raise Refused(f"no TrafficSource and no rollout is called {name}; there are: {there}")


def _print(console: Console, live: LiveState, name: str | None) -> None:
    """Print the tables; what is piped into a file or a program is not folded to some width."""
    shown = tables(live, name, SystemClock().now())
    if console.is_terminal:
        console.print(shown)
        return
    wide = Console(width=PIPED_WIDTH, color_system=None)
    with wide.capture() as captured:
        wide.print(shown)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def as_json(live: LiveState, name: str | None) -> dict[str, Any]:
    """Return sources and rollouts as programs read them."""
    return {
        "sources": [
            {"name": f"{k.namespace}/{k.name}", "spec": r.spec, "status": r.body.get("status") or {}}
            for k, r in sorted(live.sources.items())
            if name in (None, k.name)
        ],
        "rollouts": [
            {"name": f"{k.namespace}/{k.name}", "status": r.body.get("status") or {}}
            for k, r in sorted(live.rollouts.items())
            if name in (None, k.name)
        ],
    }


def tables(live: LiveState, name: str | None, now: datetime) -> Group:
    """Return the tables for people."""
    sources = [item for item in sorted(live.sources.items()) if name in (None, item[0].name)]
    records = [
        (f"{k.namespace}/{k.name}", record)
        for k, r in sorted(live.rollouts.items())
        if name in (None, k.name) and (record := read_record(r)) is not None
    ]
    parts: list[RenderableType] = []
    if sources:
        parts += [_source_table(sources), *_findings(sources)]
    if records:
        parts += [Text()] * bool(parts) + [_rollout_table(records, now)]
        parts += _evidence(records) if name is not None else []
    if not parts:
        parts = [Text("no TrafficSource yet: gitmesh run --repo URL creates one, or kubectl apply does")]
    return Group(*parts)


def _source_table(sources: list[tuple[ResourceKey, Resource]]) -> Table:
    table = _table("SOURCE", "READY", "REVISION", "OBJECTS", "MESSAGE")
    for key, resource in sources:
        name, source = f"{key.namespace}/{key.name}", read_source(resource)
        if isinstance(source, str):
            table.add_row(name, Text("False", style="red"), "-", "-", _words(f"InvalidSpec: {source}"))
            continue
        ready = next((c for c in source.status.conditions if c.type == "Ready"), None)
        colour = {"True": "green", "False": "red"}.get(ready.status if ready else "", "cyan")
        branch, _, commit = source.status.last_applied_revision.rpartition("@")
        table.add_row(
            name,
            Text(ready.status if ready else "-", style=colour),
            _words(f"{branch}@{commit[:7]}" if commit else "-"),
            str(len(source.inventory)),
            _words(headline(source) or "no daemon has looked at it yet"),
        )
    return table


def _findings(sources: list[tuple[ResourceKey, Resource]]) -> list[RenderableType]:
    """Return what there is to say of each source below the table, where it has the whole width."""
    return [
        Padding(_words(line), (0, 0, 0, 2))
        for _, resource in sources
        if isinstance(source := read_source(resource), Source)
        for line in (
            *held_lines(source),
            *finding_lines(source),
            *skipped_lines(source),
            *effect_lines(source),
        )
    ]


def _words(text: str) -> Text:
    """Return text as it is: what others say is neither markup nor anything else that is obeyed."""
    return Text(plain(text))


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title in UNBROKEN)
    return table


def _rollout_table(records: list[tuple[str, RolloutRecord]], now: datetime) -> Table:
    table = _table("ROLLOUT", "PHASE", "STEP", "WEIGHTS", "NEXT", "MESSAGE", "VERDICT")
    for name, record in records:
        step = f"{min(record.step + 1, record.steps)}/{record.steps}" if record.phase.in_motion else "-"
        verdict = "-"
        if record.verdict and record.phase.in_motion:
            verdict = f"{record.verdict.outcome.value}: {record.verdict.summary}"
        table.add_row(
            name,
            Text(record.phase.value, style=COLOURS[record.phase]),
            step,
            _words(record.weights or "-"),
            _until(record.next_at, now),
            _words(record.message),
            _words(verdict),
        )
    return table


def _evidence(records: list[tuple[str, RolloutRecord]]) -> list[RenderableType]:
    """Return each metric of the last checks below the table, where it has the whole width."""
    return [
        Padding(_words(f"{item.outcome.value}: {item.metric}: {item.message}"), (0, 0, 0, 2))
        for _, record in records
        for item in (record.verdict.evidence if record.verdict else ())
    ]


def _until(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "-"
    seconds = (moment - now).total_seconds()
    return f"in {seconds:.0f}s" if seconds > 0 else "now"
