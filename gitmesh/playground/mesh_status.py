"""The status of an Istio object in the playground: what of it has no effect, whether Envoy refuses it.

Stage: playground (pure). An object that is served wholly gets no status at all, so nothing is written for it.
Source: istio.io/api meta/v1alpha1, IstioStatus (conditions and validationMessages).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from gitmesh.playground.translate import Untranslated

CONDITION = "Programmed"  # the Gateway API's word for "the data plane serves it"
UNTRANSLATED = {"code": "PLAY001", "name": "Untranslated"}
REFUSED = {"code": "PLAY002", "name": "RefusedByEnvoy"}
_OUR_CODES = (UNTRANSLATED["code"], REFUSED["code"])
_MESSAGES_MAX = 50

Status = dict[str, Any]


def status_with(
    live: Mapping[str, Any], untranslated: Sequence[Untranslated], refusal: str, now: datetime
) -> Status | None:
    """Return the status that the object should have; None when the one it has says the same.

    Conditions and messages of others stay as they are.
    """
    old_conditions, old_messages = (
        _mappings(live.get("conditions")),
        _mappings(live.get("validationMessages")),
    )
    messages = _messages(untranslated, refusal)
    condition = _condition(untranslated, refusal)
    if messages == [m for m in old_messages if _is_ours(m)] and _same(
        condition, next((c for c in old_conditions if c.get("type") == CONDITION), None)
    ):
        return None
    if condition is not None:
        condition["lastTransitionTime"] = _transition(condition, old_conditions, now)
    conditions = [c for c in old_conditions if c.get("type") != CONDITION]
    status = {k: v for k, v in live.items() if k not in ("conditions", "validationMessages")}
    _set(status, "conditions", [*conditions, *([condition] if condition else [])])
    _set(status, "validationMessages", [*(m for m in old_messages if not _is_ours(m)), *messages])
    return status


def _messages(untranslated: Sequence[Untranslated], refusal: str) -> list[Status]:
    messages = [_message(REFUSED, "ERROR", "spec", refusal)] if refusal else []
    for item in untranslated[:_MESSAGES_MAX]:
        messages.append(
            _message(UNTRANSLATED, "INFO" if item.is_note else "WARNING", item.place, item.message)
        )
    return messages


def _message(type_: Mapping[str, str], level: str, path: str, text: str) -> Status:
    return {"type": dict(type_), "level": level, "documentationUrl": "", "path": path, "message": text}


def _condition(untranslated: Sequence[Untranslated], refusal: str) -> Status | None:
    if refusal:
        text = f"Envoy refuses this object, and serves what it did before: {refusal}"
        return {"type": CONDITION, "status": "False", "reason": REFUSED["name"], "message": text}
    lost = [item for item in untranslated if not item.is_note]
    if lost:
        places = ", ".join(item.place for item in lost[:5])
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        text = f"has no effect in the playground: {places}{more}"
        return {"type": CONDITION, "status": "True", "reason": "PartlyTranslated", "message": text}
    return None


def _same(new: Status | None, old: Mapping[str, Any] | None) -> bool:
    if new is None or old is None:
        return new is None and old is None
    return all(old.get(name) == value for name, value in new.items())


def _transition(condition: Status, old: Iterable[Mapping[str, Any]], now: datetime) -> str:
    for item in old:
        if item.get("type") == CONDITION and item.get("status") == condition["status"]:
            since = item.get("lastTransitionTime")
            if isinstance(since, str):
                return since
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_ours(message: Mapping[str, Any]) -> bool:
    kind = message.get("type")
    return isinstance(kind, Mapping) and kind.get("code") in _OUR_CODES


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _set(status: Status, name: str, value: list[Any]) -> None:
    if value:
        status[name] = value
