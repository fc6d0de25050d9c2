"""What a piece of work is about: every log line within says it, and a trace has a span of it.

Stage: engine (shell).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import bind_contextvars, bound_contextvars

from gitmesh.engine.ports import Ports


@contextmanager
def scope(
    ports: Ports,
    name: str,
    *,
    stage: str,
    source: str | None = None,
    revision: str | None = None,
    rollout: str | None = None,
) -> Iterator[None]:
    """Work on something. What is None stays as it is around this.

    `stage` is one of the words of ARCHITECTURE.md, `source` is `namespace/name`, `revision` has the short
    form, and `rollout` is the key of the object that moves.
    """
    given = {"stage": stage, "source": source, "revision": revision, "rollout": rollout}
    said = {key: value for key, value in given.items() if value is not None}
    with bound_contextvars(**said), ports.tracer.span(name, {k: v for k, v in said.items() if v}):
        yield


def now_at(revision: str) -> None:
    """Say which revision the work is about from here on, until the scope around it ends."""
    bind_contextvars(revision=revision)
