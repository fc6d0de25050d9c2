"""Routes in binary form are to Envoy what they are in JSON: it shows both alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes.mesh_objects import objects

from gitmesh.playground.envoy.dataplane import Addresses, DataPlane
from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.envoy.sources import standing_alone
from gitmesh.playground.translate import translate
from gitmesh.playground.translate.doors import Address
from gitmesh.playground.translate.listeners import probe_listener
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.translation import route_configuration

pytestmark = [pytest.mark.anyio, pytest.mark.real]

CASES = sorted((Path(__file__).parents[1] / "golden" / "translate").glob("*.in.yaml"))
ANY = Address("127.0.0.1", 0)

# What translation can say, and no golden says.
RARE: list[Envoy] = [
    {
        "match": {"safe_regex": {"regex": ".*"}, "headers": [{"name": "a", "present_match": True}]},
        "route": {
            "weighted_clusters": {
                "header_name": "x-pick",
                "clusters": [
                    {"name": "a", "weight": 0, "request_headers_to_remove": ["b"]},
                    {"name": "b", "weight": 4294967295, "response_headers_to_remove": ["c"]},
                ],
            },
            "hash_policy": [
                {"cookie": {"name": "c", "ttl": "0s", "attributes": [{"name": "Secure", "value": ""}]}}
            ],
            "timeout": "0.000001s",
        },
    },
    {"match": {"path": "/é"}, "direct_response": {"status": 200, "body": {"inline_bytes": "AP8="}}},
]


def every_virtual_host() -> list[Envoy]:
    """Return the virtual hosts of all goldens, with names and domains that can stand side by side."""
    found = [
        host
        for case in CASES
        for config in translate(objects(case.read_text())).routes.values()
        for host in config["virtual_hosts"]
    ]
    found.append({"name": "", "domains": [], "routes": RARE})
    return [
        {**host, "name": f"{host['name']} {number}", "domains": [f"{number}.example"]}
        for number, host in enumerate(found)
    ]


async def test_envoy_shows_routes_in_binary_form_as_those_in_json(tmp_path: Path):
    config = route_configuration("all", every_virtual_host(), ignore_port=False)
    config["response_headers_to_add"] = [{"header": {"key": "a", "value": "%ROUTE_NAME%"}}]
    by_file = probe_listener(ANY, "all")
    by_json = standing_alone({**by_file, "name": "json"})
    manager = by_json["filter_chains"][0]["filters"][0]["typed_config"]
    manager["route_config"] = {name: value for name, value in config.items() if name != "@type"}
    listeners = {"all": by_file, "json": {"@type": by_file["@type"], **by_json}}
    async with DataPlane(tmp_path / "envoy", Addresses(outbound=ANY)) as plane:
        await plane.apply(Snapshot(routes={"all": config}, listeners=listeners))
        shown = await plane.admin.json("config_dump")
    [routes] = [part for part in shown["configs"] if part["@type"].endswith(".RoutesConfigDump")]
    [from_file], [from_json] = routes["dynamic_route_configs"], routes["static_route_configs"]
    hosts = from_file["route_config"]["virtual_hosts"]
    assert len(hosts) == len(config["virtual_hosts"]) > 100
    assert without_type(from_file["route_config"]) == without_type(from_json["route_config"])


def without_type(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "@type"}
