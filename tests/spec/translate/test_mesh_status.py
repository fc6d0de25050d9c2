"""The status says what has no effect, and is written only when that changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.playground.mesh_status import status_with
from gitmesh.playground.translate import Untranslated

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
KEY = VIRTUAL_SERVICE.key("default", "reviews")
DELEGATE = Untranslated(KEY, ("spec", "http", 0, "delegate"), "is not translated")
OTHERS = {"type": "Reconciled", "status": "True"}


def test_an_object_that_is_served_wholly_gets_no_status():
    assert status_with({}, (), "", NOW) is None


def test_an_untranslated_field_is_named_with_its_place():
    status = status_with({}, (DELEGATE,), "", NOW)
    assert status is not None
    [condition], [message] = status["conditions"], status["validationMessages"]
    assert (condition["type"], condition["status"]) == ("Programmed", "True")
    assert "spec.http[0].delegate" in condition["message"]
    assert (message["path"], message["level"]) == ("spec.http[0].delegate", "WARNING")


def test_a_refusal_is_an_error_with_the_words_of_envoy():
    status = status_with({}, (), "missing ]: [", NOW)
    assert status is not None
    assert status["conditions"][0]["status"] == "False"
    assert status["validationMessages"][0]["level"] == "ERROR"
    assert status["validationMessages"][0]["message"] == "missing ]: ["


def test_the_same_finding_is_not_written_again():
    status = status_with({}, (DELEGATE,), "", NOW)
    assert status is not None
    assert status_with(status, (DELEGATE,), "", LATER) is None


def test_the_time_moves_only_with_the_condition_s_status():
    first = status_with({}, (DELEGATE,), "", NOW)
    assert first is not None
    other = Untranslated(KEY, ("spec", "tcp"), "is not translated")
    second = status_with(first, (DELEGATE, other), "", LATER)
    third = status_with(first, (), "refused", LATER)
    assert second is not None
    assert third is not None
    assert second["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert third["conditions"][0]["lastTransitionTime"] == "2026-01-01T01:00:00Z"


def test_what_others_wrote_stays_when_the_finding_goes():
    others = {
        "conditions": [OTHERS],
        "validationMessages": [{"type": {"code": "IST0101"}}],
        "observedGeneration": 3,
    }
    found = status_with(others, (DELEGATE,), "", NOW)
    assert found is not None
    assert OTHERS in found["conditions"]
    assert status_with(found, (), "", LATER) == others


def test_strange_status_of_others_does_no_harm():
    assert status_with({"conditions": "none", "validationMessages": [1]}, (DELEGATE,), "", NOW) is not None
