"""`exportTo`: which namespaces see an object.

Stage: validate (pure). Source: istio/istio pkg/config/validation, validateExportTo.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.names import is_label
from gitmesh.validate.subject import Path, Subject

_NONE = "~"


def check_export_to(
    subject: Subject, export_to: Sequence[str], *, may_hide: bool = False
) -> Iterator[Diagnostic]:
    """Yield what is wrong with the list; `may_hide`: `~` (nobody) is allowed."""
    seen: set[str] = set()
    for index, entry in enumerate(export_to):
        path: Path = ("spec", "exportTo", index)
        if entry not in (".", "*") and not (may_hide and entry == _NONE) and not is_label(entry):
            hint = "write ., * or the name of a namespace"
            yield subject.finding("GM108", f"{entry[:80]!r} is not a namespace", path, hint=hint)
        name = subject.namespace if entry == "." else entry
        if name in seen:
            yield subject.finding("GM110", f"{entry} is listed twice in exportTo", path)
        seen.add(name)
    if len(seen) > 1 and ("*" in seen or _NONE in seen):
        message = "* and ~ stand alone in exportTo"
        yield subject.finding("GM109", message, ("spec", "exportTo"), wants_key=True)
