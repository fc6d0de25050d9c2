"""What an object must satisfy before it is stored: known fields, right types, an existing namespace.

Stage: playground. Source: kubernetes.io, API concepts, "Validation for unrecognized or duplicate fields".
"""

from __future__ import annotations

from gitmesh.playground.apiserver import failures, metadata
from gitmesh.playground.apiserver.cluster import Cluster
from gitmesh.playground.apiserver.kinds import Body, Target, metadata_of
from gitmesh.playground.apiserver.objects import schema

VALIDATIONS = ("Strict", "Warn", "Ignore")


def known_fields(target: Target, body: Body, validation: str) -> tuple[Body, tuple[str, ...]]:
    """Return the body without the fields that the schema does not know, and the warnings about them.

    Raises 400 naming all of them when `validation` is Strict.
    """
    unknown = schema.unknown(body, target.schema)
    if not unknown:
        return body, ()
    notes = tuple(dict.fromkeys(error.message for error in unknown))
    if validation == "Strict":
        kind, version = target.kind.kind, target.version
        raise failures.bad_request(
            f'{kind} in version "{version}" cannot be handled as a {kind}: '
            f"strict decoding error: {', '.join(notes)}"
        )
    return schema.prune(body, target.schema), notes if validation == "Warn" else ()


def check_valid(target: Target, body: Body) -> None:
    """Raise 422 with every field that is wrong."""
    causes = metadata.problems(target, body)
    causes += [(e.field, e.detail) for e in schema.errors(body, target.schema)]
    if causes:
        name = str(metadata_of(body).get("name", ""))
        raise failures.invalid(name, target.kind.group, target.kind.kind, causes)


def check_namespace(cluster: Cluster, target: Target, name: str) -> None:
    """Raise 404 when the namespace does not exist, 403 when it is being deleted."""
    if not target.kind.namespaced:
        return
    namespace = cluster.store.get("namespaces", "", target.namespace)
    if namespace is None:
        raise failures.not_found(target.namespace, "", "namespaces")
    if "deletionTimestamp" in namespace["metadata"]:
        message = (
            f"unable to create new content in namespace {target.namespace} because it is being terminated"
        )
        kind = target.kind
        raise failures.forbidden(name, kind.group, kind.plural, message, cause="NamespaceTerminating")
