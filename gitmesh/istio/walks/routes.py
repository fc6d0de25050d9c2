"""Two lists of HTTP rules as one: chosen requests take the new rules, all others the old ones.

Stage: decide, plan (pure). The old rules stay as they are, in their order. Before them stand the new ones,
each with the condition that chooses. A rule that is the same in both lists stands once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gitmesh.istio.canonical import canonical
from gitmesh.istio.routes import Route
from gitmesh.istio.walks.conditions import Condition, UnsayableError, alternatives_of, covers, narrowed
from gitmesh.istio.walks.request_ids import HEADER

MARK = "gitmesh-canary"  # ends the name of every rule that is there for a while only
_Segment = tuple[Sequence[Route], Sequence[Route], Route | None]  # old rules, new rules, then one of both


def marked(route: Route) -> str:
    """Return the name of the temporary rule that stands for a route."""
    name = route.get("name")
    return f"{name}-{MARK}" if name else MARK


def walked(
    old: Sequence[Route], new: Sequence[Route], conditions: Sequence[Condition]
) -> list[Mapping[str, Any]]:
    """Return the rules of both lists. A request of which one of the conditions holds takes the new ones.

    Raises UnsayableError when a new rule and a condition cannot be said together.
    """
    result: list[Mapping[str, Any]] = []
    segments = list(_segments(old, new))
    for index, (before, after, same) in enumerate(segments):
        if not covers(after, before):
            return [*result, *_apart(segments[index:], conditions)]
        # Whatever the old rules of this segment take, the new ones have taken from those who are chosen.
        result.extend(_chosen(after, conditions))
        result.extend(before)
        if same is not None:
            result.append(same)
    return result


def cannot_be_walked(routes: Sequence[Route]) -> str:
    """Say why requests cannot be told by their ids before these rules; empty when they can."""
    for route in routes:
        for alternative in alternatives_of(route):
            asked = {*(alternative.get("headers") or {}), *(alternative.get("withoutHeaders") or {})}
            if any(str(name).lower() == HEADER for name in asked):
                return f"a match asks for {HEADER} itself"
    return ""


def says_all(routes: Sequence[Route], condition: Condition) -> bool:
    """Say whether a condition can be asked on top of every one of these rules."""
    try:
        for route in routes:
            narrowed(route, [condition])
    except UnsayableError:
        return False
    return True


def _chosen(routes: Sequence[Route], conditions: Sequence[Condition]) -> Iterator[Mapping[str, Any]]:
    for route in routes:
        if match := narrowed(route, conditions):
            yield {**route, "name": marked(route), "match": match}


def _apart(segments: Sequence[_Segment], conditions: Sequence[Condition]) -> Iterator[Mapping[str, Any]]:
    """Write the rest of both lists one after the other.

    What is chosen must not fall through to an old rule where no new one takes it: it is answered as a request
    that no rule takes.
    """
    old = [rule for before, _, same in segments for rule in (*before, *([same] if same else []))]
    new = [rule for _, after, same in segments for rule in (*after, *([same] if same else []))]
    yield from _chosen(new, conditions)
    if not covers(new, old):
        nothing: dict[str, Any] = {"name": MARK, "directResponse": {"status": 404}}
        yield {**nothing, "match": narrowed(nothing, conditions)}
    yield from old


def _segments(old: Sequence[Route], new: Sequence[Route]) -> Iterator[_Segment]:
    """Part two lists at the rules that are the same in both, as many as can be."""
    olds, news = [_text(route) for route in old], [_text(route) for route in new]
    at_old = at_new = 0
    for i, j in _common(olds, news):
        yield old[at_old:i], new[at_new:j], old[i]
        at_old, at_new = i + 1, j + 1
    yield old[at_old:], new[at_new:], None


def _text(route: Route) -> str:
    return json.dumps(canonical(route), sort_keys=True)


def _common(olds: list[str], news: list[str]) -> list[tuple[int, int]]:
    """Return the places of a longest common subsequence."""
    start = 0
    while start < min(len(olds), len(news)) and olds[start] == news[start]:
        start += 1
    end = 0
    while end < min(len(olds), len(news)) - start and olds[-1 - end] == news[-1 - end]:
        end += 1
    middle = _longest(olds[start : len(olds) - end], news[start : len(news) - end])
    return [
        *((i, i) for i in range(start)),
        *((start + i, start + j) for i, j in middle),
        *((len(olds) - i, len(news) - i) for i in range(end, 0, -1)),
    ]


def _longest(olds: list[str], news: list[str]) -> list[tuple[int, int]]:
    lengths = [[0] * (len(news) + 1) for _ in range(len(olds) + 1)]
    for i in reversed(range(len(olds))):
        for j in reversed(range(len(news))):
            same = olds[i] == news[j]
            lengths[i][j] = lengths[i + 1][j + 1] + 1 if same else max(lengths[i + 1][j], lengths[i][j + 1])
    found, i, j = [], 0, 0
    while i < len(olds) and j < len(news):
        if olds[i] == news[j]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return found
