"""What people see for a file: `NAME.in.yaml` is the file, `NAME.out.txt` the findings.

They are those of a daemon, which knows the Services of a cluster; `NAME.alone.in.yaml` is judged without one.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.examined import findings

CASES = sorted(Path(__file__).parent.glob("*.in.yaml"))
HOSTS = ("reviews.default.svc.cluster.local", "ratings.default.svc.cluster.local")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.removesuffix(".in.yaml"))
def test_findings_of(case: Path, update_golden: bool):
    name = case.name.removesuffix(".in.yaml")
    expected = case.with_name(f"{name}.out.txt")
    hosts = None if name.endswith(".alone") else HOSTS
    found = "".join(f"{d}\n" for d in findings({f"{name}.yaml": case.read_bytes()}, known_hosts=hosts))
    if update_golden:
        expected.write_text(found)
    assert found == expected.read_text()


def test_there_are_cases():
    assert len(CASES) >= 8
