"""Traces: where spans are sent, and how many.

Stage: none (pure).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, field_validator

from gitmesh.model.providers import Secret
from gitmesh.model.values import ApiModel


class TracingConfig(ApiModel):
    """OpenTelemetry over OTLP and HTTP. Off without an endpoint; the extra `otel` has to be installed."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    endpoint: Annotated[str, Field(max_length=2_000)] = ""
    """Where a collector takes traces, with its path, for example `http://otel:4318/v1/traces`. Empty: what
    the environment says in `OTEL_EXPORTER_OTLP_ENDPOINT`; if that is empty too, there are no traces."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The share of passes, fetches and checks that are traced."""
    headers: dict[str, Secret] = Field(default_factory=dict)
    """Headers of each request to the collector, for a login. Read once, at the start."""

    @field_validator("endpoint")
    @classmethod
    def _http(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("a url begins with http:// or https://")
        return value
