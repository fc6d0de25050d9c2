"""The command group. Commands are imported when they are run, so that `--help` stays fast.

Stage: none (face).
"""

from __future__ import annotations

import click


@click.group()
def main() -> None:
    """Make a mesh's traffic follow a Git repository."""
