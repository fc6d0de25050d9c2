"""Everything that is wrong with a set of resources.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import BaseModel

from gitmesh.istio.models.destination_rule import DestinationRuleSpec
from gitmesh.istio.models.virtual_service import VirtualServiceSpec
from gitmesh.model.config import ParseLimits
from gitmesh.model.context import NOTHING_KNOWN, Context
from gitmesh.model.diagnostic import Diagnostic, bounded, up_to_errors
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.validate.objects import OBJECT_ERRORS_MAX, check_object
from gitmesh.validate.policies import check_policies
from gitmesh.validate.references import (
    Known,
    check_references,
    check_rule_host,
    check_shared_hosts,
    what_is_known,
)
from gitmesh.validate.subject import Subject

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
        spec, wrong = check_object(resource)
        yield from wrong
        yield from up_to_errors(_references(Subject(resource), spec, known), OBJECT_ERRORS_MAX)
        if isinstance(spec, VirtualServiceSpec):
            virtual_services[key] = spec
    yield from check_shared_hosts(virtual_services, resources)
    yield from check_policies(resources)


def _references(subject: Subject, spec: BaseModel | None, known: Known) -> Iterator[Diagnostic]:
    """Yield what a spec of the right shape names that does not exist."""
    match spec:
        case VirtualServiceSpec():
            yield from check_references(subject, spec, known)
        case DestinationRuleSpec():
            yield from check_rule_host(subject, known)
        case _:
            pass
