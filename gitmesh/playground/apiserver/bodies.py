"""Request bodies: from bytes to plain values.

Stage: playground (pure).
"""

from __future__ import annotations

import math
from typing import Any

import orjson
import yaml

from gitmesh.playground.apiserver import failures, protobuf_objects

PROTOBUF = "application/vnd.kubernetes.protobuf"
_YAML_TYPES = frozenset({"application/yaml", "application/apply-patch+yaml"})
DEPTH_MAX = 100


def read_body(raw: bytes, media_type: str, *, strict: bool = False) -> Any:
    """Return the value; None for an empty body. Raises 400 for broken text, 415 for another form.

    `strict` refuses YAML with a key that is there twice; otherwise the last one counts.
    """
    if not raw:
        return None
    if media_type == PROTOBUF:
        return protobuf_objects.decode(raw)
    if media_type in _YAML_TYPES:
        return _yaml(raw, strict=strict)
    if media_type in ("", "application/json") or media_type.endswith("+json"):
        return _json(raw)
    raise failures.unsupported_media(
        f"a body of type {media_type} is not read here; send application/json or application/yaml"
    )


def _json(raw: bytes) -> Any:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise failures.bad_request(f"the request body is not JSON: {error}") from error
    if raw.count(b"{") + raw.count(b"[") > DEPTH_MAX:
        _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise failures.bad_request(f"the request body is nested more than {DEPTH_MAX} deep")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _yaml(raw: bytes, *, strict: bool) -> Any:
    if raw.lstrip()[:1] == b"{":  # what every client library sends: JSON is YAML, and much faster to read
        try:
            orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass
        else:
            return _json(raw)
    try:
        _check_events(raw)
        if strict:
            _check_keys(yaml.compose(raw, Loader=_Loader))
        return _plain(yaml.load(raw, Loader=_Loader))  # noqa: S506 (a safe loader)
    except (yaml.YAMLError, ValueError) as error:
        raise failures.bad_request(f"error decoding YAML: {error}") from error


def _check_events(raw: bytes) -> None:
    """Raise 400 for text that is cheap to send and dear to read: deep nesting, and aliases.

    An alias can stand for a value that is billions of values large.
    """
    depth = 0
    for event in yaml.parse(raw, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise failures.bad_request("error decoding YAML: aliases are not accepted in a request")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_MAX:
            raise failures.bad_request(f"error decoding YAML: nested more than {DEPTH_MAX} deep")


def _check_keys(node: yaml.Node | None) -> None:
    """Raise 400 for a key that is there twice. Source: a kube-apiserver 1.36, which names all of them."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_keys(item)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            raise failures.bad_request(
                "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
                f'  line {key.start_mark.line + 1}: key "{key.value}" already set in map'
            )
        seen.add(key.value)
        _check_keys(value)


class _Loader(yaml.CSafeLoader):
    """YAML without timestamps: an API object holds those as text."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _plain(value: Any) -> Any:
    """Return the value with keys that are text. Raises ValueError for what JSON does not have."""
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, str):
        value.encode()  # a lone surrogate is no text
        return value
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError(f"the number {str(value)[:30]} is too large")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a number that JSON has")
    if value is None or isinstance(value, int | float):
        return value
    raise ValueError(f"{type(value).__name__} is not a value that JSON has")
