"""Everything else, by Apprise: one message for each state that matters.

Stage: notify (effect). Apprise is an extra, and slow to load: nothing of it is imported before it is needed.
"""

from __future__ import annotations

import importlib
from typing import Any

import anyio
from anyio import to_thread

from gitmesh.model.notice import Importance, Notice, clipped, shortened
from gitmesh.model.notifications import NotificationTarget
from gitmesh.notify.choosing import wants
from gitmesh.notify.errors import DeliveryError
from gitmesh.notify.mailbox import Item
from gitmesh.notify.secrets import reveal
from gitmesh.notify.slack_text import headline

MISSING = "apprise is not installed; install it with: pip install 'gitmesh-controller[notify]'"
_TYPES = {
    Importance.PROGRESS: "info",
    Importance.INFO: "success",
    Importance.WARNING: "warning",
    Importance.ERROR: "failure",
}
_THREADS_MAX = 4


class AppriseOutlet:
    """Tells one of Apprise's services. Raises DeliveryError when Apprise is not installed."""

    merges = False

    def __init__(self, target: NotificationTarget, timeout_seconds: float) -> None:
        self.name = target.name
        self._target = target
        self._timeout = timeout_seconds
        self._threads = anyio.CapacityLimiter(_THREADS_MAX)
        try:
            self._apprise: Any = importlib.import_module("apprise")
        except ImportError:
            raise DeliveryError(f"notification target {target.name}: {MISSING}", retryable=False) from None

    def takes(self, item: Item) -> bool:
        """Say whether the target is told of this."""
        return isinstance(item, Notice) and wants(self._target, item)

    def begin(self) -> None:
        """Do nothing: it remembers nothing of what it told."""

    async def deliver(self, item: Item) -> None:
        """Tell it, in a thread. Raises DeliveryError."""
        assert isinstance(item, Notice)
        assert self._target.url_from is not None
        url = reveal(self._target.url_from, f"the address of {self.name}")
        title, text = (
            headline(item),
            "\n".join([item.message, *item.findings, shortened(item.revision)]).strip(),
        )

        def notify() -> bool:
            service = self._apprise.Apprise()
            if not service.add(url):
                raise DeliveryError(f"{self.name}: Apprise does not know such an address")
            return bool(service.notify(body=clipped(text), title=title, notify_type=_TYPES[item.importance]))

        try:
            with anyio.fail_after(self._timeout):
                taken = await to_thread.run_sync(notify, abandon_on_cancel=True, limiter=self._threads)
        except TimeoutError:
            raise DeliveryError(f"{self.name}: no answer within {self._timeout:g} s") from None
        except DeliveryError:
            raise
        except Exception as error:  # a plugin of Apprise can raise anything, with the address in its text
            raise DeliveryError(f"{self.name}: Apprise failed with {type(error).__name__}") from None
        if not taken:
            raise DeliveryError(f"{self.name}: Apprise could not deliver; is the address right?")

    async def close(self) -> None:
        """Do nothing: each message has connections of its own."""
