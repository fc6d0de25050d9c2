"""A real daemon goes by a changed configuration without a restart, also by a swapped ConfigMap."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from fakes.apiserver import ApiServer, an_api_server
from fakes.real_loop import clean_environment, end, gitmesh, gitmesh_command, until, wait_until

from gitmesh.kube.connect import connect
from gitmesh.model.kinds import EVENT

pytestmark = [pytest.mark.anyio, pytest.mark.real]


class Mounted:
    """A ConfigMap as the kubelet mounts it: the file is a link by way of `..data`, which is swapped."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory, self.count = directory, 0
        self.file = directory / "config.yaml"

    def publish(self, text: str) -> None:
        self.count += 1
        version = self.directory / f"..2026_{self.count}"
        version.mkdir()
        (version / "config.yaml").write_text(text)
        (self.directory / "..data_tmp").symlink_to(version.name)
        os.rename(self.directory / "..data_tmp", self.directory / "..data")
        if not self.file.is_symlink():
            self.file.symlink_to("..data/config.yaml")


class Daemon:
    def __init__(self, server: ApiServer, config: Path, directory: Path) -> None:
        self.log_file, self.port = directory / "log", free_port()
        environ = {**clean_environment(), "POD_NAME": "gitmesh-0", "POD_NAMESPACE": "default"}
        with self.log_file.open("w") as log:
            self.process = subprocess.Popen(
                gitmesh_command(
                    *("run", "--kubeconfig", str(server.kubeconfig), "--config", str(config)),
                    *("--data-dir", str(directory / "data"), "--log-format=json"),
                    *("--listen", f"127.0.0.1:{self.port}"),
                ),
                stdout=log,
                stderr=log,
                env=environ,
            )

    def lines(self, message: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.log_file.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if line["message"] == message]

    def wait_line(self, message: str, count: int = 1) -> dict[str, Any]:
        def seen() -> list[dict[str, Any]]:
            assert self.process.poll() is None, self.log_file.read_text()
            found = self.lines(message)
            return found if len(found) >= count else []

        return wait_until(message, seen)[-1]

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), 0.0)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def a_daemon(server: ApiServer, config: Path, directory: Path) -> Iterator[Daemon]:
    daemon = Daemon(server, config, directory)
    try:
        daemon.wait_line("daemon started")
        yield daemon
    finally:
        end(daemon.process)
    assert "Traceback" not in daemon.log_file.read_text()


async def test_a_swapped_configmap_takes_effect_and_a_wrong_one_changes_nothing(tmp_path: Path):
    mounted = Mounted(tmp_path / "etc")
    mounted.publish("settle: 1s\n")
    with an_api_server(tmp_path / "api") as server, a_daemon(server, mounted.file, tmp_path) as daemon:
        pid = daemon.process.pid
        mounted.publish("settle: 3s\nlog: {level: debug}\nmetrics: {timeout: 2s}\n")
        line = await anyio.to_thread.run_sync(daemon.wait_line, "configuration reloaded")
        assert line["changed"] == ["settle", "metrics.timeout", "log.level"]

        mounted.publish("settle: 4s\nlisen: here\n")
        line = await anyio.to_thread.run_sync(
            daemon.wait_line, "configuration refused: the one before stays in force"
        )
        problem = f"{mounted.file}:2:1: lisen: no such setting; did you mean listenHost?"
        assert line["problems"][0].startswith(problem.partition(";")[0])
        assert daemon.metric("gitmesh_config_valid") == 0
        assert daemon.metric('gitmesh_config_reloads_total{outcome="refused"}') == 1

        mounted.publish("settle: 4s\nlistenPort: 1\nleaderElection: true\nlease: {name: other}\n")
        line = await anyio.to_thread.run_sync(daemon.wait_line, "configuration reloaded", 2)
        assert line["changed"] == ["settle", "metrics.timeout", "log.level"], (
            "what the file leaves out is a default"
        )
        line = await anyio.to_thread.run_sync(daemon.wait_line, "a restart is needed")
        assert line["settings"] == ["leaderElection", "lease.name"], "an option still goes before the file"
        assert daemon.metric("gitmesh_config_valid") == 1
        assert daemon.process.pid == pid
        assert daemon.process.poll() is None

        client = await connect(server.kubeconfig, timeout=timedelta(seconds=10), environ={})

        async def told() -> bool:
            reasons = {
                event["reason"]
                for event in (await client.list(EVENT, namespace="default")).items
                if event["involvedObject"]
                == {"apiVersion": "v1", "kind": "Pod"} | {"namespace": "default", "name": "gitmesh-0"}
            }
            return reasons == {"ConfigReloaded", "ConfigRefused", "RestartNeeded"}

        await until("the events of the Pod", told)
        await client.close()


def test_a_daemon_does_not_start_with_a_wrong_file_and_says_all_that_is_wrong(tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_text("settle: 1\ngit: {filesMx: 3}\n")
    ran = gitmesh("run", "--config", str(file))
    assert ran.status == 2
    assert ran.err.splitlines() == [
        f"Error: {file}:1:9: settle: a duration is text such as 30s, 10m or 1h30m",
        f"{file}:2:7: git.filesMx: no such setting; did you mean filesMax?",
    ]
