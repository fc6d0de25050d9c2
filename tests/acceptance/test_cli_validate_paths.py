"""What `gitmesh validate` reads, what it says when it cannot, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from fakes.real_loop import CONTROL, gitmesh

import gitmesh.fetch.directory as directory
from gitmesh.cli.main import cli

GOOD = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: NAME}
spec: {hosts: [NAME.example.com], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}
"""
WARNING = GOOD.replace("name: NAME", 'name: NAME, uid: "7"')
ERROR = GOOD.replace("hosts", "hostts: [], hosts")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("NAME", path.name.partition(".")[0]))


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    result = CliRunner().invoke(cli, ["validate", *arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def found(*arguments: str, stdin: str | bytes = "") -> list[str]:
    """Return `file code` of each finding."""
    body = json.loads(run("--format", "json", *arguments, stdin=stdin).stdout)
    return list(dict.fromkeys(f"{f['file']} {f['code']}" for f in body["findings"] if f["file"]))


def files(*arguments: str) -> int:
    return int(json.loads(run("--format", "json", *arguments).stdout)["files"])


@pytest.mark.parametrize(
    ("text", "fail_on", "status"),
    [
        (GOOD, "info", 0),
        (WARNING, "error", 0),
        (WARNING, "warning", 1),
        (WARNING, "info", 1),
        (ERROR, "error", 1),
        (ERROR, "info", 1),
    ],
)
def test_the_exit_status_follows_fail_on(here: Path, text: str, fail_on: str, status: int):
    write(here, {"a.yaml": text})
    for form in ("text", "json", "sarif", "github", "junit"):
        assert run("--fail-on", fail_on, "--format", form, ".").exit_code == status


def test_standard_input_is_a_file(here: Path):
    result = run("-", stdin=ERROR.replace("NAME", "a"))
    assert result.exit_code == 1
    assert "<stdin>:4:8: error GM101" in result.stdout
    assert "4 | spec: {hostts:" in result.stdout
    body = json.dumps({"apiVersion": "networking.istio.io/v1", "kind": "Sidecar"}, indent="\t")
    assert "no metadata" in run("-", stdin=body).stdout
    assert run("-", stdin="").exit_code == 0
    assert run("-", stdin=b"\xff\xfe").exit_code == 1


def test_standard_input_stands_beside_files(here: Path):
    write(here, {"a.yaml": GOOD})
    assert found(".", "-", stdin=GOOD.replace("NAME", "a")) == ["a.yaml GM021"]


def test_what_is_named_twice_is_read_once(here: Path):
    write(here, {"a/b/c.yaml": ERROR, "a/d.yaml": GOOD})
    (here / "link").symlink_to("a")
    once = found("a")
    assert once == ["a/b/c.yaml GM101"]
    for paths in (["a", "a"], ["a", "a/b", "a/b/c.yaml"], ["a", str(here / "a")], ["a", "./a/../a", "link"]):
        assert found(*paths) == once
        assert files(*paths) == 2
    assert found("a/b/c.yaml", "a") == once


def test_names_are_those_that_were_given(here: Path):
    write(here, {"a/b.yaml": ERROR})
    assert found("a/b.yaml") == ["a/b.yaml GM101"]
    assert found(str(here)) == [f"{here}/a/b.yaml GM101"]
    os.chdir(here / "a")
    assert found(".") == ["b.yaml GM101"]
    assert found("..") == ["../a/b.yaml GM101"]


def test_a_link_is_told_under_the_name_that_was_given(here: Path):
    write(here, {"a/b.yaml": GOOD})
    (here / "a" / "c.yaml").symlink_to("b.yaml")
    assert found("a") == ["a/c.yaml GM001"]


def test_files_of_tools_are_left_alone_however_the_folder_is_named(here: Path):
    write(here, {".github/ci.yaml": "a: [", ".venv/x/y.yaml": "a: [", "a.yaml": GOOD})
    assert found(".") == found(str(here)) == []
    assert files(".") == files(str(here)) == 1


@pytest.fixture
def repository(here: Path) -> Path:
    (here / ".git").mkdir()
    write(
        here,
        {
            ".gitmeshignore": "ci/\n*.tmpl.yaml\n",
            "ci/pipeline.yaml": "a: 1",
            "x.tmpl.yaml": "{{ a }}",
            "deep/y.tmpl.yaml": "{{ a }}",
            "deep/z.yaml": GOOD,
            "deep/kept/.gitmeshignore": "!w.tmpl.yaml\n",
            "deep/kept/w.tmpl.yaml": ERROR,
        },
    )
    return here


def test_ignored_files_are_left_alone_from_wherever_one_looks(repository: Path):
    assert found(".") == ["deep/kept/w.tmpl.yaml GM101"]
    assert found("deep") == ["deep/kept/w.tmpl.yaml GM101"]
    assert found("deep/kept/w.tmpl.yaml") == ["deep/kept/w.tmpl.yaml GM101"]
    assert found("ci") == []
    os.chdir(repository / "deep")
    assert found(".") == ["kept/w.tmpl.yaml GM101"]


def test_a_file_that_was_named_and_is_ignored_is_mentioned(repository: Path):
    result = run("x.tmpl.yaml")
    assert result.exit_code == 0
    assert result.stderr == "x.tmpl.yaml is left alone: .gitmeshignore names it\n"


def test_nothing_at_all_to_read_is_told_and_a_missing_path_is_an_error(here: Path):
    result = run(".")
    assert (result.exit_code, result.stdout) == (0, "0 files: nothing was checked\n")
    assert result.stderr == (
        "Warning: no .yaml, .yml or .json file to check was found in .; check the path\n"
    )
    assert "Warning: no .yaml" in run(".", "--format", "json").stderr
    result = run("absent")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: there is no file or directory absent; check the path\n"
    result = run()
    assert result.exit_code == 2
    assert "gitmesh validate ." in result.stderr


def test_what_is_no_manifest_is_refused_by_name(here: Path):
    write(here, {"notes.txt": "x"})
    result = run("notes.txt")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "must end in .yaml, .yml or .json" in result.stderr


@pytest.fixture
def locked(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders of which a part cannot be read. As root can read all, the system is made to refuse."""
    write(here, {"a/good.yaml": GOOD, "a/bad.yaml": ERROR, "a/locked.yaml": GOOD, "b/c/d.yaml": GOOD})
    real_open, real_scan = Path.open, os.scandir

    def refusing_open(path: Path, *arguments: object, **options: object) -> object:
        if path.name == "locked.yaml":
            raise PermissionError(13, "Permission denied", str(path))
        return real_open(path, *arguments, **options)  # type: ignore[arg-type]

    def refusing_scan(path: bytes) -> object:
        if os.fsdecode(path).endswith("b/c"):
            raise PermissionError(13, "Permission denied", path)
        return real_scan(path)

    monkeypatch.setattr(Path, "open", refusing_open)
    monkeypatch.setattr(directory.os, "scandir", refusing_scan)
    return here


def test_what_cannot_be_read_is_said_and_the_rest_is_checked(locked: Path):
    result = run("a", "b", "absent")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "Error: cannot read a/locked.yaml: Permission denied; check permissions",
        "Error: cannot read b/c: Permission denied; check permissions",
        "Error: there is no file or directory absent; check the path",
    ]
    assert "a/bad.yaml:4:8: error GM101" in result.stdout
    assert result.stdout.endswith("2 files: 1 error; 3 paths could not be read\n")


def test_every_form_says_what_could_not_be_read(locked: Path):
    body = json.loads(run("--format", "json", "a").stdout)
    assert [entry["path"] for entry in body["unreadable"]] == ["a/locked.yaml"]
    (invocation,) = json.loads(run("--format", "sarif", "a").stdout)["runs"][0]["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 2)
    (note,) = invocation["toolExecutionNotifications"]
    assert (note["level"], "Permission denied" in note["message"]["text"]) == ("error", True)
    suite = ElementTree.fromstring(run("--format", "junit", "a").stdout)
    assert suite.get("errors") == "1"
    assert suite.find(".//testcase[@name='a/locked.yaml']/error") is not None
    assert "::error title=not read::cannot read a/locked.yaml" in run("--format", "github", "a").stdout


def test_the_report_can_go_to_a_file(here: Path):
    write(here, {"a.yaml": ERROR})
    result = run("--output", "report.txt", ".")
    assert (result.exit_code, result.output) == (1, "")
    assert (here / "report.txt").read_text() == run(".").stdout
    refused = run("--output", "absent/report.txt", ".")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("Error: cannot write absent/report.txt: No such file")


def test_a_rule_is_explained_with_its_examples(here: Path):
    text = run("--explain", "gm205").stdout
    assert text.startswith("GM205 (")
    assert "\nWrong:\n    apiVersion: networking" in text
    assert "\nRight:\n    apiVersion: networking" in text
    body = json.loads(run("--explain", "GM205", "--format", "json").stdout)
    assert set(body) == {"code", "severity", "istio", "title", "explanation", "wrong", "right"}


def test_istios_codes_are_explained_too(here: Path):
    assert "GM130 (warning, Istio's IST0130)" in run("--explain", "IST0130").stdout


@pytest.mark.parametrize(
    ("code", "hint"),
    [("GM2055", "did you mean GM205"), ("nonsense", "--list-rules"), ("\x1b[2J", "--list-rules")],
)
def test_a_code_that_does_not_exist_is_refused_with_what_was_meant(here: Path, code: str, hint: str):
    result = run("--explain", code)
    assert (result.exit_code, result.stdout) == (2, "")
    assert hint in result.stderr
    assert result.stderr.count("\n") == 1
    assert not CONTROL.search(result.stderr.replace("\n", ""))


def test_all_rules_are_listed(here: Path):
    lines = run("--list-rules").stdout.splitlines()
    assert lines == sorted(lines)
    assert any(line.startswith("GM205  ") for line in lines)
    assert len(json.loads(run("--list-rules", "--format", "json").stdout)) == len(lines)


def test_the_help_names_every_option(here: Path):
    text = run("--help").stdout
    for option in ("--format", "--fail-on", "--output", "--namespace", "--explain", "--list-rules"):
        assert option in text


def test_as_a_process_it_answers_likewise(here: Path):
    write(here, {"a.yaml": ERROR})
    ran = gitmesh("validate", ".", "absent", cwd=here)
    assert (ran.status, ran.err) == (2, "Error: there is no file or directory absent; check the path\n")
    assert "a.yaml:4:8: error GM101" in ran.out
    # A reader that closes early (`| head`) is no reason for a traceback.
    command = f"{sys.executable} -m gitmesh validate --format sarif . | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd=here)
    assert "Traceback" not in done.stderr


def test_the_documents_example_of_suppressions_is_true(here: Path):
    text = (Path(__file__).parents[2] / "docs" / "validate.md").read_text()
    example = text.partition("```yaml\napiVersion")[2].partition("```")[0]
    (here / "a.yaml").write_text(f"apiVersion{example}")
    body = json.loads(run("--format", "json", "a.yaml").stdout)
    suppressed = [finding["code"] for finding in body["findings"] if finding["suppressed"]]
    others = [finding["code"] for finding in body["findings"] if not finding["suppressed"]]
    assert suppressed == ["GM201", "GM130"]
    assert others == ["GM290"], "offline, some of it cannot be checked"
