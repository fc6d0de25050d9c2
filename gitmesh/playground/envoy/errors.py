"""The one family of errors of the data plane.

Stage: playground (effect).
"""

from __future__ import annotations

from gitmesh.model.errors import EdgeError


class EnvoyError(EdgeError):
    """Envoy cannot do what is asked; the message says what, where and what to do."""


class NoEnvoyError(EnvoyError):
    """There is no Envoy for this machine."""


class AddressInUseError(EnvoyError):
    """Something else listens where Envoy should."""


class EnvoyStartError(EnvoyError):
    """Envoy did not start; the message has its own words."""


class Rejected(EnvoyError):  # noqa: N818 (an answer of Envoy, in its word)
    """Envoy refuses a configuration. Traffic is untouched.

    `kind` says what is refused: `configuration` (before Envoy had it), `clusters`, or some `routes`.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"Envoy refuses the {kind}: {reason}")
        self.kind = kind
        self.reason = reason
