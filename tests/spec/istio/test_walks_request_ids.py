"""A share of requests by their ids."""

import re
from uuid import UUID, uuid4

import pytest

from gitmesh.istio.walks.request_ids import RESOLUTION, pattern, share_of


def takes(share: int, request_id: str) -> bool:
    return re.fullmatch(pattern(share), request_id) is not None


def with_ending(number: int) -> str:
    return f"9f1c2d3e-0000-4abc-8def-01234567{number:04x}"


@pytest.mark.parametrize("share", [1, 15, 16, 17, 255, 256, 4095, 4096, 0x4000, 0x8001, 0xABCD, 65535])
def test_exactly_the_endings_below_the_share_are_on_it(share):
    compiled = re.compile(pattern(share))
    taken = [number for number in range(RESOLUTION) if compiled.fullmatch(with_ending(number))]
    assert taken == list(range(share))


def test_a_quarter_is_written_with_one_digit():
    assert pattern(share_of(25)) == ".*([0-3][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F])"


def test_neither_the_version_nor_the_variant_nor_the_digits_of_sampling_matter():
    made = uuid4().hex
    for version in ["4", "9", "a", "b"]:  # Envoy writes there why a trace is sampled
        changed = str(UUID(f"00000000{made[8:12]}{version}{made[13:]}"))
        assert takes(0x7FFF, changed) == takes(0x7FFF, str(UUID(made)))


@pytest.mark.parametrize("request_id", ["", "abc", "order-17-xyz", "01ARZ3NDEKTSV4RRFFQ69G5FAV"])
def test_an_id_that_does_not_end_in_four_hexadecimal_digits_is_on_no_share(request_id):
    assert not takes(RESOLUTION - 1, request_id)


def test_an_id_of_another_shape_may_be_on_it():
    assert takes(0x8000, "req-00ff")
    assert takes(0x8000, "0AF7651916CD43DD8448EB211C80319C"[:-4] + "7FFF")


def test_a_rollout_that_has_begun_moves_something_and_one_that_has_not_ended_leaves_something():
    assert share_of(0) == 0
    assert share_of(0.0001) == 1
    assert share_of(99.9999) == RESOLUTION - 1
    assert share_of(100) == RESOLUTION
    assert share_of(5) == 3277
