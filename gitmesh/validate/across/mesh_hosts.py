"""VirtualServices that hold rules for one host inside the mesh, and delegates.

Stage: validate (pure). Source: istio/istio pkg/config/analysis/analyzers/virtualservice (IST0109);
pilot/pkg/model/virtualservice.go for delegates.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.hosts import fully_qualified
from gitmesh.istio.models.virtual_service import VirtualServiceSpec
from gitmesh.validate.across.conflicts import conflict
from gitmesh.validate.across.facts import EVERYONE, RoutesFact
from gitmesh.validate.across.found import Found
from gitmesh.validate.across.lenient import mappings
from gitmesh.validate.across.traffic_facts import scope_of
from gitmesh.validate.across.world import World
from gitmesh.validate.subject import Path, Subject
from gitmesh.validate.virtual_services import bound_to_mesh

_COMPARED_MAX = 20  # rules and matches: every one is compared with every one


def check_mesh_hosts(subject: Subject, spec: VirtualServiceSpec, world: World) -> Iterator[Found]:
    """Yield a finding when another VirtualService has rules for one of the hosts."""
    if not bound_to_mesh(spec):
        return
    for scope in sorted(scope_of(spec.export_to, subject.namespace)):
        for index, host in enumerate(spec.hosts):
            found = world.rivals(scope, fully_qualified(host, subject.namespace))
            others = [key for key in found if key != subject.resource.key]
            if others:
                message = (
                    f"{others[0]} has rules for the host {host[:120]}, too, and Istio takes only one of them"
                )
                hint = "put all rules for a host into one VirtualService"
                yield subject.finding("GM205", message, ("spec", "hosts", index), hint=hint)
                return


def check_delegates(subject: Subject, spec: VirtualServiceSpec, world: World) -> Iterator[Found]:
    """Yield delegates that are missing, are none, or whose rules can never apply."""
    for index, rule in enumerate(spec.http):
        if rule.delegate is None or not rule.delegate.name or not spec.hosts:
            continue
        namespace = rule.delegate.namespace or subject.namespace
        name = f"{namespace}/{rule.delegate.name}"
        path: Path = ("spec", "http", index, "delegate")
        found = world.routes(namespace, rule.delegate.name)
        if found is None:
            message = f"there is no VirtualService {name[:160]} in the repository, so this rule does nothing"
            yield subject.finding("GM212", message, (*path, "name"))
        elif found.hosts:
            message = f"{found.key} has hosts, so it is no delegate, and this rule does nothing"
            yield subject.finding("GM213", message, path, hint="remove its hosts")
        elif EVERYONE not in found.scope and subject.namespace not in found.scope:
            message = f"{found.key} is not exported to this namespace, so this rule does nothing"
            yield subject.finding("GM213", message, path, hint="add the namespace to its exportTo")
        else:
            yield from _contradictions(subject, path, found)


def _contradictions(subject: Subject, path: Path, delegate: RoutesFact) -> Iterator[Found]:
    root = list(mappings(subject.resource.spec["http"][path[2]].get("match")))
    if not 0 < len(root) <= _COMPARED_MAX:
        return
    for number, part in enumerate(delegate.rules[:_COMPARED_MAX]):
        matches = list(mappings(part.get("match")))
        if not 0 < len(matches) <= _COMPARED_MAX:
            continue
        if all(conflict(own, theirs) for own in root for theirs in matches):
            message = (
                f"http[{number}] of {delegate.key} never applies: its matches contradict those of this rule"
            )
            hint = "a delegate can only narrow what this rule takes; prefix narrows prefix"
            yield subject.finding("GM214", message, path, hint=hint)
