"""`gitmesh why`: the evidence behind what a rollout does.

Stage: none (face).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from gitmesh.cli.asking import find_record
from gitmesh.cli.connection import Connection, cluster, cluster_options, connection, look, run_async
from gitmesh.cli.plain import plain
from gitmesh.model.kinds import TRAFFIC_ROLLOUT
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import Evidence, RolloutRecord, Verdict


@click.command()
@click.argument("name")
@click.option(
    "-n", "--namespace", default="default", show_default=True, help="Namespace of the VirtualService."
)
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@cluster_options
def why(
    name: str,
    namespace: str,
    output: str,
    kubeconfig: Path | None,
    context: str,
    playground: bool,
    playground_dir: Path | None,
) -> None:
    """Say why the rollout of VirtualService NAME stands where it stands.

    Each metric of the last check with its value, its bound, the requests that were seen, how much of the
    evidence is there that it takes to move on or back, and the query; then the checks before, and what
    happened so far.
    """
    where = connection(kubeconfig, context, playground, playground_dir)
    record = run_async(lambda: _read(where, TRAFFIC_ROLLOUT.key(namespace, name)))
    if output == "json":
        keys = ("phase", "message", "verdict", "checks", "judged", "history")
        said = record.as_json()
        click.echo(json.dumps({key: said[key] for key in keys if key in said}, indent=2))
        return
    for line in lines(f"{namespace}/{name}", record):
        click.echo(plain(line))


async def _read(where: Connection, key: ResourceKey) -> RolloutRecord:
    async with cluster(where) as client:
        return find_record(await look(client), key)


def lines(name: str, record: RolloutRecord) -> Iterator[str]:
    """Yield what there is to say about a rollout."""
    step = f", step {min(record.step + 1, record.steps)} of {record.steps}" if record.phase.in_motion else ""
    yield f"{name}: {record.phase.value}{step}, {record.weights or 'no weights'}"
    if record.message:
        yield f"  {record.message}"
    if record.verdict is not None:
        yield from _verdict(record.verdict)
        yield from _shared(record)
    earlier = [check for check in record.checks if record.verdict is None or check.at != record.verdict.at]
    if earlier:
        yield ""
        yield "Checks before:"
        yield from (f"  {_time(check.at)}  {check.outcome.value}: {check.summary}" for check in earlier[::-1])
    if record.history:
        yield ""
        yield "What happened:"
        yield from (f"  {_time(e.at)}  {e.phase.value:<11} {e.message}" for e in record.history[::-1])


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield ""
    yield f"The last check, {_time(verdict.at)}: {verdict.outcome.value}"
    for item in verdict.evidence:
        yield f"  {item.outcome.value:<12} {item.metric}: {item.message}"
        yield from (f"               {fact}" for fact in _facts(item))


def _shared(record: RolloutRecord) -> Iterator[str]:
    """Say that the evidence is about both variants, where they go to the same workloads."""
    if not record.phase.in_motion or record.progress >= 100 or not any(t.shared for t in record.targets):
        return
    yield "  Both variants go to the same workloads, which telemetry does not tell apart: all requests to"
    yield f"  them are counted, of which about {record.progress:g} % meet the new one."


def _facts(item: Evidence) -> Iterator[str]:
    if item.above is not None and item.below is not None:
        yield f"evidence to roll back {item.above:.0%}, to advance {item.below:.0%} of what it takes"
    if item.query:
        yield f"query: {item.query}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
