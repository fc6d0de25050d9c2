"""Promises about what others do in the cluster: drift is healed, leftovers go, foreign objects stay."""

import json
import time

import anyio
import pytest
from fakes.real_loop import RULES, World, policy, routes, until

from gitmesh.kube.errors import NotFoundError
from gitmesh.model.kinds import DESTINATION_RULE, VIRTUAL_SERVICE
from gitmesh.model.source import OWNER_ANNOTATION

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.usefixtures("daemon")]

FILES = {"rules.yaml": RULES, "routes.yaml": routes(100, 0), "policy.yaml": policy((50, "1s"), (100, "0s"))}
HEAL_SECONDS_MAX = 1.0
RATINGS = RULES.replace("reviews", "ratings")


async def live_name(world: World, kind, name: str) -> bool:
    try:
        await world.client.get(kind, "default", name)
    except NotFoundError:
        return False
    return True


async def followed(world: World, files=FILES) -> None:
    revision = await world.publish(files)
    await world.follow()
    await world.wait_applied(revision)


async def check_one_event(world: World, *words: str) -> None:
    async def told() -> list:
        return await world.events(VIRTUAL_SERVICE, "reviews", "DriftHealed")

    events = await until("an event about the drift", told)
    await anyio.sleep(0.5)  # a second event would come now
    events = await told()
    assert [event.get("count", 1) for event in events] == [1], events
    assert not [word for word in words if word not in events[0]["message"]], events[0]["message"]


async def test_a_weight_that_is_patched_by_hand_is_back_within_a_second_with_one_event(world: World):
    await followed(world)
    await world.kubectl(
        "patch", "virtualservice", "reviews", "--type=json",
        "--patch", '[{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 1}]',
    )  # fmt: skip
    began = time.monotonic()
    await world.wait_weights(100, 0)
    assert time.monotonic() - began < HEAL_SECONDS_MAX
    await check_one_event(world, "weight", "changed by kubectl-patch", "applied again as Git says")


async def test_what_somebody_edits_with_kubectl_edit_is_put_right(world: World):
    """Also a field that Git does not have: the routes are ours as a whole."""
    await followed(world)
    editor = "sed -i -e 's/weight: 100/weight: 60/' -e 's/name: all/name: all\\n    timeout: 3s/'"
    said = await world.kubectl("edit", "virtualservice", "reviews", KUBE_EDITOR=editor)
    assert "edited" in said
    began = time.monotonic()

    async def healed() -> bool:
        spec = (await world.client.get(VIRTUAL_SERVICE, "default", "reviews"))["spec"]
        return "timeout" not in spec["http"][0] and spec["http"][0]["route"][0]["weight"] == 100

    await until("the routes to be as in Git", healed)
    assert time.monotonic() - began < HEAL_SECONDS_MAX
    await check_one_event(world, "changed by kubectl-edit")


async def test_what_is_deleted_by_hand_comes_back_and_what_others_add_beside_it_stays(world: World):
    await followed(world)
    await world.kubectl("delete", "destinationrule", "reviews")
    await until("the rule to be back", lambda: live_name(world, DESTINATION_RULE, "reviews"))
    await world.kubectl("label", "virtualservice", "reviews", "team=shop")
    before = (await world.client.get(VIRTUAL_SERVICE, "default", "reviews"))["metadata"]["resourceVersion"]
    assert (await world.gitmesh("sync", world.name)).status == 0
    after = (await world.client.get(VIRTUAL_SERVICE, "default", "reviews"))["metadata"]
    assert after["labels"]["team"] == "shop"
    assert after["resourceVersion"] == before, "a label that is not ours is no drift"


async def test_a_file_deleted_in_git_deletes_its_objects_and_nothing_else(world: World):
    await followed(world, {**FILES, "ratings.yaml": RATINGS})
    await world.kubectl("create", "-f", str(foreign(world)))
    inventory = {
        "DestinationRule/default/ratings",
        "DestinationRule/default/reviews",
        "VirtualService/default/reviews",
    }
    assert {path.partition("/")[2] for path in (await world.status()).inventory} == inventory

    revision = await world.publish({"ratings.yaml": None})
    await world.wait_applied(revision)
    assert not await live_name(world, DESTINATION_RULE, "ratings")
    assert await live_name(world, DESTINATION_RULE, "theirs")
    inventory.discard("DestinationRule/default/ratings")
    assert {path.partition("/")[2] for path in (await world.status()).inventory} == inventory


def foreign(world: World):
    path = world.repository.work.parent / "foreign.yaml"
    path.write_text(
        RULES.replace("{name: reviews}", "{name: theirs}").replace("host: reviews", "host: theirs")
    )
    return path


async def test_what_is_kept_from_pruning_stays(world: World):
    kept = RATINGS.replace("{name: ratings}", "{name: ratings, annotations: {gitmesh.dev/prune: disabled}}")
    await followed(world, {**FILES, "ratings.yaml": kept})
    revision = await world.publish({"ratings.yaml": None})
    await world.wait_ready(about=revision)
    assert await live_name(world, DESTINATION_RULE, "ratings")


async def test_an_object_of_somebody_else_is_reported_and_never_touched(world: World):
    """Not changed, not taken over, not pruned: until the source says `adopt`."""
    theirs = world.repository.work.parent / "theirs.yaml"
    theirs.write_text(RULES)
    await world.kubectl("create", "-f", str(theirs))
    before = await world.versions()
    await world.publish({"rules.yaml": RULES.replace("version: v2", "version: v3")})
    await world.follow()
    ready = await world.wait_ready("False", "PlanRefused")
    assert "DestinationRule default/reviews" in ready.message
    assert "adopt" in ready.message
    sync = await world.gitmesh("sync", world.name)
    assert sync.status == 1
    assert "DestinationRule default/reviews" in sync.out
    assert await world.versions() == before

    await world.follow(adopt=True)
    await world.wait_ready()
    body = await world.client.get(DESTINATION_RULE, "default", "reviews")
    assert body["metadata"]["annotations"][OWNER_ANNOTATION] == world.source_name
    assert body["spec"]["subsets"][1]["labels"] == {"version": "v3"}


async def test_a_suspended_source_heals_nothing_and_moves_nothing(world: World):
    await followed(world)
    await world.follow(suspend=True)
    await world.wait_ready("Unknown", "Suspended")
    patch = json.dumps([{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 1}])
    await world.kubectl("patch", "virtualservice", "reviews", "--type=json", "--patch", patch)
    await world.publish({"routes.yaml": routes(10, 90)})
    await anyio.sleep(0.5)  # a write would come now
    assert await world.weights() == (1, 0)
    await world.follow()
    await world.wait_weights(55, 45)
