"""`gitmesh config` shows every setting and who gave it; what it shows is a file of settings itself."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from click.testing import CliRunner, Result

from gitmesh.cli.config import check, json_schema
from gitmesh.cli.main import cli
from gitmesh.parse.setting_names import all_settings

FILE = """\
settle: 5s
metrics:
  providers:
    - {name: mesh, kind: prometheus, url: "http://user:s3cr3t@x:9090", bearer: {file: /token}}
"""


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(cli, ["config", *arguments], env=environment, auto_envvar_prefix="GITMESH")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gitmesh.yaml"
    path.write_text(FILE)
    return path


def test_every_setting_is_shown_with_its_default_and_is_read_back_as_it_is():
    shown = run().output
    assert check("shown", shown.encode()) == ()
    found = yaml.safe_load(shown)
    for setting in all_settings():
        value = found
        for name in setting.path:
            value = value[name]


def test_each_line_says_who_gave_the_value(file: Path):
    shown = run(
        "--config", str(file), "--log-level=debug", GITMESH_RESYNC="3m", GITMESH_RUN_LISTEN="127.0.0.1:81"
    ).output
    told = [line for line in shown.splitlines() if "# " in line]
    lines = {line.split(":")[0].strip(): line.rpartition("# ")[2] for line in told}
    assert lines["settle"] == f"{file}:1:9"
    assert lines["resync"] == "GITMESH_RESYNC"
    assert lines["level"] == "--log-level"
    assert lines["listenPort"] == "GITMESH_RUN_LISTEN"
    assert lines["providers"] == f"{file}:4:5"
    assert lines["findingsMax"] == "default"


def test_no_secret_is_shown(file: Path):
    shown = run("--config", str(file)).output
    assert "s3cr3t" not in shown
    assert "http://***@x:9090" in shown


def test_an_option_for_a_provider_stands_beside_those_of_the_file(file: Path):
    shown = yaml.safe_load(run("--config", str(file), "--scrape", "http://e/").output)
    assert [provider["name"] for provider in shown["metrics"]["providers"]] == ["mesh", "scrape"]


def test_a_list_of_providers_takes_the_place_of_that_of_the_file(file: Path, tmp_path: Path):
    other = tmp_path / "providers.yaml"
    other.write_text("providers: [{name: own, kind: scrape, url: 'http://e/'}]")
    shown = yaml.safe_load(run("--config", str(file), "--providers", str(other)).output)
    assert [provider["name"] for provider in shown["metrics"]["providers"]] == ["own"]


def test_a_wrong_file_is_said_line_by_line(file: Path):
    file.write_text("sttle: 5s\nresync: never\n")
    ran = run("validate", str(file))
    assert ran.exit_code == 1
    assert ran.output.splitlines() == [
        f"{file}:2:9: resync: 'never' is not a duration; write for example 30s, 10m or 1h30m",
        f"{file}:1:1: sttle: no such setting; did you mean settle?",
    ]
    assert run("--config", str(file)).exit_code == 2
    file.write_text(FILE)
    assert (run("validate", str(file)).exit_code, run("validate").exit_code) == (0, 2)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path):
    ran = run("--config", str(tmp_path / "none.yaml"))
    assert ran.exit_code == 2
    assert "none.yaml: cannot be read: No such file or directory" in ran.output


def test_the_schema_takes_what_the_daemon_takes_and_refuses_what_it_refuses():
    schema = jsonschema_rs.validator_for(json.loads(run("--schema").output))
    assert json_schema()["additionalProperties"] is False
    assert schema.is_valid(yaml.safe_load(FILE))
    assert schema.is_valid({})
    assert not schema.is_valid({"sttle": "5s"})
    assert not schema.is_valid({"log": {"level": "loud"}})
