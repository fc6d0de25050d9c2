"""What becomes of a request, in the terms that a route test speaks of.

Stage: validate (pure). GitMesh's own matching and a real Envoy both say it in this form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitmesh.istio.hosts import CLUSTER_DOMAIN
from gitmesh.model.resource import ResourceKey

# What Istio calls the ways out of the mesh. Source: istio.io, `istioctl proxy-config clusters`.
PASSTHROUGH, BLACK_HOLE = "PassthroughCluster", "BlackHoleCluster"
WAYS_OUT = frozenset({PASSTHROUGH, BLACK_HOLE})


@dataclass(frozen=True, slots=True)
class Part:
    """One destination and its percent of the requests. The host is a whole name."""

    host: str
    subset: str = ""
    port: int = 0
    percent: float = 100.0

    def label(self, namespace: str) -> str:
        """Return the destination as people in this namespace write it."""
        return " ".join(part for part in (short_host(self.host, namespace), self.subset) if part)


@dataclass(frozen=True, slots=True)
class Reply:
    """The request as one destination gets it (`arrives`), or the proxy's own reply.

    `unsure` are the names of headers, and `status`, of which this cannot say.
    """

    label: str
    arrives: bool
    status: int | None
    path: str = ""
    authority: str = ""
    request_headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)
    unsure: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Origin:
    """The rule that takes a request. `rule` is its path in the object, such as spec.http[0]."""

    key: ResourceKey
    path: tuple[str | int, ...]
    name: str = ""

    def __str__(self) -> str:
        called = f"rule {self.name}" if self.name else "a rule"
        return f"{called} of {self.key}"


@dataclass(frozen=True, slots=True)
class Observed:
    """What becomes of a request.

    `parts` are the destinations that get it, `copies` those that get a copy. `location` is that of a
    redirect. `says` is all of it in a few words, `reasons` why nothing else takes it.
    `timeout_seconds` is None without one, and `sent_on` false where the request never leaves the proxy.
    """

    says: str
    parts: tuple[Part, ...] = ()
    copies: tuple[Part, ...] = ()
    replies: tuple[Reply, ...] = ()
    location: str = ""
    sent_on: bool = False
    timeout_seconds: float | None = None
    retries: int = 0
    origin: Origin | None = None
    reasons: tuple[str, ...] = ()


def short_host(host: str, namespace: str) -> str:
    """Return a host as people in this namespace write it."""
    name, _, rest = host.partition(".")
    owner, _, suffix = rest.partition(".")
    if suffix != f"svc.{CLUSTER_DOMAIN}":
        return host
    return name if owner == namespace else f"{name}.{owner}"


def percent_text(percent: float) -> str:
    """Return a percentage with no more digits than it needs."""
    return f"{round(percent, 2):g} %"


def listed(parts: tuple[Part, ...], namespace: str) -> str:
    """Return destinations with their shares: `reviews v1 75 %, reviews v2 25 %`."""
    labels = [part.label(namespace) for part in parts]
    ports = len(set(labels)) < len(labels)  # told only where nothing else tells them apart
    return ", ".join(
        f"{label}{f' port {part.port}' if ports else ''} {percent_text(part.percent)}"
        for label, part in zip(labels, parts, strict=True)
    )
