"""Which files are read, what is said about others, and what a broken or hostile one costs."""

from __future__ import annotations

import tracemalloc

import pytest
from fakes.examined import parsed, told

from gitmesh.model.config import ParseLimits
from gitmesh.model.diagnostic import Severity, has_errors

REVIEWS = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews}}]}]
"""


def places(result) -> list[str]:
    return [f"{d.at} {d.code}" for d in result.diagnostics]


def test_a_file_that_is_not_utf8_names_the_first_bad_byte():
    assert places(parsed({"a.yaml": b"a: 1\nb: caf\xe9\n"})) == ["a.yaml:2:7 GM010"]


def test_a_pointer_of_git_lfs_is_called_that_and_keeps_the_revision_from_being_applied():
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
    result = parsed({"a.yaml": pointer, "b.json": pointer, "c.yaml": REVIEWS, ".gitmeshignore": "d.yaml\n",
                     "d.yaml": pointer})  # fmt: skip
    assert places(result) == ["a.yaml:1:1 GM006", "b.json:1:1 GM006"]
    assert has_errors(result.diagnostics)
    assert "git lfs untrack" in result.diagnostics[0].hint
    assert len(result.resources) == 1


def test_a_byte_order_mark_is_not_in_the_way():
    assert len(parsed({"a.yaml": b"\xef\xbb\xbf" + REVIEWS.encode()}).resources) == 1


def test_windows_line_ends_are_not_in_the_way():
    assert len(parsed({"a.yaml": REVIEWS.replace("\n", "\r\n")}).resources) == 1


def test_a_tab_is_called_a_tab():
    (found,) = parsed("a:\n\tb: 1\n").diagnostics
    assert (found.code, str(found.at), found.hint) == ("GM011", "a.yaml:2:1", "indent with spaces")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [1\nb: 2\n", "a.yaml:1:4"),
        ("a: {b: 1\nc: 2\n", "a.yaml:1:4"),
        ("a: 1\nb: 'c\nd: 2\n", "a.yaml:2:4"),
        ("a: b: c\n", "a.yaml:1:5"),
        ("a: 1\n b: 2\n", "a.yaml:2:3"),
        ("a: @b\n", "a.yaml:1:4"),
        ("a: b\x07\n", "a.yaml:1:5"),
    ],
)
def test_a_syntax_error_points_at_what_has_to_be_changed(text: str, place: str):
    assert places(parsed(text)) == [f"{place} GM011"]


def test_one_broken_file_does_not_hide_the_others():
    result = parsed({"a.yaml": "a: [", "b.yaml": REVIEWS})
    assert [key.name for key in result.resources] == ["reviews"]
    assert has_errors(result.diagnostics)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "---\n---\n# x\n...\n", "\n\n"])
def test_empty_documents_are_nothing(text: str):
    result = parsed(text)
    assert (result.resources, result.diagnostics) == ({}, ())


def test_documents_of_one_file_have_their_own_places():
    result = parsed("# head\n---\n" + REVIEWS + "---\n\n" + REVIEWS.replace("name: reviews}", "name: b}"))
    origins = [r.origin for r in result.resources.values()]
    assert [(o.document, o.line, o.column) for o in origins if o] == [(0, 3, 1), (1, 11, 1)]


def test_several_json_values_in_one_file_are_read():
    one = '{"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": {"name": "%s"}}'
    result = parsed({"a.json": one % "a" + "\n" + one % "b"})
    assert [key.name for key in result.resources] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ('{"a": }', "GM011", "a.json:1:7"),
        ('{"a": NaN}', "GM015", "a.json:1:1"),
        ("[" * 100_000, "GM015", "a.json:1:1"),
        ("[" * 80 + "]" * 80, "GM014", "a.json:1:1"),
        ("7" * 5000, "GM015", "a.json:1:1"),
        ("7" * 50, "GM016", "a.json:1:1"),
    ],
)
def test_broken_json_is_a_finding(text: str, code: str, place: str):
    assert places(parsed({"a.json": text})) == [f"{place} {code}"]


def test_a_yaml_bomb_costs_no_memory():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    tracemalloc.start()
    result = parsed("\n".join(lines))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [d.code for d in result.diagnostics] == ["GM014"]
    assert peak < 2_000_000


@pytest.mark.parametrize("text", ["a: " + "[" * 100_000, "a: " + "{b: " * 5_000, "- " * 50_000])
def test_depth_is_limited_before_it_costs_anything(text: str):
    assert [d.code for d in parsed(text).diagnostics] == ["GM014"]


def test_documents_are_limited():
    result = parsed("---\na: 1\n" * 20, limits=ParseLimits(documents_max=5))
    assert [d.code for d in result.diagnostics].count("GM014") == 1
    assert len(result.diagnostics) == 6


def test_findings_are_limited_and_errors_come_first():
    texts = {f"w{n}.yaml": "apiVersion: v1\nkind: Secret\n" for n in range(10)} | {"z.yaml": "a: ["}
    result = parsed(texts, limits=ParseLimits(diagnostics_max=3))
    assert len(result.diagnostics) == 4
    assert [d.code for d in result.diagnostics][-2:] == ["GM011", "GM024"]
    assert result.diagnostics[-1].severity is Severity.INFO


def test_only_manifests_are_read():
    texts = {
        "README.md": "a: [",
        "a.txt": "a: [",
        ".github/ci.yml": "a: [",
        ".pre-commit-config.yaml": "a: [",
    }
    assert parsed(texts).diagnostics == ()


def test_charts_and_kustomizations_are_not_applied_and_say_so():
    texts = {
        "chart/Chart.yaml": "name: x",
        "chart/values.yaml": "a: 1",
        "chart/templates/a.yaml": "{{ .Values }}",
        "base/kustomization.yaml": "resources: []",
        "base/reviews.yaml": REVIEWS,
    }
    result = parsed(texts)
    assert places(result) == ["base/kustomization.yaml:1:1 GM023", "chart/Chart.yaml:1:1 GM023"]
    assert len(result.resources) == 1


def test_a_directory_with_dots_above_it_is_read_when_a_person_names_it():
    assert told({"/home/user/.cache/x/a.yaml": REVIEWS, "../.y/b.yaml": "a: @"}) == ["1:4 GM011"]


def test_no_error_hides_behind_warnings():
    result = parsed("a:\n" + "- y\n" * 50 + "- {b: 1, b: 2}\n", limits=ParseLimits(diagnostics_max=10))
    assert has_errors(result.diagnostics)
    assert len(result.diagnostics) == 11


def test_a_list_with_thousands_of_wrong_elements_costs_what_is_shown():
    text = "apiVersion: v1\nkind: List\nitems:\n" + "- a\n" * 50_000
    assert len(parsed(text).files["a.yaml"].diagnostics) == ParseLimits().diagnostics_max


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("é: 漢\na: \x1b[31m".encode(), "2:4 GM011"),
        ("é: \x1b".encode(), "1:4 GM011"),
        (b"\xef\xbb\xbfa: b\r\n\xc3\xa9 \xff", "2:3 GM010"),
        (b"a: [b", "1:4 GM011"),
        (b"a: b\nc", "2:2 GM011"),
    ],
)
def test_the_place_of_what_cannot_be_read_is_counted_in_characters(content: bytes, place: str):
    assert told({"a.yaml": content}) == [place]
