"""EnvoyFilters: operations that istiod ignores, and those whose result depends on an order nobody has chosen.

Stage: validate (pure). Source: istio/istio pkg/config/analysis/analyzers/envoyfilter (IST0151 to IST0155).
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.model.resource import Resource
from gitmesh.validate.across.found import Found
from gitmesh.validate.across.lenient import mapping, number, text
from gitmesh.validate.across.traffic_facts import has_version, patched
from gitmesh.validate.across.world import World
from gitmesh.validate.subject import Path, Subject

# What routes are made of: nothing can be added to them, or removed, as a whole.
_WHOLE = ("ROUTE_CONFIGURATION", "HTTP_ROUTE")
_REPLACED = ("NETWORK_FILTER", "HTTP_FILTER", "VIRTUAL_HOST")
_RELATIVE = ("REMOVE", "REPLACE", "INSERT_BEFORE", "INSERT_AFTER")


def check_envoy_filter(resource: Resource, world: World) -> Iterator[Found]:
    """Yield patches that do nothing, and patches that need a priority."""
    versioned: set[str] = set()
    patches = resource.spec.get("configPatches")
    for index, part in enumerate(patches if isinstance(patches, list) else ()):
        patch = mapping(mapping(part).get("patch"))
        operation, target = text(patch.get("operation")), text(mapping(part).get("applyTo"))
        place: Path = ("spec", "configPatches", index, "patch", "operation")
        ignored = _ignored(operation, target)
        if ignored:
            code, hint = ignored
            message = f"{operation} does nothing for {target or 'a patch without applyTo'}"
            yield Subject(resource).finding(code, message, place, hint=hint)
        elif operation in _RELATIVE and not number(resource.spec.get("priority")):
            name = patched(mapping(part))
            others = [key for key in world.versioned(name) if key != resource.key]
            yield _unordered(resource, place, operation, name in versioned or bool(others))
        if has_version(mapping(part)):
            versioned.add(patched(mapping(part)))


def _ignored(operation: str, target: str) -> tuple[str, str] | None:
    if operation == "REPLACE" and target not in _REPLACED:
        return "GM242", f"it is for {', '.join(_REPLACED)}; use MERGE for anything else"
    if operation == "ADD" and target in _WHOLE:
        return "GM243", "add to a VIRTUAL_HOST, or insert before or after a route"
    if operation == "REMOVE" and target in _WHOLE:
        return "GM244", "remove a VIRTUAL_HOST or a filter"
    return None


def _unordered(resource: Resource, place: Path, operation: str, versions: bool) -> Found:
    if versions:
        message = (
            f"{operation} depends on the order of EnvoyFilters, and others are for one version of proxies"
        )
        return Subject(resource).finding("GM245", message, place, hint="set spec.priority")
    message = f"{operation} depends on the order in which EnvoyFilters are applied, and there is no priority"
    return Subject(resource).finding("GM241", message, place, hint="set spec.priority")
