"""Promises about versions and ranges of versions."""

from __future__ import annotations

import itertools

import pytest

from gitmesh.model.semver import Version, parse_range, parse_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.2.3", Version(1, 2, 3)),
        ("v1.2.3", Version(1, 2, 3)),
        ("0.0.0", Version(0, 0, 0)),
        ("1.0.0-alpha.1", Version(1, 0, 0, ("alpha", "1"))),
        ("1.0.0-0A.is.legal", Version(1, 0, 0, ("0A", "is", "legal"))),
        ("1.0.0--", Version(1, 0, 0, ("-",))),
        ("1.0.0+build.007", Version(1, 0, 0)),
        ("1.0.0-rc.1+build", Version(1, 0, 0, ("rc", "1"))),
    ],
)
def test_a_version_is_read_with_and_without_the_v_of_tags(text, version):
    assert parse_version(text) == version


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.03", "1.2.3-01", "1.2.3-", "1.2.3-a..b", "1.2.3+", "vv1.2.3",
     "release-1.2.3", "1.2.3 ", "1.2.3\n", "a.b.c", "1.-2.3", "1.2.3-ü", "٣.0.0", "1.2.3-" + "a" * 300],
)  # fmt: skip
def test_what_the_specification_does_not_call_a_version_is_none(text):
    assert parse_version(text) is None


def test_precedence_is_that_of_item_11_of_the_specification():
    ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
               "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"]  # fmt: skip
    versions = [parse_version(text) for text in ordered]
    for earlier, later in itertools.pairwise(versions):
        assert earlier is not None
        assert later is not None
        assert earlier < later
        assert not later < earlier
    assert parse_version("1.0.0+a") == parse_version("1.0.0+b")


@pytest.mark.parametrize(
    ("range_", "inside", "outside"),
    [
        (">=1.2 <2", "1.2.0 1.99.0", "1.1.9 2.0.0 2.0.0-rc.1 1.5.0-rc.1"),
        (">= 1.2, < 2", "1.2.0 1.99.0", "1.1.9 2.0.0"),
        ("1.x", "1.0.0 1.9.9", "0.9.0 2.0.0"),
        ("1.2.*", "1.2.0 1.2.9", "1.3.0 1.1.0"),
        ("1", "1.0.0 1.9.9", "0.9.0 2.0.0"),
        ("1.4", "1.4.0 1.4.7", "1.5.0"),
        ("~1.4", "1.4.0 1.4.9", "1.5.0 1.3.9"),
        ("~1.4.2", "1.4.2 1.4.9", "1.4.1 1.5.0"),
        ("~1", "1.0.0 1.9.0", "2.0.0"),
        ("^2.0.0", "2.0.0 2.9.9", "1.9.9 3.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"),
        ("^0.0.3", "0.0.3", "0.0.4 0.0.2"),
        ("^0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^0", "0.0.0 0.9.0", "1.0.0"),
        ("1.2.3", "1.2.3", "1.2.4 1.2.3-rc.1"),
        ("=1.2.3", "1.2.3", "1.2.4"),
        ("!=1.2.3", "1.2.4 1.2.2", "1.2.3"),
        ("!=1.2", "1.3.0", "1.2.0 1.2.9"),
        (">1.2", "1.3.0 2.0.0", "1.2.0 1.2.9"),
        (">1.2.3", "1.2.4", "1.2.3"),
        ("<=1.2", "1.2.9 0.1.0", "1.3.0"),
        ("<=1.2.3", "1.2.3", "1.2.4"),
        ("1.2 - 1.4", "1.2.0 1.4.9", "1.1.9 1.5.0"),
        ("1.2.3 - 1.4.5", "1.2.3 1.4.5", "1.4.6 1.2.2"),
        ("1.x || >=3.1", "1.5.0 3.1.0 4.0.0", "2.0.0 3.0.9"),
        ("*", "0.0.1 99.0.0", "1.0.0-rc.1"),
        (">=1.2.3-rc.1", "1.2.3-rc.1 1.2.3-rc.2 1.2.3 2.0.0 2.0.0-beta", "1.2.3-beta 1.2.2"),
        (">=1.0.0-0 <2", "1.0.0-alpha 1.5.0-rc.1 1.9.9", "2.0.0-rc.1 2.0.0"),
        ("^1.2.0-0", "1.2.0-alpha 1.3.0-rc.1", "2.0.0-rc.1"),
        ("1.x || >=2.0.0-0", "1.1.0 2.0.0-rc.1", "1.1.0-rc.1"),
        ("v1.2.3", "1.2.3", "1.2.4"),
    ],
)
def test_a_range_holds_what_people_expect_and_pre_releases_only_where_it_names_one(range_, inside, outside):
    range_ = parse_range(range_)
    for text in (*inside.split(), *outside.split()):
        version = parse_version(text)
        assert version is not None
        assert range_.holds(version) == (text in inside.split()), text


@pytest.mark.parametrize(
    "text", ["", " ", "||", "1.x ||", "main", ">=", "1.2.3.4", ">=1.2 and <2", "^", "~a", "1..2"]
)
def test_what_is_no_range_is_refused_with_what_to_write(text):
    with pytest.raises(ValueError, match="write for example"):
        parse_range(text)


def test_the_newest_tag_is_chosen_by_version_and_not_by_name_or_age():
    tags = ["v1.10.0", "v1.9.9", "v2.0.0-rc.1", "latest", "1.9.10", "v1.10", "nightly-2026"]
    assert parse_range("1.x").newest(tags) == "v1.10.0"
    assert parse_range("~1.9").newest(tags) == "1.9.10"
    assert parse_range(">=2.0.0-0").newest(tags) == "v2.0.0-rc.1"
    assert parse_range(">=2").newest(tags) is None
    # Equal versions, whatever order the server lists them in.
    for order in itertools.permutations(["1.0.0+a", "1.0.0+b", "v1.0.0"]):
        assert parse_range("1.x").newest(order) == "v1.0.0"


def test_a_range_with_much_in_it_takes_no_time():
    text = ">=1.0.0-" + "0." * 60 + "0"
    assert parse_range(text).newest([f"v1.{n}.0" for n in range(20_000)]) == "v1.19999.0"
