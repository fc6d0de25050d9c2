"""Faults that are made on purpose: delays and aborts of a share of the requests.

Stage: playground translation (pure). Source: istio.io, Virtual Service, HTTPFaultInjection;
istio/istio pilot/pkg/networking/core/route, TranslateFault.
"""

from __future__ import annotations

from gitmesh.istio.grpc import GRPC_STATUSES
from gitmesh.playground.translate.fields import Field, is_zero
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.shares import fraction, whole_percent

FAULT = "envoy.filters.http.fault"
_NEVER = {"numerator": 0, "denominator": "HUNDRED"}
_LOCAL_STATUSES = range(200, 600)  # what Envoy can answer by itself


def fault_of(fault: Field) -> Envoy | None:
    """Return the settings of a route for the fault filter; None when there is nothing to be done."""
    found = {"delay": _delay(fault["delay"]), "abort": _abort(fault["abort"])}
    settings = {name: value for name, value in found.items() if value is not None}
    if not settings:
        return None
    return {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault", **settings}


def _delay(delay: Field) -> Envoy | None:
    fixed = delay["fixedDelay"].duration()
    if not fixed or is_zero(fixed):
        return None
    if delay["percentage"].present:
        share = fraction(delay["percentage"])
    else:
        share = whole_percent(delay["percent"])
        if not delay["percent"].present:
            delay.report("has no percentage, so it never delays (as in Istio)")
    return {"fixed_delay": fixed, "percentage": share}


def _abort(abort: Field) -> Envoy | None:
    result: Envoy = {}
    if abort["httpStatus"].present:
        status = abort["httpStatus"].integer()
        if status not in _LOCAL_STATUSES:
            abort["httpStatus"].report("is not a status that Envoy can answer")
            return None
        result["http_status"] = status
    elif abort["grpcStatus"].present:
        name = abort["grpcStatus"].text().upper()
        if name not in GRPC_STATUSES:
            abort["grpcStatus"].report("is not a gRPC status such as UNAVAILABLE")
            return None
        result["grpc_status"] = GRPC_STATUSES.index(name)
    else:
        return None
    if not abort["percentage"].present:
        abort.report("has no percentage, so it never aborts (as in Istio)")
        return {**result, "percentage": dict(_NEVER)}
    return {**result, "percentage": fraction(abort["percentage"])}
