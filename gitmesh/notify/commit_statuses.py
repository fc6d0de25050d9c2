"""Commit statuses on GitHub, GitLab and Gitea: whether a commit is live.

Stage: notify (effect).
"""

from __future__ import annotations

import json

from gitmesh.model.notice import CommitState, CommitStatus, clipped
from gitmesh.notify.choosing import wants_status
from gitmesh.notify.errors import DeliveryError
from gitmesh.notify.mailbox import Item
from gitmesh.notify.posting import PostingOutlet
from gitmesh.notify.repositories import place_of
from gitmesh.notify.secrets import reveal

# Source: docs.github.com, "Create a commit status": 140 characters. GitLab and Gitea allow 255.
DESCRIPTION_CHARS_MAX = {"github": 140, "gitlab": 255, "gitea": 255}
_STATES = {
    "gitlab": {CommitState.PENDING: "pending", CommitState.SUCCESS: "success", CommitState.FAILURE: "failed"}
}


class CommitStatuses(PostingOutlet):
    """Posts the state of a commit, once for each change of state."""

    merges = True

    def takes(self, item: Item) -> bool:
        """Say whether the target is told of this."""
        return isinstance(item, CommitStatus) and wants_status(self._target, item)

    async def deliver(self, item: Item) -> None:
        """Post it. Raises DeliveryError."""
        assert isinstance(item, CommitStatus)
        place = place_of(self._target, item.repository)
        assert place is not None
        kind = self._target.kind
        said = {
            "state": _STATES.get(kind, {}).get(item.state, item.state.value),
            "context": f"gitmesh/{item.source}",
            "description": clipped(item.description, DESCRIPTION_CHARS_MAX[kind]),
        }
        if self._target.link:
            said["target_url"] = self._target.link
        answer = await self._poster.post(
            place.status_url(kind, item.commit),
            json.dumps(said).encode(),
            {"Content-Type": "application/json", **self._login()},
            now=self._clock.now(),
            refused=frozenset({400}) if kind == "gitlab" else frozenset(),
        )
        # GitLab refuses a state that the commit has already; all others are what they say.
        # Source: gitlab-org/gitlab issue 25807.
        if answer.status == 400 and b"Cannot transition status" not in answer.body:
            raise DeliveryError(f"{self.name}: HTTP 400; check repository and token", retryable=False)

    def _login(self) -> dict[str, str]:
        assert self._target.token is not None
        token = reveal(self._target.token, f"the token of {self.name}")
        match self._target.kind:
            case "gitlab":
                return {"PRIVATE-TOKEN": token}
            case "gitea":
                return {"Authorization": f"token {token}", "Accept": "application/json"}
            case _:
                return {
                    "Authorization": f"Bearer {token}",
                    "Accept": "application/vnd.github+json",
                    "X-GitHub-Api-Version": "2022-11-28",
                }
