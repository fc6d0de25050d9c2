"""HTTP rules that another VirtualService holds: a root's rule merged with each rule of its delegate.

Stage: playground translation (pure). A VirtualService without hosts is a delegate: it serves nothing itself.
Source: istio.io, Virtual Service, Delegate; istio/istio pilot/pkg/model, virtualservice.go (MergeHTTPRoutes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.resource import ResourceKey
from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.matches import gateway_name

_INHERITED = (
    "rewrite",
    "directResponse",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrorPercent",
    "mirrorPercentage",
    "mirrors",
    "corsPolicy",
    "headers",
)
_OVER_ROOT = ("redirect", "directResponse", "route")  # a rule has a delegate, or one of these
_TEXTS = ("uri", "scheme", "method", "authority")
_MAPS = ("headers", "withoutHeaders", "queryParams")


def merged_rules(root: Field, delegates: Mapping[ResourceKey, Field]) -> tuple[Field, ...]:
    """Return the HTTP rules of a VirtualService; each `delegate` is replaced by the rules that it names.

    `delegates` holds the specs of the VirtualServices without hosts. A merged rule lives in the delegate; its
    field `delegate` is that of the root, by which the root's rule is found again.
    """
    rules: list[Field] = []
    for rule in root["http"].items():
        if rule["delegate"].present:
            rules += _delegated(rule, delegates)
        else:
            rules.append(rule)
    return tuple(rules)


def delegate_key(rule: Field) -> ResourceKey:
    """Return the VirtualService that a rule delegates to; its own namespace is the default."""
    delegate = rule["delegate"]
    namespace = delegate["namespace"].text() or delegate.key.namespace
    return VIRTUAL_SERVICE.key(namespace, delegate["name"].text())


def report_unused(delegates: Mapping[ResourceKey, Field], roots: Iterable[Field]) -> None:
    """Report each delegate that no root names: it serves nothing."""
    used = {delegate_key(rule) for root in roots for rule in root["http"].items() if rule["delegate"].present}
    for key, spec in delegates.items():
        if key not in used:
            spec["hosts"].report("has no hosts and no VirtualService delegates to it, so it has no effect")


def _delegated(rule: Field, delegates: Mapping[ResourceKey, Field]) -> Iterator[Field]:
    key = delegate_key(rule)
    spec = delegates.get(key)
    if spec is None:
        rule["delegate"].report(f"there is no VirtualService {key.namespace}/{key.name} without hosts")
        return
    if not _exported(spec, rule.key.namespace):
        rule["delegate"].report(f"{key.namespace}/{key.name} is not exported to this namespace")
        return
    for name in _OVER_ROOT:
        if rule[name].present and name not in _INHERITED:
            rule[name].report("has no effect beside a delegate")
    for inner in spec["http"].items():
        merged = _merge(rule, inner)
        if merged is not None:
            yield merged


def _exported(spec: Field, namespace: str) -> bool:
    places = {spec.key.namespace if place == "." else place for place in spec["exportTo"].texts()}
    return not places or "*" in places or namespace in places


def _merge(root: Field, inner: Field) -> Field | None:
    if inner["delegate"].present:
        inner["delegate"].report("a delegate cannot delegate again, so the rule is left out")
        return None
    matches = _merge_matches(root, inner)
    if matches is None:
        inner["match"].report(f"contradicts what {root.key} asks for, so the rule is left out, as in Istio")
        return None
    value = _children(inner)
    value |= {name: root[name] for name in _INHERITED if not _is_set(inner[name]) and root[name].present}
    value |= {"match": matches, "delegate": root["delegate"], "name": _joined(root["name"], inner["name"])}
    return Field(inner.key, inner.path, value, inner.reports)


def _merge_matches(root: Field, inner: Field) -> list[Field] | None:
    """Return every pair of conditions that can hold together; None when one of the delegate's has none."""
    outer_matches, inner_matches = list(root["match"].items()), list(inner["match"].items())
    if not outer_matches or not inner_matches:
        return inner_matches or outer_matches
    merged = []
    for match in inner_matches:
        fitting = [outer for outer in outer_matches if not _contradicts(outer, match)]
        if not fitting:
            return None
        merged += [_merge_match(outer, match) for outer in fitting]
    return merged


def _merge_match(outer: Field, inner: Field) -> Field:
    value = _children(outer) | {name: field for name, field in _children(inner).items() if _is_set(field)}
    for name in (*_MAPS, "sourceLabels"):
        if outer[name].present and inner[name].present:
            # As a mapping of its own, so that a report names the delegate's for what neither wrote alone.
            both = dict(outer[name].entries()) | dict(inner[name].entries())
            value[name] = Field(inner.key, (*inner.path, name), both, inner.reports)
    value["name"] = _joined(outer["name"], inner["name"])
    return Field(inner.key, inner.path, value, inner.reports)


def _contradicts(outer: Field, inner: Field) -> bool:
    if any(_texts_contradict(outer[name], inner[name]) for name in _TEXTS):
        return True
    for name in _MAPS:
        there = dict(outer[name].entries())
        if any(n in there and _texts_contradict(there[n], field) for n, field in inner[name].entries()):
            return True
    if outer["ignoreUriCase"].boolean() != inner["ignoreUriCase"].boolean():
        return True
    ports = {match["port"].integer() for match in (outer, inner)} - {0}
    if len(ports) > 1:
        return True
    # Not the other way round: a delegate that leaves the namespace open contradicts a root that names one.
    if outer["sourceNamespace"].text() not in ("", inner["sourceNamespace"].text()):
        return True
    labels = dict(outer["sourceLabels"].entries())
    if any(n in labels and labels[n].value != field.value for n, field in inner["sourceLabels"].entries()):
        return True
    return _gateways_contradict(outer, inner)


def _gateways_contradict(outer: Field, inner: Field) -> bool:
    ours, theirs = _gateways(outer), _gateways(inner)
    return bool(ours) and not theirs <= ours


def _gateways(match: Field) -> set[str]:
    return {gateway_name(field.text(), field.key.namespace) for field in match["gateways"].items()}


def _texts_contradict(outer: Field, inner: Field) -> bool:
    """Say whether a condition of the delegate can hold outside of the root's."""
    if not outer.present or not inner.present:
        return False
    ours, theirs = _kinds(outer), _kinds(inner)
    if "regex" in ours or "regex" in theirs:
        return True
    if "exact" in ours:
        return theirs.get("exact") != ours["exact"]
    if "prefix" in ours:
        narrower = theirs.get("prefix") or theirs.get("exact")
        return narrower is None or not narrower.startswith(ours["prefix"])
    return True


def _kinds(match: Field) -> dict[str, str]:
    return {kind: text for kind in ("exact", "prefix", "regex") if (text := match[kind].text())}


def _joined(outer: Field, inner: Field) -> Field:
    names = [name for name in (outer.text(), inner.text()) if name]
    return Field(inner.key, inner.path, "-".join(names) or None, inner.reports)


def _children(field: Field) -> dict[str, Any]:
    return dict(field.entries())


def _is_set(field: Field) -> bool:
    """Say whether a field holds more than its zero value, which in protobuf is the same as leaving it out."""
    return field.present and field.value not in ("", 0, False) and field.value != []
