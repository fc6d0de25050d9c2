"""`gitmesh rollback`: take one rollout back to stable and keep it there.

Stage: none (face).
"""

from __future__ import annotations

from pathlib import Path

import anyio
import click

from gitmesh.cli.connection import Connection, cluster, cluster_options, connection, run_async, watching
from gitmesh.cli.main import Refused
from gitmesh.engine.rollouts import read_record
from gitmesh.model.kinds import TRAFFIC_ROLLOUT
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.observe.live import LiveState


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
def rollback(
    name: str,
    namespace: str,
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
    where = connection(kubeconfig, context, playground, playground_dir)
    click.echo(run_async(lambda: _rollback(where, TRAFFIC_ROLLOUT.key(namespace, name), timeout)))


async def _rollback(where: Connection, key: ResourceKey, timeout: float) -> str:
    async with cluster(where) as client, watching(client) as (cache, changed):
        record = find_record(cache.snapshot(), key)
        if record.phase is Phase.ROLLED_BACK:
            return f"{key.namespace}/{key.name} is rolled back already: {record.message}"
        leaving = record.canary_hash if record.phase is not Phase.SUCCEEDED else record.stable.hash
        if record.phase is Phase.SUCCEEDED and record.previous is None:
            raise Refused(
                f"{key.namespace}/{key.name} has had no rollout yet: there is nothing to go back to"
            )
        await client.merge_patch(
            TRAFFIC_ROLLOUT, key.namespace, key.name, {"spec": {"rollBack": leaving, "retry": ""}}
        )
        with anyio.move_on_after(timeout):
            while (now := find_record(cache.snapshot(), key)).phase is not Phase.ROLLED_BACK:
                await changed()
            return f"{key.namespace}/{key.name} is rolled back: {now.weights or 'stable'} ({now.message})"
    raise Refused(f"asked, but not done within {timeout:g} s: does a daemon run for this cluster?")


def find_record(live: LiveState, key: ResourceKey) -> RolloutRecord:
    """Return the record of a rollout, or say which there are."""
    record = read_record(live.rollouts.get(key))
    if record is None:
        there = ", ".join(f"{k.namespace}/{k.name}" for k in sorted(live.rollouts)) or "none"
        raise Refused(f"no rollout of {key.namespace}/{key.name}; there are: {there}")
    return record
