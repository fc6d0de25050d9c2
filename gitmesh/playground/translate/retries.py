"""Retries of a route: a VirtualService's own, else those of the mesh.

Stage: playground translation (pure). Source: istio.io, Virtual Service, HTTPRetry;
istio/istio pilot/pkg/networking/core/route/retry.
"""

from __future__ import annotations

from http import HTTPStatus

from gitmesh.playground.translate.fields import Field, is_zero
from gitmesh.playground.translate.naming import Envoy, typed

_ATTEMPTS = 2
_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_STATUS_CODES = "retriable-status-codes"
_STATUSES = frozenset(int(status) for status in HTTPStatus)


def default_retry_policy() -> Envoy:
    """Return the retries of every route without its own."""
    return _policy(_ATTEMPTS, avoids_previous_hosts=True)


def retry_policy(retries: Field | None, default: Field | None, *, hashed: bool) -> Envoy | None:
    """Return the retries of a rule; None where it asks for none.

    `default` is the policy of the mesh. `hashed`: a hash chooses the endpoint, and where it does not point
    another try should not go either, so previous hosts are not avoided.
    """
    chosen = retries if retries is not None and retries.present else default
    if chosen is None:
        return _policy(_ATTEMPTS, avoids_previous_hosts=not hashed)
    attempts = chosen["attempts"].integer()
    if attempts <= 0:
        return None
    avoids = chosen["retryIgnorePreviousHosts"].boolean(default=not hashed)
    policy = _policy(attempts, avoids_previous_hosts=avoids)
    if chosen["retryOn"].text():
        policy |= _conditions(chosen["retryOn"].text())
    timeout, backoff = chosen["perTryTimeout"].duration(), chosen["backoff"].duration()
    if timeout:
        policy["per_try_timeout"] = timeout
    if backoff and not is_zero(backoff):
        policy["retry_back_off"] = {"base_interval": backoff}
    if chosen["retryRemoteLocalities"].boolean():
        policy["retry_priority"] = _previous_priorities()
    return policy


def _policy(attempts: int, *, avoids_previous_hosts: bool) -> Envoy:
    policy: Envoy = {
        "retry_on": _RETRY_ON,
        "num_retries": attempts,
        "host_selection_retry_max_attempts": "5",
    }
    if avoids_previous_hosts:
        policy["retry_host_predicate"] = [
            typed(
                "envoy.retry_host_predicates.previous_hosts",
                "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
            )
        ]
    return policy


def _conditions(text: str) -> Envoy:
    """Split `5xx,418`: numbers that are HTTP statuses go into a list of their own."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    codes = [int(word) for word in words if word.isdecimal() and int(word) in _STATUSES]
    names = [word for word in words if not (word.isdecimal() and int(word) in _STATUSES)]
    if not codes:
        return {"retry_on": ",".join(names)}
    if _STATUS_CODES not in names:
        names.append(_STATUS_CODES)
    return {"retry_on": ",".join(names), "retriable_status_codes": codes}


def _previous_priorities() -> Envoy:
    return typed(
        "envoy.retry_priorities.previous_priorities",
        "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        update_frequency=2,
    )
