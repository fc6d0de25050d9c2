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

SWEEP_SECONDS = 10.0


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
    (memory.fights.add if contest.rests else memory.fights.discard)(change.key)
    if contest.rests == 1:
        about = applied.result or source.resource
        memory.news.append(News(about, "Warning", "Fight", f"{change.key}: {contest.text}"))
        ports.log.warning("fight", stage="apply", source=source.name, resource=str(change.key), by=contest.by)


def forget_quiet(source: Source, memory: SourceMemory, live: LiveState, ports: Ports) -> None:
    """Forget what nobody fights over any more, and say of each fight that it is over.

    After a first sync there is a contest for each object. All of them are looked at now and then only.
    """
    now = ports.clock.monotonic()
    keys = list(memory.fights)
    if now >= memory.swept + SWEEP_SECONDS:
        keys, memory.swept = list(memory.contests), now
    for key in keys:
        contest = memory.contests[key]
        if not contest.is_over(now):
            continue
        del memory.contests[key]
        memory.fights.discard(key)
        if contest.rests:
            about: Resource = live.resources.get(key, source.resource)
            memory.news.append(News(about, "Normal", "FightOver", f"{key}: nobody changes it any more"))
            ports.log.info("fight is over", stage="apply", source=source.name, resource=str(key))


def fights_of(memory: SourceMemory) -> Mapping[ResourceKey, Contest]:
    """Return what is fought over now."""
    return {key: memory.contests[key] for key in sorted(memory.fights)}


def resting(memory: SourceMemory, now: float) -> Mapping[ResourceKey, Resting]:
    """Return what is not written again at this moment, unless it is something new."""
    return {
        key: Resting(contest.content, contest.text)
        for key, contest in fights_of(memory).items()
        if contest.rests_at(now)
    }


def next_look_seconds(memory: SourceMemory, now: float) -> float | None:
    """Return in how many seconds a fight is worth looking at again; None where there is none."""
    fights = fights_of(memory).values()
    moments = [moment for contest in fights if (moment := contest.next_moment(now)) is not None]
    return min(moments) - now if moments else None
