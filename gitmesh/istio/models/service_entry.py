"""ServiceEntry: a service that Kubernetes does not know.

Stage: validate (pure). Source: CRD serviceentries.networking.istio.io of Istio 1.30.3, with its CEL rules.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gitmesh.istio.models.base import IstioModel, duplicated, excluded, malformed, refused
from gitmesh.istio.models.common import LabelSelector
from gitmesh.istio.models.scalars import Items, Port
from gitmesh.istio.models.workload_entry import WorkloadEntrySpec


def _not_everything(host: str) -> str:
    if host == "*":
        raise malformed("the host * is not allowed")
    return host


class ServicePort(IstioModel):
    """A port of the service."""

    number: Port
    name: Annotated[str, Field(max_length=256)]
    protocol: Annotated[str | None, Field(max_length=256)] = None
    target_port: Port | None = None


_PORTS_BY_NAME = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}


class ServiceEntrySpec(IstioModel):
    """The spec of a ServiceEntry."""

    hosts: Annotated[
        Items[Annotated[str, AfterValidator(_not_everything)]], Field(min_length=1, max_length=256)
    ]
    addresses: Annotated[Items[Annotated[str, Field(max_length=64)]], Field(max_length=256)] = ()
    ports: Annotated[Items[ServicePort], Field(max_length=256, json_schema_extra=_PORTS_BY_NAME)] = ()
    location: Literal["MESH_EXTERNAL", "MESH_INTERNAL"] | None = None
    resolution: Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"] | None = None
    endpoints: Annotated[Items[WorkloadEntrySpec], Field(max_length=4096)] = ()
    workload_selector: LabelSelector | None = None
    export_to: Items[str] = ()
    subject_alt_names: Items[str] = ()

    @model_validator(mode="before")
    @classmethod
    def _without_null_endpoints(cls, written: Any) -> Any:
        """Drop a null, as the API server does: rules of the CRD ask whether a list is there at all."""
        if isinstance(written, dict) and written.get("endpoints", ()) is None:
            return {name: value for name, value in written.items() if name != "endpoints"}
        return written

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        names: set[str] = set()
        numbers: set[int] = set()
        for index, port in enumerate(self.ports):
            if port.name in names:
                raise duplicated(f"two ports have the name {port.name}", "ports", index, "name")
            if port.number in numbers:
                raise duplicated(f"two ports have the number {port.number}", "ports", index, "number")
            names.add(port.name)
            numbers.add(port.number)
        return self

    @model_validator(mode="after")
    def _endpoints_fit_resolution(self) -> Self:
        has_endpoints = "endpoints" in self.model_fields_set
        if self.workload_selector is not None and has_endpoints:
            raise excluded(("workloadSelector", "endpoints"))
        resolution = self.resolution or "NONE"
        if resolution not in ("NONE", "STATIC") and any("/" in address for address in self.addresses):
            raise refused("addresses in CIDR form go only with resolution NONE or STATIC", "addresses")
        if resolution == "NONE" and has_endpoints:
            raise refused(
                "endpoints cannot go with resolution NONE; set resolution: STATIC or DNS", "endpoints"
            )
        if resolution == "DNS_ROUND_ROBIN" and len(self.endpoints) > 1:
            raise refused("resolution DNS_ROUND_ROBIN takes at most one endpoint", "endpoints")
        return self
