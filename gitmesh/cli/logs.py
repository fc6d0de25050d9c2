"""Structured logs: readable lines on a terminal, one JSON object a line elsewhere.

Stage: none (face).
"""

from __future__ import annotations

import logging
import sys

import structlog

from gitmesh.cli.log_lines import adopt_libraries, processors

LEVELS = ("debug", "info", "warning", "error")

_LEVELS = {name: logging.getLevelNamesMapping()[name.upper()] for name in LEVELS}
_mildest = logging.INFO


def set_level(level: str) -> None:
    """Write nothing milder from now on, also through loggers that exist already."""
    global _mildest
    _mildest = _LEVELS[level]


def _drop_milder(
    logger: object, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if _LEVELS.get(method, logging.ERROR) < _mildest:
        raise structlog.DropEvent
    return event


def configure(level: str, log_format: str) -> None:
    """Set up structlog for this process. `log_format` is auto, json or text."""
    set_level(level)
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    chain: list[structlog.typing.Processor] = [
        _drop_milder,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if text:
        plain = structlog.dev.plain_traceback
        chain.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain))
    else:
        chain += processors()
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries speak up only when something is wrong.
    if text:
        logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    else:
        adopt_libraries()
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
