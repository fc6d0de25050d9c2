"""ServiceEntries that say different things about one host.

Stage: validate (pure). Source: istio/istio pkg/config/analysis/analyzers/serviceentry (IST0134, IST0177).
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.hosts import fully_qualified
from gitmesh.istio.models.service_entry import ServiceEntrySpec
from gitmesh.validate.across.facts import EVERYONE, EntryFact
from gitmesh.validate.across.found import Found
from gitmesh.validate.across.traffic_facts import scope_of
from gitmesh.validate.across.world import World
from gitmesh.validate.service_entries import gets_address
from gitmesh.validate.subject import Subject


def check_entry_across(subject: Subject, spec: ServiceEntrySpec, world: World) -> Iterator[Found]:
    """Yield contradictions with other ServiceEntries, and ports that need an address."""
    if not spec.addresses and gets_address(subject, spec):  # else GM149 says that addresses are needed
        for index, port in enumerate(spec.ports):
            if (port.protocol or "").upper() in ("", "TCP"):
                message = f"port {port.number} is told apart by address only, and there are no addresses"
                hint = "add addresses, or rely on those that istiod allocates"
                yield subject.finding("GM222", message, ("spec", "ports", index), hint=hint)
    scope = scope_of(spec.export_to, subject.namespace)
    for index, host in enumerate(spec.hosts):
        name = fully_qualified(host, subject.namespace)
        for other in world.entries(name):
            if other.key == subject.resource.key or name not in other.hosts:
                continue
            if EVERYONE in scope or EVERYONE in other.scope or not scope.isdisjoint(other.scope):
                found = list(_against(subject, spec, index, other))
                yield from found
                if found:
                    break


def _against(subject: Subject, spec: ServiceEntrySpec, index: int, other: EntryFact) -> Iterator[Found]:
    host = spec.hosts[index]
    by_number = {port.number: port.protocol for port in other.ports}
    for place, port in enumerate(spec.ports):
        theirs = by_number.get(port.number)
        own = (port.protocol or "").upper()
        if theirs is not None and theirs != own:
            message = (
                f"{other.key} says that port {port.number} of {host[:120]} carries {theirs or 'TCP'}, "
                f"not {own or 'TCP'}"
            )
            hint = "give both the same protocol"
            yield subject.finding("GM231", message, ("spec", "ports", place), hint=hint)
    if (spec.resolution or "NONE") != other.resolution and other.key.namespace == subject.namespace:
        message = (
            f"{other.key} resolves {host[:120]} by {other.resolution}, not {spec.resolution or 'NONE'}; "
            "only one of them counts"
        )
        hint = "describe a host in one ServiceEntry"
        yield subject.finding("GM232", message, ("spec", "hosts", index), hint=hint)
