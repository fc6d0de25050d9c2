"""RolloutPolicies: which are valid, and whether each VirtualService has at most one.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.kinds import GITMESH, VIRTUAL_SERVICE
from gitmesh.model.policy import RolloutPolicy, RolloutPolicySpec
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.validate.subject import Subject

ROLLOUT_POLICY = "RolloutPolicy"


def read_policies(resources: ResourceSet) -> tuple[RolloutPolicy, ...]:
    """Return the policies that are valid, by namespace and name."""
    found = (_policy(resources[key]) for key in sorted(resources) if is_policy(key))
    return tuple(policy for policy in found if policy is not None)


def is_policy(key: ResourceKey) -> bool:
    """Say whether the key is that of a RolloutPolicy."""
    return key.group == GITMESH and key.kind == ROLLOUT_POLICY


def _policy(resource: Resource) -> RolloutPolicy | None:
    try:
        spec = RolloutPolicySpec.model_validate(resource.spec)
    except ValidationError:
        return None
    return RolloutPolicy(name=resource.key.name, namespace=resource.key.namespace, spec=spec)


def check_policies(resources: ResourceSet) -> Iterator[Diagnostic]:
    """Yield policies that select nothing, and VirtualServices that several select."""
    policies = read_policies(resources)
    used: set[str] = set()
    for key in sorted(resources):
        if (key.group, key.kind) != (VIRTUAL_SERVICE.group, VIRTUAL_SERVICE.kind):
            continue
        spec = resources[key].spec
        hosts = spec.get("hosts")
        readable = {"hosts": hosts if isinstance(hosts, list | tuple) else ()}
        matching = [policy for policy in policies if policy.matches(key, readable)]
        used.update(_name(policy) for policy in matching)
        if len(matching) > 1:
            names = " and ".join(_name(policy) for policy in matching)
            message = f"several RolloutPolicies select this VirtualService: {names}"
            hint = "narrow spec.select of all but one"
            yield Subject(resources[key]).finding("GM302", message, ("metadata", "name"), hint=hint)
    for policy in policies:
        if _name(policy) not in used:
            resource = resources[ResourceKey(GITMESH, ROLLOUT_POLICY, policy.namespace, policy.name)]
            hint = "compare spec.select with namespace, name and hosts of the VirtualServices"
            message = "the policy selects no VirtualService of the repository"
            yield Subject(resource).finding("GM303", message, ("spec", "select"), hint=hint, wants_key=True)


def _name(policy: RolloutPolicy) -> str:
    return f"{policy.namespace}/{policy.name}"
