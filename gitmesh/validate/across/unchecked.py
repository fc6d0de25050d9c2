"""What could not be checked for lack of context: one info for each kind of objects that is not known.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterable

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.across.found import Unchecked
from gitmesh.validate.catalogue import CATALOGUE


def not_checked(found: Iterable[Unchecked]) -> tuple[Diagnostic, ...]:
    """Return the infos."""
    codes: dict[str, set[str]] = {}
    for one in found:
        codes.setdefault(one.needs, set()).add(one.code)
    return tuple(_info(needs, sorted(codes[needs])) for needs in sorted(codes))


def _info(needs: str, codes: list[str]) -> Diagnostic:
    named = (CATALOGUE[code] for code in codes)
    rules = ", ".join(f"{rule.code} {rule.istio}".strip() for rule in named)
    message = f"not checked, as the {needs} are not known: {rules}"
    hint = f"give --cluster, or put the {needs} into the repository"
    return Diagnostic("GM290", CATALOGUE["GM290"].severity, message, hint)
