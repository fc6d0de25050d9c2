"""`gitmesh demo`: the whole story on this machine, each promise measured.

Stage: none (face).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gitmesh.cli.connection import run_async
from gitmesh.cli.demo_view import LiveTeller, PlainTeller
from gitmesh.cli.logs import configure
from gitmesh.cli.main import Refused
from gitmesh.engine.clock import SystemClock
from gitmesh.model.errors import EdgeError
from gitmesh.playground.demo.promise import Promise
from gitmesh.playground.demo.stage import tell_story

PIPED_WIDTH = 160


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
    with _directory(keep) as directory:
        try:
            promises = run_async(lambda: tell_story(directory, teller))
        finally:
            teller.settle()
        _print(console, outcome(promises))
        if not promises or not all(p.held for p in promises):
            raise Broken("a promise was broken")


class Broken(click.ClickException):
    """The story went to its end, and not as it should."""

    exit_code = 1


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    """Yield where the demo works. A temporary directory goes again, unless its logs are needed."""
    if keep is not None:
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(f"cannot use {keep}: {error.strerror}; choose another one with --keep") from error
        if (keep / "git").exists():
            raise Refused(f"{keep} holds an earlier demo; remove it, or choose another one with --keep")
        yield keep.resolve()
        return
    directory = Path(tempfile.mkdtemp(prefix="gitmesh-demo-"))
    try:
        yield directory
    except (EdgeError, Broken):
        click.echo(f"repository, logs and Envoy's files are kept in {directory}", err=True)
        raise
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    shutil.rmtree(directory, ignore_errors=True)


def _print(console: Console, table: Table) -> None:
    """Print the table; what is piped is not folded to some width."""
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH, color_system=None)
    console.print(table)


def outcome(promises: list[Promise]) -> Table:
    """Return the table at the end."""
    table = Table(title="Promised and measured", title_justify="left", header_style="bold")
    for column in ("", "what", "promised", "measured"):
        table.add_column(column, overflow="fold")
    for promise in promises:
        mark = Text("ok", style="green") if promise.held else Text("BROKEN", style="bold red")
        table.add_row(mark, promise.title, promise.promised, promise.measured)
    return table
