"""Objects that somebody else changes again and again: noticed by what a pass writes, told once, left to rest.

Stage: engine (shell). See `decide.fights`. It lives in memory only: after a restart a fight is noticed anew.
"""

from __future__ import annotations

from collections.abc import Mapping

from gitmesh.apply.executor import Applied
from gitmesh.decide.fights import Contest, written
from gitmesh.engine.memory import News, SourceMemory
from gitmesh.engine.ports import Ports
from gitmesh.engine.report import Source
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.observe.live import LiveState
from gitmesh.plan.planner import Resting


def note_write(source: Source, memory: SourceMemory, applied: Applied, seen: LiveState, ports: Ports) -> None:
    """Count one write of a pass that went forward; `seen` is what was live before it."""
    change = applied.change
    if applied.error is not None:
        return
    before = memory.contests.get(change.key)
    content = change.after.body if change.after else None
    by = seen.changed_by(change.key)
    now = ports.clock.monotonic()
    contest = memory.contests[change.key] = written(before, content, now, drift=change.drift, by=by)
    if contest.rests == 1:
        about = applied.result or source.resource
        memory.news.append(News(about, "Warning", "Fight", f"{change.key}: {contest.text}"))
        ports.log.warning("fight", stage="apply", source=source.name, resource=str(change.key), by=contest.by)


def forget_quiet(source: Source, memory: SourceMemory, live: LiveState, ports: Ports) -> None:
    """Forget what nobody fights over any more, and say of each fight that it is over."""
    now = ports.clock.monotonic()
    for key, contest in list(memory.contests.items()):
        if not contest.is_over(now):
            continue
        del memory.contests[key]
        if contest.rests:
            about: Resource = live.resources.get(key, source.resource)
            memory.news.append(News(about, "Normal", "FightOver", f"{key}: nobody changes it any more"))
            ports.log.info("fight is over", stage="apply", source=source.name, resource=str(key))


def fights_of(memory: SourceMemory) -> Mapping[ResourceKey, Contest]:
    """Return what is fought over now."""
    return {key: contest for key, contest in sorted(memory.contests.items()) if contest.rests}


def resting(memory: SourceMemory, now: float) -> Mapping[ResourceKey, Resting]:
    """Return what is not written again at this moment, unless it is something new."""
    return {
        key: Resting(contest.content, contest.text)
        for key, contest in memory.contests.items()
        if contest.rests_at(now)
    }


def next_look_seconds(memory: SourceMemory, now: float) -> float | None:
    """Return in how many seconds a fight is worth looking at again; None where there is none."""
    moments = [moment for c in memory.contests.values() if (moment := c.next_moment(now)) is not None]
    return min(moments) - now if moments else None
