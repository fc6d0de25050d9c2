"""Names and metadata: what a client may set, and what only the server sets.

Stage: playground (pure). Source: kubernetes.io, Object Names and IDs; API conventions, Metadata.
"""

from __future__ import annotations

import re
import secrets

from gitmesh.playground.apiserver import failures
from gitmesh.playground.apiserver.kinds import Body, Target, metadata_of

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_KEY = re.compile(rf"({_SUBDOMAIN.pattern}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?")
_LABEL_KINDS = frozenset({"Namespace", "Service"})
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
# What only the server writes. Source: API conventions, "system-populated fields".
SERVER_FIELDS = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)


def check_envelope(target: Target, body: object) -> Body:
    """Return the body with apiVersion, kind and namespace made sure of. Raises 400 when they contradict."""
    if not isinstance(body, dict):
        raise failures.bad_request("the request body is not an object")
    api_version = body.get("apiVersion") or target.api_version
    if api_version != target.api_version:
        raise failures.bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({target.api_version})"
        )
    kind = body.get("kind") or target.kind.kind
    if kind != target.kind.kind:
        raise failures.bad_request(
            f"the kind in the data ({kind}) does not match the expected kind ({target.kind.kind})"
        )
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise failures.bad_request("metadata is not an object")
    metadata = {key: value for key, value in metadata.items() if value is not None}
    metadata = _placed(target, metadata)
    rest = {k: v for k, v in body.items() if k not in ("apiVersion", "kind", "metadata")}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def _placed(target: Target, metadata: Body) -> Body:
    if not target.kind.namespaced:
        if metadata.get("namespace"):
            raise failures.bad_request("namespace is not allowed on this type")
        return metadata
    named = metadata.get("namespace") or target.namespace
    if named != target.namespace:
        raise failures.bad_request(
            f"the namespace of the provided object does not match the namespace sent on the request: "
            f"{named} is not {target.namespace}"
        )
    return {**metadata, "namespace": target.namespace}


def check_name(target: Target, metadata: Body) -> str:
    """Return the name of an existing object's new state. Raises 400 when body and URL differ."""
    name = metadata.get("name", "")
    if name and name != target.name:
        raise failures.bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({target.name})"
        )
    return target.name


def new_name(metadata: Body) -> str:
    """Return the name for a new object; from generateName where there is none, else empty.

    Source: apiserver `names.SimpleNameGenerator`: five characters, the whole cut to 63.
    """
    name = metadata.get("name") or ""
    base = metadata.get("generateName") or ""
    if name or not base:
        return str(name)
    return str(base)[:58] + "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))


def problems(target: Target, body: Body) -> list[tuple[str, str]]:
    """Return what is wrong with the metadata of an object: field path and message."""
    metadata = metadata_of(body)
    found: list[tuple[str, str]] = []
    name = metadata.get("name")
    if not name:
        found.append(("metadata.name", "Required value: name or generateName is required"))
    elif not isinstance(name, str):
        found.append(("metadata.name", f"Invalid value: {name!r}: must be text"))
    else:
        found += _name_problems(target.kind.kind, name)
    for group in ("labels", "annotations"):
        found += _map_problems(group, metadata.get(group))
    for key in ("finalizers", "ownerReferences"):
        if not isinstance(metadata.get(key) or [], list):
            found.append((f"metadata.{key}", "Invalid value: must be a list"))
    return found


def _name_problems(kind: str, name: str) -> list[tuple[str, str]]:
    short = kind in _LABEL_KINDS
    pattern, rule, longest = (_LABEL, LABEL_RULE, 63) if short else (_SUBDOMAIN, SUBDOMAIN_RULE, 253)
    if len(name) > longest:
        return [("metadata.name", f'Invalid value: "{name}": must be no more than {longest} characters')]
    if not pattern.fullmatch(name):
        return [("metadata.name", f'Invalid value: "{name}": {rule}')]
    return []


def _map_problems(group: str, value: object) -> list[tuple[str, str]]:
    if value is None:
        return []
    if not isinstance(value, dict):
        return [(f"metadata.{group}", "Invalid value: must be a map of text to text")]
    found = []
    for key, text in value.items():
        if not _KEY.fullmatch(key):
            found.append((f"metadata.{group}", f'Invalid value: "{key}": not a valid key'))
        if not isinstance(text, str):
            found.append((f"metadata.{group}", f'Invalid value: the value of "{key}" must be text'))
        elif group == "labels" and (len(text) > 63 or not _LABEL_VALUE.fullmatch(text)):
            found.append(("metadata.labels", f'Invalid value: "{text}": not a valid label value'))
    return found


def born(body: Body, *, name: str, uid: str, at: str, counts_generation: bool) -> Body:
    """Return a new object with the metadata that the server sets at birth."""
    dropped = (*SERVER_FIELDS, "resourceVersion", "name")
    given = {k: v for k, v in body["metadata"].items() if k not in dropped}
    metadata = {"name": name, **given, "uid": uid, "creationTimestamp": at}
    if counts_generation:
        metadata["generation"] = 1
    return {**body, "metadata": metadata}


def grown(live: Body, body: Body, *, counts_generation: bool) -> Body:
    """Return the next state of a live object: the server's metadata kept, the generation counted."""
    old = live["metadata"]
    given = {k: v for k, v in body["metadata"].items() if k not in SERVER_FIELDS}
    kept = {k: old[k] for k in SERVER_FIELDS if k in old}
    metadata = {**given, **kept, "name": old["name"], "resourceVersion": old["resourceVersion"]}
    after = {**body, "metadata": metadata}
    if counts_generation and _content(after) != _content(live):
        metadata["generation"] = int(old.get("generation", 0)) + 1
    return after


def _content(body: Body) -> Body:
    return {k: v for k, v in body.items() if k not in ("apiVersion", "kind", "metadata", "status")}


def says_the_same(live: Body, after: Body) -> bool:
    """Say whether a write changes nothing but the times in managedFields (then it is not stored)."""
    if {**live, "metadata": None} != {**after, "metadata": None}:
        return False
    return _timeless(live["metadata"]) == _timeless(after["metadata"])


def _timeless(metadata: Body) -> Body:
    fields = [{k: v for k, v in f.items() if k != "time"} for f in metadata.get("managedFields") or ()]
    return {**metadata, "managedFields": fields}
