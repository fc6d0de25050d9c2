"""`gitmesh sync`: fetch and apply now, and say how it ended.

Stage: none (face).
"""

from __future__ import annotations

from pathlib import Path

import anyio
import click

from gitmesh.apply.sync_requests import request_sync
from gitmesh.cli.connection import Connection, cluster, cluster_options, connection, run_async, watching
from gitmesh.cli.main import Refused
from gitmesh.cli.source_text import finding_lines, headline
from gitmesh.engine.report import Source, read_source
from gitmesh.model.kinds import TRAFFIC_SOURCE
from gitmesh.model.resource import ResourceKey
from gitmesh.observe.live import LiveState


@click.command()
@click.argument("name", required=False)
@click.option(
    "-n", "--namespace", default="default", show_default=True, help="Namespace of the TrafficSource."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    help="Seconds to wait for the outcome.",
)
@cluster_options
def sync(
    name: str | None,
    namespace: str,
    timeout: float,
    kubeconfig: Path | None,
    context: str,
    playground: bool,
    playground_dir: Path | None,
) -> None:
    """Make the daemon fetch NAME and apply it now, and wait for the outcome.

    Without NAME the only TrafficSource is meant. Exit status 0: applied, or a rollout is on its way;
    1: the revision was refused or is rolled back, or could not be fetched or applied; 2: nobody answered.
    """
    where = connection(kubeconfig, context, playground, playground_dir)
    ok, text = run_async(lambda: _sync(where, namespace, name, timeout))
    click.echo(text)
    raise SystemExit(0 if ok else 1)


async def _sync(where: Connection, namespace: str, name: str | None, timeout: float) -> tuple[bool, str]:
    async with cluster(where) as client, watching(client) as (cache, changed):
        key = find_source(cache.snapshot(), namespace, name)
        read_valid(cache.snapshot(), key)
        token = await request_sync(client, key)
        with anyio.move_on_after(timeout):
            while True:
                source = read_valid(cache.snapshot(), key)
                if source.status.last_handled_sync == token and not _is_measuring(source):
                    return _outcome(source)
                await changed()
        if source.status.last_handled_sync == token:
            return _outcome(source)
    raise Refused(
        f"no answer within {timeout:g} s: does a daemon run for this cluster? "
        "Look at `gitmesh status` and at its log"
    )


def _is_measuring(source: Source) -> bool:
    """Say whether everything is applied and it is about to be known whether it is in effect."""
    return any((c.type, c.reason) == ("Ready", "Verifying") for c in source.status.conditions)


def read_valid(live: LiveState, key: ResourceKey) -> Source:
    """Return a source that makes sense, or say why it does not."""
    name = f"{key.namespace}/{key.name}"
    if key not in live.sources:
        raise Refused(f"TrafficSource {name} was deleted")
    source = read_source(live.sources[key])
    if isinstance(source, str):
        raise Refused(f"TrafficSource {name} makes no sense: {source}")
    return source


def find_source(live: LiveState, namespace: str, name: str | None) -> ResourceKey:
    """Return the source that is meant, or say which there are."""
    if name is not None:
        key = TRAFFIC_SOURCE.key(namespace, name)
        if key in live.sources:
            return key
    elif len(live.sources) == 1:
        return next(iter(live.sources))
    there = ", ".join(f"{k.namespace}/{k.name}" for k in sorted(live.sources)) or "none"
    asked = f"no TrafficSource {namespace}/{name}" if name else "which TrafficSource? Name one"
    raise Refused(f"{asked}; there are: {there}")


def _outcome(source: Source) -> tuple[bool, str]:
    ready = next((c for c in source.status.conditions if c.type == "Ready"), None)
    if ready is None:
        return False, f"{source.name}: no status yet"
    lines = [f"{source.name}: {headline(source)}"]
    lines += [f"  {line}" for line in finding_lines(source)]
    return ready.status != "False", "\n".join(lines)
