"""Windows and freezes hold what goes forward, and nothing that goes back. Scenario K14."""

from __future__ import annotations

from typing import Any

import anyio
from stories import NEW, Story, a_policy, tell

OLD_LIVE = {"v1": 100}
THREE_STEPS = a_policy("reviews", steps="10 20s, 30 20s, 60 20s, 100")


def a_freeze(name: str, begins: str, ends: str) -> dict[str, Any]:
    return {
        "apiVersion": "gitmesh.dev/v1alpha1",
        "kind": "FreezeWindow",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"from": begins, "to": ends, "who": "operations", "why": "the sale"},
    }


def windowed() -> dict[str, Any]:
    """A policy whose window closes a minute after a story begins, and opens a day later."""
    window = {"cron": "0 9 * * *", "duration": "3h1m", "timezone": "UTC"}
    return {**THREE_STEPS, "spec": {**THREE_STEPS["spec"], "windows": [window]}}


def test_k14_a_closed_window_holds_the_next_step_and_no_rollback():
    async def plot(story: Story) -> None:
        await anyio.sleep(30)
        story.push(NEW)
        await story.at(10)
        await anyio.sleep(60)
        assert story.canary == [0, 10], "its hold is over, and the window is closed"
        story.fail()
        assert await story.live(OLD_LIVE) <= 4

    tell(plot, windowed())


def test_k14_a_freeze_holds_the_next_step_and_no_rollback():
    freeze = a_freeze("sale", "2026-03-02T12:00:00Z", "2026-03-02T12:02:00Z")

    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(10)
        story.push(NEW, freeze)
        await anyio.sleep(60)
        assert story.canary == [0, 10], "its hold is over, and nothing may go forward"
        assert "the sale" in story.record.message
        await story.at(30, seconds=60)
        assert story.world.clock.monotonic() >= 120
        story.push(NEW, a_freeze("sale", "2026-03-02T12:00:00Z", "2026-03-02T13:00:00Z"))
        await anyio.sleep(12)
        story.fail()
        assert await story.live(OLD_LIVE) <= 4

    tell(plot, THREE_STEPS)
