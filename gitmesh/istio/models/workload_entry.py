"""WorkloadEntry: an endpoint outside Kubernetes. Also the endpoints of a ServiceEntry.

Stage: validate (pure). Source: CRD workloadentries.networking.istio.io of Istio 1.30.3.
"""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gitmesh.istio.models.base import IstioModel, malformed, refused
from gitmesh.istio.models.scalars import Map, Port, UInt32, no_map_for_null

UNIX = "unix://"
_PORT_NAME = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?", re.ASCII)


def _address(text: str) -> str:
    if not text.startswith(UNIX):
        return text
    path = text.removeprefix(UNIX)
    if not path.startswith(("/", "@")):
        raise malformed("a Unix domain socket must be an absolute path or an abstract name (@name)")
    if path.endswith("/"):
        raise malformed("a Unix domain socket must not be a folder")
    return text


def _port_name(text: str) -> str:
    if len(text) >= 63 or not _PORT_NAME.fullmatch(text):
        raise malformed("the name of a port is made of letters, digits and -, and shorter than 63")
    return text


class WorkloadEntrySpec(IstioModel):
    """The spec of a WorkloadEntry, and one endpoint of a ServiceEntry."""

    address: Annotated[str, Field(max_length=256), AfterValidator(_address)] | None = None
    ports: Annotated[
        dict[Annotated[str, AfterValidator(_port_name)], Port],
        BeforeValidator(no_map_for_null),
        Field(max_length=128),
    ] = Field(default_factory=dict)
    labels: Annotated[Map[str], Field(max_length=256)] = Field(default_factory=dict)
    network: Annotated[str | None, Field(max_length=2048)] = None
    locality: Annotated[str | None, Field(max_length=2048)] = None
    weight: UInt32 | None = None
    service_account: Annotated[str | None, Field(max_length=253)] = None

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.address and not self.network:
            raise refused("an address is required")
        if self.address is not None and self.address.startswith(UNIX) and self.ports:
            raise refused("an address unix:// cannot have ports", "ports")
        return self
