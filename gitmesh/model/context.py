"""What is known of objects that the traffic configuration names and GitMesh does not manage.

Stage: none (pure). Of a Secret only name and type are ever kept, never its data.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gitmesh.model.resource import ResourceSet


@dataclass(frozen=True, slots=True)
class ContextPort:
    """One port of a Service. `target` is a number, or the name of a container's port; empty: `number`."""

    number: int
    name: str = ""
    protocol: str = ""  # TCP, UDP or SCTP; empty: TCP
    app_protocol: str = ""
    target: int | str = ""


@dataclass(frozen=True, slots=True)
class ContextService:
    """A Kubernetes Service. `ports` is None where only its name is known."""

    namespace: str
    name: str
    ports: tuple[ContextPort, ...] | None = None
    selector: Mapping[str, str] = field(default_factory=dict)
    type: str = ""  # ClusterIP, ExternalName, ...; empty: ClusterIP
    export_to: tuple[str, ...] = ()  # of the annotation networking.istio.io/exportTo; empty: everyone


@dataclass(frozen=True, slots=True)
class ContextPod:
    """A Pod, or the template of the Pods of a Deployment and the like."""

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)  # number of each named port of a container


@dataclass(frozen=True, slots=True)
class Context:
    """Services by qualified host, Pods, labels of Namespaces, types of Secrets by (namespace, name).

    None means not known, so that nothing is said about what is missing. `objects` are traffic objects that
    are live; nothing is said about them, only about what names them. `unread`: group and kind of objects that
    may not be read, so that none of them is among `objects`. `advisory`: it comes from a cluster that changes
    without a commit, so what rests on it is at most a warning.
    """

    services: Mapping[str, ContextService] | None = None
    pods: tuple[ContextPod, ...] | None = None
    namespaces: Mapping[str, Mapping[str, str]] | None = None
    secrets: Mapping[tuple[str, str], str] | None = None
    objects: ResourceSet = field(default_factory=dict)
    unread: frozenset[tuple[str, str]] = frozenset()
    advisory: bool = False


NOTHING_KNOWN = Context()


def services_of(hosts: Collection[str]) -> dict[str, ContextService]:
    """Return Services of which only the qualified hosts are known."""
    found = {}
    for host in hosts:
        name, _, rest = host.partition(".")
        found[host] = ContextService(rest.partition(".")[0], name)
    return found
