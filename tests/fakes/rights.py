"""Who may do what by the roles of a manifest, as the authorizer of an API server reads them.

Source: kubernetes.io, "Authorization", Determine the request verb; "Using RBAC Authorization".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from fakes.witness_proxy import Seen

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_FOR_EVERYBODY = ("/api", "/apis", "/version", "/openapi", "/healthz", "/livez", "/readyz")


@dataclass(frozen=True, slots=True, order=True)
class Asked:
    """What a request asks for; `namespace` is empty for what is about a cluster."""

    group: str
    resource: str  # with its subresource
    verb: str
    namespace: str = ""

    @property
    def right(self) -> tuple[str, str, str]:
        return self.group, self.resource, self.verb


def asked_by(seen: Seen) -> Asked | None:
    """Return what a request asks for; None when it is about no resource."""
    parts = [part for part in seen.path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, rest = "", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource = "/".join([rest[0], *rest[2:3]])
    named = len(rest) > 1
    verb = _VERBS.get(seen.method, "")
    if seen.method == "GET":
        verb = "watch" if seen.query.get("watch") else "get" if named else "list"
    elif seen.method == "DELETE":
        verb = "delete" if named else "deletecollection"
    return Asked(group, resource, verb, namespace)


@dataclass(frozen=True)
class Rights:
    """What one service account may do: rights, each in a namespace or, without one, everywhere."""

    granted: frozenset[Asked]

    @classmethod
    def of(cls, documents: Iterable[Mapping[str, Any]], account: str) -> Self:
        """Read the roles and bindings among the documents."""
        documents = list(documents)
        roles = {
            (d["kind"], d["metadata"].get("namespace", ""), d["metadata"]["name"]): d["rules"]
            for d in documents
            if d["kind"] in ("Role", "ClusterRole")
        }
        granted: set[Asked] = set()
        for binding in documents:
            if binding["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
                continue
            if account not in [subject["name"] for subject in binding["subjects"]]:
                continue
            namespace = binding["metadata"].get("namespace", "")
            kind, name = binding["roleRef"]["kind"], binding["roleRef"]["name"]
            rules = roles[kind, namespace if kind == "Role" else "", name]
            granted |= {
                Asked(group, resource, verb, namespace)
                for rule in rules
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
            }
        return cls(frozenset(granted))

    def allow(self, asked: Asked) -> bool:
        """Say whether the account may do this."""
        everywhere = Asked(asked.group, asked.resource, asked.verb)
        return not {asked, everywhere}.isdisjoint(self.granted)

    def allow_request(self, seen: Seen) -> bool:
        """Say whether the account may send this request."""
        asked = asked_by(seen)
        return seen.path.startswith(_FOR_EVERYBODY) if asked is None else self.allow(asked)
