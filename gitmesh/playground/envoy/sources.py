"""Telling Envoy where route configurations and secrets are: translation only names them.

Stage: playground (pure).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from gitmesh.playground.envoy.files import Subscription, routes, secret
from gitmesh.playground.envoy.snapshot import SECRET_FIELDS, may_name
from gitmesh.playground.translate.naming import Envoy


def from_file(path: str) -> Envoy:
    """Return the source of a configuration that is in a file."""
    return {"path_config_source": {"path": path}, "resource_api_version": "V3"}


def with_sources(
    message: Envoy, path: Callable[[Subscription], str], inside: Mapping[str, Envoy] = MappingProxyType({})
) -> Envoy:
    """Return a listener or cluster whose route configurations and secrets have a file.

    `inside` are route configurations without a file: the listener holds these itself.
    """
    if not may_name(message):
        return message

    def filled(name: str, value: Any) -> tuple[str, Any]:
        if name == "rds" and value["route_config_name"] in inside:
            return "route_config", _untyped(inside[value["route_config_name"]])
        if name == "rds":
            return name, {**value, "config_source": from_file(path(routes(value["route_config_name"])))}
        if name in SECRET_FIELDS:
            if isinstance(value, list):
                return name, [filled(name, item)[1] for item in value]
            return name, {**value, "sds_config": from_file(path(secret(value["name"])))}
        return name, walk(value)

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return dict(filled(name, child) for name, child in value.items())
        if isinstance(value, list):
            return [walk(child) for child in value]
        return value

    result: Envoy = walk(message)
    return result


def standing_alone(listener: Envoy) -> Envoy:
    """Return a listener that needs no file: with an empty route configuration wherever it names one."""

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(child) for child in value]
        if not isinstance(value, dict):
            return value
        fresh = {name: walk(child) for name, child in value.items() if name != "rds"}
        if "rds" in value:
            fresh["route_config"] = {"name": value["rds"]["route_config_name"]}
        return fresh

    result: Envoy = walk(_untyped(listener))
    return result


def _untyped(message: Envoy) -> Envoy:
    return {name: value for name, value in message.items() if name != "@type"}
