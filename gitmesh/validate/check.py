"""Everything that is wrong with a set of resources.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import BaseModel

from gitmesh.istio.models.destination_rule import DestinationRuleSpec
from gitmesh.istio.models.gateway import GatewaySpec
from gitmesh.istio.models.service_entry import ServiceEntrySpec
from gitmesh.istio.models.sidecar import SidecarSpec
from gitmesh.istio.models.virtual_service import VirtualServiceSpec
from gitmesh.model.config import ParseLimits
from gitmesh.model.context import NOTHING_KNOWN, Context
from gitmesh.model.diagnostic import Diagnostic, bounded, up_to_errors
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.validate.destination_rules import check_destination_rule
from gitmesh.validate.gateways import check_gateway
from gitmesh.validate.policies import check_policies
from gitmesh.validate.references import (
    Known,
    check_references,
    check_rule_host,
    check_shared_hosts,
    what_is_known,
)
from gitmesh.validate.service_entries import check_service_entry, check_sidecar
from gitmesh.validate.shape import check_shape
from gitmesh.validate.subject import Subject
from gitmesh.validate.virtual_services import check_virtual_service

_OBJECT_ERRORS_MAX = 200
_FINDINGS_MAX = ParseLimits().diagnostics_max


_NONE: Mapping[ResourceKey, Resource] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Validated:
    """What is wrong; `unchecked` says, as infos, what could not be looked at for lack of context."""

    findings: tuple[Diagnostic, ...]
    unchecked: tuple[Diagnostic, ...] = ()


NOTHING_VALIDATED = Validated(())


def validate(
    resources: ResourceSet,
    *,
    context: Context = NOTHING_KNOWN,
    others: ResourceSet = _NONE,
    previous: Validated | None = None,
) -> Validated:
    """Return all findings. `others`: objects of other kinds of the same files, which serve as context, too.

    `previous` is the result for another state of the files; what still holds is taken over.
    """
    return Validated(bounded(_findings(resources, context), _FINDINGS_MAX))


def _findings(resources: ResourceSet, context: Context) -> Iterator[Diagnostic]:
    known = what_is_known(resources, context.services)
    virtual_services: dict[ResourceKey, VirtualServiceSpec] = {}
    for key, resource in resources.items():
        spec, wrong = check_shape(resource)
        yield from wrong
        if spec is not None:
            yield from up_to_errors(_by_kind(Subject(resource), spec, known), _OBJECT_ERRORS_MAX)
        if isinstance(spec, VirtualServiceSpec):
            virtual_services[key] = spec
    yield from check_shared_hosts(virtual_services, resources)
    yield from check_policies(resources)


def _by_kind(subject: Subject, spec: BaseModel, known: Known) -> Iterator[Diagnostic]:
    """Yield what the rules of a kind say about a spec of the right shape."""
    match spec:
        case VirtualServiceSpec():
            yield from check_virtual_service(subject, spec)
            yield from check_references(subject, spec, known)
        case DestinationRuleSpec():
            yield from check_destination_rule(subject, spec)
            yield from check_rule_host(subject, known)
        case GatewaySpec():
            yield from check_gateway(subject, spec)
        case ServiceEntrySpec():
            yield from check_service_entry(subject, spec)
        case SidecarSpec():
            yield from check_sidecar(subject, spec)
        case _:
            pass
