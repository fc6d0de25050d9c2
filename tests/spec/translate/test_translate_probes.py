"""Each route configuration has a probe, and no two probes have one address."""

from __future__ import annotations

from fakes.mesh_objects import pod, resource_set, service, virtual_service

from gitmesh.playground.translate import translate
from gitmesh.playground.translate.doors import Doors


def test_no_two_probes_have_the_same_address():
    rules = [{"match": [{"sourceLabels": {"version": f"v{n}"}}], "route": []} for n in range(20)]
    pods = [pod("reviews", f"v{n}", f"127.0.9.{n + 1}") for n in range(20)]
    found = translate(resource_set([service("reviews"), virtual_service("reviews", *rules), *pods]))
    probes = {
        name: m["address"]["socket_address"] for name, m in found.listeners.items() if name[:6] == "probe|"
    }
    assert len(probes) == len(found.routes) > 20
    addresses = {(place["address"], place["port_value"]) for place in probes.values()}
    # Any free port counts as one port: a new listener would take the socket of one that goes.
    assert len(addresses) == len(probes)
    assert (Doors().probe.host, Doors().probe.port) in addresses, (
        "that of the built-in client is where it was"
    )
