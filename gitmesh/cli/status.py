"""`gitmesh status`: sources and rollouts at a glance, once or live.

Stage: none (face).
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gitmesh.cli.connection import Connection, cluster, cluster_options, connection, look, run_async, watching
from gitmesh.engine.clock import SystemClock
from gitmesh.engine.report import Source, read_source
from gitmesh.engine.rollouts import read_record
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.observe.live import LiveState

REFRESH_SECONDS = 1.0
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
    _show(Console(), live, name, output)


async def _watch(where: Connection, name: str | None, output: str) -> None:
    console = Console()
    async with cluster(where) as client, watching(client) as (cache, changed):
        if output == "json" or not console.is_terminal:
            shown = ""
            while True:
                text = json.dumps(as_json(cache.snapshot(), name))
                if text != shown:
                    console.out(text, highlight=False)
                shown = text
                await changed()
        with Live(console=console, auto_refresh=False, screen=False) as screen:
            while True:
                screen.update(tables(cache.snapshot(), name, SystemClock().now()), refresh=True)
                with anyio.move_on_after(REFRESH_SECONDS):
                    await changed()


def _show(console: Console, live: LiveState, name: str | None, output: str) -> None:
    if output == "json":
        console.out(json.dumps(as_json(live, name), indent=2), highlight=False)
    else:
        console.print(tables(live, name, SystemClock().now()))


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
    sources = [read_source(r) for k, r in sorted(live.sources.items()) if name in (None, k.name)]
    records = [
        (f"{k.namespace}/{k.name}", record)
        for k, r in sorted(live.rollouts.items())
        if name in (None, k.name) and (record := read_record(r)) is not None
    ]
    parts: list[Table | Text] = [_source_table([s for s in sources if isinstance(s, Source)])]
    parts += [Text(problem, style="red") for problem in sources if isinstance(problem, str)]
    if records:
        parts.append(_rollout_table(records, now))
    if not sources and not records:
        parts = [Text("no TrafficSource yet: gitmesh run --repo URL creates one, or kubectl apply does")]
    return Group(*parts)


def _source_table(sources: list[Source]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("SOURCE", "READY", "REVISION", "OBJECTS", "MESSAGE"):
        table.add_column(title, overflow="fold")
    for source in sources:
        ready = next((c for c in source.status.conditions if c.type == "Ready"), None)
        colour = {"True": "green", "False": "red"}.get(ready.status if ready else "", "cyan")
        branch, _, commit = source.status.last_applied_revision.rpartition("@")
        table.add_row(
            source.name,
            Text(ready.status if ready else "-", style=colour),
            f"{branch}@{commit[:7]}" if commit else "-",
            str(len(source.status.inventory)),
            f"{ready.reason}: {ready.message}" if ready else "no daemon has looked at it yet",
        )
        for finding in source.status.findings:
            table.add_row(
                "", "", "", "", Text(f"{finding.at}: {finding.severity} {finding.code}: {finding.message}")
            )
    return table


def _rollout_table(records: list[tuple[str, RolloutRecord]], now: datetime) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for title in ("ROLLOUT", "PHASE", "STEP", "WEIGHTS", "VERDICT", "NEXT", "MESSAGE"):
        table.add_column(title, overflow="fold")
    for name, record in records:
        step = f"{min(record.step + 1, record.steps)}/{record.steps}" if record.phase.in_motion else "-"
        verdict = record.verdict.summary if record.verdict and record.phase is not Phase.SUCCEEDED else "-"
        table.add_row(
            name,
            Text(record.phase.value, style=COLOURS[record.phase]),
            step,
            record.weights or "-",
            verdict,
            _until(record.next_at, now),
            record.message,
        )
    return table


def _until(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "-"
    seconds = (moment - now).total_seconds()
    return f"in {seconds:.0f}s" if seconds > 0 else "now"
