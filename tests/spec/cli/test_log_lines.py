"""Every line of a log for machines is one JSON object with the same fields, whoever wrote it."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from fakes.daemon_world import DaemonWorld

from gitmesh.cli.log_lines import FIELDS
from gitmesh.cli.logs import configure
from gitmesh.engine.meters import Meters
from gitmesh.engine.ports import Ports
from gitmesh.engine.scope import now_at, scope


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level


def a_port() -> Ports:
    world = DaemonWorld.__new__(DaemonWorld)  # nothing of it is touched
    nothing: Any = world
    return Ports(*[nothing] * 7, meters=Meters(), log=structlog.get_logger(), urgent=nothing)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_every_line_has_every_field_in_order_and_empty_where_there_is_none(
    capsys: pytest.CaptureFixture[str],
):
    configure("info", "json")
    structlog.get_logger().info("daemon started", data_dir="/data")
    (line,) = lines(capsys)
    assert tuple(line)[: len(FIELDS)] == FIELDS
    assert (line["stage"], line["source"], line["revision"], line["rollout"]) == ("engine", "", "", "")
    assert (line["message"], line["data_dir"]) == ("daemon started", "/data")


def test_what_is_said_within_a_scope_says_what_it_is_about(capsys: pytest.CaptureFixture[str]):
    configure("info", "json")
    ports = a_port()
    with scope(ports, "pass", stage="engine", source="default/mesh", revision=""):
        now_at("main@0123456")
        with scope(ports, "apply", stage="apply", rollout="VirtualService/default/reviews"):
            structlog.get_logger("gitmesh.kube").warning("the API server warns", warning="deprecated")
        structlog.get_logger().info("applied")
    structlog.get_logger().info("idle")
    told = [(li["stage"], li["source"], li["revision"], li["rollout"]) for li in lines(capsys)]
    assert told == [
        ("apply", "default/mesh", "main@0123456", "VirtualService/default/reviews"),
        ("engine", "default/mesh", "main@0123456", ""),
        ("engine", "", "", ""),
    ]


def test_libraries_write_the_same_lines(capsys: pytest.CaptureFixture[str]):
    configure("info", "json")
    logging.getLogger("aiohttp.access").warning("odd %s", "thing")
    logging.getLogger("asyncio").info("not loud enough")
    warnings.warn("this is old", UserWarning, stacklevel=1)
    told = lines(capsys)
    assert told[0]["message"] == "odd thing"
    assert told[0]["logger"] == "aiohttp.access"
    assert "this is old" in told[1]["message"]
    assert all(set(FIELDS) <= set(line) for line in told)


def test_an_error_is_one_line_with_its_trace(capsys: pytest.CaptureFixture[str]):
    configure("info", "json")
    try:
        raise ValueError("wrong\nin two lines")
    except ValueError:
        structlog.get_logger().exception("pass failed unexpectedly")
        logging.getLogger("library").exception("failed")
    for line in lines(capsys):
        assert line["level"] == "error"
        assert line["exception"].endswith("in two lines")


def test_what_is_no_json_is_written_as_text(capsys: pytest.CaptureFixture[str]):
    configure("info", "json")
    structlog.get_logger().info("odd", value={1: object(), "x": {2, 3}})
    (line,) = lines(capsys)
    assert line["value"]["1"].startswith("<object object")
