"""OpenTelemetry traces: a span for each pass, stage, fetch, check and request to the API server.

Stage: engine (shell). OpenTelemetry is an extra: without configuration nothing of it is imported.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from gitmesh import __version__
from gitmesh.model.errors import EdgeError
from gitmesh.model.tracing import TracingConfig
from gitmesh.notify.secrets import reveal

MISSING = "traces need OpenTelemetry; install it with: pip install 'gitmesh-controller[otel]'"
FLUSH_MILLISECONDS = 3_000  # for the spans that were not sent yet when the daemon stops
# Source: opentelemetry.io, "OTLP Exporter Configuration" and "SDK Configuration", environment variables.
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class NoTraces:
    """Traces that nobody wants."""

    def span(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()

    def close(self) -> None:
        """Do nothing."""


NO_TRACES = NoTraces()


class Traces:
    """Spans of one daemon; `provider` is an OpenTelemetry TracerProvider."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("gitmesh", __version__)

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, str]) -> Iterator[None]:
        """Trace a piece of work. What it raises is noted by its kind: the text may be long."""
        named = {f"gitmesh.{key}": value for key, value in attributes.items()}
        with self._tracer.start_as_current_span(
            name, attributes=named, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(_error_status(), type(error).__name__)
                raise

    def close(self) -> None:
        """Send what was not sent yet, for a short while."""
        self._provider.force_flush(FLUSH_MILLISECONDS)
        self._provider.shutdown()


def open_traces(config: TracingConfig, environ: Mapping[str, str] | None = None) -> Traces | NoTraces:
    """Return the traces that are asked for. Raises EdgeError when OpenTelemetry is not installed."""
    env = os.environ if environ is None else environ
    disabled = env.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or not (config.endpoint or any(env.get(name) for name in _ENDPOINTS)):
        return NoTraces()
    exporters = _load("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    export = _load("opentelemetry.sdk.trace.export")
    headers = {
        name: reveal(secret, f"the header {name} of traces") for name, secret in config.headers.items()
    }
    exporter = exporters.OTLPSpanExporter(endpoint=config.endpoint or None, headers=headers or None)
    return provide(export.BatchSpanProcessor(exporter), config.sample_ratio)


def provide(processor: Any, sample_ratio: float = 1.0) -> Traces:
    """Return traces whose spans go to an OpenTelemetry SpanProcessor."""
    sdk, sampling = _load("opentelemetry.sdk.trace"), _load("opentelemetry.sdk.trace.sampling")
    resources = _load("opentelemetry.sdk.resources")
    # What the environment says of the service (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) goes first.
    known = {"service.name": "gitmesh", "service.version": __version__}
    resource = resources.Resource(known).merge(resources.OTELResourceDetector().detect())
    sampler = sampling.ParentBased(sampling.TraceIdRatioBased(sample_ratio))
    provider = sdk.TracerProvider(resource=resource, sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return Traces(provider)


def _error_status() -> Any:
    return _load("opentelemetry.trace").StatusCode.ERROR


def _load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise EdgeError(MISSING) from None
