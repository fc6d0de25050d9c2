"""GM320 to GM324: findings about how rollouts are judged.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, documents, policy, reviews_rule, virtual_service

_PLAIN = reviews_rule("route: [{destination: {host: reviews}}]\n")
_QUERY = """analysis: {{metrics: [{{name: lost, query: 'sum(lost{{version="{variable}"}})', max: 1}}]}}"""
_CONNECTIONS = virtual_service("hosts: [reviews]\ntcp: [{route: [{destination: {host: reviews}}]}]\n")
_BOTH = (
    "walk: routes\nsteps: [{{progress: 5, hold: 10m}}, {{progress: 100}}]\n"
    "analysis: {{metrics: [{{name: error-rate, max: {limit}}}]}}"
)
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
        "A change that moves no weight is live at once and then bakes, or is walked by the ids of requests, "
        "or through a twin. There is no stable version beside it, so a comparison says nothing, and without "
        "another metric it does not go on by itself.",
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
    Rule(
        "GM323",
        Severity.WARNING,
        "A limit that the first share of requests cannot break",
        "With walk: routes, and for DestinationRules, both variants go to the same workloads, which "
        "telemetry does not tell apart. Where 5 % of requests take the new one and all of these fail, the "
        "error rate is 5 %: a limit that is not below that lets it pass the step.",
        documents(_PLAIN, policy(_BOTH.format(limit="5%"))),
        documents(_PLAIN, policy(_BOTH.format(limit="1%"))),
    ),
    Rule(
        "GM324",
        Severity.WARNING,
        "A policy judges requests where there are only connections",
        "Error rate, latency and requests per second are counted of HTTP requests. Routes of tcp and tls "
        "have none, so that a rollout of these alone has no evidence to advance.",
        documents(_CONNECTIONS, policy("steps: [{progress: 10, hold: 10m}, {progress: 100}]")),
        documents(
            _CONNECTIONS, policy("steps: [{progress: 10, hold: 10m}, {progress: 100}]\nanalysis: null")
        ),
    ),
)
