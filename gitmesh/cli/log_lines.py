"""Log lines for machines: one JSON object each, with the same fields first, also from libraries.

Stage: none (face). The fields are documented in docs/logs.md.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson
import structlog
from structlog.stdlib import ProcessorFormatter

# In every line, and empty where there is none.
FIELDS = ("timestamp", "level", "stage", "source", "revision", "rollout", "message")


def complete(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Return a line with every field, in order. What is not said to be anything else is the engine's."""
    event.setdefault("stage", "engine")
    first = {name: event.get(name, "") for name in FIELDS}
    return {**first, **{name: value for name, value in event.items() if name not in first}}


def as_json(logger: Any, method: str, event: structlog.typing.EventDict) -> str:
    """Write a line. What is no JSON is written as text."""
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def processors() -> list[structlog.typing.Processor]:
    """Return what happens to a line after its context is merged in, up to text."""
    return [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        complete,
        as_json,
    ]


def adopt_libraries() -> None:
    """Have libraries that log in Python's own way write such lines too, and Python's warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[ProcessorFormatter.remove_processors_meta, *processors()],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
