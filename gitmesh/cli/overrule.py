"""`gitmesh overrule`: let what a rollout brings past its windows.

Stage: none (face).
"""

from __future__ import annotations

from pathlib import Path

import click

from gitmesh.cli.asking import a_wish, asking_options, fulfil
from gitmesh.cli.connection import connection, run_async
from gitmesh.model.intent import Verb, overruling_of
from gitmesh.model.rollout import RolloutRecord


@click.command()
@asking_options
@click.option(
    "--freeze", "freezes", multiple=True, metavar="NAME", help="Also past this FreezeWindow; repeatable."
)
def overrule(
    name: str,
    namespace: str,
    who: str,
    why: str,
    timeout: float,
    kubeconfig: Path | None,
    context: str,
    playground: bool,
    playground_dir: Path | None,
    freezes: tuple[str, ...],
) -> None:
    """Let what the rollout of VirtualService NAME brings past its windows; a reason is needed (--why).

    It is for this content alone, until its rollout ends; what Git says next waits for windows again. Holds,
    gates, the guard and a pause count as ever. A freeze counts too, unless it is named and says
    `overrule: allowed` itself. A policy can say `overrule: denied`. A group is let past as one.

    \b
    Examples:
      gitmesh overrule reviews --why "fixes the outage"
      gitmesh overrule reviews --freeze year-end --why "closes a leak"
    """
    if not why.strip():
        raise click.UsageError("--why is missing: the reason is kept with the rollout")
    wish = a_wish(Verb.OVERRULE, name, namespace, who, why, timeout, freezes=freezes)

    def is_heard(before: RolloutRecord, now: RolloutRecord) -> bool:
        heard = overruling_of(now.overruled, before.awaits or before.canary_hash)
        return heard is not None and heard.freezes >= set(freezes)

    where = connection(kubeconfig, context, playground, playground_dir)
    click.echo(run_async(lambda: fulfil(where, wish, is_heard, _said)))


def _said(record: RolloutRecord) -> str:
    return f"is {record.phase.value} at {record.progress:g} %: {record.message}"
