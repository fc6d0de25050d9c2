"""Slack: an incoming webhook, or an app that keeps one message for each rollout up to date.

Stage: notify (effect). Source: docs.slack.dev: incoming webhooks, chat.postMessage, chat.update,
conversations.history, message metadata, rate limits.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

from gitmesh.model.notice import Importance, Notice
from gitmesh.model.notifications import NotificationTarget
from gitmesh.notify.errors import DeliveryError
from gitmesh.notify.mailbox import Item
from gitmesh.notify.outlet import Clock
from gitmesh.notify.post import Poster
from gitmesh.notify.posting import PostingOutlet
from gitmesh.notify.secrets import reveal
from gitmesh.notify.slack_text import METADATA_TYPE, message, metadata
from gitmesh.notify.webhook import address

API = "https://slack.com/api"
REMEMBERED_MAX = 1_000
HISTORY_MAX = 200  # messages that are looked through for one of before a restart
_JSON = {"Content-Type": "application/json; charset=utf-8"}
# Errors that may be gone later; all others are about what was asked.
_LATER = frozenset({"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable"})
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


class SlackHook(PostingOutlet):
    """An incoming webhook: every message is a new one."""

    async def deliver(self, item: Item) -> None:
        """Post it. Raises DeliveryError."""
        assert isinstance(item, Notice)
        body = json.dumps(message(item, self._target.link)).encode()
        await self._poster.post(address(self._target), body, _JSON, now=self._clock.now())


class SlackApp(PostingOutlet):
    """An app with a bot token. A rollout has one message, which is found again by its metadata."""

    merges = True

    def __init__(self, target: NotificationTarget, poster: Poster, clock: Clock) -> None:
        super().__init__(target, poster, clock)
        self._api = target.url.rstrip("/") or API
        self._messages: OrderedDict[str, tuple[str, str]] = OrderedDict()  # run -> channel id, ts
        self._looked = False

    def takes(self, item: Item) -> bool:
        """Say whether the target is told of this."""
        if not (super().takes(item) and isinstance(item, Notice)):
            return False
        return item.rollout is not None or not item.again

    def begin(self) -> None:
        """Look back once more: another daemon may have begun messages that are ours to change now."""
        self._looked = False

    async def deliver(self, item: Item) -> None:
        """Post it, or bring its message up to date. Raises DeliveryError."""
        assert isinstance(item, Notice)
        said = message(item, self._target.link)
        if item.rollout is None:
            await self._call("chat.postMessage", {"channel": self._target.channel, **said})
            return
        said["metadata"] = metadata(item)
        await self._look_back()
        place = self._messages.get(item.rollout.run)
        if place is None or not await self._update(place, said):
            answer = await self._call("chat.postMessage", {"channel": self._target.channel, **said})
            self._remember(item.rollout.run, str(answer.get("channel")), str(answer.get("ts")))
        elif item.importance is Importance.ERROR and not item.again:
            # Nobody is called by a message that changes.
            reply = {"channel": place[0], "thread_ts": place[1], "reply_broadcast": True, **said}
            del reply["metadata"]
            await self._call("chat.postMessage", reply)

    async def _update(self, place: tuple[str, str], said: dict[str, Any]) -> bool:
        """Change a message; False when it is gone."""
        try:
            await self._call("chat.update", {"channel": place[0], "ts": place[1], **said})
        except _GoneError:
            return False
        return True

    async def _look_back(self) -> None:
        """Once after work begins: find the messages of rollouts among the last of the channel.

        It needs the scope channels:history (groups:history), and the channel's id. Without them, a rollout
        that was under way gets a second message.
        """
        if self._looked:
            return
        asked = {
            "channel": self._target.channel,
            "limit": HISTORY_MAX,
            "include_all_metadata": True,
        }
        try:
            answer = await self._call("conversations.history", asked)
        except DeliveryError as error:
            if error.retryable:
                raise
            answer = {}
        self._looked = True
        found = answer.get("messages")
        for one in reversed(found if isinstance(found, list) else []):  # the newest is the first
            about = one.get("metadata") if isinstance(one, dict) else None
            if isinstance(about, dict) and about.get("event_type") == METADATA_TYPE:
                run = (about.get("event_payload") or {}).get("run")
                if isinstance(run, str) and isinstance(one.get("ts"), str):
                    self._remember(run, self._target.channel, one["ts"])

    async def _call(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        token = reveal(self._target.token, f"the token of {self.name}") if self._target.token else ""
        answer = await self._poster.post(
            f"{self._api}/{name}",
            json.dumps(body).encode(),
            {**_JSON, "Authorization": f"Bearer {token}"},
            now=self._clock.now(),
        )
        try:
            said = json.loads(answer.body)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise DeliveryError(f"{self.name}: {name} was not answered in JSON")
        if said.get("ok") is not True:
            what = "".join(c for c in str(said.get("error")) if c.isalnum() or c == "_")[:100]
            if what in _GONE:
                raise _GoneError(f"{self.name}: {name}: {what}", retryable=False)
            raise DeliveryError(f"{self.name}: {name}: Slack says {what}", retryable=what in _LATER)
        return said

    def _remember(self, run: str, channel: str, ts: str) -> None:
        self._messages[run] = (channel, ts)
        self._messages.move_to_end(run)
        if len(self._messages) > REMEMBERED_MAX:
            self._messages.popitem(last=False)


class _GoneError(DeliveryError):
    """The message is not there any more."""
