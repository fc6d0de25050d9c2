"""Applications as people write them, with which nothing is wrong: one folder each."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.examined import findings

from gitmesh.model.diagnostic import Diagnostic, Severity

HERE = Path(__file__).parent
APPLICATIONS = sorted(path for path in HERE.iterdir() if path.is_dir() and not path.name.startswith("_"))
FILES = sorted(path for folder in APPLICATIONS for path in folder.iterdir())
# Kinds left alone, subsets that lead to an egress gateway, and what settings do beside what they say.
REMARKS = {"GM019", "GM411", "GM435", "GM436"}


def texts(*paths: Path) -> dict[str, bytes]:
    return {str(path.relative_to(HERE)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("folder", APPLICATIONS, ids=lambda path: path.name)
def test_nothing_is_wrong_with(folder: Path):
    found = findings(texts(*sorted(folder.iterdir())))
    assert [str(d) for d in found if d.severity is not Severity.INFO] == []
    assert {d.code for d in found} <= REMARKS


@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_of_an_application_on_its_own_has_no_error(file: Path):
    assert [str(d) for d in findings(texts(file)) if d.severity is Severity.ERROR] == []


def test_the_applications_of_one_repository_do_not_disturb_one_another():
    wrong = [d for d in findings(texts(*FILES)) if d.severity is not Severity.INFO]
    # Two teams that both take every host of the gateway that Istio brings would be one finding of this kind.
    assert [str(d) for d in wrong] == []


def test_a_typing_error_in_each_name_is_found():
    """Of every application, each name that something else names is misspelt once."""
    missed = [told for folder in APPLICATIONS for told in _misspelt(folder)]
    assert missed == []


def _misspelt(folder: Path) -> list[str]:
    files, missed = texts(*sorted(folder.iterdir())), []
    for path, content in files.items():
        for name in (b"subset: v1", b"subset: blue", b"subset: news"):
            if name in content:
                wrong = {**files, path: content.replace(name, name + b"x", 1)}
                if not any(_is_missing_subset(d) for d in findings(wrong)):
                    missed.append(f"{path}: {name.decode()}")
    return missed


def _is_missing_subset(finding: Diagnostic) -> bool:
    return finding.code == "GM201" and finding.severity is Severity.ERROR
