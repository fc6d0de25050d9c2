"""Who is told what: selectors, exclusions, and defaults that do not annoy."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.notices import a_commit_status, a_notice, a_rollback, a_step

from gitmesh.model.notifications import NotificationTarget
from gitmesh.notify.choosing import wants, wants_status

HOOK = {"kind": "webhook", "url": "https://hooks.example.com"}
CHAT = {"kind": "slack", "urlFrom": {"env": "SLACK"}}
APP = {"kind": "slack", "token": {"env": "TOKEN"}, "channel": "C1"}
HUB = {"kind": "github", "token": {"env": "TOKEN"}}


def a_target(given: dict[str, Any], **fields: Any) -> NotificationTarget:
    return NotificationTarget.model_validate({"name": "it", **given, **fields})


def test_steps_go_to_machines_and_into_messages_that_change_but_make_no_messages_of_their_own():
    assert wants(a_target(HOOK), a_step(10))
    assert wants(a_target(APP), a_step(10))
    assert not wants(a_target(CHAT), a_step(10))
    assert wants(a_target(CHAT, select={"severity": "progress"}), a_step(10))


def test_a_rollback_is_told_to_everybody_who_follows_rollouts():
    for given in (HOOK, CHAT, APP, {"kind": "apprise", "urlFrom": {"env": "A"}}):
        assert wants(a_target(given), a_rollback())
    assert not wants(a_target(HUB), a_rollback())


@pytest.mark.parametrize(
    ("select", "is_told"),
    [
        ({"events": ["RolledBack"]}, True),
        ({"events": ["Roll*"]}, True),
        ({"events": ["DriftHealed", "Revision*"]}, False),
        ({"severity": "error"}, True),
        ({"sources": ["default/*"]}, True),
        ({"sources": ["other/*"]}, False),
        ({"namespaces": ["shop"]}, True),
        ({"namespaces": ["shop-*"]}, False),
        ({"sources": ["default/mesh"], "namespaces": ["other"]}, False),
    ],
)
def test_a_selector_means_what_fits_all_that_it_says(select: dict[str, Any], is_told: bool):
    assert wants(a_target(HOOK, select=select), a_rollback()) is is_told


def test_what_is_excluded_is_not_told_whatever_selects_it():
    target = a_target(
        HOOK, exclude=[{"namespaces": ["shop"], "severity": "error"}, {"events": ["DriftHealed"]}]
    )
    assert not wants(target, a_rollback())
    assert not wants(target, a_notice("DriftHealed", "warning", namespace="other"))
    assert wants(target, a_step(10))


def test_what_may_have_been_told_before_a_restart_makes_no_second_message():
    again = a_rollback(again=True)
    assert wants(a_target(HOOK), again)
    assert wants(a_target(APP), again)
    assert not wants(a_target(CHAT), again)
    assert not wants(a_target({"kind": "apprise", "urlFrom": {"env": "A"}}), again)


def test_a_commit_status_goes_only_to_where_the_repository_is():
    assert wants_status(a_target(HUB), a_commit_status())
    assert not wants_status(a_target({**HUB, "kind": "gitlab"}), a_commit_status())
    assert not wants_status(a_target(HOOK), a_commit_status())
    assert wants_status(
        a_target({**HUB, "kind": "gitlab", "repository": "copies/traffic"}), a_commit_status()
    )


def test_commit_statuses_are_chosen_by_source():
    assert not wants_status(a_target(HUB, select={"sources": ["other/*"]}), a_commit_status())
    assert not wants_status(a_target(HUB, exclude=[{"sources": ["default/*"]}]), a_commit_status())
