"""Settings of several places become one configuration, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from gitmesh.model.config import Config
from gitmesh.parse.setting_names import all_settings
from gitmesh.parse.settings import SETTINGS_BYTES_MAX, Layer, Settled, read_environment, read_file, settle

BASE = Layer("default", {"dataDir": "/data"})


def settled(text: str = "", environ: Mapping[str, str] | None = None, *layers: Layer) -> Settled:
    file, wrong = read_file("gitmesh.yaml", text.encode())
    environment, also_wrong = read_environment(environ or {})
    assert (wrong, also_wrong) == ((), ())
    return settle([BASE, file, environment, *layers])


def config(text: str = "", environ: Mapping[str, str] | None = None, *layers: Layer) -> Config:
    found = settled(text, environ, *layers)
    assert found.config is not None, found.problems
    return found.config


def wrong(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    file, problems = read_file("gitmesh.yaml", text.encode())
    environment, more = read_environment(environ or {})
    return [str(problem) for problem in (*problems, *more, *settle([BASE, file, environment]).problems)]


def test_nothing_given_is_every_default():
    assert config() == Config(data_dir="/data")


def test_an_option_goes_before_the_environment_and_that_before_the_file():
    option = Layer("options", {"settle": "4s"}, {("settle",): "--settle"})
    text, environ = "settle: 2m\nresync: 2m\nfindingsMax: 7", {"GITMESH_SETTLE": "3s", "GITMESH_RESYNC": "3m"}
    found = settled(text, environ, option)
    assert found.config is not None
    assert (found.config.settle, found.config.resync, found.config.findings_max) == (
        timedelta(seconds=4),
        timedelta(minutes=3),
        7,
    )
    assert found.origins == {
        "dataDir": "default",
        "settle": "--settle",
        "resync": "GITMESH_RESYNC",
        "findingsMax": "gitmesh.yaml:3:14",
    }


def test_each_setting_of_a_group_has_its_own_source():
    found = config("git: {filesMax: 5, pathDepthMax: 6}", {"GITMESH_GIT__FILES_MAX": "9"})
    assert (found.git.files_max, found.git.path_depth_max) == (9, 6)


@pytest.mark.parametrize("setting", all_settings(), ids=lambda s: s.name)
def test_every_setting_has_a_variable_and_a_place_in_the_file(setting: Any):
    default = config().model_dump(mode="json", by_alias=True)
    for name in setting.path:
        default = default[name]
    text = default if isinstance(default, str) else str(default).lower()
    if isinstance(default, list):
        text = "[" + ", ".join(f'"{one}"' for one in default) + "]"
    given = "https://example.com" if "endpoint" in setting.name else "given"
    environ = {setting.variable: text or given}
    nested: Any = default or given if isinstance(default, str) else default
    for name in reversed(setting.path):
        nested = {name: nested}
    by_file, by_variable = settle([BASE, Layer("file", nested)]), settled("", environ)
    assert by_file.config == by_variable.config, (by_file.problems, by_variable.problems)
    assert by_variable.origins[setting.name] == setting.variable


def test_a_list_in_a_variable_is_written_with_commas_or_in_brackets():
    assert config("", {"GITMESH_GATE_HOSTS": "a.example.com, *.internal"}).gate_hosts == (
        "a.example.com",
        "*.internal",
    )
    providers = '[{"name": "mesh", "kind": "scrape", "url": "http://127.0.0.1:1/"}]'
    assert config("", {"GITMESH_METRICS__PROVIDERS": providers}).metrics.providers[0].name == "mesh"


def test_a_setting_without_a_value_is_not_given():
    assert config("git:\nsettle:\nlog: {level: }") == config()


def test_everything_that_is_wrong_is_said_with_its_place_and_what_was_probably_meant():
    text = """\
settle: 5
git:
  fileMax: 3
  filesMax: many
fetchTimeout: 3s
metrics:
  providers:
    - {name: mesh, kind: prometheus, url: "ftp://x"}
lease: {duration: 3s}
"""
    assert wrong(text, {"GITMESH_GIT__FILES_MX": "1", "GITMESH_FINDINGS_MAX": "0"}) == [
        "GITMESH_GIT__FILES_MX: no such setting; did you mean GITMESH_GIT__FILES_MAX?",
        "gitmesh.yaml:1:9: settle: a duration is text such as 30s, 10m or 1h30m",
        "GITMESH_FINDINGS_MAX: findingsMax: Input should be greater than or equal to 1",
        "gitmesh.yaml:9:8: lease: retryPeriod must be above 0 and below renewDeadline, and that below "
        "duration",
        "gitmesh.yaml:4:13: git.filesMax: Input should be a valid integer, unable to parse string as an "
        "integer",
        "gitmesh.yaml:3:3: git.fileMax: no such setting; did you mean filesMax?",
        "gitmesh.yaml:8:43: metrics.providers.0.url: a url begins with http:// or https://",
        "gitmesh.yaml:5:1: fetchTimeout: no such setting; did you mean git.fetchTimeout?",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("settle: [", "gitmesh.yaml:1:10: "),
        ("settle: 1s\nsettle: 2s", "gitmesh.yaml:2:1: the field settle is here a second time"),
        ("- settle", "gitmesh.yaml:1:1: settings are names with values"),
        ("settle: 1s\n---\nsettle: 2s", "gitmesh.yaml:3:1: a second document"),
        ("#" * (SETTINGS_BYTES_MAX + 1), f"gitmesh.yaml: the file is above {SETTINGS_BYTES_MAX} bytes"),
        ("data_dir: /x", "gitmesh.yaml:1:1: data_dir: no such setting; did you mean dataDir?"),
        ("apiTimeout: 0s", "gitmesh.yaml:1:13: apiTimeout: Input should be greater than"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem_with_a_place(text: str, said: str):
    assert wrong(text)[0].startswith(said), wrong(text)


def test_text_that_is_no_utf8_and_a_bomb_are_problems_too():
    assert read_file("f", b"\xff\xfe")[1][0].message == "the file is not UTF-8 text"
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]" for n in range(8)
    )
    assert any("aliases expand" in line for line in wrong(bomb))


def test_variables_that_kubernetes_sets_beside_a_service_are_no_settings():
    environ = {
        "GITMESH_PORT": "tcp://10.0.0.1:80",
        "GITMESH_SERVICE_HOST": "10.0.0.1",
    }
    assert config("", environ) == config()


def test_no_problem_quotes_what_may_be_a_secret():
    text = "metrics: {providers: [{name: a, kind: scrape, url: 'http://x', bearer: s3cr3t}]}"
    assert not any("s3cr3t" in line for line in wrong(text))
