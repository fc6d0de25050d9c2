"""`gitmesh promote`: let a rollout leave its step now.

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
@click.option("--full", is_flag=True, help="Go on to 100 %, and not to the next step alone.")
def promote(
    name: str,
    namespace: str,
    who: str,
    why: str,
    timeout: float,
    kubeconfig: Path | None,
    context: str,
    playground: bool,
    playground_dir: Path | None,
    full: bool,
) -> None:
    """Let the rollout of VirtualService NAME leave its present step now: its hold is over, its gate is open.

    At 100 % that ends the bake. With --full every step that is left is skipped, and the bake stays. The guard
    judges as ever: without evidence, or after a failed check, nothing moves. Windows, freezes and a pause
    hold as ever; for windows there is `gitmesh overrule`. A group is promoted as one.
    """
    wish = a_wish(Verb.PROMOTE, name, namespace, who, why, timeout, full=full)
    where = connection(kubeconfig, context, playground, playground_dir)

    def is_done(before: RolloutRecord, now: RolloutRecord) -> bool:
        if full:
            return now.phase in (Phase.PROMOTING, Phase.SUCCEEDED, Phase.ROLLED_BACK)
        return (now.phase, now.step) != (before.phase, before.step)

    click.echo(run_async(lambda: fulfil(where, wish, is_done, _said, _waiting)))


def _said(record: RolloutRecord) -> str:
    return f"is at {record.progress:g} % ({record.weights}): {record.phase.value}, {record.message}"


def _waiting(record: RolloutRecord) -> str:
    return f"was asked to go on, and waits at {record.progress:g} %: {record.message}"
