"""Traces: a span for each pass, stage, fetch, check and request; nothing of it is loaded when it is off."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import Any

import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gitmesh.engine import tracing
from gitmesh.engine.meters import Meters
from gitmesh.engine.tracing import NO_TRACES, NoTraces, open_traces, provide
from gitmesh.engine.watched_calls import WatchedCalls
from gitmesh.kube.errors import ClusterError, RejectedError
from gitmesh.kube.transport import Call
from gitmesh.model.errors import EdgeError
from gitmesh.model.rollout import Phase
from gitmesh.model.tracing import TracingConfig

LIST = Call("list virtualservices", "GET", "/apis/networking.istio.io/v1/virtualservices")


class Clock:
    def now(self) -> Any: ...

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None: ...


def test_a_rollout_is_traced_from_fetch_to_apply(monkeypatch: pytest.MonkeyPatch):
    without_threads(monkeypatch)
    exporter = InMemorySpanExporter()
    traces = provide(SimpleSpanProcessor(exporter))

    async def begin() -> None:
        world = DaemonWorld()
        world.tracer = traces
        repository = world.add_source()
        policy = a_policy("reviews", steps="10 60s, 100", bake="0s")
        repository.push(files(a_service("reviews", "v1 100, v2 0"), a_rule("reviews"), policy))

        async def act(_: object) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            repository.push(files(a_service("reviews", "v1 0, v2 100"), a_rule("reviews"), policy))
            for phase in (Phase.PROGRESSING, Phase.SUCCEEDED):
                await world.until(lambda: (r := world.record()) and r.phase is phase, 300)  # noqa: B023

        await in_world(world, act)

    run_virtually(begin)
    spans = exporter.get_finished_spans()
    names = {span.name for span in spans}
    assert names >= {"fetch", "pass", "validate", "dry run", "apply", "check"}
    by_id = {span.context.span_id: span for span in spans if span.context}
    applied = [span for span in spans if span.name == "apply" and span.parent]
    assert applied
    assert all(by_id[span.parent.span_id].name == "pass" for span in applied if span.parent)
    (checked, *_) = [span for span in spans if span.name == "check"]
    assert checked.attributes
    assert checked.attributes["gitmesh.source"] == "default/mesh"
    assert checked.attributes["gitmesh.rollout"] == "VirtualService default/reviews"
    assert checked.attributes["gitmesh.revision"]
    assert checked.resource.attributes["service.name"] == "gitmesh"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "success"),
        (ClusterError("the server is away", retryable=True), "failure"),
        (RejectedError("denied: token abc", retryable=False, status=403), "refused"),
        (RuntimeError("a bug"), "cancelled"),
    ],
)
def test_each_request_is_counted_and_traced_with_what_came_of_it(error: Exception | None, outcome: str):
    exporter, meters = InMemorySpanExporter(), Meters()
    calls = WatchedCalls(meters, provide(SimpleSpanProcessor(exporter)), Clock())
    with contextlib.suppress(ClusterError, RuntimeError), calls.around(LIST):
        if error:
            raise error
    labels = {"verb": "list", "outcome": outcome}
    assert meters.registry.get_sample_value("gitmesh_api_requests_total", labels) == 1
    (span,) = exporter.get_finished_spans()
    assert span.name == "api list"
    assert span.status.is_ok is (error is None)
    assert "token abc" not in span.to_json()


def test_the_word_for_a_request_is_one_out_of_a_few():
    doings = ["list virtualservices", "write the status of trafficsources a/b", "patch events a/b", "connect"]
    assert [Call(doing, "GET", "/").verb for doing in doings] == ["list", "status", "patch", "connect"]


def test_only_the_share_that_is_wanted_is_traced():
    exporter = InMemorySpanExporter()
    traces = provide(SimpleSpanProcessor(exporter), sample_ratio=0.0)
    with traces.span("pass", {}), traces.span("apply", {}):
        pass
    assert exporter.get_finished_spans() == ()


def test_without_configuration_there_are_no_traces():
    assert isinstance(open_traces(TracingConfig(), {}), NoTraces)
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}
    assert isinstance(open_traces(TracingConfig(), env), NoTraces)
    with NO_TRACES.span("pass", {"source": "default/mesh"}):
        pass


def test_the_environment_of_opentelemetry_turns_traces_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    traces = open_traces(TracingConfig())
    assert not isinstance(traces, NoTraces)
    traces.close()


def test_when_it_is_off_nothing_of_opentelemetry_is_loaded():
    code = (
        "import sys, gitmesh.engine.wiring as w\n"
        "from gitmesh.model.tracing import TracingConfig\n"
        "w.open_traces(TracingConfig(), {})\n"
        "from gitmesh.model.notifications import NotificationConfig\n"
        "w.open_outlets(NotificationConfig(), None)\n"
        "print([m for m in sys.modules if m.partition('.')[0] in ('opentelemetry', 'apprise')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(tracing.importlib, "import_module", missing)
    with pytest.raises(EdgeError, match=r"pip install 'gitmesh-controller\[otel\]'"):
        open_traces(TracingConfig(endpoint="http://127.0.0.1:4318/v1/traces"), {})
