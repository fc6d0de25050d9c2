"""Sources of several teams beside one another: none changes what is another's."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.daemon_world import DaemonWorld, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import SERVICE_ENTRY, VIRTUAL_SERVICE


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


OF_SHOP = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {"name": "pay", "namespace": "shop"},
    "spec": {
        "hosts": ["pay.example.com"],
        "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
        "resolution": "DNS",
    },
}


SUPPRESSED = "# gitmesh: ignore GM030 because we want it\n"


def live_in(world: DaemonWorld, namespace: str) -> list[str]:
    kinds = (SERVICE_ENTRY, VIRTUAL_SERVICE)
    return [o["metadata"]["name"] for kind in kinds for o in world.cluster.all(kind, namespace)]


@pytest.mark.parametrize("trusted", [(), ("platform/*",)])
def test_cve_2023_22736_a_source_that_is_confined_changes_nothing_in_other_namespaces(trusted):
    async def whole() -> None:
        world = DaemonWorld(cross_namespace=trusted)
        world.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        repository = world.add_source()
        repository.push(files(a_service("reviews", "v1 100"), a_rule("reviews")))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            bad = files(a_service("reviews", "v1 100"), a_rule("reviews"), OF_SHOP)
            repository.push({name: SUPPRESSED + text for name, text in bad.items()})
            await world.until(lambda: world.ready() == ("False", "ValidationFailed"))
            assert live_in(world, "shop") == []
            assert live_in(world, "default") == ["reviews"]
            assert "GM030" in [
                finding.code for finding in world.status().findings if finding.severity == "error"
            ]
            # It is not taken out of the mirror either.
            assert world.life is not None
            world.life.kill()
            world.spawn(group)
            await world.clock.sleep(60)
            assert world.ready() == ("False", "ValidationFailed")
            assert live_in(world, "shop") == []

        await in_world(world, act)

    run_virtually(whole)


@pytest.mark.parametrize("trusted", [("*",), ("default/*",)])
def test_cve_2023_22736_a_source_that_the_operator_trusts_changes_them(trusted):
    async def whole() -> None:
        world = DaemonWorld(cross_namespace=trusted)
        world.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        repository = world.add_source()
        repository.push(files(a_service("reviews", "v1 100"), a_rule("reviews"), OF_SHOP))

        async def act(group: Any) -> None:
            await world.until(lambda: live_in(world, "shop") == ["pay"])

        await in_world(world, act)

    run_virtually(whole)
