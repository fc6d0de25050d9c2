"""The rest of an object of which a part has the wrong shape: so that one typing error hides nothing else.

Stage: validate (pure). A wrong element of a list is replaced by one that says nothing, so that others keep
their places; what is found in the replacement is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from gitmesh.model.resource import Resource
from gitmesh.validate.subject import Path

Replacement = Callable[[int], Mapping[str, Any]]
_NOWHERE = [{"destination": {"host": "nowhere.invalid"}}]

# Lists whose elements mean nothing to one another. Names with a space can be nobody else's.
_REPLACEMENTS: Mapping[str, Mapping[str, Replacement]] = MappingProxyType(
    {
        "VirtualService": {
            "http": lambda n: {"match": [{"uri": {"exact": f"/ {n}"}}], "redirect": {"uri": "/"}},
            "tcp": lambda n: {"match": [{"sourceSubnet": f" {n}"}], "route": _NOWHERE},
            "tls": lambda n: {"match": [{"sniHosts": [f" {n}"]}], "route": _NOWHERE},
        },
        "DestinationRule": {"subsets": lambda n: {"name": f" {n}", "labels": {"app": "nothing"}}},
        "Gateway": {
            "servers": lambda n: {
                "hosts": ["nowhere.invalid"],
                "port": {"number": 1, "name": f" {n}", "protocol": "TCP"},
            }
        },
        "ServiceEntry": {"endpoints": lambda _: {"address": "192.0.2.1"}},
    }
)


def remainder(resource: Resource, wrong: Iterable[Path]) -> tuple[Resource, frozenset[Path]] | None:
    """Return the object without its wrong elements, and their places; None when it is wrong as a whole."""
    replacements = _REPLACEMENTS.get(resource.key.kind, {})
    places = frozenset(path[:3] for path in wrong)
    spec = dict(resource.spec)
    for place in places:
        if len(place) < 3 or place[1] not in replacements or not isinstance(place[2], int):
            return None
        field, index = str(place[1]), place[2]
        elements = list(spec[field])
        elements[index] = replacements[field](index)
        spec[field] = elements
    return resource.with_spec(spec), places
