"""`gitmesh retry`: let rolled-back content go out again.

Stage: none (face).
"""

from __future__ import annotations

from pathlib import Path

import click

from gitmesh.cli.asking import a_wish, asking_options, fulfil
from gitmesh.cli.connection import connection, run_async
from gitmesh.model.intent import Verb
from gitmesh.model.rollout import Phase, RolloutRecord


@click.command()
@asking_options
def retry(
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
    """Let what Git says for VirtualService NAME go out again, from the first step, after a rollback.

    Use it when the cause was outside the routes: the version was fixed in place, or the metrics were wrong.
    """
    wish = a_wish(Verb.RETRY, name, namespace, who, why, timeout)
    where = connection(kubeconfig, context, playground, playground_dir)
    click.echo(run_async(lambda: fulfil(where, wish, _is_done, _said)))


def _is_done(_: RolloutRecord, now: RolloutRecord) -> bool:
    return now.phase is not Phase.ROLLED_BACK


def _said(record: RolloutRecord) -> str:
    return f"goes out again: {record.phase.value}, {record.weights}"
