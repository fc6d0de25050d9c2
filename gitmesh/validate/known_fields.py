"""A value with the fields that exist: a misspelt one under the name that is meant, another one left out.

Stage: validate (pure). So that a field that does not exist keeps nothing else from being judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Meant:
    """A value as it is meant. `names`: where a field was renamed -> the name under which it is written."""

    value: Any
    names: Mapping[Place, str] = field(default_factory=dict)

    def written(self, place: Iterable[str | int]) -> Place:
        """Return a place of the value as the text has it."""
        meant: Place = ()
        result: Place = ()
        for part in place:
            meant = (*meant, part)
            result = (*result, self.names.get(meant, part))
        return result

    def corrected(self, names: Mapping[Place, str]) -> Meant:
        """Return the value with fields renamed or, for an empty name, left out. The places are as meant."""
        tree: dict[str | int, Any] = {}
        for place, name in names.items():
            branch = tree
            for part in place[:-1]:
                branch = branch.setdefault(part, {})
                if isinstance(branch, str):
                    break  # below a field that is renamed or left out itself
            else:
                branch[place[-1]] = name
        renamed = {(*place[:-1], name): str(place[-1]) for place, name in names.items() if name}
        return Meant(_changed(self.value, tree), {**self.names, **renamed})


def _changed(value: Any, tree: Any) -> Any:
    """What is not changed is shared with the value."""
    if isinstance(tree, str):
        return value
    if isinstance(value, dict):
        return {
            _name(name, tree): _changed(child, tree.get(name, ""))
            for name, child in value.items()
            if tree.get(name) != ""
        }
    if isinstance(value, list):
        return [_changed(child, tree.get(at, "")) for at, child in enumerate(value)]
    return value


def _name(name: str, tree: Mapping[str | int, Any]) -> str:
    to = tree.get(name)
    return to if isinstance(to, str) else name
