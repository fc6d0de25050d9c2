"""What a source may not change: objects outside of its own namespace, where the operator confines it.

Stage: validate (pure). No comment in a file suppresses these findings: they are the operator's, not the
author's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.kinds import CUSTOM_RESOURCE_DEFINITION, NAMESPACE, NETWORKING
from gitmesh.model.resource import Resource

OUTSIDE = "GM030"
_WITHOUT_NAMESPACE = {NAMESPACE.kind, CUSTOM_RESOURCE_DEFINITION.kind}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the objects of a source may be: in `namespace` alone, or anywhere when that is empty.

    `foundations` are the kinds without a namespace that the source asks for.
    """

    namespace: str = ""
    foundations: tuple[str, ...] = ()


def outside(resources: Iterable[Resource], bounds: Bounds) -> Iterator[Diagnostic]:
    """Yield an error for each object that is to be applied and lies outside of the bounds."""
    if not bounds.namespace:
        return
    for resource in resources:
        key = resource.key
        founds = key.kind in _WITHOUT_NAMESPACE and key.kind in bounds.foundations
        if founds or (key.group == NETWORKING and key.namespace != bounds.namespace):
            where = f"in namespace {key.namespace}" if key.namespace else "outside of every namespace"
            yield Diagnostic(
                OUTSIDE,
                Severity.ERROR,
                f"{key} is {where}, and this source may change namespace {bounds.namespace} alone",
                "move it there, or have the operator name this TrafficSource in crossNamespace",
                at=resource.origin.location if resource.origin else None,
                key=key,
            )
