"""`gitmesh approve`: let a plan through that does more at once than a source may.

Stage: none (face).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import click

from gitmesh.cli.asking import myself
from gitmesh.cli.connection import Connection, cluster, cluster_options, connection, run_async, watching
from gitmesh.cli.main import Refused
from gitmesh.cli.source_text import headline
from gitmesh.cli.sync import read_valid
from gitmesh.engine.report import Source, read_source
from gitmesh.model.intent import WORDS_MAX
from gitmesh.model.kinds import TRAFFIC_SOURCE
from gitmesh.model.source import APPROVE_ANNOTATION, APPROVED_BY_ANNOTATION
from gitmesh.model.standing import HeldPlan
from gitmesh.observe.live import LiveState

HASH_DIGITS_MIN = 6


@click.command()
@click.argument("plan_hash")
@click.option("--source", help="The TrafficSource whose plan it is [default: the one that holds it].")
@click.option(
    "-n", "--namespace", default="default", show_default=True, help="Namespace of the TrafficSource."
)
@click.option(
    "--as", "who", default="", help="Who approves; kept with the source and shown [default: $USER]."
)
@click.option("--why", "--reason", "why", default="", help="The reason; kept with the source.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    help="Seconds to wait for the outcome.",
)
@cluster_options
def approve(
    plan_hash: str,
    source: str | None,
    namespace: str,
    who: str,
    why: str,
    timeout: float,
    kubeconfig: Path | None,
    context: str,
    playground: bool,
    playground_dir: Path | None,
) -> None:
    """Let the held plan PLAN_HASH through, once. Its first digits are enough.

    A plan is held when it deletes or changes more of what a source owns than spec.limits allows. `gitmesh
    status NAME` shows it, with its hash; so does `gitmesh plan`. As soon as anything else would change, the
    plan is another one, and the approval is void. Exit status 0: the plan is on its way; 1: it was refused
    or overtaken by another; 2: no such plan is held, or nobody answered.
    """
    for option, text in (("--as", who), ("--why", why)):
        if len(text) > WORDS_MAX:
            raise click.UsageError(f"{option} holds more than {WORDS_MAX} characters")
    where = connection(kubeconfig, context, playground, playground_dir)
    named = f"{namespace}/{source}" if source else ""
    ok, text = run_async(lambda: _approve(where, plan_hash, named, who or myself(), why, timeout))
    click.echo(text)
    raise SystemExit(0 if ok else 1)


async def _approve(
    where: Connection, digits: str, named: str, who: str, why: str, timeout: float
) -> tuple[bool, str]:
    async with cluster(where) as client, watching(client) as (cache, changed):
        source, held = _meant(cache.snapshot(), digits, named)
        key, plan = source.resource.key, held.hash
        annotations = {
            APPROVE_ANNOTATION: f"{plan} {' '.join(why.split())}".strip(),
            APPROVED_BY_ANNOTATION: who,
        }
        patch = {"metadata": {"annotations": annotations}}
        await client.merge_patch(TRAFFIC_SOURCE, key.namespace, key.name, patch)
        with anyio.move_on_after(timeout):
            while True:
                source = read_valid(cache.snapshot(), key)
                approval = source.status.approval
                if approval is not None and approval.plan == plan and approval.at >= held.since:
                    return True, f"{source.name}: plan {plan} goes through: {_what(held)}"
                overtaken = APPROVE_ANNOTATION not in source.resource.annotations
                if overtaken and (source.status.held_plan is None or source.status.held_plan.hash != plan):
                    return False, f"{source.name}: the approval is void: {headline(source)}"
                await changed()
    raise Refused(f"asked, but not done within {timeout:g} s: does a daemon run for this cluster?")


def _meant(live: LiveState, digits: str, named: str) -> tuple[Source, HeldPlan]:
    """Return the held plan that is meant, or say which there are."""
    held = list(_held(live))
    found = [
        (source, plan)
        for source, plan in held
        if named in ("", source.name) and len(digits) >= HASH_DIGITS_MIN and plan.hash.startswith(digits)
    ]
    if len(found) == 1:
        return found[0]
    there = "; ".join(f"{plan.hash} of {source.name} ({_what(plan)})" for source, plan in held) or "none"
    asked = f"{digits} of {named}" if named else digits
    if len(digits) < HASH_DIGITS_MIN:
        raise Refused(f"{digits} is too short: at least {HASH_DIGITS_MIN} digits; held plans: {there}")
    raise Refused(f"{'more than one' if found else 'no'} plan {asked} is held; held plans: {there}")


def _held(live: LiveState) -> Iterator[tuple[Source, HeldPlan]]:
    for _, resource in sorted(live.sources.items()):
        source = read_source(resource)
        if isinstance(source, Source) and source.status.held_plan is not None:
            yield source, source.status.held_plan


def _what(plan: HeldPlan) -> str:
    return f"{plan.deletes} to delete, {plan.changes} to change, of {plan.owned}"
