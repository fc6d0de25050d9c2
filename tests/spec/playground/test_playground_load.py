"""Promises about what the load generator remembers."""

import pytest

from gitmesh.engine.clock import SystemClock
from gitmesh.playground.load import SECONDS_KEPT, LoadGenerator, LoadRecord
from gitmesh.playground.translate.listeners import Address


def test_answers_are_counted_by_second_and_by_version():
    record = LoadRecord()
    for at, status, version in [
        (10.1, 200, "v1"),
        (10.9, 500, "v2"),
        (11.0, 200, "v2"),
        (12.5, 503, ""),
        (12.6, 0, ""),
    ]:
        record.note(at, status, version)
    assert (record.total, record.failed) == (5, 3)
    assert [second.total for second in record.seconds] == [2, 1, 2]
    tally = record.since(11.5)
    assert (tally.total, tally.failed, tally.by_version) == (3, 2, {"v2": 1})
    assert record.last(12.0, 2).by_version == {"v1": 1, "v2": 2}
    assert record.last(12.0, 2).share("v2") == pytest.approx(66.67, abs=0.01)
    assert LoadRecord().last(5.0, 3).share("v1") == 0


def test_the_first_failure_and_the_last_answer_of_each_version_are_known():
    record = LoadRecord()
    for at, status, version in [
        (1.0, 200, "v1"),
        (2.0, 404, "v1"),
        (3.0, 500, "v2"),
        (4.0, 500, "v2"),
        (5.0, 200, "v1"),
    ]:
        record.note(at, status, version)
    assert (record.first_failure_at, record.last_failure_at) == (3.0, 4.0)
    assert record.first_response_at == {"v1": 1.0, "v2": 3.0}
    assert record.last_response_at == {"v1": 5.0, "v2": 4.0}
    record.forget_marks()
    assert record.first_failure_at is None
    assert record.total == 5


def test_the_record_is_bounded():
    record = LoadRecord()
    for second in range(SECONDS_KEPT + 100):
        record.note(float(second), 200, "v1")
    assert len(record.seconds) == SECONDS_KEPT


@pytest.mark.parametrize("rate", [0, -1, 1e6])
def test_the_rate_is_bounded(rate):
    with pytest.raises(ValueError, match="requests a second"):
        LoadGenerator(Address("127.0.0.1", 1), clock=SystemClock(), rate=rate)
