"""Commands in the values of headers: %REQ(name)% and the like, which Envoy replaces.

Stage: validate (pure). Source: Envoy 1.40, command operators, each tried with `envoy --mode validate`. Istio
looks at the percent signs only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gitmesh.model.spelling import closest

_COMMAND = re.compile(r"%(?:%|([^%(:]*)(\((?:[^)\\]|\\.)*\))?([^%]*)%)", re.DOTALL)
_LENGTH = re.compile(r"(?::[0-9]+)?", re.ASCII)
_SHOWN = 60
_WITH_ARGUMENTS_TEXT = (
    "REQ RESP TRAILER DYNAMIC_METADATA CLUSTER_METADATA UPSTREAM_METADATA METADATA FILTER_STATE "
    "UPSTREAM_FILTER_STATE PER_REQUEST_STATE ENVIRONMENT COMMON_DURATION QUERY_PARAM COALESCE CEL "
    "REQ_WITHOUT_QUERY"
)
_WITH_ARGUMENTS = frozenset(_WITH_ARGUMENTS_TEXT.split())
_EITHER_TEXT = (
    "START_TIME START_TIME_LOCAL EMIT_TIME EMIT_TIME_LOCAL GRPC_STATUS PATH QUERY_PARAMS "
    "REQUESTED_SERVER_NAME UPSTREAM_PEER_CERT_V_START UPSTREAM_PEER_CERT_V_END "
    "DOWNSTREAM_PEER_CERT_V_START DOWNSTREAM_PEER_CERT_V_END"
)
_EITHER = frozenset(_EITHER_TEXT.split())
_ALONE_TEXT = (
    "PROTOCOL UPSTREAM_PROTOCOL RESPONSE_CODE RESPONSE_CODE_DETAILS CONNECTION_TERMINATION_DETAILS "
    "DURATION REQUEST_DURATION REQUEST_TX_DURATION RESPONSE_DURATION RESPONSE_TX_DURATION "
    "ROUNDTRIP_DURATION DOWNSTREAM_HANDSHAKE_DURATION UPSTREAM_CONNECTION_POOL_READY_DURATION "
    "RESPONSE_FLAGS RESPONSE_FLAGS_LONG ROUTE_NAME VIRTUAL_CLUSTER_NAME UPSTREAM_HOST "
    "UPSTREAM_HOST_NAME UPSTREAM_HOST_NAME_WITHOUT_PORT UPSTREAM_CLUSTER UPSTREAM_CLUSTER_RAW "
    "UPSTREAM_CONNECTION_ID UPSTREAM_REQUEST_ATTEMPT_COUNT UPSTREAM_TRANSPORT_FAILURE_REASON "
    "CONNECTION_ID HOSTNAME TRACE_ID SPAN_ID CUSTOM_FLAGS UNIQUE_ID STREAM_ID LOCAL_REPLY_BODY "
    "GRPC_STATUS_NUMBER TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT ACCESS_LOG_TYPE FILTER_CHAIN_NAME "
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON"
)
_ALONE = frozenset(_ALONE_TEXT.split())
# The rest is made of parts: DOWNSTREAM_PEER_URI_SAN, UPSTREAM_WIRE_BYTES_SENT.
_FAMILY = re.compile(
    r"(?:REQUEST_HEADERS|RESPONSE_HEADERS|RESPONSE_TRAILERS)_BYTES|BYTES_(?:RECEIVED|SENT|RETRANSMITTED)"
    r"|PACKETS_RETRANSMITTED|(?:UP|DOWN)STREAM_(?:(?:WIRE|(?:DECOMPRESSED_)?HEADER)_BYTES_(?:SENT|RECEIVED)"
    r"|TLS_(?:CIPHER|VERSION|SESSION_ID)|(?:PEER|LOCAL)_(?:SUBJECT|(?:URI|DNS|IP|EMAIL|OTHERNAME)_SAN)"
    r"|PEER_(?:ISSUER|CERT|SERIAL|FINGERPRINT_(?:1|256)|CHAIN_FINGERPRINTS_(?:1|256)|CHAIN_SERIALS)"
    r"|(?:DIRECT_)?(?:LOCAL|REMOTE)_(?:ADDRESS(?:_WITHOUT_PORT)?|PORT)"
    r"|DETECTED_CLOSE_TYPE|LOCAL_CLOSE_REASON"
    r"|(?:HOSTS|HOST_NAMES)_ATTEMPTED(?:_WITHOUT_PORT)?|CONNECTION_IDS_ATTEMPTED)"
)


def command_problem(value: str) -> str:
    """Say which command of a header's value Envoy refuses, and why; empty when it takes all of them."""
    return next((reason for reason in _problems(value) if reason), "")


def _problems(value: str) -> Iterator[str]:
    for found in _COMMAND.finditer(value):
        name, arguments, rest = found.groups()
        if name is None:
            continue  # %%
        shown = found.group()[:_SHOWN]
        given = arguments is not None and len(arguments) > 2
        if not _LENGTH.fullmatch(rest) or not re.fullmatch("[A-Z0-9_]+", name):
            yield f"{shown}: a command has the form %NAME%, %NAME(argument)% or %NAME(argument):length%"
        elif name in _WITH_ARGUMENTS:
            yield "" if given else f"{shown}: {name} needs an argument in parentheses"
        elif name in _ALONE or _FAMILY.fullmatch(name):
            yield f"{shown}: {name} takes no argument" if arguments is not None else ""
        elif name not in _EITHER:
            near = closest(name, (*_WITH_ARGUMENTS, *_EITHER, *_ALONE))
            yield f"{shown}: it knows no command {name}" + (f"; did you mean {near}?" if near else "")
