"""GM313 and GM314: findings about rollouts that wait for others.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, documents, policy, reviews_rule

_PLAIN = reviews_rule("route: [{destination: {host: reviews}}]\n")
_RATINGS = _PLAIN.replace("reviews", "ratings")
_FIRST = policy("select: {names: [ratings]}", name="first")

DEPENDENCY_RULES = (
    Rule(
        "GM313",
        Severity.ERROR,
        "Rollouts wait for one another",
        "spec.after makes a rollout wait until others are done. Where these wait for it, also by way of "
        "more, or have to begin together with it as one group, none of them would ever begin.",
        documents(
            _PLAIN,
            _RATINGS,
            policy("select: {names: [reviews]}\nafter: [ratings]"),
            policy("select: {names: [ratings]}\nafter: [reviews]", name="first"),
        ),
        documents(_PLAIN, _RATINGS, policy("select: {names: [reviews]}\nafter: [ratings]"), _FIRST),
    ),
    Rule(
        "GM314",
        Severity.WARNING,
        "A rollout waits for something that is not in the repository",
        "spec.after names VirtualServices of the same namespace, or others as namespace/name. While there is "
        "none of that name, neither in the repository nor in the cluster, the rollout does not begin.",
        documents(_PLAIN, policy("select: {names: [reviews]}\nafter: [rating]")),
        documents(_PLAIN, _RATINGS, policy("select: {names: [reviews]}\nafter: [ratings]"), _FIRST),
    ),
)
