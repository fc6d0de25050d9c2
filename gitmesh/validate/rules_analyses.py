"""GM320 to GM322: findings about how rollouts are judged.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, documents, policy, reviews_rule

_PLAIN = reviews_rule("route: [{destination: {host: reviews}}]\n")
_QUERY = """analysis: {{metrics: [{{name: lost, query: 'sum(lost{{version="{variable}"}})', max: 1}}]}}"""
_COMPARED = "{name: error-rate, compare: stable, margin: 1%}"

ANALYSIS_RULES = (
    Rule(
        "GM320",
        Severity.ERROR,
        "A query names a variable that does not exist",
        "In the query of a metric $namespace, $host, $subset, $version and $window are filled in. Anything "
        "else would go to the provider as it stands.",
        documents(_PLAIN, policy(_QUERY.format(variable="$versoin"))),
        documents(_PLAIN, policy(_QUERY.format(variable="$version"))),
    ),
    Rule(
        "GM321",
        Severity.WARNING,
        "Every metric is compared with stable",
        "A change that moves no weight is live at once and then bakes. There is no stable version beside it, "
        "so a comparison says nothing, and without another metric the bake does not end by itself.",
        documents(
            _PLAIN,
            policy(f"bake: 10m\nanalysis: {{metrics: [{_COMPARED}]}}"),
        ),
        documents(
            _PLAIN,
            policy(f"bake: 10m\nanalysis: {{metrics: [{_COMPARED}, {{name: error-rate, max: 5%}}]}}"),
        ),
    ),
    Rule(
        "GM322",
        Severity.WARNING,
        "A field of an analysis has no effect in its mode",
        "failures, of and minRequests are for checks that look at a window. In mode sequential, the default, "
        "shares of requests are judged by evidence, with alpha and confidence.",
        documents(_PLAIN, policy("analysis: {failures: 3, metrics: [{name: error-rate, max: 1%}]}")),
        documents(
            _PLAIN, policy("analysis: {mode: threshold, failures: 3, metrics: [{name: error-rate, max: 1%}]}")
        ),
    ),
)
