"""The alert rules and the dashboard against the metrics that the daemon has, as Prometheus reads them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.kubectl import TOOLS
from fakes.manifests import ROOT, built, documents
from test_install_manifests import the

from gitmesh.engine.meters import Meters

FOLDER = ROOT / "manifests" / "monitoring"
DASHBOARD = json.loads((FOLDER / "gitmesh.json").read_text())
RULES = documents(FOLDER / "alerts.yaml")[0]["groups"]
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
# Shown by others, or too fine for a dashboard.
ASIDE = {
    "gitmesh_webhooks",
    "gitmesh_config_reloads",
    "gitmesh_rollouts_unlisted",
    "gitmesh_rollout_phase",
    "gitmesh_source_objects",
    "gitmesh_skipped_objects",
}
SELECTOR = r"\{[^}]*\}"


def promtool(*arguments: str) -> str:
    path = TOOLS / "bin" / "promtool"
    assert path.exists(), "promtool is missing: run `make tools`"
    done = subprocess.run([str(path), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def known() -> dict[str, set[str]]:
    """Every name that a query may use, with its labels."""
    found: dict[str, set[str]] = {}
    for meter in vars(Meters()).values():
        for family in meter.collect() if hasattr(meter, "_labelnames") else ():
            labels = set(meter._labelnames)
            suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(
                family.type, [""]
            )
            for suffix in suffixes:
                found[family.name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """Every query with where it stands; what Grafana fills in is filled in."""
    for group in RULES:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    asked = [(p["title"], t["expr"]) for p in panels() for t in p["targets"]]
    asked += [(a["name"], a["expr"]) for a in DASHBOARD["annotations"]["list"] if "expr" in a]
    for title, text in asked:
        yield title, text.replace("$__rate_interval", "5m").replace("$source", ".*")


def test_every_query_names_only_metrics_and_labels_that_there_are():
    names = known()
    for where, text in expressions():
        for name, selector in re.findall(rf"\b(gitmesh_\w+)({SELECTOR})?", text):
            assert name in names, f"{where}: {name}"
            used = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selector))
            assert used <= names[name], f"{where}: {name} has no {used - names[name]}"


def test_every_metric_that_tells_how_things_stand_is_on_the_dashboard():
    shown = " ".join(text for _, text in expressions())
    families = {f.name for m in vars(Meters()).values() if hasattr(m, "_labelnames") for f in m.collect()}
    missing = {name for name in families if name not in shown}
    assert missing <= ASIDE


def test_the_dashboard_is_whole():
    assert DASHBOARD["schemaVersion"] >= 36
    assert DASHBOARD["uid"] == "gitmesh"
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) - {"__rate_interval", "__all"} == variables
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        assert panel["type"] in ("stat", "timeseries", "table")
        assert panel["datasource"]["uid"] == "${datasource}"
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0


def test_no_panel_covers_another():
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_every_alert_says_what_it_is_and_what_to_do():
    names = [rule["alert"] for group in RULES for rule in group["rules"]]
    assert len(set(names)) == len(names)
    for group in RULES:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("critical", "warning", "info")
            assert set(rule["annotations"]) == {"summary", "description"}


def test_the_operator_gets_the_same_rules():
    (rule,) = documents(FOLDER / "prometheus-rule.yaml")
    assert rule["spec"] == {"groups": RULES}


def test_the_service_monitor_finds_the_service():
    (monitor,) = documents(FOLDER / "service-monitor.yaml")
    service = the("Service")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["metadata"]["namespace"] == service["metadata"]["namespace"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]


@pytest.mark.real
def test_kubectl_builds_the_monitoring():
    found = {d["kind"]: d for d in built("monitoring")}
    assert set(found) == {"ConfigMap", "PrometheusRule", "ServiceMonitor"}
    assert json.loads(found["ConfigMap"]["data"]["gitmesh.json"]) == DASHBOARD
    assert found["ConfigMap"]["metadata"]["labels"]["grafana_dashboard"] == "1"


@pytest.mark.real
def test_prometheus_takes_the_rules(tmp_path: Path):
    said = promtool("check", "rules", str(FOLDER / "alerts.yaml"))
    assert f"{sum(len(group['rules']) for group in RULES)} rules found" in said


@pytest.mark.real
def test_prometheus_reads_every_query_of_the_dashboard(tmp_path: Path):
    texts = [text for _, text in expressions()]
    rules = [{"record": f"q:{index}", "expr": text} for index, text in enumerate(texts)]
    file = tmp_path / "queries.yaml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"{len(texts)} rules found" in promtool("check", "rules", str(file))


SOURCE = '{source="default/mesh"}'
LIST = '{verb="list",outcome="%s"}'
WELL = {
    "gitmesh_leader": "1x120",
    f"gitmesh_source_stalled{SOURCE}": "0x120",
    f"gitmesh_source_suspended{SOURCE}": "0x120",
    f"gitmesh_source_behind_since_timestamp_seconds{SOURCE}": "0x120",
    f"gitmesh_source_last_fetch_timestamp_seconds{SOURCE}": "0+60x120",
    "gitmesh_rollbacks_total": "0x120",
    'gitmesh_checks_total{verdict="blind"}': "0x120",
    "gitmesh_held_plans": "0x120",
    "gitmesh_fights": "0x120",
    'gitmesh_passes_total{outcome="incomplete"}': "0x120",
    f"gitmesh_api_requests_total{LIST % 'success'}": "0+10x120",
    f"gitmesh_api_requests_total{LIST % 'failure'}": "0x120",
    'gitmesh_watch_restarts_total{kind="Service"}': "0x120",
    "gitmesh_config_valid": "1x120",
    'gitmesh_notifications_total{target="chat",outcome="dropped"}': "0x120",
}
# What goes wrong, by the alert that is to fire; each value is for one minute.
ILL = {
    "GitMeshNotWorking": {"gitmesh_leader": "0x120"},
    "GitMeshSeveralLeaders": {'gitmesh_leader{pod="b"}': "1x120"},
    "GitMeshSourceStalled": {f"gitmesh_source_stalled{SOURCE}": "1x120"},
    "GitMeshSourceBehind": {f"gitmesh_source_behind_since_timestamp_seconds{SOURCE}": "60x600"},
    "GitMeshFetchStale": {f"gitmesh_source_last_fetch_timestamp_seconds{SOURCE}": "60x120"},
    "GitMeshRolledBack": {"gitmesh_rollbacks_total": "0x55 1x64"},
    "GitMeshRolloutBlind": {'gitmesh_checks_total{verdict="blind"}': "0+1x120"},
    "GitMeshPlanHeld": {"gitmesh_held_plans": "1x120"},
    "GitMeshFight": {"gitmesh_fights": "2x120"},
    "GitMeshPassesIncomplete": {'gitmesh_passes_total{outcome="incomplete"}': "0+1x120"},
    "GitMeshApiErrors": {f"gitmesh_api_requests_total{LIST % 'failure'}": "0+5x120"},
    "GitMeshWatchesBreak": {'gitmesh_watch_restarts_total{kind="Service"}': "0+1x120"},
    "GitMeshConfigRefused": {"gitmesh_config_valid": "0x120"},
    "GitMeshNotificationsLost": {
        'gitmesh_notifications_total{target="chat",outcome="dropped"}': "0+1x120",
    },
}


@pytest.mark.real
def test_each_alert_fires_when_it_should_and_no_other_does(tmp_path: Path):
    """Prometheus evaluates the rules over series that tell a story each."""
    named = {rule["alert"] for group in RULES for rule in group["rules"]}
    assert named == set(ILL)
    # The clock of a story begins at 0, so that what began 6 hours ago needs a story of 8 hours.
    long = {"gitmesh_leader": "1x600", f"gitmesh_source_last_fetch_timestamp_seconds{SOURCE}": "0+60x600"}
    behind = {f"gitmesh_source_behind_since_timestamp_seconds{SOURCE}": "60x600"}
    stories = [_story(WELL, "", named)]
    for alert, wrong in ILL.items():
        if alert != "GitMeshSourceBehind":
            stories.append(_story({**WELL, **wrong}, alert, named))
    stories.append(_story({**long, **behind}, "GitMeshSourceBehind", named, "8h"))
    file, rules = tmp_path / "stories.yaml", str(FOLDER / "alerts.yaml")
    file.write_text(json.dumps({"rule_files": [rules], "evaluation_interval": "1m", "tests": stories}))
    assert "SUCCESS" in promtool("test", "rules", str(file))


def _story(series: dict[str, str], fires: str, named: set[str], at: str = "1h") -> dict[str, Any]:
    """Series of one value a minute, of which one alert follows, and no other."""
    quiet = [{"eval_time": at, "alertname": name, "exp_alerts": []} for name in sorted(named - {fires})]
    loud = f'count(count by (alertname) (ALERTS{{alertname="{fires}",alertstate="firing"}}))'
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": quiet,
        "promql_expr_test": [
            {"expr": loud, "eval_time": at, "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}
        ],
    }
