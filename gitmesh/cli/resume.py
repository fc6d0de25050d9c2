"""`gitmesh resume`: let a paused rollout go on.

Stage: none (face).
"""

from __future__ import annotations

from pathlib import Path

import click

from gitmesh.cli.asking import a_wish, asking_options, fulfil
from gitmesh.cli.connection import connection, run_async
from gitmesh.model.intent import Verb
from gitmesh.model.rollout import RolloutRecord


@click.command()
@asking_options
def resume(
    name: str,
    namespace: str,
    who: str,
    why: str,
    timeout: float,
    kubeconfig: Path | None,
    context: str,
    playground: bool,
    playground_dir: Path | None,
) -> None:
    """Let the rollout of VirtualService NAME go on after `gitmesh pause NAME`.

    What it had waited for before counts: a hold that is over is not begun again.
    """
    wish = a_wish(Verb.RESUME, name, namespace, who, why, timeout)
    where = connection(kubeconfig, context, playground, playground_dir)
    click.echo(run_async(lambda: fulfil(where, wish, lambda _, now: not now.suspended, _said)))


def _said(record: RolloutRecord) -> str:
    return f"goes on from {record.progress:g} % ({record.weights})"
