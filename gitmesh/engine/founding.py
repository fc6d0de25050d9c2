"""Foundations of a source in a pass: looked at when Git has others, and again now and then.

Stage: engine (shell).
"""

from __future__ import annotations

from gitmesh.apply.foundations import look_at
from gitmesh.engine.ground import GroundWatch
from gitmesh.engine.memory import Desired, SourceMemory
from gitmesh.engine.ports import Ports
from gitmesh.engine.report import Source
from gitmesh.kube.protocol import ClusterClient
from gitmesh.model.config import Config
from gitmesh.model.plan import Plan
from gitmesh.model.resource import content_hash
from gitmesh.plan.foundations import foundations_in, founded


async def with_foundations(plan: Plan, source: Source, desired: Desired, client: ClusterClient) -> Plan:
    """Return the plan with the foundations before it, as far as the source lets them through."""
    kinds = source.spec.foundations
    wanted = foundations_in(desired.foundations, kinds) if kinds else {}
    return founded(plan, await look_at(wanted, client), source.spec) if wanted else plan


async def with_foundations_due(
    plan: Plan, source: Source, memory: SourceMemory, ports: Ports, config: Config, watch: GroundWatch
) -> Plan:
    """Do so unless they were found right, and nobody has changed one since. Have them watched from now on."""
    assert memory.desired is not None
    name, now = name_of(source, memory.desired), ports.clock.monotonic()
    known, when = memory.founded
    if not name and memory.ground:
        memory.ground = frozenset()
        watch.look()
    if not name or (known == name and now - when < config.resync.total_seconds()):
        return plan
    whole = await with_foundations(plan, source, memory.desired, ports.cluster)
    if whole.waves[:1] == plan.waves[:1] and whole.refusals == plan.refusals:
        memory.founded = name, now
        ground = frozenset(foundations_in(memory.desired.foundations, source.spec.foundations))
        if memory.ground != ground:  # it is watched once it is there
            memory.ground = ground
            watch.look()
    return whole


def name_of(source: Source, desired: Desired) -> str:
    """Name the foundations of a revision by their content; empty when there are none."""
    wanted = foundations_in(desired.foundations, source.spec.foundations) if source.spec.foundations else {}
    return content_hash([[key.path, r.body] for key, r in sorted(wanted.items())]) if wanted else ""
