"""What the commands share by which people steer one rollout: who asks and why, and waiting for the outcome.

Stage: none (face).
"""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
import click

from gitmesh.cli.connection import Connection, cluster, watching
from gitmesh.cli.main import Refused
from gitmesh.cli.options import cluster_options
from gitmesh.cli.plain import plain
from gitmesh.decide.requests import asking, meant
from gitmesh.engine.clock import SystemClock
from gitmesh.engine.rollouts import read_intent, read_record
from gitmesh.kube.protocol import ClusterClient
from gitmesh.model.intent import WORDS_MAX, RolloutIntent, Verb, patch_of
from gitmesh.model.kinds import TRAFFIC_ROLLOUT
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import RolloutRecord
from gitmesh.observe.live import LiveState

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants of which rollout. `full`: every step that is left. `freezes`: which to overrule."""

    verb: Verb
    key: ResourceKey  # of the TrafficRollout
    by: str
    why: str
    timeout: float
    full: bool = False
    freezes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`namespace/name`."""
        return f"{self.key.namespace}/{self.key.name}"


def asking_options(command: F) -> F:
    """Add NAME, the options that say who asks and why, and those that say which cluster."""
    for option in (
        cluster_options,
        click.option(
            "--timeout",
            type=click.FloatRange(min=0),
            default=30,
            show_default=True,
            help="Seconds to wait for the outcome.",
        ),
        click.option("--why", default="", help="The reason; kept with the rollout and shown."),
        click.option(
            "--as", "who", default="", help="Who asks; kept with the rollout and shown [default: $USER]."
        ),
        click.option(
            "-n", "--namespace", default="default", show_default=True, help="Namespace of the VirtualService."
        ),
        click.argument("name"),
    ):
        command = option(command)
    return command


def a_wish(
    verb: Verb,
    name: str,
    namespace: str,
    who: str,
    why: str,
    timeout: float,
    *,
    full: bool = False,
    freezes: tuple[str, ...] = (),
) -> Wish:
    """Return what the arguments of a command say."""
    for option, text in (("--as", who), ("--why", why)):
        if len(text) > WORDS_MAX:
            raise click.UsageError(f"{option} holds more than {WORDS_MAX} characters")
    return Wish(verb, TRAFFIC_ROLLOUT.key(namespace, name), who or myself(), why, timeout, full, freezes)


def myself() -> str:
    """Return the name of the user who runs this; empty where there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        return ""


async def fulfil(
    where: Connection,
    wish: Wish,
    is_done: Callable[[RolloutRecord, RolloutRecord], bool],
    said: Callable[[RolloutRecord], str],
    waiting: Callable[[RolloutRecord], str] | None = None,
) -> str:
    """Ask, wait until `is_done(before, now)`, and return what to say; `waiting`: what, if it takes longer."""
    async with cluster(where) as client, watching(client) as (cache, changed):
        before = find_record(cache.snapshot(), wish.key)
        for key in _meant(cache.snapshot(), wish, before):
            await _ask(client, cache.snapshot(), key, wish)
        with anyio.move_on_after(wish.timeout):
            while not is_done(before, now := find_record(cache.snapshot(), wish.key)):
                await changed()
            return plain(f"{wish.name} {said(now)}")
        if waiting is not None:
            return plain(f"{wish.name} {waiting(find_record(cache.snapshot(), wish.key))}")
    raise Refused(f"asked, but not done within {wish.timeout:g} s: does a daemon run for this cluster?")


def _meant(live: LiveState, wish: Wish, record: RolloutRecord) -> tuple[ResourceKey, ...]:
    read = {key: read_record(resource) for key, resource in live.rollouts.items()}
    return meant(wish.verb, wish.key, record, {key: other for key, other in read.items() if other})


async def _ask(client: ClusterClient, live: LiveState, key: ResourceKey, wish: Wish) -> None:
    record, intent = find_record(live, key), read_intent(live.rollouts.get(key))
    now = SystemClock().now()
    asked = asking(
        intent,
        wish.verb,
        record,
        by=wish.by,
        why=wish.why,
        now=now,
        full=wish.full,
        freezes=wish.freezes,
    )
    if not isinstance(asked, RolloutIntent):
        raise Refused(f"{key.namespace}/{key.name} {asked}")
    if patch := patch_of(intent, asked):
        await client.merge_patch(TRAFFIC_ROLLOUT, key.namespace, key.name, {"spec": patch})


def find_record(live: LiveState, key: ResourceKey) -> RolloutRecord:
    """Return the record of a rollout, or say which there are."""
    record = read_record(live.rollouts.get(key))
    if record is None:
        there = ", ".join(f"{k.namespace}/{k.name}" for k in sorted(live.rollouts)) or "none"
        raise Refused(f"no rollout of {key.namespace}/{key.name}; there are: {there}")
    return record
