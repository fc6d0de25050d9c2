""".gitmeshignore leaves files alone, in the manner of .gitignore."""

from __future__ import annotations

import pytest
from fakes.examined import parsed

from gitmesh.parse.ignore import read_ignore_files


@pytest.mark.parametrize(
    ("pattern", "ignored", "kept"),
    [
        ("ci.yaml", ["ci.yaml", "a/b/ci.yaml", "ci.yaml/x.yaml"], ["cix.yaml", "aci.yaml"]),
        ("*.tmpl.yaml", ["a.tmpl.yaml", "d/a.tmpl.yaml"], ["a.yaml"]),
        ("docs/", ["docs/a.yaml", "x/docs/a.yaml"], ["docs", "docs.yaml"]),
        ("/docs", ["docs/a.yaml"], ["x/docs/a.yaml"]),
        ("a/b", ["a/b/c.yaml"], ["x/a/b/c.yaml"]),
        ("a/**/z.yaml", ["a/z.yaml", "a/b/c/z.yaml"], ["z.yaml"]),
        ("**/gen", ["gen/a.yaml", "x/gen/a.yaml"], ["genx/a.yaml"]),
        ("v?.yaml", ["v1.yaml"], ["v10.yaml", "v/.yaml"]),
        ("a/**", ["a/b", "a/b/c.yaml"], ["a", "x/a/b"]),
        ("*a*b*", ["xaybz", "ab"], ["ba", "a"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_a_pattern_ignores(pattern: str, ignored: list[str], kept: list[str]):
    rules, found = read_ignore_files({".gitmeshignore": pattern})
    assert found == ()
    assert [path for path in ignored if not rules.ignores(path)] == []
    assert [path for path in kept if rules.ignores(path)] == []


def test_the_last_matching_line_decides():
    rules, _ = read_ignore_files({".gitmeshignore": "# comment\n\n*.yaml\n!keep.yaml\n"})
    assert (rules.ignores("a.yaml"), rules.ignores("x/keep.yaml")) == (True, False)


def test_a_file_in_a_folder_speaks_for_that_folder_only():
    rules, _ = read_ignore_files({"sub/.gitmeshignore": "/a.yaml"})
    assert (rules.ignores("sub/a.yaml"), rules.ignores("a.yaml")) == (True, False)


def test_what_is_no_pattern_is_a_warning():
    result = parsed({".gitmeshignore": "a.yaml\n/\n" + "x" * 300, "a.yaml": "broken: ["})
    assert [f"{d.at} {d.code}" for d in result.diagnostics] == [
        ".gitmeshignore:2:1 GM025",
        ".gitmeshignore:3:1 GM025",
    ]


def test_a_hostile_pattern_takes_no_time():
    rules, _ = read_ignore_files({".gitmeshignore": "*a" * 100 + "b\n" + "**/" * 80 + "b"})
    assert not rules.ignores("/".join(["a" * 250] * 16))
