"""A commit whose RouteTests fail changes nothing live, and everybody is told which test and why."""

from functools import partial

import pytest
from fakes.real_loop import RULES, World, routes, until

from gitmesh.playground.load import LoadGenerator

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.usefixtures("daemon")]

TESTS = """\
apiVersion: gitmesh.dev/v1alpha1
kind: RouteTest
metadata: {name: ours}
spec:
  cases:
    - name: nobody sees v2 yet
      request: GET http://reviews:9080/reviews
      expect: {destination: {host: reviews, subset: v1}, mustNotReach: [{host: reviews, subset: v2}]}
"""
OTHER_WAY = TESTS.replace("v1}", "vX}").replace("v2}", "v1}").replace("vX}", "v2}")
GOOD = {"mesh/rules.yaml": RULES, "mesh/routes.yaml": routes(100, 0), "tests.yaml": TESTS}
SAID = ("tests.yaml:6:7", "GM350", "nobody sees v2 yet", "expected reviews v1 100 %, is reviews v2 100 %")


async def _sent(load: LoadGenerator, count: int) -> bool:
    return load.record.total >= count


async def test_a_commit_whose_route_tests_fail_leaves_live_traffic_alone_and_says_why(world: World):
    good = await world.publish(GOOD)
    await world.follow()
    await world.wait_applied(good)

    async def followed() -> bool:
        async with world.load(rate=100) as load:
            await until("requests", partial(_sent, load, 20))
        return set(load.record.since(0).by_version) == {"v1"}

    await until("Envoy to follow", followed)
    before, applied = await world.versions(), (await world.status()).last_applied_revision
    async with world.load(rate=50) as load:
        bad = await world.publish({"mesh/routes.yaml": routes(0, 100)}, "Release v2")
        ready = await world.wait_ready("False", "ValidationFailed", about=bad)
    tally = load.record.since(0)
    assert load.record.total
    assert (load.record.failed, set(tally.by_version)) == (0, {"v1"})
    assert await world.versions() == before
    assert await world.weights() == (100, 0)
    status = await world.status()
    assert status.last_applied_revision == applied
    assert [(f.code, f.at, f.severity) for f in status.findings] == [("GM350", "tests.yaml:6:7", "error")]
    shown = (await world.gitmesh("status", world.name)).out
    for place, text in (("condition", ready.message), ("status", shown)):
        assert [words for words in SAID if words not in text] == [], f"{place}: {text}"
    assert "at mesh/routes.yaml:7:7" in shown, "and the rule that does it"
    both = {"mesh/routes.yaml": routes(0, 100), "tests.yaml": OTHER_WAY}
    released = await world.publish(both, "Release v2, and say so")
    await world.wait_applied(released)
    assert await world.weights() == (0, 100)
