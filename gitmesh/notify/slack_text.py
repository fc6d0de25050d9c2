"""A notice as a Slack message: text for where only text is shown, blocks elsewhere.

Stage: notify (pure). Source: docs.slack.dev, "Formatting message text" and Block Kit; a section has at most
3000 characters.
"""

from __future__ import annotations

from typing import Any

from gitmesh.model.notice import Importance, Notice, clipped, shortened

METADATA_TYPE = "gitmesh_rollout"
_MARKS = {
    Importance.PROGRESS: ":arrow_forward:",
    Importance.INFO: ":white_check_mark:",
    Importance.WARNING: ":warning:",
    Importance.ERROR: ":rotating_light:",
}
_BAR_CELLS = 20


def message(notice: Notice, link: str = "") -> dict[str, Any]:
    """Return `text` and `blocks`."""
    head = f"{_MARKS[notice.importance]} *{escaped(headline(notice))}*"
    lines = [head, escaped(clipped(notice.message))]
    lines += [f"• {escaped(clipped(finding, 300))}" for finding in notice.findings]
    blocks: list[dict[str, Any]] = [_section("\n".join(lines))]
    if notice.rollout:
        blocks.append(_section(_bar(notice)))
    facts = [
        f"source {notice.source}",
        shortened(notice.revision),
        f"policy {_policy(notice)}" if _policy(notice) else "",
    ]
    context = " · ".join(escaped(fact) for fact in facts if fact)
    if link:
        context += f" · <{escaped(link)}|open>"
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": context}]})
    return {"text": f"{escaped(headline(notice))}: {escaped(clipped(notice.message, 300))}", "blocks": blocks}


def metadata(notice: Notice) -> dict[str, Any]:
    """Return what marks the one message of a rollout, so that it is found again after a restart."""
    run = notice.rollout.run if notice.rollout else ""
    return {"event_type": METADATA_TYPE, "event_payload": {"run": run}}


def headline(notice: Notice) -> str:
    """Return what happened to what, in few words."""
    if notice.rollout is None:
        return f"{notice.event} {notice.source}"
    name = notice.about.rpartition("/")[2]
    return f"{notice.event} {notice.namespace}/{name}"


def escaped(text: str) -> str:
    """Return text in which nothing is a link, a mention or an entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _bar(notice: Notice) -> str:
    view = notice.rollout
    assert view is not None
    full = round(view.progress / 100 * _BAR_CELLS)
    bar = "█" * full + "░" * (_BAR_CELLS - full)
    step = f", step {view.step + 1} of {view.steps}" if view.steps else ""
    return f"`{bar}` {view.progress:g} % · {view.phase}{step}\n{escaped(view.weights)}"


def _policy(notice: Notice) -> str:
    return notice.rollout.policy if notice.rollout else ""


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": clipped(text, 3_000)}}
