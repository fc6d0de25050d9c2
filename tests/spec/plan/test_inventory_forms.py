"""The inventory is a list that people can read while it is short, and always fits into an object of etcd."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from gitmesh.model.inventory import LISTED_MAX, UNPACKED_BYTES_MAX, packed, unpacked
from gitmesh.model.kinds import TRAFFIC_KINDS, VIRTUAL_SERVICE
from gitmesh.model.resource import ResourceKey
from gitmesh.model.source import TrafficSourceStatus

ETCD_BYTES_MAX = 1_572_864


def keys(count: int) -> frozenset[ResourceKey]:
    kinds = len(TRAFFIC_KINDS)
    return frozenset(
        TRAFFIC_KINDS[n % kinds].key(f"team-{n // 300}", f"application-{n // kinds}") for n in range(count)
    )


@pytest.mark.parametrize("count", [0, 1, LISTED_MAX, LISTED_MAX + 1, 12_345])
def test_what_was_put_in_comes_out(count: int):
    assert unpacked(*packed(keys(count))) == keys(count)


def test_a_short_inventory_is_a_sorted_list_of_paths():
    listed, lines = packed([VIRTUAL_SERVICE.key("b", "y"), VIRTUAL_SERVICE.key("a", "x")])
    assert lines == ""
    assert listed == tuple(f"networking.istio.io/VirtualService/{p}" for p in ("a/x", "b/y"))


def test_a_long_one_is_the_same_lines_for_gunzip():
    listed, lines = packed(keys(2_000))
    assert listed == ()
    text = gzip.decompress(base64.b64decode(lines)).decode()
    assert text.splitlines() == sorted(key.path for key in keys(2_000))


def test_fifty_thousand_objects_fit_into_one_object_of_etcd_with_room_to_spare():
    status = TrafficSourceStatus().owning(keys(50_000))
    assert len(json.dumps(status.as_json())) * 4 < ETCD_BYTES_MAX
    assert len(status.owned) == 50_000


def test_equal_inventories_are_equal_texts():
    assert packed(sorted(keys(3_000))) == packed(sorted(keys(3_000), reverse=True))


def test_the_list_of_an_earlier_release_is_read_however_long_it_is():
    paths = tuple(key.path for key in keys(3_000))
    assert TrafficSourceStatus(inventory=paths).owned == keys(3_000)


@pytest.mark.parametrize("lines", ["not base64!", "bm90IGd6aXA=", base64.b64encode(b"\x1f\x8b\x08").decode()])
def test_what_somebody_else_wrote_there_is_no_inventory_and_no_error(lines: str):
    assert TrafficSourceStatus(packed_inventory=lines).owned == frozenset()


def test_lines_that_are_no_paths_are_left_out():
    lines = base64.b64encode(gzip.compress(b"nonsense\n/Service/a/b\n\xff\xfe\n")).decode()
    assert unpacked((), lines) == {ResourceKey("", "Service", "a", "b")}


def test_a_bomb_is_unpacked_up_to_a_limit_only():
    bomb = base64.b64encode(gzip.compress(b"a/b/c/" + b"d" * 2 * UNPACKED_BYTES_MAX)).decode()
    (key,) = unpacked((), bomb)
    assert len(key.path) == UNPACKED_BYTES_MAX
