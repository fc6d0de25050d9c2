"""Which other origins may call: a rule's CORS policy.

Stage: playground translation (pure). Source: istio.io, Virtual Service, CorsPolicy;
istio/istio pilot/pkg/networking/core/route, TranslateCORSPolicy.
"""

from __future__ import annotations

from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.matches import string_match
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.shares import everything

CORS = "envoy.filters.http.cors"
_LISTS = (
    ("allowMethods", "allow_methods"),
    ("allowHeaders", "allow_headers"),
    ("exposeHeaders", "expose_headers"),
)


def cors_of(cors: Field) -> Envoy:
    """Return the settings of a route for the CORS filter."""
    policy: Envoy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": _origins(cors),
        "filter_enabled": {"default_value": everything()},
        # A preflight from another origin goes to the service, as in Istio, unless the policy says otherwise.
        "forward_not_matching_preflights": cors["unmatchedPreflights"].text() != "IGNORE",
    }
    for written, name in _LISTS:
        values = ",".join(cors[written].texts())
        if values:
            policy[name] = values
    age = cors["maxAge"].duration()
    if age:
        policy["max_age"] = str(int(float(age.removesuffix("s"))))
    if cors["allowCredentials"].present:
        policy["allow_credentials"] = cors["allowCredentials"].boolean()
    return policy


def _origins(cors: Field) -> list[Envoy]:
    if cors["allowOrigins"].present:
        found = [string_match(field) for field in cors["allowOrigins"].items()]
        return [matcher for matcher in found if matcher]
    return [{"exact": origin} for origin in cors["allowOrigin"].texts()]
