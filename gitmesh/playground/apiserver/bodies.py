"""Request bodies: from bytes to plain values.

Stage: playground (pure).
"""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from gitmesh.playground.apiserver import failures, protobuf_objects

PROTOBUF = "application/vnd.kubernetes.protobuf"
_YAML_TYPES = frozenset({"application/yaml", "application/apply-patch+yaml"})
DEPTH_MAX = 100


def read_body(raw: bytes, media_type: str) -> Any:
    """Return the value; None for an empty body. Raises 400 for broken text, 415 for another form."""
    if not raw:
        return None
    if media_type == PROTOBUF:
        return protobuf_objects.decode(raw)
    if media_type in _YAML_TYPES:
        return _yaml(raw)
    if media_type in ("", "application/json") or media_type.endswith("+json"):
        return _json(raw)
    raise failures.unsupported_media(
        f"a body of type {media_type} is not read here; send application/json or application/yaml"
    )


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise failures.bad_request(f"the request body is not JSON: {error}") from error


def _yaml(raw: bytes) -> Any:
    if raw.lstrip()[:1] == b"{":  # what every client library sends: JSON is YAML, and much faster to read
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass
    if b"&" in raw and b"*" in raw:
        _refuse_aliases(raw)
    try:
        return _plain(yaml.load(raw, Loader=_Loader), 0)  # noqa: S506 (a safe loader)
    except yaml.YAMLError as error:
        raise failures.bad_request(f"error decoding YAML: {error}") from error


def _refuse_aliases(raw: bytes) -> None:
    # An alias can stand for a value that is billions of values large.
    try:
        aliased = any(isinstance(token, yaml.AliasToken) for token in yaml.scan(raw, Loader=_Loader))
    except yaml.YAMLError as error:
        raise failures.bad_request(f"error decoding YAML: {error}") from error
    if aliased:
        raise failures.bad_request("error decoding YAML: aliases are not accepted in a request")


class _Loader(yaml.CSafeLoader):
    """YAML without timestamps: an API object holds those as text."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _plain(value: Any, depth: int) -> Any:
    """Return the value with keys that are text. Raises 400 for what JSON does not have."""
    if depth > DEPTH_MAX:
        raise failures.bad_request(f"error decoding YAML: nested more than {DEPTH_MAX} deep")
    if isinstance(value, dict):
        return {str(key): _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, depth + 1) for inner in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise failures.bad_request(f"error decoding YAML: {type(value).__name__} is not a value that JSON has")
