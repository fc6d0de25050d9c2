"""Traces reach a collector by OTLP over real HTTP, with the login that is configured."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gitmesh.engine.tracing import NoTraces, open_traces
from gitmesh.model.tracing import TracingConfig

Came = list[tuple[str, dict[str, str], bytes]]


@contextmanager
def a_collector() -> Iterator[tuple[str, Came]]:
    came: Came = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_spans_reach_a_collector(tmp_path: Path):
    login = tmp_path / "login"
    login.write_text("Bearer abc\n")
    with a_collector() as (url, came):
        config = TracingConfig.model_validate(
            {"endpoint": f"{url}/v1/traces", "headers": {"Authorization": {"file": str(login)}}}
        )
        traces = open_traces(config, {})
        assert not isinstance(traces, NoTraces)
        with traces.span("pass", {"source": "default/mesh"}), traces.span("apply", {"stage": "apply"}):
            pass
        traces.close()
    ((path, headers, body),) = came
    assert (path, headers["authorization"]) == ("/v1/traces", "Bearer abc")
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    spans = {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert set(spans) == {"pass", "apply"}
    assert spans["apply"].parent_span_id == spans["pass"].span_id
    attributes = {a.key: a.value.string_value for a in spans["pass"].attributes}
    assert attributes == {"gitmesh.source": "default/mesh"}
