"""How the demo looks: a live display on a terminal, plain lines elsewhere.

Stage: none (face).
"""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gitmesh.engine.clock import Clock
from gitmesh.playground.demo.promise import Moment

PLAIN_EVERY_SECONDS = 1.0


def line(moment: Moment) -> str:
    """Return one line that says where a rollout is."""
    step = f"step {moment.step}/{moment.steps}" if moment.steps else "no steps"
    ahead = f", next in {max(moment.next_seconds, 0):.1f} s" if moment.next_seconds is not None else ""
    if moment.share_percent is None:
        return f"{moment.phase:<11} {step}, written {moment.written}{ahead}"
    return (
        f"{moment.phase:<11} {step}, written {moment.written}, measured v2 {moment.share_percent:.1f} %, "
        f"errors {moment.error_percent:.1f} %{ahead}"
    )


class PlainTeller:
    """One line for each thing, with the seconds since the start."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._began = clock.monotonic()
        self._shown = ("", 0.0)

    def scene(self, title: str) -> None:
        """Begin a scene."""
        self._console.out(f"\n== {title}", highlight=False)

    def say(self, text: str) -> None:
        """Tell one thing that happened."""
        seconds = self._clock.monotonic() - self._began
        self._console.out(f"[{seconds:5.1f}s] {text}", highlight=False)

    def show(self, moment: Moment) -> None:
        """Show where the rollout is: each change, and about once a second."""
        now, key = self._clock.monotonic(), f"{moment.phase} {moment.step} {moment.written}"
        if key != self._shown[0] or now - self._shown[1] >= PLAIN_EVERY_SECONDS:
            self._shown = (key, now)
            self.say(line(moment))

    def settle(self) -> None:
        """End a progress display."""
        self._shown = ("", 0.0)


class LiveTeller:
    """Scenes scroll by; the rollout in motion stays at the bottom and moves."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def scene(self, title: str) -> None:
        """Begin a scene."""
        self._console.print(f"\n[bold cyan]{title}[/]")

    def say(self, text: str) -> None:
        """Tell one thing that happened."""
        style = "green" if text.startswith("held") else "bold red" if text.startswith("BROKEN") else ""
        self._console.print(Text(f"  {text}", style=style))

    def show(self, moment: Moment) -> None:
        """Show where the rollout is."""
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(_panel(moment), refresh=True)

    def settle(self) -> None:
        """End a progress display; what it showed last stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _panel(moment: Moment) -> Group:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    table.add_column(width=40)
    colour = {"RolledBack": "red", "Succeeded": "green"}.get(moment.phase, "cyan")
    ahead = f"next in {max(moment.next_seconds, 0):.1f} s" if moment.next_seconds is not None else ""
    table.add_row(
        "  phase", Text(moment.phase, style=colour), Text(f"step {moment.step} of {moment.steps}  {ahead}")
    )
    table.add_row("  written", moment.written, "")
    measured = f"v2 {moment.share_percent:5.1f} %" if moment.share_percent is not None else "v2     - %"
    share = ProgressBar(total=100, completed=moment.share_percent or 0.0, width=40)
    table.add_row("  measured", measured, share)
    errors = ProgressBar(total=100, completed=moment.error_percent, width=40, complete_style="red")
    table.add_row("  errors", f"{moment.error_percent:8.1f} %", errors)
    return Group(table, Text(f"  {moment.verdict}", style="dim"))
