"""`gitmesh validate` beside the files: schemas with --crds, what a running cluster holds with --cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fakes.real_loop import Play, gitmesh

from gitmesh.cli.main import cli

DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Lamp, plural: lamps}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: {type: object, properties: {watt: {type: integer, maximum: 60}}}
"""
LAMP = """\
apiVersion: example.com/v1
kind: Lamp
metadata: {name: hall}
spec:
  watt: 99
"""
ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - route: [{destination: {host: HOST}}]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crds").mkdir()
    (tmp_path / "crds" / "lamps.yaml").write_text(DEFINITION)
    (tmp_path / "lamp.yaml").write_text(LAMP)
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["validate", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def codes(*arguments: str) -> list[str]:
    body = json.loads(run("--format", "json", *arguments).stdout)
    return [f"{finding['code']} {finding['suppressed']}" for finding in body["findings"]]


def test_without_its_schema_a_kind_is_said_not_to_be_checked(here: Path):
    assert "GM500 False" in codes("lamp.yaml")
    assert run("lamp.yaml").exit_code == 0


@pytest.mark.parametrize("crds", ["crds", "crds/lamps.yaml"])
def test_with_its_schema_it_is_checked(here: Path, crds: str):
    result = run("lamp.yaml", "--crds", crds)
    assert result.exit_code == 1
    assert "lamp.yaml:5:9: error GM506" in result.stdout
    assert "GM500" not in result.stdout


def test_a_file_can_say_that_this_is_wanted_also_while_it_is_not_checked(here: Path):
    for code in ("GM506", "GM500"):
        reason = f"# gitmesh: ignore {code}, GM019 because lamps are another team's"
        (here / "lamp.yaml").write_text(f"{reason}\n{LAMP}")
        assert "GM028 False" not in codes("lamp.yaml")
    assert codes("lamp.yaml") == ["GM019 True", "GM500 True"]


def test_definitions_that_cannot_be_used_are_findings_in_their_files(here: Path):
    (here / "crds" / "lamps.yaml").write_text(DEFINITION.replace("type: integer", "type: lumen"))
    assert "crds/lamps.yaml:16:53: warning GM512" in run("lamp.yaml", "--crds", "crds").stdout
    (here / "crds" / "lamps.yaml").write_text("a: [")
    assert "crds/lamps.yaml:1:5: error GM011" in run("lamp.yaml", "--crds", "crds").stdout


def test_a_path_without_definitions_is_refused(here: Path):
    result = run("lamp.yaml", "--crds", "lamp.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    wanted = "Error: --crds: there is no CustomResourceDefinition in lamp.yaml; check the path\n"
    assert result.stderr == wanted
    absent = run("lamp.yaml", "--crds", "absent")
    assert absent.exit_code == 2
    assert absent.stderr == "Error: there is no file or directory absent; check the path\n"


def test_a_cluster_that_cannot_be_reached_is_said_in_one_line(here: Path):
    result = run("lamp.yaml", "--kubeconfig", "absent")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: kubeconfig absent: there is no such file\n"


@pytest.mark.real
def test_a_cluster_knows_services_and_definitions(play: Play, here: Path):
    (here / "routes.yaml").write_text(ROUTES.replace("HOST", "reviews"))
    arguments = ("validate", "routes.yaml", "--format", "json", "--cluster", "--kubeconfig")
    ran = gitmesh(*arguments, str(play.kubeconfig), cwd=here)
    found = {f["code"] for f in json.loads(ran.out)["findings"]}
    assert ran.status == 0, ran
    assert not found & {"GM202", "GM290"}, found

    (here / "routes.yaml").write_text(ROUTES.replace("HOST", "nowhere"))
    wrong = gitmesh("validate", "routes.yaml", "--playground-dir", str(play.directory), cwd=here)
    assert wrong.status == 1, wrong
    assert "routes.yaml:7:" in wrong.out
    assert "GM2" in wrong.out
    assert "not checked, as the Services are not known" in gitmesh("validate", "routes.yaml", cwd=here).out
