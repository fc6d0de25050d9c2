"""CHANGELOG.md has the form of Keep a Changelog."""

from __future__ import annotations

import re
from pathlib import Path

from gitmesh import __version__

TEXT = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
SECTIONS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
RELEASE = re.compile(
    r"^## \[(?P<version>Unreleased|\d+\.\d+\.\d+)\](?: - (?P<date>\d{4}-\d\d-\d\d|Unreleased))?$", re.M
)


def test_it_says_which_form_it_has():
    assert TEXT.startswith("# Changelog\n")
    assert "https://keepachangelog.com/" in TEXT
    assert "https://semver.org/" in TEXT


def test_every_release_has_a_version_and_a_date_newest_first():
    headings = re.findall(r"^## .*$", TEXT, re.M)
    releases = list(RELEASE.finditer(TEXT))
    assert len(headings) == len(releases), "a heading is not `## [1.2.3] - 2026-01-31` or `## [Unreleased]`"
    versions = [tuple(map(int, m["version"].split("."))) for m in releases if m["version"] != "Unreleased"]
    assert versions == sorted(versions, reverse=True)
    assert all(m["date"] for m in releases if m["version"] != "Unreleased")


def test_the_version_of_the_package_is_in_it():
    assert __version__ in {m["version"] for m in RELEASE.finditer(TEXT)}


def test_changes_stand_below_the_six_headings_and_as_lists():
    assert set(re.findall(r"^### (.*)$", TEXT, re.M)) <= set(SECTIONS)
    for section in re.split(r"^### .*$", TEXT, flags=re.M)[1:]:
        assert re.match(r"\n+- \S", section)
