"""RouteTest: where requests must go, as it is written in Git.

Stage: none (pure).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from gitmesh.model.values import ApiModel, Percent, parse_duration

ROUTE_TEST = "RouteTest"
CASES_MAX = 1_000  # of one document
ALL_CASES_MAX = 10_000  # of all documents together; further ones are an error and are not run
NO_TIMEOUT = timedelta(0)

_Name = Annotated[str, Field(min_length=1, max_length=253)]
_Text = Annotated[str, Field(max_length=2_000)]
_Url = Annotated[str, Field(min_length=1, max_length=8_000)]


def _read_timeout(value: Any) -> Any:
    if value == "none" or isinstance(value, timedelta):
        return NO_TIMEOUT if value == "none" else value
    if not isinstance(value, str):
        raise ValueError("a timeout is text such as 10s, or none")
    return parse_duration(value)


Timeout = Annotated[timedelta, BeforeValidator(_read_timeout)]


class From(ApiModel):
    """Who sends a request: a workload with some labels, one by its name, or a gateway.

    `namespace` is that of the workload, by default the document's; of a gateway's Pods, by default
    istio-system.
    """

    namespace: Annotated[str, Field(max_length=253)] = ""
    labels: Annotated[dict[str, str], Field(max_length=100)] = Field(default_factory=dict)
    workload: Annotated[str, Field(max_length=253)] = ""
    gateway: Annotated[str, Field(max_length=253)] = ""


class Reached(ApiModel):
    """Where requests go. What is left out may be anything."""

    host: _Name
    subset: Annotated[str, Field(max_length=253)] = ""
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None


class Destination(Reached):
    """Where a share of the requests must go."""

    share: Percent = 100.0


class Expect(ApiModel):
    """What must hold for a request. At least one field is there.

    Of headers, null means that there must be none of this name.
    """

    destination: Destination | None = None
    destinations: Annotated[tuple[Destination, ...], Field(max_length=100)] = ()
    must_not_reach: Annotated[tuple[Reached, ...], Field(max_length=100)] = ()
    status: Annotated[int, Field(ge=100, le=599)] | None = None
    redirect: Annotated[str, Field(max_length=8_000)] | None = None
    path: Annotated[str, Field(max_length=8_000)] | None = None
    authority: _Text | None = None
    request_headers: Annotated[dict[str, _Text | None], Field(max_length=100)] = Field(default_factory=dict)
    response_headers: Annotated[dict[str, _Text | None], Field(max_length=100)] = Field(default_factory=dict)
    timeout: Timeout | None = None
    retries: Annotated[int, Field(ge=0, le=1_000)] | None = None

    @property
    def wanted(self) -> tuple[Destination, ...]:
        """Every destination that must get requests."""
        return self.destinations or ((self.destination,) if self.destination else ())

    @property
    def named(self) -> tuple[Reached, ...]:
        """Every destination that is named."""
        return (*self.wanted, *self.must_not_reach)


class RouteCase(ApiModel):
    """One request and what must become of it."""

    name: Annotated[str, Field(max_length=253)] = ""
    request: _Url
    headers: Annotated[dict[str, _Text], Field(max_length=100)] = Field(default_factory=dict)
    sender: From | None = Field(default=None, alias="from")
    expect: Expect


class RouteTestSpec(ApiModel):
    """The spec of a RouteTest. A case without `from` has that of the document."""

    sender: From = Field(default=From(), alias="from")
    cases: Annotated[tuple[RouteCase, ...], Field(min_length=1, max_length=CASES_MAX)]
