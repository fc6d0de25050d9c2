"""The pages list every scenario once, with tests that exist and bear its name, or with a reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CVES = (
    "2018-17456",
    "2021-41254",
    "2022-24348",
    "2022-24439",
    "2022-24730",
    "2022-24731",
    "2022-24817",
    "2022-24877",
    "2022-24878",
    "2022-24904",
    "2022-31016",
    "2022-31036",
    "2022-39272",
    "2023-22736",
    "2023-40026",
    "2023-40267",
    "2023-40584",
    "2023-50726",
    "2024-29893",
    "2024-31216",
    "2024-31989",
    "2024-31990",
    "2024-32476",
    "2024-40634",
    "2025-23216",
    "2025-23390",
    "2025-55190",
    "2025-59531",
    "2025-59537",
    "2025-59538",
    "2026-40109",
    "2026-41050",
    "2026-42880",
    "2026-44936",
    "2026-44937",
    "2026-45570",
    "2026-45571",
    "2026-45737",
    "2026-47680",
)


@dataclass(frozen=True)
class Page:
    """One page: the names of its rows, how they are written there, and how tests begin that belong to it."""

    file: str
    wanted: tuple[str, ...]
    row: str
    tests: str

    def rows(self) -> list[tuple[str, str]]:
        text = (ROOT / "docs" / self.file).read_text()
        return re.findall(rf"^\| ({self.row}) \| .+? \| (.+) \|$", text, re.MULTILINE)

    def existing(self) -> set[str]:
        files = (ROOT / "tests").rglob("test_*.py")
        return {n for f in files for n in re.findall(rf"def (test_{self.tests}_\w+)", f.read_text())}


PAGES = [
    Page(
        "scenarios.md",
        tuple(
            f"{letter}{n}" for letter, most in (("F", 15), ("A", 13), ("K", 16)) for n in range(1, most + 1)
        ),
        r"[FAK]\d+",
        r"[fak]\d+",
    ),
    Page("gitops-scenarios.md", tuple(f"G{n}" for n in range(1, 39)), r"G\d+", r"g\d+"),
    Page("gitops-scenarios.md", tuple(f"CVE-{n}" for n in CVES), r"CVE-\d+-\d+", r"cve_\d+_\d+"),
]
on_each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.file}-{page.tests}")


@on_each_page
def test_every_scenario_is_listed_once_and_in_order(page: Page):
    assert tuple(name for name, _ in page.rows()) == page.wanted


@on_each_page
def test_every_scenario_has_its_tests_or_a_reason(page: Page):
    listed: set[str] = set()
    for name, cell in page.rows():
        tests = re.findall(r"`(test_\w+)`", cell)
        beginning = f"test_{name.lower().replace('-', '_')}_"
        assert tests or cell.startswith("None. "), f"{name} has neither a test nor a reason"
        assert all(test.startswith(beginning) for test in tests), f"{name}: {tests}"
        listed.update(tests)
    assert listed == page.existing()
