"""`gitmesh plan`: what a directory would change in the cluster, in waves, and why.

Stage: none (face). The same code as in a pass, from parsing to the plan; only the writing is left out.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from gitmesh.apply.executor import dry_run
from gitmesh.cli.connection import Connection, cluster, cluster_options, connection, look, run_async
from gitmesh.cli.findings import render_findings, summary
from gitmesh.cli.plain import plain
from gitmesh.cli.sync import find_source, read_valid
from gitmesh.cli.timelines import Ways, render_ways, ways_as_json, ways_of
from gitmesh.cli.validate import read_paths
from gitmesh.engine.accept import desired_of, examine, known_of
from gitmesh.engine.clock import SystemClock
from gitmesh.engine.founding import with_foundations
from gitmesh.engine.memory import SourceMemory
from gitmesh.engine.planning import deletes_wait, move_rollouts, plan_input
from gitmesh.engine.report import Source
from gitmesh.model.config import Config, ParseLimits
from gitmesh.model.diagnostic import has_errors
from gitmesh.model.kinds import TRAFFIC_SOURCE
from gitmesh.model.plan import Plan
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.model.source import TrafficSourceSpec, TrafficSourceStatus
from gitmesh.observe.live import LiveState
from gitmesh.plan.planner import make_plan
from gitmesh.plan.render import render_json, render_text
from gitmesh.plan.requests import moved_requests, render_moved
from gitmesh.validate.guardrails_plan import guarded


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--source", help="The TrafficSource that these files stand for [default: the only one].")
@click.option(
    "-n", "--namespace", default="default", show_default=True, help="Namespace of the TrafficSource."
)
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--dry-run/--no-dry-run", default=True, show_default=True, help="Ask the API server too.")
@cluster_options
def plan(
    paths: tuple[Path, ...],
    source: str | None,
    namespace: str,
    output: str,
    dry_run: bool,
    kubeconfig: Path | None,
    context: str,
    playground: bool,
    playground_dir: Path | None,
) -> None:
    """Show what pushing PATHS (default: this directory) would change in the cluster, in waves, and why.

    Nothing is written. What a RolloutPolicy walks in steps shows its first step. Then stands which requests
    would go elsewhere, derived from the conditions of the old and of the new rules. At the end stands when
    each rollout would enter which step if all goes well, with a warning where it could not end at one go.
    The hash names the plan: `gitmesh approve` takes it when the plan is held for
    doing much at once. Exit status 0: shown; 1: the files have errors, or the plan is refused or would be
    held; 2: could not run.

    \b
    Examples:
      gitmesh plan manifests policies --playground
      gitmesh plan . --source traffic --format json
    """
    where = connection(kubeconfig, context, playground, playground_dir)
    text, ok = run_async(lambda: _plan(where, paths or (Path(),), source, namespace, output, dry_run))
    click.echo(text)
    raise SystemExit(0 if ok else 1)


async def _plan(
    where: Connection,
    paths: tuple[Path, ...],
    name: str | None,
    namespace: str,
    output: str,
    ask_server: bool,
) -> tuple[str, bool]:
    async with cluster(where) as client:
        live = await look(client)
        source = _source(live, namespace, name)
        revision = read_paths(paths)
        examined = examine(
            revision,
            default_namespace=source.default_namespace,
            limits=ParseLimits(),
            context=known_of(live),
        )
        findings = examined.findings
        if has_errors(findings):
            shown = render_findings(findings, revision.files) + summary(findings, len(revision.files))
            return (
                json.dumps({"findings": [f.as_json() for f in findings]}) if output == "json" else shown
            ), False
        desired = desired_of(revision, examined.parsed)
        memory = SourceMemory(source.resource.key, desired=desired)
        now = SystemClock().now()
        planned, notes, ways = make(source, memory, live, now)
        planned = await with_foundations(planned, source, desired, client)
        if ask_server:
            refused = await dry_run(planned, client)
            planned = replace(planned, refusals=(*planned.refusals, *refused))
    moved, goes_out = moved_requests(planned, live.resources), not (planned.refusals or planned.excess)
    if output == "json":
        body = {**render_json(planned), "requests": [request.as_json() for request in moved], "notes": notes}
        body["rollouts"] = ways_as_json(ways)
        return json.dumps(body, indent=2), goes_out
    lines = [*render_text(planned), *render_moved(moved), *notes, *render_ways(ways, now)]
    return "\n".join(map(plain, lines)), goes_out  # much of it is Git's


def make(
    source: Source, memory: SourceMemory, live: LiveState, now: datetime
) -> tuple[Plan, list[str], Ways]:
    """Return the plan that a pass would make now for these desired resources, and how rollouts go on."""
    assert memory.desired is not None
    # What a suspended source would do is what is asked here.
    source = replace(source, spec=source.spec.model_copy(update={"suspend": False}))
    config = Config(data_dir=Path())
    moved = move_rollouts(source, memory, live, config, now)
    waits = deletes_wait(source, memory.desired, live, now)
    given = plan_input(source, memory, memory.desired.resources, moved, live, config, waits)
    plan, said = guarded(make_plan(given), memory.desired.guardrails)
    notes = [note for item in moved if (note := _note(item.key, item.after))]
    ways = ways_of(moved, memory.desired, now, live)
    return plan, [*(f"{note.severity.value}: {note.message}" for note in said), *notes], ways


def _note(key: ResourceKey, record: RolloutRecord) -> str:
    """Say why an object is not as the files say."""
    if record.phase is Phase.ROLLED_BACK:
        namespace = "" if key.namespace == "default" else f" -n {key.namespace}"
        again = f"`gitmesh retry {key.name}{namespace}` lets what the files say go out again"
        return f"{key} is rolled back and stays at {record.weights or 'stable'}; {again}"
    if record.phase is Phase.SUCCEEDED:
        return ""
    if record.phase is Phase.WAITING:
        return f"{key} waits: {record.message}"
    where = f"step {record.step + 1} of {record.steps}, {record.progress:g} % of the way"
    return f"{key} goes by policy {record.policy}: {where}"


def _source(live: LiveState, namespace: str, name: str | None) -> Source:
    if name is None and not live.sources:
        # Before the first TrafficSource exists, show what it would do.
        body = {
            "apiVersion": TRAFFIC_SOURCE.api_version,
            "kind": TRAFFIC_SOURCE.kind,
            "metadata": {"name": "traffic", "namespace": namespace},
        }
        key = TRAFFIC_SOURCE.key(namespace, "traffic")
        resource = Resource(key, TRAFFIC_SOURCE.api_version, body)
        return Source(resource, TrafficSourceSpec(url="file:///"), TrafficSourceStatus())
    return read_valid(live, find_source(live, namespace, name))
