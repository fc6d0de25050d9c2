"""What /healthz, /readyz and /metrics answer."""

from __future__ import annotations

from fakes.virtual_time import VirtualClock
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from gitmesh.engine.crew import Worker
from gitmesh.engine.meters import Meters
from gitmesh.engine.shards import Shard
from gitmesh.kube.lease import LeaderElector
from gitmesh.model.config import LeaseConfig
from gitmesh.web.health import app


def client(*, ready: bool = True, shards: tuple[str, ...] = ()) -> TestClient:
    return TestClient(app(lambda: ready, lambda: shards, CollectorRegistry()))


def a_worker(holder: str | None, *, leads: bool = False) -> Worker:
    """`holder` None: without leader election."""
    elector = None
    if holder is not None:
        elector = LeaderElector(None, identity="me", clock=VirtualClock(), lease=LeaseConfig())  # type: ignore[arg-type]
        elector.holder, elector.is_leader = holder, leads
    return Worker(Shard("payments", 1, 4), None, None, elector, Meters())  # type: ignore[arg-type]


def test_a_daemon_is_ready_while_it_reaches_the_api_server_and_says_who_works_on_what():
    answer = client(shards=("shard 0/2: works here", "shard 1/2: works at other-7")).get("/readyz")
    assert (answer.status_code, answer.text) == (
        200,
        "ok\nshard 0/2: works here\nshard 1/2: works at other-7\n",
    )


def test_one_that_does_not_reach_it_is_not_ready_and_yet_alive():
    cut = client(ready=False, shards=("shard 0/1: nobody known works on it",))
    assert cut.get("/readyz").status_code == 503
    assert cut.get("/readyz").text.startswith("the API server cannot be reached\n")
    assert (cut.get("/healthz").status_code, cut.get("/healthz").text) == (200, "ok\n")


def test_nothing_can_be_sent_there():
    assert {client().post(path).status_code for path in ("/healthz", "/readyz", "/metrics")} == {405}
    assert client().get("/").status_code == 404


def test_a_worker_says_who_works_on_its_shard():
    assert a_worker(None).standing == "shard payments 1/4: works here"
    assert a_worker("me", leads=True).standing == "shard payments 1/4: works here"
    assert a_worker("other-7").standing == "shard payments 1/4: works at other-7"
    assert a_worker("").standing == "shard payments 1/4: nobody known works on it"
