"""The pages on notifications, logs and traces against the code."""

from __future__ import annotations

import json
import re
from typing import Any

from fakes.notices import a_step
from generate_docs import DOCS

from gitmesh.cli.log_lines import FIELDS
from gitmesh.model.config import ParseLimits
from gitmesh.model.notifications import NotificationConfig, NotificationTarget
from gitmesh.model.tracing import TracingConfig
from gitmesh.notify.cloudevents import cloud_event
from gitmesh.parse.yaml_text import read_yaml

ROOT = DOCS.parent
NOTIFICATIONS, LOGS = (DOCS / "notifications.md").read_text(), (DOCS / "logs.md").read_text()


def examples(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.S | re.M)


def an_example(page: str) -> Any:
    (text,) = examples(page, "yaml")
    ((document,), findings) = read_yaml("example.yaml", text, ParseLimits())
    assert findings == ()
    return document.value


def cells(page: str, heading: str) -> list[str]:
    """The first cells of the first table after a text."""
    rows = page.partition(heading)[2].partition("|---")[2].partition("\n\n")[0].splitlines()[1:]
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row.split("|")[1])]


def source(package: str) -> str:
    return "".join(path.read_text() for path in sorted((ROOT / "gitmesh" / package).rglob("*.py")))


def test_the_example_of_notifications_is_right():
    config = NotificationConfig.model_validate(an_example(NOTIFICATIONS)["notifications"])
    assert {target.kind for target in config.targets} == {"webhook", "slack", "apprise", "github"}


def test_every_field_of_a_target_is_documented():
    written = set(cells(NOTIFICATIONS, "| Field | Meaning |"))
    names = {field.alias for field in NotificationTarget.model_fields.values()}
    assert names - {"kind", "channel"} <= written


def test_the_event_that_is_shown_has_the_fields_that_are_sent():
    (text,) = examples(NOTIFICATIONS, "json")
    shown, sent = json.loads(text), cloud_event(a_step(25, step=1))
    assert list(shown) == list(sent)
    assert list(shown["data"]) == list(sent["data"])
    assert list(shown["data"]["rollout"]) == list(sent["data"]["rollout"])


def test_every_event_that_the_code_names_is_documented():
    told = set(cells(NOTIFICATIONS, "## What is told"))
    named = set(
        re.findall(r'"(R(?:ollout|evision|olled)[A-Z]\w+|Fetch(?:Failed|Recovered))"', source("engine"))
    )
    assert named
    assert named - told == set()


def test_every_field_of_a_log_line_is_documented_in_order():
    assert tuple(cells(LOGS, "## Logs")) == FIELDS
    line = json.loads(examples(LOGS, "json")[0])
    assert tuple(line)[: len(FIELDS)] == FIELDS


def test_every_span_is_documented():
    told = set(cells(LOGS, "## Traces"))
    named = set(re.findall(r'scope\(\s*(?:self\._)?ports, "([^"]+)"', source("engine")))
    assert named >= {"pass", "fetch", "check", "apply"}
    assert named == {name for name in told if not name.startswith("api ")}


def test_the_example_of_traces_is_right():
    assert TracingConfig.model_validate(an_example(LOGS)["tracing"]).sample_ratio == 0.1
