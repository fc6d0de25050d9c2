"""`gitmesh pause`: keep a rollout where it is.

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
def pause(
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
    """Keep the rollout of VirtualService NAME where it is, until `gitmesh resume NAME`.

    The guard keeps watching, and rolls back as ever. New content in Git waits too.
    """
    wish = a_wish(Verb.PAUSE, name, namespace, who, why, timeout)
    where = connection(kubeconfig, context, playground, playground_dir)
    click.echo(run_async(lambda: fulfil(where, wish, lambda _, now: bool(now.suspended), _said)))


def _said(record: RolloutRecord) -> str:
    return f"stays at {record.progress:g} % ({record.weights}): {record.suspended}"
