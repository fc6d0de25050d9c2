"""`gitmesh demo`: the whole story on this machine, each promise measured.

Stage: none (face).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gitmesh.cli.connection import run_async
from gitmesh.cli.demo_view import LiveTeller, PlainTeller
from gitmesh.cli.logs import configure
from gitmesh.engine.clock import SystemClock
from gitmesh.playground.demo.promise import Promise
from gitmesh.playground.demo.stage import tell_story


@click.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for repository, logs and Envoy's files, kept afterwards [default: a temporary one].",
)
def demo(keep: Path | None) -> None:
    """Run the main job on real parts: push, ramp, a failing version, rollback, a hand edit, broken YAML.

    Starts a playground (API server, Envoy, sample services, load), a Git repository and the daemon on free
    loopback ports, and stops them all at the end. Exit status 0 only if each promise of the table held.
    """
    configure("error", "auto")
    console = Console()
    teller = LiveTeller(console) if console.is_terminal else PlainTeller(console, SystemClock())
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        promises = run_async(lambda: tell_story(keep.resolve(), teller))
    else:
        with tempfile.TemporaryDirectory(prefix="gitmesh-demo-") as directory:
            promises = run_async(lambda: tell_story(Path(directory), teller))
    console.print(outcome(promises))
    raise SystemExit(0 if promises and all(p.held for p in promises) else 1)


def outcome(promises: list[Promise]) -> Table:
    """Return the table at the end."""
    table = Table(title="Promised and measured", title_justify="left", header_style="bold")
    for column in ("", "what", "promised", "measured"):
        table.add_column(column, overflow="fold")
    for promise in promises:
        mark = Text("ok", style="green") if promise.held else Text("BROKEN", style="bold red")
        table.add_row(mark, promise.title, promise.promised, promise.measured)
    return table
