"""Promises about which entries of a tree are read."""

import pytest

from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.selection import Entry, EntryKind, Selection
from gitmesh.model.config import GitLimits
from gitmesh.model.diagnostic import Severity
from gitmesh.parse.ignore import IgnoreRules, read_patterns


def select(*entries, **limits):
    selection = Selection(GitLimits(**limits), "main@1234567")
    for entry in entries:
        selection.add(entry)
    return selection


def a_file(path, size=10):
    return Entry(EntryKind.FILE, path if isinstance(path, bytes) else path.encode(), size, "b" * 40)


def test_manifests_are_read_and_other_files_are_passed_over_in_silence():
    selection = select(
        a_file("a.yaml"), a_file("b/c.YML"), a_file("d.json"), a_file("README.md"), a_file("x.png", 10**9)
    )
    assert [f.path for f in selection.files] == ["a.yaml", "b/c.YML", "d.json"]
    assert selection.diagnostics == []


def test_ignore_files_come_along_for_they_say_what_to_leave_alone():
    selection = select(a_file(".gitmeshignore"), a_file("a/.gitmeshignore"), a_file("x.gitmeshignore"))
    assert [f.path for f in selection.files] == [".gitmeshignore", "a/.gitmeshignore"]


def test_links_and_submodules_are_left_out_with_a_warning():
    selection = select(Entry(EntryKind.SYMLINK, b"a.yaml"), Entry(EntryKind.SUBMODULE, b"lib"))
    assert selection.files == []
    assert [(d.code, d.severity) for d in selection.diagnostics] == [
        ("GM001", Severity.WARNING),
        ("GM002", Severity.WARNING),
    ]


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (a_file("big.yaml", 101), "GM003"),
        (a_file("1/2/3/4.yaml"), "GM004"),
        (a_file(b"a\nb.yaml"), "GM005"),
        (a_file(b"\xff.yaml"), "GM005"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_an_error_because_its_resources_would_be_pruned(entry, code):
    selection = select(entry, file_bytes_max=100, path_depth_max=3)
    (finding,) = selection.diagnostics
    assert (finding.code, finding.severity) == (code, Severity.ERROR)
    assert finding.hint
    assert str(finding).isprintable()


def test_quotes_and_other_letters_are_fine_in_a_name():
    assert [f.path for f in select(a_file('say "hi".yaml'), a_file("größe.yaml")).files] == [
        'say "hi".yaml',
        "größe.yaml",
    ]


def test_too_many_files_and_too_many_bytes_refuse_the_whole():
    with pytest.raises(FetchError, match="more than 1 files"):
        select(a_file("a"), a_file("b"), files_max=1)
    with pytest.raises(FetchError, match="15 bytes"):
        select(a_file("a.yaml"), a_file("b.yaml"), total_bytes_max=15)


def test_an_error_is_not_lost_behind_a_flood_of_warnings():
    links = [Entry(EntryKind.SYMLINK, b"l%d" % n) for n in range(500)]
    selection = select(*links, a_file("big.yaml", 101), file_bytes_max=100)
    assert len(selection.diagnostics) == 100
    assert any(d.severity is Severity.ERROR for d in selection.diagnostics)


def test_what_is_ignored_is_as_if_it_were_not_there_and_breaks_no_limit():
    rules = IgnoreRules(read_patterns(("drafts/", "*.tmpl.yaml", "!keep.tmpl.yaml", "/top.yaml")))
    selection = Selection(GitLimits(file_bytes_max=100), "main@1234567", rules)
    kept = ["a.yaml", "b/keep.tmpl.yaml", "b/top.yaml"]
    for path in (*kept, "drafts/a.yaml", "b/drafts/a.yaml", "x.tmpl.yaml", "top.yaml"):
        selection.add(a_file(path))
    selection.add(a_file("drafts/huge.yaml", 10**9))
    selection.add(Entry(EntryKind.SYMLINK, b"drafts/link.yaml"))
    selection.add(Entry(EntryKind.SUBMODULE, b"b/drafts/module"))
    assert [file.path for file in selection.files] == kept
    assert selection.diagnostics == []


def test_sizes_may_be_looked_up_later_and_count_as_much():
    selection = Selection(GitLimits(file_bytes_max=100), "main@1234567")
    for name in ("a", "b"):
        selection.add(Entry(EntryKind.FILE, f"{name}.yaml".encode(), blob=name * 40))
    assert selection.files == []
    selection.weigh({"a" * 40: 10, "b" * 40: 101})
    assert [(file.path, file.size) for file in selection.files] == [("a.yaml", 10)]
    assert [d.code for d in selection.diagnostics] == ["GM003"]
