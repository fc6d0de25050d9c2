"""RolloutPolicies: which are valid, and whether each VirtualService has at most one.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import ValidationError

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.freeze import Freeze, FreezeSpec, FreezeWindow, read_freeze
from gitmesh.model.kinds import DESTINATION_RULE, GITMESH, VIRTUAL_SERVICE
from gitmesh.model.policy import RolloutPolicy, RolloutPolicySpec, most_precise
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.model.selector import Selector
from gitmesh.validate.across.found import Found, Selected
from gitmesh.validate.across.world import World
from gitmesh.validate.subject import Subject

ROLLOUT_POLICY = "RolloutPolicy"
FREEZE_WINDOW = "FreezeWindow"
_SELECTED = frozenset((kind.group, kind.kind) for kind in (VIRTUAL_SERVICE, DESTINATION_RULE))


def read_policies(resources: ResourceSet) -> tuple[RolloutPolicy, ...]:
    """Return the policies that are valid, by namespace and name."""
    found = (read_policy(resources[key]) for key in sorted(key for key in resources if is_policy(key)))
    return tuple(policy for policy in found if policy is not None)


def read_freezes(resources: ResourceSet) -> tuple[Freeze, ...]:
    """Return the freezes that are valid, by namespace and name."""
    found = (_read_freeze(resources[key]) for key in _freezes_in(resources))
    return tuple(freeze for freeze in found if freeze is not None)


def _freezes_in(resources: ResourceSet) -> list[ResourceKey]:
    return sorted(key for key in resources if (key.group, key.kind) == (GITMESH, FREEZE_WINDOW))


def _read_freeze(resource: Resource) -> Freeze | None:
    try:
        spec = FreezeSpec.model_validate(resource.spec)
        window = FreezeWindow(name=resource.key.name, namespace=resource.key.namespace, spec=spec)
        return read_freeze(window)
    except ValueError:  # also pydantic's; what is wrong is said by the rules
        return None


def is_policy(key: ResourceKey) -> bool:
    """Say whether the key is that of a RolloutPolicy."""
    return key.group == GITMESH and key.kind == ROLLOUT_POLICY


def read_policy(resource: Resource) -> RolloutPolicy | None:
    """Return the policy, or None when it is not valid."""
    try:
        spec = RolloutPolicySpec.model_validate(resource.spec)
    except ValidationError:
        return None
    return RolloutPolicy(name=resource.key.name, namespace=resource.key.namespace, spec=spec)


def check_selected(subject: Subject, world: World) -> Iterator[Found]:
    """Yield which policies select an object, and a finding when several do so equally."""
    key, spec = subject.resource.key, subject.resource.spec
    policies = world.policies()
    yield from (Selected(policy.full_name) for policy in policies if policy.matches(key, spec))
    best = most_precise(policies, key, spec)
    names = [policy.full_name for policy in best]
    if len(best) == 1 and _judges_no_requests(best[0], subject.resource):
        message = (
            f"policy {names[0]} judges HTTP requests, and there are no http routes: it would hold for ever"
        )
        hint = "give it a policy with analysis: null, or whose metrics all have a query"
        yield subject.finding("GM324", message, ("metadata", "name"), hint=hint)
    if len(names) > 1:
        message = f"several RolloutPolicies select this {key.kind} equally: {' and '.join(names)}"
        hint = "narrow spec.select of all but one: names before hosts before namespaces"
        yield subject.finding("GM302", message, ("metadata", "name"), hint=hint)


def _judges_no_requests(policy: RolloutPolicy, resource: Resource) -> bool:
    """Say whether a policy wants evidence that telemetry does not have: connections are no requests."""
    spec, analysis = resource.spec, policy.spec.analysis
    has_none = resource.key.kind == VIRTUAL_SERVICE.kind and not spec.get("http")
    moves = bool(spec.get("tcp") or spec.get("tls"))
    return (
        has_none and moves and analysis is not None and any(not metric.query for metric in analysis.metrics)
    )


def check_unused(resources: ResourceSet, world: World, used: Collection[str]) -> Iterator[Diagnostic]:
    """Yield policies, and freezes, that select nothing."""
    for policy in world.policies():
        if policy.full_name not in used:
            resource = resources[ResourceKey(GITMESH, ROLLOUT_POLICY, policy.namespace, policy.name)]
            yield _selects_nothing("GM303", "policy", resource, policy.spec.select)
    for key in _freezes_in(resources):
        freeze = _read_freeze(resources[key])
        select = freeze.select if freeze else None
        if freeze is None or select is None or _selects(freeze, resources):
            continue
        yield _selects_nothing("GM309", "freeze", resources[key], select)


def _selects(freeze: Freeze, resources: ResourceSet) -> bool:
    return any(
        freeze.covers(key, resource.spec)
        for key, resource in resources.items()
        if (key.group, key.kind) in _SELECTED
    )


def _selects_nothing(code: str, what: str, resource: Resource, select: Selector) -> Diagnostic:
    kinds = " or ".join(select.kinds)
    hint = f"compare spec.select with namespace, name and hosts of every {kinds}"
    message = f"the {what} selects no {kinds} of the repository"
    return Subject(resource).finding(code, message, ("spec", "select"), hint=hint, wants_key=True)
