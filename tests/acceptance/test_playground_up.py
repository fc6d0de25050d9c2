"""Promises about the whole playground: API server, Envoy and pods as real processes."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
import pytest

from gitmesh.engine.clock import SystemClock
from gitmesh.kube.errors import ClusterError
from gitmesh.model.kinds import GATEWAY, POD, VIRTUAL_SERVICE
from gitmesh.playground.load import LoadGenerator
from gitmesh.playground.supervisor import Ports, playground

pytestmark = [pytest.mark.anyio, pytest.mark.real]

FREE = Ports(0, 0, 0, 0)
REVIEWS = {"Host": "reviews:9080"}


@asynccontextmanager
async def a_playground(directory, ports=FREE, **options):
    async with playground(directory, ports, **options) as running, aiohttp.ClientSession() as http:
        yield running, http


async def ask(http, address, host="reviews:9080", path="/reviews"):
    async with http.get(address.url + path, headers={"Host": host}) as response:
        return response.status, dict(response.headers)


async def until(condition, seconds=15):
    with anyio.fail_after(seconds):
        while True:
            try:
                if await condition():
                    return
            except (ClusterError, aiohttp.ClientError):
                pass
            await anyio.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_services_pods_gateway_and_knobs_work(tmp_path):
    async with a_playground(tmp_path) as (play, http):
        statuses = [await ask(http, play.mesh_address) for _ in range(20)]
        assert {status for status, _ in statuses} == {200}
        assert {headers["x-service-version"] for _, headers in statuses} == {"v1", "v2"}
        assert (await ask(http, play.mesh_address, "ratings"))[0] == 200

        await publish_at_gateway(play)
        await until(lambda: is_status(http, play.gateway_address, 200, host="bookinfo.example.com"))

        state = json.loads((tmp_path / "playground.json").read_text())
        assert state["mesh"] == play.mesh_address.url
        places = {"kubeconfig", "api", "gateway", "mesh", "metrics", "probe", "pid", "proxies", "gateways"}
        assert set(state) == places
        assert state["proxies"]["client"] == play.mesh_address.url
        assert state["proxies"].keys() > {"reviews-v1.default", "ratings-v1.default"}
        [ingress] = (urls for name, urls in state["gateways"].items() if "ingress" in name)
        assert ingress["80"] == play.gateway_address.url
        assert stat.S_IMODE((tmp_path / "kubeconfig").stat().st_mode) == 0o600
        async with http.get(state["metrics"]) as response:
            assert "istio_requests_total" in await response.text()

        await check_knobs(play, http)
        await check_pods_come_and_go(play)
        pids = play.processes()
    assert not [name for name, pid in pids.items() if is_alive(pid)]
    assert not (tmp_path / "playground.json").exists()


async def is_status(http, address, status, **request):
    return (await ask(http, address, **request))[0] == status


async def publish_at_gateway(play):
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["bookinfo.example.com"]}
    gateway = {"selector": {"istio": "ingressgateway"}, "servers": [server]}
    route = {"route": [{"destination": {"host": "reviews", "port": {"number": 9080}}}]}
    virtual_service = {"hosts": ["bookinfo.example.com"], "gateways": ["bookinfo"], "http": [route]}
    for kind, spec in ((GATEWAY, gateway), (VIRTUAL_SERVICE, virtual_service)):
        metadata = {"name": "bookinfo", "namespace": "default"}
        await play.client.apply(
            kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
        )


async def check_knobs(play, http):
    """An annotation makes v2 fail, evenly, within a moment; the pod tells what it served."""
    annotation = {"playground.gitmesh.dev/error-percent": "50"}
    await play.client.merge_patch(POD, "default", "reviews-v2", {"metadata": {"annotations": annotation}})

    async def turned():
        return (await play.kubelet.report("reviews-v2"))["error_percent"] == 50

    await until(turned, seconds=2)
    before = time.monotonic()
    answers = [await ask(http, play.mesh_address) for _ in range(40)]
    of_v2 = [status for status, headers in answers if headers["x-service-version"] == "v2"]
    assert abs(of_v2.count(500) - len(of_v2) / 2) <= 1
    assert {status for status, headers in answers if headers["x-service-version"] == "v1"} == {200}
    report = await play.kubelet.report("reviews-v2")
    assert before < report["last_request_monotonic"] <= time.monotonic()


async def check_pods_come_and_go(play):
    await play.client.delete(POD, "default", "ratings-v1")
    await until(lambda: has_process(play, "pod/default/ratings-v1", wanted=False), seconds=5)
    metadata = {"name": "reviews-v3", "namespace": "default", "labels": {"app": "reviews", "version": "v3"}}
    container = {"name": "reviews", "image": "x", "ports": [{"containerPort": 9080}]}
    await play.client.create(POD, {"metadata": metadata, "spec": {"containers": [container]}})
    load = LoadGenerator(play.mesh_address, clock=SystemClock(), rate=200)
    async with anyio.create_task_group() as group:
        group.start_soon(load.run)
        await until(lambda: has_answered(load, "v3"), seconds=10)
        group.cancel_scope.cancel()
    assert set(load.record.first_response_at) == {"v1", "v2", "v3"}
    assert set(load.record.statuses) <= {200, 500}


async def has_answered(load, version):
    return version in load.record.first_response_at


async def has_process(play, name, *, wanted):
    return (name in play.processes()) is wanted


async def test_what_is_killed_comes_back_where_it_was_with_what_it_had(tmp_path):
    async with a_playground(tmp_path) as (play, http):
        await play.client.merge_patch(POD, "default", "reviews-v1", {"metadata": {"labels": {"kept": "yes"}}})
        before, state = play.processes(), play.as_json()
        assert set(before) == {
            "apiserver",
            "envoy",
            *(f"pod/default/{name}" for name in ("productpage-v1", "ratings-v1", "reviews-v1", "reviews-v2")),
        }
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)

        async def all_back():
            now = play.processes()
            return set(now) == set(before) and not set(now.values()) & set(before.values())

        await until(all_back)
        await until(lambda: is_labelled(play, "reviews-v1", "kept"))
        await play.kubelet.wait_ready(10)

        async def served_by_both():
            answers = [await ask(http, play.mesh_address) for _ in range(10)]
            versions = {headers.get("x-service-version") for _, headers in answers}
            return {status for status, _ in answers} == {200} and versions == {"v1", "v2"}

        await until(served_by_both)
        assert play.as_json() == state
        pod = await play.client.get(POD, "default", "reviews-v2")
        assert pod["status"]["containerStatuses"][0]["restartCount"] >= 1


async def is_labelled(play, name, label):
    return label in (await play.client.get(POD, "default", name))["metadata"]["labels"]


async def test_objects_are_there_the_next_time_unless_reset(tmp_path):
    annotations = {"playground.gitmesh.dev/latency-ms": "1"}
    async with a_playground(tmp_path) as (play, _):
        await play.client.merge_patch(
            POD, "default", "reviews-v2", {"metadata": {"annotations": annotations}}
        )
        await play.client.delete(POD, "default", "ratings-v1")
    async with a_playground(tmp_path) as (play, http):
        assert set(play.processes()) >= {"pod/default/reviews-v1", "pod/default/reviews-v2"}
        assert "pod/default/ratings-v1" not in play.processes()
        assert (await play.kubelet.report("reviews-v2"))["latency_ms"] == 1
        assert (await ask(http, play.mesh_address))[0] == 200
    async with a_playground(tmp_path, reset=True) as (play, _):
        assert "pod/default/ratings-v1" in play.processes()
        assert (await play.kubelet.report("reviews-v2"))["latency_ms"] == 0


async def test_an_error_in_the_middle_comes_out_as_it_is(tmp_path):
    with pytest.raises(ValueError, match="mine"):
        await run_and_raise(tmp_path)


async def run_and_raise(directory):
    async with a_playground(directory, memory=True):
        raise ValueError("mine")


def gitmesh_play(directory, *options) -> subprocess.Popen:
    ports = ["--api-port=0", "--gateway-port=0", "--gateway-tls-port=0", "--mesh-port=0"]
    command = [sys.executable, "-m", "gitmesh", "play", "--dir", str(directory), "--memory", *ports, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


def read_until(stream, wanted: str) -> str:
    text = ""
    while wanted not in text:
        line = stream.readline()
        assert line, f"it ended without {wanted!r}:\n{text}"
        text += line
    return text


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -9)]
)
def test_nothing_is_left_behind_however_it_ends(tmp_path, number, status):
    process = gitmesh_play(tmp_path)
    try:
        shown = read_until(process.stdout, "gitmesh status")
        assert f"export KUBECONFIG={tmp_path}/kubeconfig" in shown
        children = children_of(process.pid)
        assert len(children) == 6
        process.send_signal(number)
        process.communicate(timeout=40)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == status
    deadline = time.monotonic() + 5
    while any(map(is_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.02)  # noqa: TID251 (real processes)
    assert not [pid for pid in children if is_alive(pid)]


def test_a_second_one_in_the_directory_and_a_port_in_use_are_refused_with_advice(tmp_path):
    first = gitmesh_play(tmp_path)
    try:
        read_until(first.stdout, "gitmesh status")
        second = gitmesh_play(tmp_path)
        _, said = second.communicate(timeout=40)
        assert second.returncode == 2
        assert f"already runs in {tmp_path} (process {first.pid})" in said
        assert "Traceback" not in said
    finally:
        first.terminate()
        first.communicate(timeout=40)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for option in ("--api-port", "--gateway-port", "--gateway-tls-port", "--mesh-port"):
            third = gitmesh_play(tmp_path / "other", f"{option}={port}")
            _, said = third.communicate(timeout=40)
            assert third.returncode == 2
            assert f"127.0.0.1:{port}: Address already in use" in said
            assert f"choose another port with {option}" in said
            assert "Traceback" not in said


async def test_an_api_server_that_keeps_nothing_comes_back_with_the_sample_workloads(tmp_path):
    async with a_playground(tmp_path, memory=True) as (play, http):
        await play.client.delete(POD, "default", "ratings-v1")
        await until(lambda: has_process(play, "pod/default/ratings-v1", wanted=False))
        os.kill(play.processes()["apiserver"], signal.SIGKILL)
        await until(lambda: has_process(play, "pod/default/ratings-v1", wanted=True))
        await play.kubelet.wait_ready(10)
        await until(lambda: is_status(http, play.mesh_address, 200, host="ratings"))
        await until(lambda: is_status(http, play.mesh_address, 200, host="reviews"))
    assert not list(tmp_path.glob("objects.db*"))
