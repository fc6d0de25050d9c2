"""One overload of a function that expressions may call.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Signature:
    """Name, types as CEL calls them, and what it does. What it raises is an error of the evaluation."""

    name: str
    result: str
    parameters: tuple[str, ...]
    implementation: Callable[..., Any]
    member: bool = False

    @property
    def identity(self) -> str:
        """A name of its own among all overloads."""
        return "_".join(("gitmesh", self.name.replace(".", "_"), *self.parameters))
