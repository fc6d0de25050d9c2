"""Messages in binary form. The bytes are those of protobuf.dev, Encoding, where it has them."""

from __future__ import annotations

from typing import Any

import pytest

from gitmesh.playground.envoy.route_bytes import RouteBytes
from gitmesh.playground.envoy.route_messages import ROUTE_FORMAT
from gitmesh.playground.envoy.wire_format import UnwritableError, WireFormat, varint

FORMAT = WireFormat(
    {
        "Sample": {
            "number": (1, "int32"),
            "text": (2, "string"),
            "child": (3, "Sample"),
            "packed": (6, "repeated int32"),
            "big": (7, "int64"),
            "share": (8, "uint32"),
            "flag": (9, "bool"),
            "maybe": (10, "BoolValue"),
            "limit": (11, "UInt32Value"),
            "wait": (12, "Duration"),
            "color": (13, "Color"),
            "texts": (14, "repeated string"),
            "extension": (15, "Any"),
            "names": (16, "map Sample"),
            "words": (4, "Struct"),
            "raw": (5, "bytes"),
        }
    },
    {"Color": ("RED", "GREEN")},
    {"test.Sample": "Sample"},
)


def written(**fields: Any) -> str:
    return FORMAT.write("Sample", fields).hex(" ")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"number": 150}, "08 96 01"),
        ({"number": -2}, "08 fe ff ff ff ff ff ff ff ff 01"),
        ({"text": "testing"}, "12 07 74 65 73 74 69 6e 67"),
        ({"child": {"number": 150}}, "1a 03 08 96 01"),
        ({"packed": [3, 270, 86942]}, "32 06 03 8e 02 9e a7 05"),
        ({"packed": []}, "32 00"),
        ({"texts": ["a", "b"]}, "72 01 61 72 01 62"),
        ({"big": "5"}, "38 05"),
        ({"flag": True}, "48 01"),
        ({"maybe": False}, "52 02 08 00"),  # that it is there says more than its value
        ({"limit": 0}, "5a 02 08 00"),
        ({"wait": "1.5s"}, "62 08 08 01 10 80 ca b5 ee 01"),
        ({"wait": "0s"}, "62 04 08 00 10 00"),
        ({"color": "GREEN"}, "68 01"),
        ({"child": {}}, "1a 00"),
        ({"names": {"x": {"number": 1}}}, "82 01 07 0a 01 78 12 02 08 01"),
        ({"raw": "//79"}, "2a 03 ff fe fd"),
        ({"raw": "__79"}, "2a 03 ff fe fd"),
        ({"words": {"k": "v"}}, "22 0a 0a 08 0a 01 6b 12 03 1a 01 76"),
    ],
)
def test_each_kind_of_field_is_written_as_the_format_says(fields: dict[str, Any], expected: str):
    assert written(**fields) == expected


def test_a_message_of_any_type_says_its_type():
    found = FORMAT.write("Sample", {"extension": {"@type": "type.googleapis.com/test.Sample", "number": 1}})
    assert found == b"\x7a\x25\x0a\x1ftype.googleapis.com/test.Sample\x12\x02\x08\x01"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"unheard": 1}, "Sample has no field unheard"),
        ({"child": {"unheard": 1}}, "child: Sample has no field unheard"),
        ({"child": 1}, "child: Sample should be a mapping"),
        ({"number": 2**31}, "number: is no int32"),
        ({"share": -1}, "share: is no uint32"),
        ({"share": True}, "share: is no uint32"),
        ({"share": "many"}, "share: should be a whole number"),
        ({"text": 5}, "text: should be text"),
        ({"text": "\ud800"}, "text: is no text in UTF-8"),
        ({"flag": 1}, "flag: should be true or false"),
        ({"wait": "1m"}, "wait: is no duration"),
        ({"wait": "5"}, "wait: is no duration"),
        ({"wait": "999999999999999s"}, "wait: is no duration"),
        ({"color": "BLUE"}, "color: is no Color"),
        ({"raw": "?"}, "raw: is not Base64"),
        ({"extension": {"@type": "type.googleapis.com/test.Other"}}, "extension: a message of the type"),
        ({"words": {"k": 1}}, "words: should be text"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(fields: dict[str, Any], reason: str):
    with pytest.raises(UnwritableError, match=reason):
        written(**fields)


def test_numbers_grow_by_seven_bits():
    assert [varint(n).hex() for n in (0, 127, 128, 300, -1)] == ["00", "7f", "8001", "ac02", "ff" * 9 + "01"]


def config(*hosts: dict[str, Any]) -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
    return {"@type": kind, "name": "all", "virtual_hosts": list(hosts), "validate_clusters": False}


def test_a_virtual_host_that_is_kept_is_written_as_a_new_one():
    first, second = {"name": "a", "domains": ["a"]}, {"name": "b", "domains": ["b"]}
    kept = RouteBytes()
    assert kept.write(config(first)) != kept.write(config(first, second))
    assert kept.write(config(second, first)) == RouteBytes().write(config(second, first))
    assert kept.write(config({**first, "domains": ["c"]})) == RouteBytes().write(
        config({**first, "domains": ["c"]})
    )


def test_all_of_a_configuration_is_the_same_whether_its_hosts_are_written_apart_or_not():
    both = config({"name": "a", "domains": ["a"]}, {"name": "b", "domains": ["b"]})
    whole = ROUTE_FORMAT.write("RouteConfiguration", both)
    assert sorted(RouteBytes().write(both)) == sorted(whole)


def test_a_virtual_host_that_cannot_be_written_is_named():
    with pytest.raises(UnwritableError, match="virtual host a of the routes all: domains: should be text"):
        RouteBytes().write(config({"name": "a", "domains": [5]}))
