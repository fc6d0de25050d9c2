"""Whether what is stored is in effect, as a status says it: by the mesh's word, and as measured.

Stage: engine (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from gitmesh.engine.effects import effects_of
from gitmesh.engine.memory import Reported, SourceMemory
from gitmesh.engine.report import Source
from gitmesh.model.edition import changed_between
from gitmesh.model.effect import EffectState
from gitmesh.model.resource import ResourceKey
from gitmesh.model.source import Condition
from gitmesh.observe.live import LiveState
from gitmesh.observe.reported import Look, look_at

Truth = Literal["True", "False", "Unknown"]


def not_in_effect(source: Source, memory: SourceMemory, live: LiveState) -> list[str]:
    """Return what is known not to be in effect, each with why: the mesh says so, or requests do."""
    return [*_reported(source, memory, live), *_by_state(memory, EffectState.CONTRADICTED)]


def is_measuring(memory: SourceMemory) -> bool:
    """Say whether it is about to be known."""
    return bool(_by_state(memory, EffectState.MEASURING))


def in_effect_condition(
    source: Source, memory: SourceMemory, live: LiveState, now: datetime
) -> tuple[Condition, ...]:
    """Return the condition InEffect; nothing where nothing was looked at."""
    status: Truth
    found: Sequence[str]
    if found := _reported(source, memory, live):
        status, reason = "False", "Reported"
    elif found := _by_state(memory, EffectState.CONTRADICTED):
        status, reason = "False", EffectState.CONTRADICTED.value
    elif found := _by_state(memory, EffectState.MEASURING):
        status, reason = "Unknown", EffectState.MEASURING.value
    elif found := _by_state(memory, EffectState.NOT_MEASURED):
        status, reason = "Unknown", EffectState.NOT_MEASURED.value
    elif found := _by_state(memory, EffectState.MEASURED):
        status, reason = "True", EffectState.MEASURED.value
    else:
        return ()
    before = next((c for c in source.status.conditions if c.type == "InEffect"), None)
    since = before.last_transition_time if before and before.status == status else now
    condition = Condition(
        type="InEffect",
        status=status,
        reason=reason,
        message=in_short(found),
        last_transition_time=since,
        observed_generation=int(source.resource.metadata.get("generation") or 0),
    )
    return (condition,)


def in_short(found: Sequence[str]) -> str:
    """Return the first and how many more there are."""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0]}{more}" if found else ""


def _reported(source: Source, memory: SourceMemory, live: LiveState) -> tuple[str, ...]:
    """Return what the mesh says. An object that is the same again is not looked at again."""
    owned = live.owned_by(source.name)
    before = memory.reported
    if before is not None and before.resources is live.resources and before.owned is owned:
        return before.texts
    now = live.resources.get
    speaking: dict[ResourceKey, Look] = {}
    changed: Iterable[ResourceKey] = owned
    if before is not None:
        was, known = before.resources.get, before.owned
        speaking = {key: look for key, look in before.looks.items() if key in owned}
        since = changed_between(before.resources, live.resources) if known is owned else None
        changed = owned if since is None else owned.intersection(since)
        changed = [key for key in changed if now(key) is not was(key) or key not in known]
    for key in changed:
        resource = now(key)
        look = look_at(resource) if resource is not None else None
        if look is not None and look.has_a_word:
            speaking[key] = look
        else:
            speaking.pop(key, None)
    texts = [f"{key}: {why}" for key, look in speaking.items() if (why := look.trouble(live.resources))]
    memory.reported = Reported(live.resources, owned, speaking, tuple(sorted(texts)))
    return memory.reported.texts


def _by_state(memory: SourceMemory, state: EffectState) -> list[str]:
    return [
        f"{ResourceKey.from_path(effect.resource)}: {effect.message}".removesuffix(": ")
        for effect in effects_of(memory)
        if effect.state is state
    ]
