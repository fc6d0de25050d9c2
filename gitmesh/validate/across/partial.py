"""What can be compared with other objects of one that is partly of the wrong shape.

Stage: validate (pure).
"""

from __future__ import annotations

from pydantic import BaseModel

from gitmesh.model.kinds import GITMESH, NETWORKING
from gitmesh.model.resource import Resource
from gitmesh.validate.remainder import remainder
from gitmesh.validate.shape import check_shape
from gitmesh.validate.subject import Path


def readable(resource: Resource) -> tuple[BaseModel | None, frozenset[Path]]:
    """Return the typed spec without the elements that are wrong, and the places of those.

    One typing error hides nothing about the other elements. None when the object is wrong as a whole.
    """
    if resource.key.group not in (NETWORKING, GITMESH):
        return None, frozenset()
    spec, wrong = check_shape(resource)
    rest = remainder(resource, (finding.path for finding in wrong)) if spec is None else None
    if rest is None:
        return spec, frozenset()
    return check_shape(rest[0])[0], rest[1]
