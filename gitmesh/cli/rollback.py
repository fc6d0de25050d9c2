"""`gitmesh rollback`: take one rollout back to stable and keep it there.

Stage: none (face).
"""

from __future__ import annotations

from pathlib import Path

import click

from gitmesh.cli.asking import Wish, a_wish, asking_options, find_record, fulfil
from gitmesh.cli.connection import Connection, cluster, connection, look, run_async
from gitmesh.model.intent import Verb
from gitmesh.model.rollout import Phase, RolloutRecord


@click.command()
@asking_options
def rollback(
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
    """Take the rollout of VirtualService NAME back to its stable routes now.

    In the middle of a ramp that is what was live before it; after a finished rollout, what was stable before
    that. The content that leaves is quarantined: it does not go out again until `gitmesh retry NAME`, and Git
    stays as it is. New content in Git flows at once.
    """
    wish = a_wish(Verb.ROLL_BACK, name, namespace, who, why, timeout)
    where = connection(kubeconfig, context, playground, playground_dir)
    click.echo(run_async(lambda: _rollback(where, wish)))


async def _rollback(where: Connection, wish: Wish) -> str:
    async with cluster(where) as client:
        record = find_record(await look(client), wish.key)
    if record.phase is Phase.ROLLED_BACK:
        return f"{wish.name} is rolled back already: {record.message}"
    return await fulfil(where, wish, _is_done, _said)


def _is_done(_: RolloutRecord, now: RolloutRecord) -> bool:
    return now.phase is Phase.ROLLED_BACK


def _said(record: RolloutRecord) -> str:
    return f"is rolled back: {record.weights or 'stable'} ({record.message})"
