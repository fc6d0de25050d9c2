"""Everything that is wrong with one object, looked at alone.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from pydantic import BaseModel

from gitmesh.istio.models.destination_rule import DestinationRuleSpec
from gitmesh.istio.models.gateway import GatewaySpec
from gitmesh.istio.models.service_entry import ServiceEntrySpec
from gitmesh.istio.models.sidecar import SidecarSpec
from gitmesh.istio.models.virtual_service import VirtualServiceSpec
from gitmesh.istio.models.workload_entry import WorkloadEntrySpec
from gitmesh.model.diagnostic import Diagnostic, up_to_errors
from gitmesh.model.freeze import FreezeSpec
from gitmesh.model.policy import RolloutPolicySpec
from gitmesh.model.resource import Resource
from gitmesh.model.route_test import RouteTestSpec
from gitmesh.validate.analyses import check_analysis
from gitmesh.validate.annotations import check_annotations
from gitmesh.validate.destination_rules import check_destination_rule
from gitmesh.validate.gateways import check_gateway
from gitmesh.validate.never_matches import check_matches
from gitmesh.validate.no_effect import check_effect
from gitmesh.validate.no_effect_actions import check_actions
from gitmesh.validate.no_effect_balancing import check_balancing
from gitmesh.validate.no_effect_policies import check_policy_effect
from gitmesh.validate.remainder import remainder
from gitmesh.validate.rollout_policies import check_freeze, check_policy
from gitmesh.validate.route_tests.alone import check_route_test
from gitmesh.validate.service_entries import check_service_entry
from gitmesh.validate.shape import Shaped, check_shape, shape_of, written
from gitmesh.validate.sidecars import check_sidecar
from gitmesh.validate.subject import Subject
from gitmesh.validate.virtual_services import check_virtual_service
from gitmesh.validate.workload_entries import check_workload_entry

OBJECT_ERRORS_MAX = 200


def check_object(resource: Resource) -> tuple[BaseModel | None, tuple[Diagnostic, ...]]:
    """Return the typed spec (None when its shape is wrong) and all findings about this object alone.

    The result depends on nothing but the resource, so it holds as long as the resource does.
    """
    shaped = shape_of(resource)
    if shaped.spec is not None:
        found = chain(shaped.wrong, _as_written(shaped, _by_kind(Subject(resource), shaped.spec)))
        return shaped.spec, tuple(up_to_errors(found, OBJECT_ERRORS_MAX))
    wrong = (*shaped.wrong, *_as_written(shaped, _rest(resource, shaped)))
    return None, tuple(up_to_errors(wrong, OBJECT_ERRORS_MAX))


def _as_written(shaped: Shaped, findings: Iterator[Diagnostic]) -> Iterator[Diagnostic]:
    """Yield findings with the names of fields as they are written.

    That something is missing is not told where it may follow from a field that was left out.
    """
    for finding in findings:
        if finding.path not in shaped.around and finding.path[:-1] not in shaped.around:
            yield replace(finding, path=written(shaped, finding.path)) if shaped.meant.names else finding


def _rest(resource: Resource, shaped: Shaped) -> Iterator[Diagnostic]:
    """Yield what is wrong beside the elements of the wrong shape."""
    meant = shaped.meant.value
    rest = remainder(resource.with_spec(meant), shaped.misshapen) if isinstance(meant, dict) else None
    spec = check_shape(rest[0])[0] if rest is not None else None
    if rest is None or spec is None:
        yield from check_annotations(Subject(resource))
        return
    for finding in _by_kind(Subject(resource), spec):
        if finding.path[:3] not in rest[1]:
            yield finding


def _by_kind(subject: Subject, spec: BaseModel) -> Iterator[Diagnostic]:
    yield from check_annotations(subject)
    match spec:
        case VirtualServiceSpec():
            yield from check_virtual_service(subject, spec)
            yield from check_effect(subject, spec)
            yield from check_actions(subject, spec)
            yield from check_matches(subject, spec)
        case DestinationRuleSpec():
            yield from check_destination_rule(subject, spec)
            yield from check_policy_effect(subject, spec)
            yield from check_balancing(subject, spec)
        case GatewaySpec():
            yield from check_gateway(subject, spec)
        case ServiceEntrySpec():
            yield from check_service_entry(subject, spec)
        case SidecarSpec():
            yield from check_sidecar(subject, spec)
        case WorkloadEntrySpec():
            yield from check_workload_entry(subject, spec)
        case RouteTestSpec():
            yield from check_route_test(subject, spec)
        case RolloutPolicySpec():
            yield from check_policy(subject, spec)
            yield from check_analysis(subject, spec)
        case FreezeSpec():
            yield from check_freeze(subject, spec)
        case _:
            pass
