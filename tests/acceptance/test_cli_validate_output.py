"""What `gitmesh validate` writes, in each form, for people and for machines; also when a file is hostile."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import jsonschema_rs
import pytest
from click.testing import CliRunner, Result

from gitmesh.cli.main import cli
from gitmesh.validate.catalogue import CATALOGUE

FORMS = ("text", "json", "sarif", "github", "junit")
ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews.example.com]
  http:
    - route: [{destination: {host: reviews.example.com}}]
      timeOut: 5s
"""
RULES = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, resourceVersion: "7"}
spec: {host: reviews.example.com, subsets: [{name: v1, labels: {version: v1}}]}
"""
WANTED = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings}
spec:
  hosts: [ratings.example.com]
  http:
    - route: [{destination: {host: ratings.example.com}}]
      # gitmesh: ignore GM101 because Istio 1.99 has it
      newField: 5s
"""
SERVICES = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec:
  hosts: [reviews.example.com, ratings.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
"""
ESCAPE, TURN, BELL = "\x1b", "\u202e", "\x07"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in {**files, "services.yaml": SERVICES}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def run(*arguments: str, color: bool = False, stdin: str | bytes = "") -> Result:
    result = CliRunner().invoke(cli, ["validate", *arguments], color=color, input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def test_text_is_grouped_by_file_with_line_and_caret_and_remedy(here: Path):
    write(here, {"b/routes.yaml": ROUTES, "a/rules.yaml": RULES, "c/wanted.yaml": WANTED})
    result = run(".")
    assert (result.exit_code, result.stderr) == (1, "")
    assert (
        result.stdout
        == """\
a/rules.yaml: 1 warning

a/rules.yaml:3:27: warning GM022: resourceVersion is set by the server and is left out  \
[DestinationRule default/reviews]
    3 | metadata: {name: reviews, resourceVersion: "7"}
      |                           ^~~~~~~~~~~~~~~
    = remove it from Git

b/routes.yaml: 1 error

b/routes.yaml:8:7: error GM101 (IST0106): unknown field timeOut in spec.http[0]  \
[VirtualService default/reviews]
    8 |       timeOut: 5s
      |       ^~~~~~~
    = did you mean timeout?

4 files: 1 error, 1 warning; 1 suppressed
"""
    )


def test_a_clean_set_is_said_to_be_clean(here: Path):
    write(here, {"rules.yaml": RULES.replace(', resourceVersion: "7"', "")})
    result = run(".")
    assert (result.exit_code, result.output) == (0, "2 files: nothing wrong\n")


def test_colours_are_for_terminals(here: Path, monkeypatch: pytest.MonkeyPatch):
    write(here, {"routes.yaml": ROUTES})
    assert "\x1b[31m" in run(".", color=True).stdout
    assert ESCAPE not in run(".").stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[31m" in run(".").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert ESCAPE not in run(".", color=True).stdout


@pytest.mark.parametrize(
    ("line", "shown", "caret"),
    [
        ("    - {漢字: 1}", "    - {漢字: 1}", "       ^~~~"),
        ("\t", None, None),
        ("    - {name: e\u0301, x: 1}", None, "                 ^"),
        (f"    - {{name: {'a' * 300}, x: 1}}", "...", "^"),
    ],
)
def test_the_caret_stands_below_what_is_meant(here: Path, line: str, shown: str | None, caret: str | None):
    write(here, {"routes.yaml": ROUTES.partition("    - route")[0] + line + "\n"})
    text = run(".").stdout
    excerpts = [block.splitlines() for block in text.split("\n\n") if " | " in block]
    assert excerpts
    if caret is not None:
        drawn = [rows[2].partition(" | ")[2] for rows in excerpts if "routes.yaml:7" in rows[0]]
        assert any(under.startswith(caret) or under.strip().startswith(caret.strip()) for under in drawn), (
            text
        )
    if shown is not None:
        assert shown in text
    assert max(len(row) for rows in excerpts for row in rows[1:3]) < 150


def test_json_has_everything_and_says_what_is_suppressed(here: Path):
    write(here, {"routes.yaml": ROUTES, "wanted.yaml": WANTED})
    body = json.loads(run("--format", "json", ".").stdout)
    assert body["summary"] == {"errors": 1, "warnings": 0, "infos": 0, "suppressed": 1}
    assert (body["files"], body["unreadable"]) == (3, [])
    assert body["findings"][0] == {
        "code": "GM101",
        "severity": "error",
        "message": "unknown field timeOut in spec.http[0]",
        "hint": "did you mean timeout?",
        "file": "routes.yaml",
        "line": 8,
        "column": 7,
        "resource": "VirtualService default/reviews",
        "path": ["spec", "http", 0, "timeOut"],
        "suppressed": False,
        "reason": None,
        "istio": "IST0106",
    }
    assert [(f["suppressed"], f["reason"]) for f in body["findings"][1:]] == [(True, "Istio 1.99 has it")]


# What is asserted of SARIF beside its form: the parts of the standard that are used, closed.
TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
ARTIFACT = {
    "type": "object",
    "required": ["uri"],
    "additionalProperties": False,
    "properties": {
        "uri": {"type": "string", "pattern": r"^[A-Za-z0-9._~%/:\-]+$"},
        "uriBaseId": {"const": "%SRCROOT%"},
    },
}
REGION = {
    "type": "object",
    "required": ["startLine", "startColumn"],
    "additionalProperties": False,
    "properties": {
        **{name: {"type": "integer", "minimum": 1} for name in ("startLine", "startColumn")},
        **{name: {"type": "integer", "minimum": 1} for name in ("endLine", "endColumn")},
        "snippet": TEXT,
    },
}
PHYSICAL = {
    "type": "object",
    "required": ["artifactLocation", "region"],
    "additionalProperties": False,
    "properties": {"artifactLocation": ARTIFACT, "region": REGION},
}
RESULT = {
    "type": "object",
    "required": ["ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"],
    "additionalProperties": False,
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["error", "warning", "note"]},
        "message": TEXT,
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
        "locations": {
            "type": "array",
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["physicalLocation"],
                "additionalProperties": False,
                "properties": {
                    "physicalLocation": PHYSICAL,
                    "logicalLocations": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["fullyQualifiedName", "kind"],
                            "properties": {"fullyQualifiedName": {"type": "string"}, "kind": {}},
                        },
                    },
                },
            },
        },
        "suppressions": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["kind", "justification"],
                "properties": {"kind": {"const": "inSource"}, "justification": {"type": "string"}},
            },
        },
    },
}
RULE = {
    "type": "object",
    "required": ["id", "shortDescription", "fullDescription", "help", "defaultConfiguration", "properties"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "pattern": "^GM[0-9]{3}$"},
        "shortDescription": TEXT,
        "fullDescription": TEXT,
        "help": {**TEXT, "required": ["text", "markdown"]},
        "defaultConfiguration": {
            "type": "object",
            "properties": {"level": {"enum": ["error", "warning", "note"]}},
        },
        "properties": {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}},
    },
}
SARIF = jsonschema_rs.validator_for(
    {
        "type": "object",
        "required": ["$schema", "version", "runs"],
        "additionalProperties": False,
        "properties": {
            "$schema": {"type": "string", "pattern": r"sarif-schema-2\.1\.0\.json$"},
            "version": {"const": "2.1.0"},
            "runs": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1,
                "items": {
                    "type": "object",
                    "required": ["tool", "results", "columnKind", "invocations"],
                    "additionalProperties": False,
                    "properties": {
                        "tool": {
                            "type": "object",
                            "properties": {
                                "driver": {
                                    "type": "object",
                                    "required": ["name", "rules"],
                                    "properties": {"rules": {"type": "array", "items": RULE}},
                                }
                            },
                        },
                        "columnKind": {"const": "unicodeCodePoints"},
                        "invocations": {"type": "array", "minItems": 1},
                        "results": {"type": "array", "items": RESULT},
                    },
                },
            },
        },
    }
)


def sarif(*arguments: str) -> dict:
    body = json.loads(run("--format", "sarif", *arguments).stdout)
    assert [str(error) for error in SARIF.iter_errors(body)] == []
    return body["runs"][0]


def test_sarif_has_every_rule_with_help_and_results_with_regions(here: Path):
    write(here, {"a b/routes#1.yaml": ROUTES, "wanted.yaml": WANTED})
    log = sarif(".")
    rules = log["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(CATALOGUE)
    first, second = log["results"]
    assert rules[first["ruleIndex"]]["id"] == first["ruleId"] == "GM101"
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "a%20b/routes%231.yaml", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {
        "startLine": 8,
        "startColumn": 7,
        "endLine": 8,
        "endColumn": 14,
        "snippet": {"text": "      timeOut: 5s"},
    }
    assert "suppressions" not in first
    assert second["suppressions"] == [{"kind": "inSource", "justification": "Istio 1.99 has it"}]
    assert log["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]


def test_a_fingerprint_stays_when_lines_above_come_and_go(here: Path):
    write(here, {"routes.yaml": ROUTES})
    (before,) = sarif(".")["results"]
    write(here, {"routes.yaml": f"# a comment\n\n{ROUTES}"})
    (after,) = sarif(".")["results"]
    assert before["partialFingerprints"] == after["partialFingerprints"]
    assert before["locations"] != after["locations"]


def test_github_shows_one_command_a_finding(here: Path):
    write(here, {"a,b:c%.yaml": ROUTES, "wanted.yaml": WANTED})
    assert run("--format", "github", ".").stdout.splitlines() == [
        "::error file=a%2Cb%3Ac%25.yaml,line=8,col=7,title=GM101 (IST0106)::"
        "unknown field timeOut in spec.http[0] [VirtualService default/reviews]%0Adid you mean timeout?",
        "3 files: 1 error; 1 suppressed",
    ]


def test_junit_has_one_case_a_file(here: Path):
    write(here, {"routes.yaml": ROUTES, "rules.yaml": RULES, "wanted.yaml": WANTED})
    suite = ElementTree.fromstring(run("--format", "junit", ".").stdout).find("testsuite")
    assert suite is not None
    assert {k: suite.get(k) for k in ("tests", "failures", "errors")} == {
        "tests": "4",
        "failures": "1",
        "errors": "0",
    }
    cases = {case.get("name"): case for case in suite}
    assert list(cases) == ["routes.yaml", "rules.yaml", "services.yaml", "wanted.yaml"]
    failure = cases["routes.yaml"].find("failure")
    assert failure is not None
    assert (failure.text or "").startswith("8:7: error GM101 (IST0106): unknown field timeOut")
    assert "GM022" in (cases["rules.yaml"].findtext("system-out") or "")
    assert list(cases["wanted.yaml"]) == []
    strict = ElementTree.fromstring(run("--format", "junit", "--fail-on", "warning", ".").stdout)
    assert strict.get("failures") == "2"


def test_what_is_about_no_file_comes_last_and_is_in_every_form(here: Path):
    (here / "routes.yaml").write_text(
        ROUTES.replace("      timeOut: 5s\n", "")
        .replace(".example.com, subset: v3", "")
        .replace(".example.com", "")
    )
    text = run(".")
    assert (text.exit_code, text.stdout.splitlines()[0]) == (0, "not about one file: 1 info")
    assert text.stdout.endswith("\n1 file: nothing wrong, 1 info\n")
    assert run("--fail-on", "info", ".").exit_code == 1
    assert run("--format", "github", ".").stdout.startswith("::notice title=GM290::not checked")
    log = sarif(".")
    # GitHub refuses a whole log for one result without a place, so this is about the run.
    assert log["results"] == []
    (told,) = log["invocations"][0]["toolExecutionNotifications"]
    assert told["level"] == "note"
    assert told["message"]["text"].startswith("not checked")
    rules = log["tool"]["driver"]["rules"]
    assert rules[told["associatedRule"]["index"]]["id"] == told["associatedRule"]["id"] == "GM290"
    assert 'name="(all files)"' in run("--format", "junit", ".").stdout
    assert json.loads(run("--format", "json", ".").stdout)["findings"][0]["file"] is None


@pytest.mark.parametrize("form", FORMS)
def test_the_same_files_give_the_same_output(here: Path, form: str):
    write(here, {"routes.yaml": ROUTES, "rules.yaml": RULES, "wanted.yaml": WANTED})
    once = run("--format", form, ".").stdout
    assert run("--format", form, ".").stdout == once
    assert str(here) not in once


SUBSET = ROUTES.replace("com}}]", "com, subset: v3}}]")
HOSTILE = {
    # As values, as names of fields, and in comments that are shown beneath a finding.
    "quoted.yaml": SUBSET.replace("v3", '"%0A::error::x \\e[31m \\u202e ]]> & < \\" \\n \\0 \\x7f"').replace(
        "      timeOut: 5s\n", ""
    ),
    "fields.yaml": ROUTES.replace("name: reviews", "name: b").replace(
        "timeOut", '"%0A::error::y,\\e]0;title\\a \\r\\n::warning::z <a b=\\"c\\"> \\u2028"'
    ),
    "comments.yaml": ROUTES.replace("name: reviews", "name: c").replace(
        "5s", f"5s # {TURN} %0A ::error::w \ufeff"
    ),
    "raw.yaml": ROUTES.replace("name: reviews", "name: d").replace("5s", f"5s # {ESCAPE}[31m {BELL}"),
    "names.yaml": ROUTES.replace("name: reviews", 'name: "\\e[2J%0a::error::n"'),
    "wanted.yaml": WANTED.replace("Istio 1.99 has it", f"<b>%0A::error::r & {TURN}"),
}


@pytest.mark.parametrize("form", FORMS)
def test_hostile_text_is_shown_and_never_obeyed(here: Path, form: str):
    write(here, HOSTILE)
    result = run("--format", form, ".")
    assert result.exit_code == 1
    out = result.stdout
    assert out.count("GM") > 4
    assert [c for c in out if not c.isprintable() and c != "\n"] == []
    if form == "github":
        *commands, last = out.splitlines()
        assert all(
            re.match(r"::(error|warning|notice) (file=\w+\.yaml,line=\d+,col=\d+,)?title=GM\d+", c)
            for c in commands
        )
        assert re.match(r"7 files: \d+ errors", last)
        assert not any("%0A::" in command for command in commands), "a line that somebody else wrote"
    if form in ("json", "sarif"):
        assert out.isascii()
        json.loads(out)
    if form == "sarif":
        sarif(".")
    if form == "junit":
        ElementTree.fromstring(out)
