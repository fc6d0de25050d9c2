"""Builds the targets that a configuration names.

Stage: notify (effect). Nothing is connected to yet.
"""

from __future__ import annotations

from gitmesh.model.notifications import NotificationConfig, NotificationTarget
from gitmesh.notify.apprise_outlet import AppriseOutlet
from gitmesh.notify.commit_statuses import CommitStatuses
from gitmesh.notify.outlet import Clock, Outlet
from gitmesh.notify.post import Poster
from gitmesh.notify.slack import SlackApp, SlackHook
from gitmesh.notify.webhook import Webhook


def open_outlets(config: NotificationConfig, clock: Clock) -> list[Outlet]:
    """Return one outlet for each target. Raises DeliveryError when one needs an extra that is not there."""
    return [_open(target, config.timeout.total_seconds(), clock) for target in config.targets]


def _open(target: NotificationTarget, timeout: float, clock: Clock) -> Outlet:
    poster = Poster(target.name, timeout_seconds=timeout, ca_file=target.ca_file)
    match target.kind:
        case "webhook":
            return Webhook(target, poster, clock)
        case "slack":
            return SlackApp(target, poster, clock) if target.token else SlackHook(target, poster, clock)
        case "apprise":
            return AppriseOutlet(target, timeout)
        case _:
            return CommitStatuses(target, poster, clock)
