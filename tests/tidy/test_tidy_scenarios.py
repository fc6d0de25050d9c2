"""docs/scenarios.md lists every scenario once, with tests that exist and bear its name, or with a reason."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
WANTED = [
    *(f"F{n}" for n in range(1, 16)),
    *(f"A{n}" for n in range(1, 14)),
    *(f"K{n}" for n in range(1, 17)),
]
ROW = re.compile(r"^\| ([FAK]\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)


def rows() -> list[tuple[str, str, str]]:
    return ROW.findall((ROOT / "docs" / "scenarios.md").read_text())


def existing() -> set[str]:
    files = (ROOT / "tests").rglob("test_scenarios_*.py")
    return {name for file in files for name in re.findall(r"def (test_[fak]\d+_\w+)", file.read_text())}


def test_every_scenario_is_listed_once_and_in_order():
    assert [name for name, _, _ in rows()] == WANTED


def test_every_scenario_has_its_tests_or_a_reason():
    listed: set[str] = set()
    for name, _, cell in rows():
        tests = re.findall(r"`(test_\w+)`", cell)
        assert tests or cell.startswith("None. "), f"{name} has neither a test nor a reason"
        assert all(test.startswith(f"test_{name.lower()}_") for test in tests), f"{name}: {tests}"
        listed.update(tests)
    assert listed == existing()
