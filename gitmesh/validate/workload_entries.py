"""Endpoints outside Kubernetes: a WorkloadEntry, or one endpoint of a ServiceEntry.

Stage: validate (pure). Source: istio/istio pkg/config/validation, validateWorkloadEntry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gitmesh.istio.hosts import is_ip
from gitmesh.istio.models.workload_entry import UNIX, WorkloadEntrySpec
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.labels import check_labels
from gitmesh.validate.names import is_fqdn
from gitmesh.validate.subject import Path, Subject


def check_workload_entry(subject: Subject, spec: WorkloadEntrySpec) -> Iterator[Diagnostic]:
    """Yield everything that Istio's admission would refuse or warn of."""
    yield from check_endpoint(subject, spec, ("spec",), may_be_name=True)


def check_endpoint(
    subject: Subject,
    endpoint: WorkloadEntrySpec,
    path: Path,
    *,
    may_be_name: bool,
    service_ports: Collection[str] | None = None,
) -> Iterator[Diagnostic]:
    """Yield what is wrong with an endpoint.

    `may_be_name`: its address may be a host name, too. `service_ports`: names of the ports of its service,
    None when the service is not known.
    """
    address = endpoint.address or ""
    if not address:
        message = "the endpoint has no address; only a gateway of its network leads there"
        hint = "add address, if there is one"
        yield subject.finding("GM149", message, path, hint=hint, wants_key=True)
    elif not address.startswith(UNIX):
        yield from check_address(subject, address, (*path, "address"), may_be_name=may_be_name)
    elif service_ports is not None and len(service_ports) != 1:
        message = "an endpoint that is a Unix domain socket goes with exactly one port of the service"
        yield subject.finding("GM109", message, (*path, "address"))
    yield from check_endpoint_ports(subject, endpoint, path, service_ports)
    yield from check_labels(subject, endpoint.labels, (*path, "labels"))


def check_address(subject: Subject, address: str, path: Path, *, may_be_name: bool) -> Iterator[Diagnostic]:
    """Yield a finding when the text is neither an address nor, if that may be, a host name."""
    if is_ip(address) or (may_be_name and is_fqdn(address)):
        return
    wanted = "neither an address nor a host name" if may_be_name else "not an address"
    hint = "set resolution: DNS for a host name" if not may_be_name and is_fqdn(address) else ""
    yield subject.finding("GM108", f"{address[:80]!r} is {wanted}", path, hint=hint)


def check_endpoint_ports(
    subject: Subject, endpoint: WorkloadEntrySpec, path: Path, service_ports: Collection[str] | None
) -> Iterator[Diagnostic]:
    """Yield the ports that the service does not have."""
    for name in endpoint.ports:
        if service_ports is not None and name not in service_ports:
            message = f"the service has no port with the name {name[:63]}"
            known = ", ".join(sorted(service_ports))[:120]
            hint = f"one of: {known}" if known else "add it to ports"
            yield subject.finding("GM109", message, (*path, "ports", name), hint=hint, wants_key=True)
