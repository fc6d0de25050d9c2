"""What a cluster holds is read once, as far as we may, and no Secret's data goes any further."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.cluster import Request, a_cluster

from gitmesh.kube.errors import ClusterError, RejectedError
from gitmesh.kube.protocol import Listing
from gitmesh.model.kinds import DESTINATION_RULE, Kind
from gitmesh.observe.context import read_context

pytestmark = pytest.mark.anyio


class Server:
    """Answers `list` by the plural name of a kind; without an answer the kind has no objects."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    async def list(self, kind: Kind, *, namespace: str = "", page_size: int = 500) -> Listing:
        answer = self.answers.get(kind.plural, ())
        if isinstance(answer, Exception):
            raise answer
        return Listing(tuple(body for body in answer if body["apiVersion"] == kind.api_version), "1")


def body(api_version: str, kind: str, name: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", **more.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


async def test_everything_is_read_and_nothing_is_written():
    rule = body(DESTINATION_RULE.api_version, DESTINATION_RULE.kind, "reviews", spec={"host": "reviews"})
    cluster = a_cluster(rule)
    spec = {"ports": [{"port": 80, "name": "http"}], "selector": {"app": "reviews"}}
    cluster.put(body("v1", "Service", "reviews", spec=spec))
    cluster.requests.clear()
    context = await read_context(cluster)
    assert {request.verb for request in cluster.requests} == {"list"}
    assert Request("list", "Secret") in cluster.requests
    assert context.services is not None
    found = context.services["reviews.default.svc.cluster.local"]
    assert [port.number for port in found.ports or ()] == [80]
    assert context.namespaces is not None
    assert "default" in context.namespaces
    assert [key.name for key in context.objects] == ["reviews"]
    assert not context.advisory


async def test_of_a_secret_only_the_type_is_kept():
    secret = body("v1", "Secret", "cert", type="kubernetes.io/tls", data={"tls.key": "aHVzaA=="})
    context = await read_context(Server(secrets=[secret]))  # type: ignore[arg-type]  # it only lists
    assert context.secrets == {("default", "cert"): "kubernetes.io/tls"}
    assert "aHVzaA==" not in repr(context)


async def test_pods_have_labels_and_named_ports():
    ports = [{"name": "web", "containerPort": 8080}]
    pod = body("v1", "Pod", "p", metadata={"labels": {"app": "x"}}, spec={"containers": [{"ports": ports}]})
    context = await read_context(Server(pods=[pod]))  # type: ignore[arg-type]  # it only lists
    assert context.pods is not None
    assert [(p.name, p.labels, p.ports) for p in context.pods] == [("p", {"app": "x"}, {"web": 8080})]
    assert context.services == {}


async def test_what_we_may_not_read_is_not_known():
    forbidden = RejectedError("list secrets: forbidden", retryable=False, status=403)
    context = await read_context(Server(secrets=forbidden))  # type: ignore[arg-type]  # it only lists
    assert context.secrets is None
    assert context.pods == ()


async def test_a_cluster_that_does_not_answer_is_an_error():
    broken = ClusterError("no answer", retryable=True)
    with pytest.raises(ClusterError, match="no answer"):
        await read_context(Server(services=broken))  # type: ignore[arg-type]  # it only lists
