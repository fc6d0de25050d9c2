"""Printer columns of the built-in kinds, as `kubectl get` shows them for a real cluster.

Stage: playground (pure). Source: kubernetes, pkg/printers/internalversion.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from gitmesh.playground.apiserver.kinds import Body, Column
from gitmesh.playground.apiserver.objects.columns import cell

AGE = Column("Age", "date", ".metadata.creationTimestamp", description="How long ago the object was created")


def _column(
    name: str,
    read: Callable[[Body], Any],
    *,
    type: str = "string",
    priority: int = 0,
) -> Column:
    return Column(name, type, priority=priority, read=_forgiving(lambda body, now: read(body)))


def _forgiving(read: Callable[[Body, datetime], Any]) -> Callable[[Body, datetime], Any]:
    """Return a reader for which an odd object is unknown: schemas are open, and one must not hide all."""

    def cell_of(body: Body, now: datetime) -> Any:
        try:
            return read(body, now)
        except (AttributeError, KeyError, TypeError, ValueError):
            return "<unknown>"

    return cell_of


def _spec(body: Body) -> Body:
    return body.get("spec") or {}


def _status(body: Body) -> Body:
    return body.get("status") or {}


def _none(value: Any) -> str:
    return str(value) if value else "<none>"


def _ports(body: Body) -> str:
    return _none(
        ",".join(f"{p.get('port')}/{p.get('protocol', 'TCP')}" for p in _spec(body).get("ports") or ())
    )


def _selector(body: Body) -> str:
    return _none(",".join(f"{k}={v}" for k, v in sorted((_spec(body).get("selector") or {}).items())))


def _ready(body: Body) -> str:
    containers = _spec(body).get("containers") or ()
    statuses = _status(body).get("containerStatuses") or ()
    ready = sum(bool(s.get("ready")) for s in statuses)
    if not statuses:
        conditions = _status(body).get("conditions") or ()
        is_ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
        ready = len(containers) if is_ready else 0
    return f"{ready}/{len(containers)}"


def _pod_status(body: Body) -> str:
    if "deletionTimestamp" in body["metadata"]:
        return "Terminating"
    return str(_status(body).get("reason") or _status(body).get("phase") or "Unknown")


def _restarts(body: Body) -> int:
    return sum(int(s.get("restartCount", 0)) for s in _status(body).get("containerStatuses") or ())


def _addresses(body: Body) -> str:
    found = []
    for subset in body.get("subsets") or ():
        for address in subset.get("addresses") or ():
            found += [f"{address.get('ip')}:{port.get('port')}" for port in subset.get("ports") or ()]
    return _none(",".join(found))


def _slice_addresses(body: Body) -> str:
    return _none(",".join(a for e in body.get("endpoints") or () for a in e.get("addresses") or ()))


def _last_seen(body: Body, now: datetime) -> Any:
    for path in (".lastTimestamp", ".series.lastObservedTime", ".eventTime", ".metadata.creationTimestamp"):
        found = cell(body, path, "date", now)
        if found not in (None, "", "<unknown>"):
            return found
    return "<unknown>"


def _about(body: Body) -> str:
    about = body.get("involvedObject") or {}
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


_POD = (
    _column("Ready", _ready),
    _column("Status", _pod_status),
    _column("Restarts", _restarts, type="integer"),
    AGE,
    _column("IP", lambda body: _none(_status(body).get("podIP")), priority=1),
    _column("Node", lambda body: _none(_spec(body).get("nodeName")), priority=1),
)
_SERVICE = (
    _column("Type", lambda body: _spec(body).get("type") or "ClusterIP"),
    _column("Cluster-IP", lambda body: _none(_spec(body).get("clusterIP"))),
    _column("External-IP", lambda body: _none(",".join(_spec(body).get("externalIPs") or ()))),
    _column("Port(s)", _ports),
    AGE,
    _column("Selector", _selector, priority=1),
)
_EVENT = (
    Column("Last Seen", read=_forgiving(_last_seen)),
    _column("Type", lambda body: body.get("type", "")),
    _column("Reason", lambda body: body.get("reason", "")),
    _column("Object", _about),
    _column("Source", lambda body: (body.get("source") or {}).get("component", ""), priority=1),
    _column("Message", lambda body: str(body.get("message", "")).strip()),
    _column("Count", lambda body: int(body.get("count") or 1), type="integer", priority=1),
)

COLUMNS: dict[str, tuple[Column, ...]] = {
    "Namespace": (_column("Status", lambda body: _status(body).get("phase", "Active")), AGE),
    "Service": _SERVICE,
    "Pod": _POD,
    "Endpoints": (_column("Endpoints", _addresses), AGE),
    "EndpointSlice": (
        _column("AddressType", lambda body: body.get("addressType", "")),
        _column("Endpoints", _slice_addresses),
        AGE,
    ),
    "ConfigMap": (
        _column(
            "Data",
            lambda body: len(body.get("data") or ()) + len(body.get("binaryData") or ()),
            type="integer",
        ),
        AGE,
    ),
    "Secret": (
        _column("Type", lambda body: body.get("type", "Opaque")),
        _column("Data", lambda body: len(body.get("data") or ()), type="integer"),
        AGE,
    ),
    "ServiceAccount": (
        _column("Secrets", lambda body: len(body.get("secrets") or ()), type="integer"),
        AGE,
    ),
    "Event": _EVENT,
    "Lease": (_column("Holder", lambda body: _spec(body).get("holderIdentity") or ""), AGE),
    "CustomResourceDefinition": (
        _column("Created At", lambda body: body["metadata"].get("creationTimestamp", "")),
    ),
}
