"""GM301 to GM309: findings about policies.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, documents, policy, reviews_rule

_STEPS = "steps: [{progress: 10, hold: 10m}, {progress: 100}]"
_PLAIN = reviews_rule("route: [{destination: {host: reviews}}]\n")

POLICY_RULES = (
    Rule(
        "GM301",
        Severity.ERROR,
        "A policy contradicts itself",
        "Steps must climb and end at 100; the window must not be shorter than the interval; percentages are "
        "0 to 100 and durations like 10s or 5m.",
        documents(_PLAIN, policy("steps: [{progress: 50}, {progress: 25}, {progress: 100}]")),
        documents(_PLAIN, policy(_STEPS)),
    ),
    Rule(
        "GM302",
        Severity.ERROR,
        "Several policies select one object equally",
        "A more precise selector wins: names before hosts before namespaces, and each written out before "
        "with a wildcard. Of two that are equal, chance would say which of them moves the object.",
        documents(_PLAIN, policy(_STEPS), policy(_STEPS, name="fast")),
        documents(_PLAIN, policy(_STEPS), policy("select: {names: [ratings]}\n" + _STEPS, name="fast")),
    ),
    Rule(
        "GM303",
        Severity.WARNING,
        "A policy selects nothing",
        "No VirtualService of the repository has such a namespace, name and hosts: the policy moves nothing.",
        documents(_PLAIN, policy("select: {names: [review]}\n" + _STEPS)),
        documents(_PLAIN, policy("select: {names: [reviews]}\n" + _STEPS)),
    ),
    Rule(
        "GM309",
        Severity.ERROR,
        "A field is not supported yet",
        "The field has a meaning that this version of GitMesh does not carry out. It is an error, because a "
        "field that is ignored silently is worse.",
        documents(_PLAIN, policy("rollback: {revert: push}\n" + _STEPS)),
        documents(_PLAIN, policy("rollback: {revert: none}\n" + _STEPS)),
    ),
)
