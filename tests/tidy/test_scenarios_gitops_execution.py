"""Nothing that a tenant writes is ever executed: no kubeconfig, no plugin, no shell.

A kubeconfig may name a credential plugin, which is a program. The daemon reads one only from the command line
and the environment of the person who starts it, as kubectl does, and never from an object or from Git.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gitmesh.kube.crds import crds
from gitmesh.model.config import Config
from gitmesh.parse.setting_names import all_settings

PACKAGE = Path(__file__).parents[2] / "gitmesh"
FACES = {"playground", "cli"}
RUNS = {"Popen", "run_process", "open_process", "create_subprocess_exec", "create_subprocess_shell", "system"}
SUSPECT = ("kubeconfig", "exec", "command", "shell", "script", "hook", "plugin")


def modules() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        if name.partition("/")[0] not in FACES:
            yield name, ast.parse(path.read_text())


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def properties(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        found = schema.get("properties")
        if isinstance(found, dict):
            yield from found
        for value in schema.values():
            yield from properties(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from properties(value)


def test_cve_2022_24817_no_object_can_bring_a_kubeconfig_or_a_program():
    names = {name for crd in crds() for name in properties(crd)}
    assert "url" in names
    assert [name for name in names if any(word in name.lower() for word in SUSPECT)] == []


def test_cve_2022_24817_no_setting_is_a_program_and_the_file_cannot_choose_the_cluster():
    names = [setting.name for setting in all_settings()]
    suspect = [name for name in names if any(word in name.lower() for word in (*SUSPECT, "cluster"))]
    assert suspect == ["receiver.hooksPerMinuteMax"], "webhooks that come in"
    assert "kubeconfig" not in Config.model_fields


def test_cve_2022_24817_only_the_command_line_names_a_kubeconfig():
    """What opens connections gets a path from its caller, and only the wiring calls it."""
    callers = {
        name for name, tree in modules() for call in calls(tree) if ast.unparse(call.func).endswith("connect")
    }
    assert callers <= {"engine/connections.py", "kube/connect.py"}


def test_cve_2021_41254_the_daemon_runs_git_and_nothing_else_and_never_a_shell():
    running = {
        name
        for name, tree in modules()
        for call in calls(tree)
        if ast.unparse(call.func).rpartition(".")[2] in RUNS or ast.unparse(call.func) == "subprocess.run"
    }
    assert all(name.startswith("fetch/") for name in running), running
    for name, tree in modules():
        for call in calls(tree):
            assert not any(
                (keyword.arg == "shell" and not isinstance(keyword.value, ast.Constant))
                or (keyword.arg == "shell" and getattr(keyword.value, "value", False))
                for keyword in call.keywords
            ), name
