"""Schemas of the built-in kinds, as far as a playground needs them: open, with the keys of merged lists.

Stage: playground (pure). Unknown fields pass.
Source: kubernetes.io, API reference, `x-kubernetes-list-map-keys`.
"""

from __future__ import annotations

from gitmesh.playground.apiserver.kinds import Body


def _open(**properties: Body) -> Body:
    found: Body = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {**found, "properties": properties} if properties else found


def _keyed(*keys: str, **properties: Body) -> Body:
    items = _open(**properties)
    return {
        "type": "array",
        "items": {**items, "required": list(keys)} if len(keys) == 1 else items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": list(keys),
    }


def _kind(**properties: Body) -> Body:
    envelope = {"apiVersion": TEXT, "kind": TEXT, "metadata": {"type": "object"}}
    return _open(**envelope, **properties)


TEXT: Body = {"type": "string"}
MAYBE_TEXT: Body = {"type": "string", "nullable": True}
WHOLE: Body = {"type": "integer"}
_ATOMIC: Body = {"x-kubernetes-map-type": "atomic"}
TEXTS: Body = {"type": "object", "additionalProperties": {"type": "string"}}
_INT_OR_TEXT: Body = {"x-kubernetes-int-or-string": True}
_CONTAINER_PORT = {
    **_keyed(
        "containerPort", "protocol", containerPort=WHOLE, name=TEXT, protocol={**TEXT, "default": "TCP"}
    ),
}
_CONTAINERS = _keyed(
    "name",
    name=TEXT,
    image=TEXT,
    env=_keyed("name", name=TEXT, value=TEXT),
    volumeMounts=_keyed("mountPath", mountPath=TEXT, name=TEXT),
    ports=_CONTAINER_PORT,
)
_CONDITIONS = _keyed("type", type=TEXT, status=TEXT, reason=TEXT, message=TEXT)
_LIST: Body = {"type": "array", "items": TEXT}
_PRINTED = _open(name=TEXT, type=TEXT, jsonPath=TEXT, format=TEXT, description=TEXT, priority=WHOLE)
_DEFINED_VERSION = {
    **_open(
        name=TEXT,
        served={"type": "boolean"},
        storage={"type": "boolean"},
        schema=_open(openAPIV3Schema=_open(properties=_open(), type=TEXT)),
        subresources=_open(status=_open()),
        additionalPrinterColumns={"type": "array", "items": {**_PRINTED, "required": ["name", "jsonPath"]}},
    ),
    "required": ["name"],
}

SCHEMAS: dict[str, Body] = {
    "Namespace": _kind(spec=_open(), status=_open(phase=TEXT, conditions=_CONDITIONS)),
    "Service": _kind(
        spec=_open(
            selector={**TEXTS, **_ATOMIC},
            type=TEXT,
            clusterIP=TEXT,
            ports=_keyed(
                "port",
                "protocol",
                port={**WHOLE, "minimum": 1, "maximum": 65535},
                protocol={**TEXT, "default": "TCP"},
                name=TEXT,
                targetPort=_INT_OR_TEXT,
                nodePort=WHOLE,
                appProtocol=TEXT,
            ),
        ),
        status=_open(conditions=_CONDITIONS),
    ),
    "Pod": _kind(
        spec=_open(
            containers=_CONTAINERS,
            initContainers=_CONTAINERS,
            volumes=_keyed("name", name=TEXT),
            imagePullSecrets=_keyed("name", name=TEXT),
            hostAliases=_keyed("ip", ip=TEXT),
            nodeSelector={**TEXTS, **_ATOMIC},
            nodeName=TEXT,
            serviceAccountName=TEXT,
        ),
        status=_open(phase=TEXT, podIP=TEXT, podIPs=_keyed("ip", ip=TEXT), conditions=_CONDITIONS),
    ),
    "CustomResourceDefinition": _kind(
        spec=_open(
            group=TEXT,
            scope=TEXT,
            names=_open(
                kind=TEXT, plural=TEXT, singular=TEXT, listKind=TEXT, shortNames=_LIST, categories=_LIST
            ),
            versions={"type": "array", "items": _DEFINED_VERSION},
            conversion=_open(strategy=TEXT),
        ),
        status=_open(),
    ),
    "Event": _kind(
        involvedObject={
            **_open(kind=TEXT, namespace=TEXT, name=TEXT, uid=TEXT, apiVersion=TEXT),
            **_ATOMIC,
        },
        source=_open(component=TEXT, host=TEXT),
        series=_open(),
        type=TEXT,
        reason=TEXT,
        message=TEXT,
        count=WHOLE,
        firstTimestamp=MAYBE_TEXT,
        lastTimestamp=MAYBE_TEXT,
        eventTime=MAYBE_TEXT,
        reportingComponent=TEXT,
        reportingInstance=TEXT,
        action=TEXT,
        related={**_open(), **_ATOMIC},
    ),
    "Endpoints": _kind(
        subsets={
            "type": "array",
            "items": _open(
                addresses={"type": "array", "items": _open(ip=TEXT)},
                notReadyAddresses={"type": "array", "items": _open(ip=TEXT)},
                ports={"type": "array", "items": _open(name=TEXT, port=WHOLE, protocol=TEXT)},
            ),
        }
    ),
    "EndpointSlice": _kind(
        addressType=TEXT,
        endpoints={"type": "array", "items": _open(addresses={"type": "array", "items": TEXT})},
        ports={"type": "array", "items": _open(name=MAYBE_TEXT, port=WHOLE, protocol=TEXT)},
    ),
    "ConfigMap": _kind(data=TEXTS, binaryData=TEXTS, immutable={"type": "boolean"}),
    "Secret": _kind(data=TEXTS, stringData=TEXTS, type=TEXT, immutable={"type": "boolean"}),
    "Lease": _kind(
        spec=_open(
            holderIdentity=TEXT,
            leaseDurationSeconds={**WHOLE, "minimum": 1},
            acquireTime=TEXT,
            renewTime=TEXT,
            leaseTransitions=WHOLE,
        )
    ),
}
