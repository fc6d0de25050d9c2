"""The form of every module: what it says of itself, and how long it may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "gitmesh").rglob("*.py"))
STAGES = {
    "none",
    "fetch",
    "parse",
    "validate",
    "observe",
    "decide",
    "plan",
    "apply",
    "notify",
    "engine",
    "playground",
    "playground translation",
}
LINES_MAX, FUNCTION_LINES_MAX = 400, 70
BANNED = ("utils", "util", "helpers", "helper", "manager", "managers", "misc")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_holds_and_which_stage_it_is(path: Path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, "the module has no docstring"
    first, _, rest = docstring.partition("\n\n")
    assert first.endswith("."), "the first paragraph says in a sentence what the module holds"
    if path.name in ("__init__.py", "__main__.py") and not rest:
        return  # a package says what belongs into it, its modules say which stage they are
    stated = re.match(r"Stage: ([a-z, ]+?)(?: \(|[.;]|$)", rest, re.M)
    assert stated, f"the second paragraph begins with `Stage: ...`, not with {rest[:40]!r}"
    assert set(re.split(r", | and ", stated[1])) <= STAGES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_and_functions_can_be_read_in_one_go(path: Path):
    text = path.read_text()
    assert len(text.splitlines()) <= LINES_MAX, "split the file: one job each"
    long = [
        f"{function.name} has {length} lines"
        for function in functions(ast.parse(text))
        if (length := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_no_module_is_a_drawer_for_everything():
    parts = {part: path for path in MODULES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert [name_of(parts[name]) for name in BANNED if name in parts] == []


def test_no_two_test_files_share_a_name():
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_every_meter_is_moved_somewhere():
    meters = ast.parse((ROOT / "gitmesh/engine/meters.py").read_text())
    names = {
        node.targets[0].attr
        for node in ast.walk(meters)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute)
    } - {"registry"}
    used = "".join(path.read_text() for path in MODULES if path.name != "meters.py")
    assert names
    assert sorted(name for name in names if f"meters.{name}." not in used) == []
