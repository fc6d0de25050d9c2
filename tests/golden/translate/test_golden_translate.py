"""Each `*.in.yaml` here is translated to what its `*.out.yaml` says; a real Envoy reads every one of them.

`pytest --update-golden` writes the results anew. What stands in every route or cluster is folded.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.certificates import Authority
from fakes.mesh_objects import objects

from gitmesh.playground.envoy.binary import find_envoy
from gitmesh.playground.envoy.files import Files
from gitmesh.playground.envoy.precheck import Precheck
from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.translate import Translation, translate
from gitmesh.playground.translate.actions import default_retry_policy
from gitmesh.playground.translate.passthrough import PASSTHROUGH

CASES = sorted(Path(__file__).parent.glob("*.in.yaml"))
UNLIMITED = 4_294_967_295
ALWAYS = (PASSTHROUGH,)


@functools.cache
def certificates() -> dict[str, str]:
    """Return what a case means by `"$CERTIFICATE"` and the like."""
    authority = Authority()
    pair = authority.issue("shop.example")
    return {"$CERTIFICATE": pair.certificate, "$KEY": pair.key, "$AUTHORITY": authority.pem}


def translated(case: Path) -> Translation:
    text = case.read_text()
    for name, pem in certificates().items():
        text = text.replace(f'"{name}"', json.dumps(pem))
    return translate(objects(text))


def snapshot(translation: Translation) -> Snapshot:
    return Snapshot(translation.clusters, translation.routes, translation.listeners, translation.secrets)


def folded(value: Any) -> Any:
    """Shorten what every route or cluster has."""
    if isinstance(value, list):
        return [folded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value == default_retry_policy():
        return "default"
    if value.get("name") in ("allow_any", "block_all") and len(value.get("routes", ())) in (2, 3):
        ways = {r["route"]["cluster"] for r in value["routes"] if "route" in r} - set(ALWAYS)
        return " by ".join([value["name"], *sorted(ways)])
    if str(value.get("name")).startswith("blackhole:"):
        return f"{value['name']} {value['domains']}"
    if value.get("match") == {"connect_matcher": {}}:
        return f"CONNECT to {value['route']['cluster']}"
    if "http_filters" in value:
        return f"requests by {value['rds']['route_config_name']}"
    fresh = {name: folded(child) for name, child in value.items() if name != "@type"}
    if "socket_address" in fresh:
        return f"{fresh['socket_address']['address']}:{fresh['socket_address']['port_value']}"
    if "filter_chains" in fresh and fresh.pop("enable_reuse_port", None) is None:
        assert fresh.pop("internal_listener") == {}
    if "filters" in fresh:
        fresh["filters"] = [item["typed_config"] for item in fresh["filters"]]
    if fresh.get("timeout") == "0s":
        del fresh["timeout"]
        fresh["no_timeout"] = True
    if "gitmesh" in fresh.get("filter_metadata", {}):
        about = fresh["filter_metadata"]["gitmesh"]
        _, _, _, _, _, namespace, _, name = fresh["filter_metadata"]["istio"]["config"].split("/")
        root = "" if f"{namespace}/{name}" == about["source"] else f" for {namespace}/{name}"
        return f"VirtualService {about['source']} {about['rule']}{root}"
    if "load_assignment" in fresh:
        assert fresh["load_assignment"]["cluster_name"] == fresh["name"]
        places = [placed(item) for item in fresh.pop("load_assignment")["endpoints"]]
        fresh |= places[0] if len(places) == 1 else {"places": places}
    if "track_remaining" in fresh:
        return {
            name: limit for name, limit in fresh.items() if limit != UNLIMITED and name != "track_remaining"
        }
    for constant in ("alt_stat_name", "validate_clusters", "ignore_port_in_host_matching"):
        fresh.pop(constant, None)
    return fresh


def placed(locality: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in locality.items() if name != "lb_endpoints"}
    return {**rest, "endpoints": [endpoint(item) for item in locality["lb_endpoints"]]}


def endpoint(item: dict[str, Any]) -> str:
    address, about = item["endpoint"]["address"], item["metadata"]["filter_metadata"]["istio"]
    weight = f" x{item['load_balancing_weight']}" if "load_balancing_weight" in item else ""
    return f"{address} {about['workload']} {about['version']}{weight}"


def rendered(translation: Translation) -> str:
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    routes = {name: folded(config["virtual_hosts"]) for name, config in translation.routes.items()}
    clusters = {name: c for name, c in translation.clusters.items() if name not in ALWAYS}
    leading_inside = [name for name in clusters if name.startswith("tunnel|")]
    listeners = [folded(item) for item in translation.listeners.values() if not is_constant(item)]
    content = {
        "listeners": listeners,
        "routes": routes,
        "clusters": [folded(cluster) for name, cluster in clusters.items() if name not in leading_inside],
    }
    if translation.secrets:
        content["secrets"] = sorted(translation.secrets)
    served = yaml.dump(content, Dumper=Plain, sort_keys=False, width=110, default_flow_style=None)
    reports = yaml.dump([str(item) for item in translation.untranslated], width=1000)
    return f"# Untranslated:\n{reports}---\n{served}"


def is_constant(listener: dict[str, Any]) -> bool:
    """Say whether a listener only follows from a route configuration."""
    name = listener["name"]
    return name.startswith("probe|") or (name.startswith("tunnel|") and name.count("|") == 1)


def test_there_are_cases():
    assert len(CASES) >= 8


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.removesuffix(".in.yaml"))
def test_translation(case: Path, request: pytest.FixtureRequest):
    expected = case.with_name(case.name.replace(".in.", ".out."))
    found = rendered(translated(case))
    if request.config.getoption("--update-golden", default=False):
        expected.write_text(found)
    assert found == expected.read_text()


@pytest.mark.real
@pytest.mark.anyio
async def test_envoy_reads_every_translation(tmp_path: Path):
    precheck = Precheck(find_envoy(), Files(tmp_path))
    for case in CASES:
        await precheck.check_fully(snapshot(translated(case)))
