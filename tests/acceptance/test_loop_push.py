"""Promises about a push: it reaches the traffic by watchdog, by `gitmesh sync`, and by polling."""

import anyio
import pytest
from fakes.git_http import git_over_http
from fakes.real_loop import RULES, World, routes, until

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.usefixtures("daemon")]

FILES = {"rules.yaml": RULES, "routes.yaml": routes(100, 0)}


async def answered_by(load, version: str) -> bool:
    return version in load.record.first_response_at


async def test_a_push_to_a_repository_on_this_machine_moves_traffic_without_being_asked(world: World):
    """Nobody polls for an hour, nobody calls sync: the repository's own change wakes the daemon."""
    revision = await world.publish(FILES)
    await world.follow()
    await world.wait_applied(revision)
    async with world.load() as load:
        await until("traffic on v1", lambda: answered_by(load, "v1"))
        revision = await world.publish({"routes.yaml": routes(0, 100)})
        await until("traffic on v2", lambda: answered_by(load, "v2"), 10)
        await world.wait_applied(revision)
        load.record.forget_marks()
        await until("more traffic on v2", lambda: answered_by(load, "v2"))
        assert load.record.failed == 0
        assert await world.weights() == (0, 100)


async def test_sync_fetches_a_remote_repository_now_and_says_what_is_live(world: World):
    revision = await world.publish(FILES)
    with git_over_http(world.repository.origin.parent) as server:
        await world.follow(f"{server.url}/origin.git")
        await world.wait_applied(revision)
        asked = len(server.requests)
        pushed = await world.publish({"routes.yaml": routes(30, 70)})
        with anyio.move_on_after(0.5):
            await world.wait_weights(30, 70)
        assert (await world.weights(), len(server.requests)) == ((100, 0), asked), "nobody has asked yet"

        ran = await world.gitmesh("sync", world.name)
        assert (ran.status, ran.all) == (0, f"default/{world.name}: applied {pushed}\n")
        assert await world.weights() == (30, 70), "sync ends when it is live"


async def test_a_remote_repository_is_polled_at_its_interval(world: World):
    await world.publish(FILES)
    with git_over_http(world.repository.origin.parent) as server:
        await world.follow(f"{server.url}/origin.git", interval="1s")
        await world.wait_weights(100, 0)
        await world.publish({"routes.yaml": routes(20, 80)})
        await world.wait_weights(20, 80)


async def test_a_branch_and_a_directory_can_be_chosen(world: World):
    """Only what is below the path, on the branch, counts."""
    await world.publish({"elsewhere/broken.yaml": "a: [", "README.md": "here"})
    world.repository.git("switch", "--quiet", "--create", "live")
    world.repository.branch = "live"
    mine = {f"mesh/prod/{name}": text for name, text in FILES.items()}
    revision = await world.publish(mine)
    await world.follow(branch="live", path="mesh/prod")
    await world.wait_applied(revision)
    assert await world.weights() == (100, 0)
