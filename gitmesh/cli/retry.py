"""`gitmesh retry`: let rolled-back content go out again.

Stage: none (face).
"""

from __future__ import annotations

from pathlib import Path

import anyio
import click

from gitmesh.cli.connection import Connection, cluster, cluster_options, connection, run_async, watching
from gitmesh.cli.main import Refused
from gitmesh.cli.rollback import find_record
from gitmesh.model.kinds import TRAFFIC_ROLLOUT
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import Phase


@click.command()
@click.argument("name")
@click.option(
    "-n", "--namespace", default="default", show_default=True, help="Namespace of the VirtualService."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    help="Seconds to wait for the outcome.",
)
@cluster_options
def retry(
    name: str,
    namespace: str,
    timeout: float,
    kubeconfig: Path | None,
    context: str,
    playground: bool,
    playground_dir: Path | None,
) -> None:
    """Let what Git says for VirtualService NAME go out again, from the first step, after a rollback.

    Use it when the cause was outside the routes: the version was fixed in place, or the metrics were wrong.
    """
    where = connection(kubeconfig, context, playground, playground_dir)
    click.echo(run_async(lambda: _retry(where, TRAFFIC_ROLLOUT.key(namespace, name), timeout)))


async def _retry(where: Connection, key: ResourceKey, timeout: float) -> str:
    async with cluster(where) as client, watching(client) as (cache, changed):
        record = find_record(cache.snapshot(), key)
        if record.phase is not Phase.ROLLED_BACK:
            raise Refused(f"{key.namespace}/{key.name} is not rolled back: it is {record.phase.value}")
        await client.merge_patch(
            TRAFFIC_ROLLOUT, key.namespace, key.name, {"spec": {"retry": record.canary_hash, "rollBack": ""}}
        )
        with anyio.move_on_after(timeout):
            while (now := find_record(cache.snapshot(), key)).phase is Phase.ROLLED_BACK:
                await changed()
            return f"{key.namespace}/{key.name} goes out again: {now.phase.value}, {now.weights}"
    raise Refused(f"asked, but not done within {timeout:g} s: does a daemon run for this cluster?")
