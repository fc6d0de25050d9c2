"""The messages of route configurations, as far as translation uses them, with the numbers of their fields.

Stage: playground (pure). Source: envoyproxy.io, v3 API, whose numbers never change: config.route.v3,
config.core.v3, type.matcher.v3, type.v3, and the extensions for faults, CORS and retries. A field that is
missing here cannot be served; a test that everything which translation makes can be written tells so.
"""

from __future__ import annotations

from gitmesh.playground.envoy.wire_format import Fields, WireFormat

_ACTIONS: dict[str, Fields] = {
    "RouteAction": {
        "cluster": (1, "string"),
        "weighted_clusters": (3, "WeightedCluster"),
        "prefix_rewrite": (5, "string"),
        "host_rewrite_literal": (6, "string"),
        "timeout": (8, "Duration"),
        "retry_policy": (9, "RetryPolicy"),
        "hash_policy": (15, "repeated HashPolicy"),
        "upgrade_configs": (25, "repeated UpgradeConfig"),
        "request_mirror_policies": (30, "repeated RequestMirrorPolicy"),
        "regex_rewrite": (32, "RegexMatchAndSubstitute"),
    },
    "WeightedCluster": {"clusters": (1, "repeated ClusterWeight"), "header_name": (4, "string")},
    "ClusterWeight": {
        "name": (1, "string"),
        "weight": (2, "UInt32Value"),
        "request_headers_to_add": (4, "repeated HeaderValueOption"),
        "response_headers_to_add": (5, "repeated HeaderValueOption"),
        "response_headers_to_remove": (6, "repeated string"),
        "request_headers_to_remove": (9, "repeated string"),
        "host_rewrite_literal": (11, "string"),
    },
    "RequestMirrorPolicy": {
        "cluster": (1, "string"),
        "runtime_fraction": (3, "RuntimeFractionalPercent"),
        "trace_sampled": (4, "BoolValue"),
        "disable_shadow_host_suffix_append": (6, "bool"),
    },
    "UpgradeConfig": {"upgrade_type": (1, "string"), "connect_config": (3, "Empty")},
    "RedirectAction": {
        "host_redirect": (1, "string"),
        "path_redirect": (2, "string"),
        "response_code": (3, "RedirectResponseCode"),
        "scheme_redirect": (7, "string"),
        "port_redirect": (8, "uint32"),
    },
    "DirectResponseAction": {"status": (1, "uint32"), "body": (2, "DataSource")},
    "DataSource": {"inline_bytes": (2, "bytes"), "inline_string": (3, "string")},
    "HashPolicy": {
        "header": (1, "HashedHeader"),
        "cookie": (2, "HashedCookie"),
        "connection_properties": (3, "HashedConnection"),
        "query_parameter": (5, "HashedParameter"),
    },
    "HashedHeader": {"header_name": (1, "string")},
    "HashedCookie": {
        "name": (1, "string"),
        "ttl": (2, "Duration"),
        "path": (3, "string"),
        "attributes": (4, "repeated CookieAttribute"),
    },
    "CookieAttribute": {"name": (1, "string"), "value": (2, "string")},
    "HashedConnection": {"source_ip": (1, "bool")},
    "HashedParameter": {"name": (1, "string")},
    "RetryPolicy": {
        "retry_on": (1, "string"),
        "num_retries": (2, "UInt32Value"),
        "per_try_timeout": (3, "Duration"),
        "retry_priority": (4, "Extension"),
        "retry_host_predicate": (5, "repeated Extension"),
        "host_selection_retry_max_attempts": (6, "int64"),
        "retriable_status_codes": (7, "repeated uint32"),
        "retry_back_off": (8, "RetryBackOff"),
    },
    "RetryBackOff": {"base_interval": (1, "Duration")},
    "Extension": {"name": (1, "string"), "typed_config": (3, "Any")},
}

_MATCHES: dict[str, Fields] = {
    "RouteMatch": {
        "prefix": (1, "string"),
        "path": (2, "string"),
        "case_sensitive": (4, "BoolValue"),
        "headers": (6, "repeated HeaderMatcher"),
        "query_parameters": (7, "repeated QueryParameterMatcher"),
        "safe_regex": (10, "RegexMatcher"),
        "connect_matcher": (12, "Empty"),
    },
    "HeaderMatcher": {
        "name": (1, "string"),
        "present_match": (7, "bool"),
        "invert_match": (8, "bool"),
        "string_match": (13, "StringMatcher"),
        "treat_missing_header_as_empty": (14, "bool"),
    },
    "QueryParameterMatcher": {
        "name": (1, "string"),
        "string_match": (5, "StringMatcher"),
        "present_match": (6, "bool"),
    },
    "StringMatcher": {
        "exact": (1, "string"),
        "prefix": (2, "string"),
        "safe_regex": (5, "RegexMatcher"),
        "contains": (7, "string"),
    },
    "RegexMatcher": {"regex": (2, "string")},
    "RegexMatchAndSubstitute": {"pattern": (1, "RegexMatcher"), "substitution": (2, "string")},
}

_FILTERS: dict[str, Fields] = {
    "HTTPFault": {"delay": (1, "FaultDelay"), "abort": (2, "FaultAbort")},
    "FaultDelay": {"fixed_delay": (3, "Duration"), "percentage": (4, "FractionalPercent")},
    "FaultAbort": {
        "http_status": (2, "uint32"),
        "percentage": (3, "FractionalPercent"),
        "grpc_status": (5, "uint32"),
    },
    "CorsPolicy": {
        "allow_origin_string_match": (1, "repeated StringMatcher"),
        "allow_methods": (2, "string"),
        "allow_headers": (3, "string"),
        "expose_headers": (4, "string"),
        "max_age": (5, "string"),
        "allow_credentials": (6, "BoolValue"),
        "filter_enabled": (7, "RuntimeFractionalPercent"),
        "forward_not_matching_preflights": (10, "BoolValue"),
    },
    "PreviousHostsPredicate": {},
    "PreviousPrioritiesConfig": {"update_frequency": (1, "int32")},
}

_ROUTES: dict[str, Fields] = {
    "RouteConfiguration": {
        "name": (1, "string"),
        "virtual_hosts": (2, "repeated VirtualHost"),
        "response_headers_to_add": (4, "repeated HeaderValueOption"),
        "validate_clusters": (7, "BoolValue"),
        "max_direct_response_body_size_bytes": (11, "UInt32Value"),
        "ignore_port_in_host_matching": (14, "bool"),
    },
    "VirtualHost": {
        "name": (1, "string"),
        "domains": (2, "repeated string"),
        "routes": (3, "repeated Route"),
        "require_tls": (4, "TlsRequirementType"),
    },
    "Route": {
        "match": (1, "RouteMatch"),
        "route": (2, "RouteAction"),
        "redirect": (3, "RedirectAction"),
        "metadata": (4, "Metadata"),
        "direct_response": (7, "DirectResponseAction"),
        "request_headers_to_add": (9, "repeated HeaderValueOption"),
        "response_headers_to_add": (10, "repeated HeaderValueOption"),
        "response_headers_to_remove": (11, "repeated string"),
        "request_headers_to_remove": (12, "repeated string"),
        "typed_per_filter_config": (13, "map Any"),
        "name": (14, "string"),
        "stat_prefix": (19, "string"),
    },
    "Metadata": {"filter_metadata": (1, "map Struct")},
    "HeaderValueOption": {"header": (1, "HeaderValue"), "append_action": (3, "HeaderAppendAction")},
    "HeaderValue": {"key": (1, "string"), "value": (2, "string")},
    "RuntimeFractionalPercent": {"default_value": (1, "FractionalPercent")},
    "FractionalPercent": {"numerator": (1, "uint32"), "denominator": (2, "DenominatorType")},
    "Empty": {},
}

_ENUMS = {
    "TlsRequirementType": ("NONE", "EXTERNAL_ONLY", "ALL"),
    "RedirectResponseCode": (
        "MOVED_PERMANENTLY",
        "FOUND",
        "SEE_OTHER",
        "TEMPORARY_REDIRECT",
        "PERMANENT_REDIRECT",
    ),
    "HeaderAppendAction": (
        "APPEND_IF_EXISTS_OR_ADD",
        "ADD_IF_ABSENT",
        "OVERWRITE_IF_EXISTS_OR_ADD",
        "OVERWRITE_IF_EXISTS",
    ),
    "DenominatorType": ("HUNDRED", "TEN_THOUSAND", "MILLION"),
}

_ANY_TYPES = {
    "envoy.extensions.filters.http.fault.v3.HTTPFault": "HTTPFault",
    "envoy.extensions.filters.http.cors.v3.CorsPolicy": "CorsPolicy",
    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate": "PreviousHostsPredicate",
    "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig": (
        "PreviousPrioritiesConfig"
    ),
}

ROUTE_FORMAT = WireFormat({**_ROUTES, **_MATCHES, **_ACTIONS, **_FILTERS}, _ENUMS, _ANY_TYPES)
