"""Objects as rows: what `kubectl get` prints.

Stage: playground (pure). Source: kubernetes.io, API concepts, "Receiving resources as Tables".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gitmesh.playground.apiserver.kinds import Body, Column, Target
from gitmesh.playground.apiserver.objects.columns import cell

_NAME = Column("Name", "string", ".metadata.name", format="name", description="Unique within a namespace")


def _columns(target: Target) -> tuple[Column, ...]:
    served = target.kind.version(target.version)
    return (_NAME, *(served.columns if served else ()))


def table(
    target: Target,
    items: Sequence[Body],
    *,
    list_metadata: Body,
    include: str,
    now: datetime,
    with_columns: bool = True,
) -> Body:
    """Return a meta.k8s.io/v1 Table of the objects. `include`: Metadata, Object or None."""
    columns = _columns(target)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_metadata,
        "columnDefinitions": [_definition(column) for column in columns] if with_columns else [],
        "rows": [_row(columns, item, include, now) for item in items],
    }


def _definition(column: Column) -> Body:
    return {
        "name": column.name,
        "type": "string" if column.type == "date" else column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


def _row(columns: Sequence[Column], item: Body, include: str, now: datetime) -> Body:
    cells = [
        column.read(item, now) if column.read else cell(item, column.json_path, column.type, now)
        for column in columns
    ]
    row: Body = {"cells": cells}
    if include == "Object":
        row["object"] = item
    elif include != "None":
        row["object"] = partial(item)
    return row


def partial(item: Body) -> Body:
    """Return only the metadata of an object, as PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
