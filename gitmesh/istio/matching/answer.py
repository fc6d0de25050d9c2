"""The answer to "which route takes this request, and why".

Stage: plan (pure).
"""

from __future__ import annotations

from dataclasses import dataclass

from gitmesh.istio.matching.conditions import Check
from gitmesh.istio.matching.outcome import Action
from gitmesh.istio.matching.request import Caller, Request
from gitmesh.istio.matching.virtual_services import Path
from gitmesh.model.resource import ResourceKey


@dataclass(frozen=True, slots=True)
class Where:
    """One alternative of one rule: the rule `path` of the object `key`, and its `match` (None: it has none).

    `match_key` and `match_path` say where the conditions are written, which is the rule where it has none.
    For a rule of a delegate, `root` is the VirtualService that serves the host; else it is `key` itself.
    """

    key: ResourceKey
    path: Path
    name: str
    match: int | None
    match_key: ResourceKey
    match_path: Path
    root: ResourceKey
    root_path: Path


@dataclass(frozen=True, slots=True)
class Passed:
    """One alternative that comes before and does not take the request, with the conditions that fail."""

    where: Where
    failed: tuple[Check, ...]
    why: str = ""  # where no condition is to blame

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons in words."""
        return (self.why,) if self.why else tuple(str(check) for check in self.failed)


@dataclass(frozen=True, slots=True)
class Unheard:
    """A VirtualService for the same host that has no say for this caller, and why."""

    key: ResourceKey
    why: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What takes a request. `taken` is None where no VirtualService has a say (`default`) or nothing fits.

    `host` is the host whose rules were asked (a service's whole name, or a pattern), empty when nobody knows
    the one that was asked for; `port` the port that the request came to.
    """

    request: Request
    caller: Caller
    host: str
    port: int
    action: Action
    taken: Where | None = None
    held: tuple[Check, ...] = ()
    passed: tuple[Passed, ...] = ()
    unheard: tuple[Unheard, ...] = ()
    notes: tuple[str, ...] = ()
