"""Each `*.in.yaml` here is translated to what its `*.out.yaml` says; a real Envoy reads every one of them.

`pytest --update-golden` writes the results anew. What stands in every route or cluster is folded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.mesh_objects import objects

from gitmesh.playground.envoy.binary import find_envoy
from gitmesh.playground.envoy.files import Files
from gitmesh.playground.envoy.precheck import Precheck
from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.translate import Translation, translate
from gitmesh.playground.translate.actions import default_retry_policy

CASES = sorted(Path(__file__).parent.glob("*.in.yaml"))
UNLIMITED = 4_294_967_295


def translated(case: Path) -> Translation:
    return translate(objects(case.read_text()))


def folded(value: Any) -> Any:
    """Shorten what every route or cluster has."""
    if isinstance(value, list):
        return [folded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value == default_retry_policy():
        return "default"
    fresh = {name: folded(child) for name, child in value.items() if name != "@type"}
    if fresh.get("timeout") == "0s":
        del fresh["timeout"]
        fresh["no_timeout"] = True
    if "gitmesh" in fresh.get("filter_metadata", {}):
        about = fresh["filter_metadata"]["gitmesh"]
        assert fresh["filter_metadata"]["istio"]["config"].endswith(
            f"/virtual-service/{about['source'].split('/')[1]}"
        )
        return f"{about['kind']} {about['source']} {about['rule']}"
    if "load_assignment" in fresh:
        assert fresh["load_assignment"]["cluster_name"] == fresh["name"]
        [locality] = fresh.pop("load_assignment")["endpoints"]
        fresh["endpoints"] = [endpoint(item) for item in locality["lb_endpoints"]]
    if "track_remaining" in fresh:
        return {
            name: limit for name, limit in fresh.items() if limit != UNLIMITED and name != "track_remaining"
        }
    for constant in ("alt_stat_name", "validate_clusters", "ignore_port_in_host_matching"):
        fresh.pop(constant, None)
    return fresh


def endpoint(item: dict[str, Any]) -> str:
    address, about = (
        item["endpoint"]["address"]["socket_address"],
        item["metadata"]["filter_metadata"]["istio"],
    )
    return f"{address['address']}:{address['port_value']} {about['workload']} {about['version']}"


def rendered(translation: Translation) -> str:
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    routes = {name: folded(config["virtual_hosts"]) for name, config in translation.routes.items()}
    content = {"routes": routes, "clusters": [folded(cluster) for cluster in translation.clusters.values()]}
    served = yaml.dump(content, Dumper=Plain, sort_keys=False, width=110, default_flow_style=None)
    reports = yaml.dump([str(item) for item in translation.untranslated], width=1000)
    return f"# Untranslated:\n{reports}---\n{served}"


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
        translation = translated(case)
        await precheck.check_fully(Snapshot(translation.clusters, translation.routes))
