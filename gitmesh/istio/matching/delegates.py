"""Delegation: a rule of one VirtualService whose action is the rules of another.

Stage: plan (pure). Source: istio/istio pilot/pkg/model, virtualservice.go (mergeHTTPRoutes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gitmesh.istio.matching.reading import Spec, integer, items, labels, mapping, text, texts

_INHERITED = (
    "rewrite",
    "directResponse",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrorPercent",
    "mirrorPercentage",
    "corsPolicy",
    "mirrors",
    "headers",
)
_TEXTS = ("uri", "scheme", "method", "authority")
_MAPS = ("headers", "withoutHeaders", "queryParams")


@dataclass(frozen=True, slots=True)
class Merged:
    """A rule of a delegate below a rule of its root. `origins` says where each match is written.

    An origin is whether the match is the delegate's (which may inherit from the root's), and its place there.
    """

    spec: Spec
    origins: tuple[tuple[bool, int], ...]


def merged_rule(root: Spec, rule: Spec) -> Merged | None:
    """Return a rule of the delegate as it holds below the root's rule; None where the two exclude another."""
    found = _merged_matches(items(root.get("match")), items(rule.get("match")))
    if found is None:
        return None
    matches = [match for match, _ in found]
    merged = {**rule, "match": matches, "name": joined_name(root, rule)}
    for name in _INHERITED:
        if merged.get(name) is None and root.get(name) is not None:
            merged[name] = root[name]
    return Merged(merged, tuple(origin for _, origin in found))


def joined_name(root: Spec, leaf: Spec) -> str:
    """Return `root-leaf`, or the one of the names that there is."""
    return "-".join(name for name in (text(root.get("name")), text(leaf.get("name"))) if name)


_Found = list[tuple[Spec, tuple[bool, int]]]


def _merged_matches(roots: tuple[Spec, ...], leaves: tuple[Spec, ...]) -> _Found | None:
    """Return every pair that can hold together; None where one of the leaves goes with no root."""
    if not leaves:
        return [(root, (False, place)) for place, root in enumerate(roots)]
    if not roots:
        return [(leaf, (True, place)) for place, leaf in enumerate(leaves)]
    merged: _Found = []
    for place, leaf in enumerate(leaves):
        fitting = [_merged_match(root, leaf) for root in roots if not excludes(root, leaf)]
        if not fitting:
            return None
        merged += [(match, (True, place)) for match in fitting]
    return merged


def _merged_match(root: Spec, leaf: Spec) -> dict[str, Any]:
    merged = {**root, **{name: value for name, value in leaf.items() if _is_set(value)}}
    for name in (*_MAPS, "sourceLabels"):
        both = {**mapping(root.get(name)), **mapping(leaf.get(name))}
        if both:
            merged[name] = both
    name = joined_name(root, leaf)
    if name:
        merged["name"] = name
    return merged


def _is_set(value: Any) -> bool:
    return value is not None and value not in ("", 0, [])


def excludes(root: Spec, leaf: Spec) -> bool:
    """Say whether a match of the delegate cannot hold below a match of the root."""
    return any(_conflicts(root, leaf))


def _conflicts(root: Spec, leaf: Spec) -> Iterator[bool]:
    for name in _TEXTS:
        yield _texts_conflict(root.get(name), leaf.get(name))
    for name in _MAPS:
        outer = mapping(root.get(name))
        for key, value in mapping(leaf.get(name)).items():
            yield _texts_conflict(outer.get(key), value)
    yield (root.get("ignoreUriCase") is True) != (leaf.get("ignoreUriCase") is True)
    yield len({integer(root.get("port")), integer(leaf.get("port"))} - {0}) > 1
    # Not the other way round: a delegate that leaves the namespace open excludes a root that names one.
    yield text(root.get("sourceNamespace")) not in ("", text(leaf.get("sourceNamespace")))
    outer_labels = labels(root.get("sourceLabels"))
    for key, label in labels(leaf.get("sourceLabels")).items():
        yield outer_labels.get(key, label) != label
    gateways = texts(root.get("gateways"))
    yield bool(gateways) and not set(texts(leaf.get("gateways"))) <= set(gateways)


def _texts_conflict(root: Any, leaf: Any) -> bool:
    if not isinstance(root, Mapping) or not isinstance(leaf, Mapping):
        return False
    outer, inner = _written(root), _written(leaf)
    if "regex" in outer or "regex" in inner:
        return True
    if "exact" in outer:
        return outer["exact"] != inner.get("exact")
    if "prefix" in outer and inner:
        return not next(iter(inner.values())).startswith(outer["prefix"])
    return True


def _written(match: Spec) -> dict[str, str]:
    return {kind: value for kind in ("exact", "prefix", "regex") if (value := text(match.get(kind)))}
