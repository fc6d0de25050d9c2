"""A webhook: one signed CloudEvent for each notice.

Stage: notify (effect).
"""

from __future__ import annotations

from gitmesh.model.notice import Notice
from gitmesh.model.notifications import NotificationTarget
from gitmesh.notify.cloudevents import CONTENT_TYPE, as_bytes, cloud_event, signature_headers
from gitmesh.notify.errors import DeliveryError
from gitmesh.notify.mailbox import Item
from gitmesh.notify.posting import PostingOutlet
from gitmesh.notify.secrets import reveal


class Webhook(PostingOutlet):
    """Posts CloudEvents. Each attempt is signed anew, for its own moment."""

    async def deliver(self, item: Item) -> None:
        """Post it. Raises DeliveryError."""
        assert isinstance(item, Notice)
        now, body = self._clock.now(), as_bytes(cloud_event(item))
        headers = {
            name: reveal(secret, f"the header {name} of {self.name}")
            for name, secret in self._target.headers.items()
        }
        headers["Content-Type"] = CONTENT_TYPE
        if self._target.secret:
            secret = reveal(self._target.secret, f"the secret of {self.name}")
            try:
                headers |= signature_headers(secret, item.id, int(now.timestamp()), body)
            except ValueError as error:
                raise DeliveryError(f"the secret of {self.name}: {error}") from None
        await self._poster.post(address(self._target), body, headers, now=now)


def address(target: NotificationTarget) -> str:
    """Return where a target is. Raises DeliveryError when that is a secret which cannot be read."""
    if target.url_from is None:
        return target.url
    url = reveal(target.url_from, f"the address of {target.name}")
    if not url.startswith(("http://", "https://")):
        raise DeliveryError(f"the address of {target.name} begins with neither http:// nor https://")
    return url
