"""A real Prometheus scrapes the running daemon, loads the alert rules, and answers the dashboard."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from fakes.envoy_messages import free_port
from fakes.kubectl import TOOLS
from fakes.real_loop import RULES, Play, World, policy, routes, running_daemon, until

from gitmesh.model.rollout import Phase

pytestmark = [pytest.mark.anyio, pytest.mark.real]
MONITORING = Path(__file__).parents[2] / "manifests" / "monitoring"
ALL = {"$__rate_interval": "1m", "$source": ".*"}  # what Grafana fills in
# Asked on a daemon that has done nothing of the kind: no series is the right answer.
MAY_BE_EMPTY = {"Fetches and broken watches", "Notifications", "Rollbacks"}


@contextmanager
def prometheus(directory: Path, scraped: int, port: int) -> Iterator[str]:
    binary = TOOLS / "bin" / "prometheus"
    assert binary.exists(), "prometheus is missing: run `make tools`"
    directory.mkdir()
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
        "rule_files": [str(MONITORING / "alerts.yaml")],
        "scrape_configs": [
            {"job_name": "gitmesh", "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}]}
        ],
    }
    (directory / "prometheus.yml").write_text(json.dumps(config))
    command = [
        str(binary),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def asked(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.loads(answer.read())["data"]
    except OSError:
        return None


def filled_in(query: str) -> str:
    for name, value in ALL.items():
        query = query.replace(name, value)
    return query


async def api(prometheus: str, path: str, **query: str) -> Any:
    url = f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    return await anyio.to_thread.run_sync(lambda: asked(url))


def queries() -> Iterator[tuple[str, str]]:
    dashboard = json.loads((MONITORING / "gitmesh.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    yield from ((a["name"], a["expr"]) for a in dashboard["annotations"]["list"] if "expr" in a)


async def test_prometheus_answers_every_query_and_the_right_alerts_fire(
    play: Play, world: World, tmp_path: Path
):
    ports = free_port(), free_port()
    options = (f"--listen=127.0.0.1:{ports[0]}",)
    with running_daemon(play, tmp_path / "daemon", *options), prometheus(tmp_path / "prom", *ports) as server:
        ramp = policy((10, "1s"), (100, "0s"))
        await world.publish({"rules.yaml": RULES, "routes.yaml": routes(100, 0), "policy.yaml": ramp})
        await world.follow()
        await world.wait_ready("True")
        await world.publish({"routes.yaml": routes(0, 100)})
        await world.wait_phase(Phase.SUCCEEDED)
        await world.publish({"broken.yaml": "kind: ["})
        await world.wait_ready("False", "ValidationFailed")

        async def waits_for_a_person() -> bool:
            found = await api(server, "alerts")
            return bool(found) and "GitMeshSourceStalled" in {
                a["labels"]["alertname"] for a in found["alerts"]
            }

        await until("the alert that somebody is needed", waits_for_a_person)
        rules = await api(server, "rules")
        health = {rule["name"]: rule["health"] for group in rules["groups"] for rule in group["rules"]}
        assert len(health) > 10
        assert set(health.values()) == {"ok"}

        empty: set[str] = set()

        async def all_answered() -> bool:
            empty.clear()
            for title, expr in queries():
                answer = await api(server, "query", query=filled_in(expr))
                assert answer is not None, f"{title}: {expr}"
                if not answer["result"]:
                    empty.add(title)
            return empty <= MAY_BE_EMPTY

        try:
            await until("an answer to each query", all_answered)
        except AssertionError:
            raise AssertionError(f"no series for {empty - MAY_BE_EMPTY}") from None
