"""The playground's API server as a process: what it survives, what it refuses, and who may speak to it."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.apiserver import ApiServer, an_api_server

pytestmark = pytest.mark.real
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with an_api_server(tmp_path / "server", database=str(tmp_path / "api.db")) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with an_api_server(tmp_path_factory.mktemp("server"), arguments=("--bookmark-seconds", "0.2")) as running:
        yield running


def ask(
    server: ApiServer,
    path: str,
    method: str = "GET",
    body: Any = None,
    *,
    token: str | None = None,
    content_type: str = "application/json",
    **headers: str,
) -> tuple[int, Any]:
    """Return the status and the decoded answer."""
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.address + path, data=raw, method=method, headers=headers)
    request.add_header("Content-Type", content_type)
    if token != "":
        request.add_header("Authorization", f"Bearer {token or server.token}")
    authority = ssl.create_default_context(cadata=certificate_of(server))
    authority.verify_flags |= ssl.VERIFY_X509_STRICT  # what newer Pythons demand by default
    try:
        with urllib.request.urlopen(request, timeout=10, context=authority) as answer:
            return answer.status, _decoded(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, _decoded(error.read())


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


def certificate_of(server: ApiServer) -> str:
    pem = (server.directory / "token.pem").read_text()
    return pem[pem.index("-----BEGIN CERTIFICATE") :]


def a_config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_a_killed_server_comes_back_with_everything_on_the_same_port(server: ApiServer):
    versions = []
    for number in range(20):
        status, made = ask(server, CONFIG_MAPS, "POST", a_config_map(f"c-{number}", number=str(number)))
        assert status == 201
        versions.append(int(made["metadata"]["resourceVersion"]))
    assert versions == sorted(set(versions))
    _, before = ask(server, CONFIG_MAPS)
    port, config = server.port, server.kubeconfig.read_text()
    server.kill()
    server.start()
    assert server.port == port
    assert server.kubeconfig.read_text() == config, "clients keep their kubeconfig"
    _, after = ask(server, CONFIG_MAPS)
    assert after["items"] == before["items"]
    _, made = ask(server, CONFIG_MAPS, "POST", a_config_map("later"))
    assert int(made["metadata"]["resourceVersion"]) > versions[-1]


def test_no_write_that_was_answered_is_lost_when_the_server_is_killed_in_the_middle(server: ApiServer):
    answered: list[str] = []

    def write() -> None:
        for number in range(100_000):
            try:
                status, _ = ask(server, CONFIG_MAPS, "POST", a_config_map(f"w-{number}"))
            except OSError:
                return
            if status == 201:
                answered.append(f"w-{number}")

    writer = threading.Thread(target=write)
    writer.start()
    while len(answered) < 30:
        assert writer.is_alive()
        writer.join(timeout=0.01)
    server.kill()
    writer.join(timeout=10)
    server.start()
    _, listed = ask(server, CONFIG_MAPS)
    names = {item["metadata"]["name"] for item in listed["items"]}
    assert set(answered) <= names
    assert len(names) <= len(answered) + 1, "at most the one write whose answer was cut off"


def test_a_watch_from_before_a_restart_is_told_to_list_again_or_goes_on(server: ApiServer):
    _, first = ask(server, CONFIG_MAPS)
    start = first["metadata"]["resourceVersion"]
    ask(server, CONFIG_MAPS, "POST", a_config_map("one"))
    _, second = ask(server, CONFIG_MAPS)
    server.kill()
    server.start()
    query = f"{CONFIG_MAPS}?watch=true&timeoutSeconds=1&resourceVersion="
    _, expired = ask(server, query + start)
    assert expired["type"] == "ERROR"
    assert (expired["object"]["code"], expired["object"]["reason"]) == (410, "Expired")
    ask(server, CONFIG_MAPS, "POST", a_config_map("two"))
    _, goes_on = ask(server, query + second["metadata"]["resourceVersion"])
    assert (goes_on["type"], goes_on["object"]["metadata"]["name"]) == ("ADDED", "two")


def test_a_fresh_memory_never_continues_an_older_watch(tmp_path: Path):
    with an_api_server(tmp_path / "server") as server:
        _, listed = ask(server, CONFIG_MAPS)
        server.kill()
        server.start()
        version = listed["metadata"]["resourceVersion"]
        _, event = ask(server, f"{CONFIG_MAPS}?watch=true&timeoutSeconds=1&resourceVersion={version}")
        assert event["object"]["code"] == 410


def refusal(*arguments: str) -> tuple[int, str]:
    command = ApiServer(Path("unused")).command()[:3]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stderr


def test_a_port_in_use_is_named_with_what_to_do(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, told = refusal("--port", str(port), "--token-file", str(tmp_path / "token"))
    assert status != 0
    assert f"127.0.0.1:{port} is in use" in told
    assert "--port" in told
    assert "Traceback" not in told


def test_only_loopback_is_served(tmp_path: Path):
    status, told = refusal("--host", "0.0.0.0", "--token-file", str(tmp_path / "token"))
    assert status != 0
    assert "0.0.0.0 is not a loopback address" in told


def test_one_database_has_one_server(server: ApiServer, tmp_path: Path):
    status, told = refusal("--db", server.database, "--token-file", str(tmp_path / "token"))
    assert status != 0
    assert "cannot open the database" in told
    assert "Traceback" not in told


def test_a_request_without_our_token_gets_nothing(shared: ApiServer):
    for token in ("", "wrong"):
        for path in ("/api", "/apis", "/openapi/v3", CONFIG_MAPS, "/nothing"):
            status, answer = ask(shared, path, token=token)
            assert (status, answer["reason"]) == (401, "Unauthorized")
    assert ask(shared, "/readyz", token="") == (200, "ok")
    assert ask(shared, "/version", token="")[0] == 200


def test_what_holds_the_token_is_readable_by_its_owner_only(shared: ApiServer):
    for name in ("token", "token.pem", "kubeconfig"):
        assert (shared.directory / name).stat().st_mode & 0o077 == 0, name


def test_requests_are_counted_by_verb_and_resource(shared: ApiServer):
    line = 'apiserver_request_total{group="networking.istio.io",resource="sidecars",verb="LIST"} 1.0'
    assert line not in ask(shared, "/metrics")[1]
    ask(shared, "/apis/networking.istio.io/v1/sidecars")
    assert line in ask(shared, "/metrics")[1]
    assert ask(shared, "/metrics", token="")[0] == 401


def test_a_body_that_is_too_long_is_refused_with_the_limit(shared: ApiServer):
    status, answer = ask(shared, CONFIG_MAPS, "POST", b" " * (3 * 1024 * 1024 + 1))
    assert status == 413
    assert "body_bytes_max" in answer["message"]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "told"),
    [
        (b"{", "application/json", 400, "not JSON"),
        (b"[]", "application/json", 400, "not an object"),
        (b"x", "text/plain", 415, "application/json"),
        (
            b"k8s\x00\x0a\x08\x0a\x02v1\x12\x02Po",
            "application/vnd.kubernetes.protobuf",
            415,
            "kubectl apply -f",
        ),
        (b"nonsense", "application/vnd.kubernetes.protobuf", 400, "protobuf"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_advice(
    shared: ApiServer, body: bytes, content_type: str, status: int, told: str
):
    found, answer = ask(shared, CONFIG_MAPS, "POST", body, content_type=content_type)
    assert (found, answer["kind"]) == (status, "Status")
    assert told in answer["message"]


def test_yaml_that_explodes_is_refused(shared: ApiServer):
    bomb = b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    path = f"{CONFIG_MAPS}/bomb?fieldManager=test"
    status, answer = ask(shared, path, "PATCH", bomb, content_type="application/apply-patch+yaml")
    assert status == 400
    assert "aliases" in answer["message"]


@pytest.mark.parametrize(
    ("validation", "status"),
    [("Strict", 400), ("Warn", 201), ("Ignore", 201)],
    ids=["strict", "warn", "ignore"],
)
def test_unknown_fields_are_refused_warned_of_or_dropped(shared: ApiServer, validation: str, status: int):
    path = "/apis/networking.istio.io/v1/namespaces/default/virtualservices"
    body = {
        "metadata": {"name": f"v-{validation.lower()}"},
        "spec": {"hosts": ["a"], "hostz": ["b"], "htpp": []},
    }
    found, answer = ask(shared, f"{path}?fieldValidation={validation}&dryRun=All", "POST", body)
    assert found == status
    if status == 400:
        assert 'unknown field "spec.hostz"' in answer["message"]
        assert 'unknown field "spec.htpp"' in answer["message"]
    else:
        assert answer["spec"] == {"hosts": ["a"]}


def test_a_streaming_list_ends_with_its_mark(shared: ApiServer):
    query = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&timeoutSeconds=1"
    status, answer = ask(shared, f"/api/v1/namespaces?{query}&resourceVersionMatch=NotOlderThan")
    assert status == 200
    events = [json.loads(line) for line in answer.splitlines()]
    assert [e["type"] for e in events[:4]] == ["ADDED", "ADDED", "ADDED", "BOOKMARK"]
    assert events[3]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert ask(shared, f"/api/v1/namespaces?{query}")[0] == 422


def test_pages_show_one_moment_though_objects_come_and_go(shared: ApiServer):
    for name in ("p-a", "p-b", "p-c", "p-d"):
        ask(shared, CONFIG_MAPS, "POST", a_config_map(name))
    _, first = ask(shared, f"{CONFIG_MAPS}?limit=2")
    ask(shared, f"{CONFIG_MAPS}/p-d", "DELETE")
    ask(shared, CONFIG_MAPS, "POST", a_config_map("p-e"))
    _, second = ask(shared, f"{CONFIG_MAPS}?limit=9&continue={first['metadata']['continue']}")
    assert [i["metadata"]["name"] for i in first["items"] + second["items"]] == ["p-a", "p-b", "p-c", "p-d"]
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    assert ask(shared, f"{CONFIG_MAPS}?continue=nonsense")[0] == 400


def test_delete_preconditions_and_collections(shared: ApiServer):
    _, made = ask(
        shared,
        CONFIG_MAPS,
        "POST",
        {**a_config_map("d-1"), "metadata": {"generateName": "d-", "labels": {"x": "y"}}},
    )
    name = made["metadata"]["name"]
    assert name.startswith("d-")
    assert len(name) == 7
    stale = {"preconditions": {"resourceVersion": "1"}}
    assert ask(shared, f"{CONFIG_MAPS}/{name}", "DELETE", stale)[0] == 409
    assert ask(shared, f"{CONFIG_MAPS}/{name}", "DELETE", {"propagationPolicy": "Sideways"})[0] == 400
    status, deleted = ask(shared, f"{CONFIG_MAPS}?labelSelector=x%3Dy", "DELETE")
    assert status == 200
    assert [item["metadata"]["name"] for item in deleted["items"]] == [name]
    assert ask(shared, f"{CONFIG_MAPS}/{name}")[0] == 404


def test_dependents_go_with_their_owner(shared: ApiServer):
    _, owner = ask(shared, CONFIG_MAPS, "POST", a_config_map("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    child = {**a_config_map("child"), "metadata": {"name": "child", "ownerReferences": [reference]}}
    assert ask(shared, CONFIG_MAPS, "POST", child)[0] == 201
    ask(shared, f"{CONFIG_MAPS}/owner", "DELETE")
    assert ask(shared, f"{CONFIG_MAPS}/child")[0] == 404


def test_the_official_client_lists_applies_and_watches(shared: ApiServer):
    from kubernetes import client, config, watch

    api_client = config.new_client_from_config(str(shared.kubeconfig))
    with api_client:
        core = client.CoreV1Api(api_client)
        assert {n.metadata.name for n in core.list_namespace().items} >= {"default"}
        start = core.list_namespaced_config_map("default").metadata.resource_version
        made = core.create_namespaced_config_map(
            "default", {"metadata": {"name": "official"}, "data": {"a": "b"}}
        )
        assert made.data == {"a": "b"}
        with pytest.raises(client.ApiException) as caught:
            core.create_namespaced_config_map("default", {"metadata": {"name": "official"}})
        assert caught.value.status == 409
        core.create_namespace({"metadata": {"name": "noise"}})
        watching = watch.Watch()
        seen = []
        for event in watching.stream(
            core.list_namespaced_config_map,
            "default",
            resource_version=start,
            allow_watch_bookmarks=True,
            timeout_seconds=5,
        ):
            seen.append(event["type"])
            if event["type"] == "BOOKMARK":
                watching.stop()
        assert seen[0] == "ADDED"
        assert seen[-1] == "BOOKMARK"


def test_starting_imports_nothing_heavy():
    program = "import gitmesh.playground.apiserver.serve, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    heavy = {"kubernetes", "git", "aiohttp", "rich", "structlog", "apscheduler"}
    assert heavy & set(done.stdout.split()) == set()
    assert "starlette" in done.stdout.split()
