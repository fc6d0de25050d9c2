"""The features that Istio's explanation of traffic management shows, in examples of our own.

`NAME.in.yaml` is a file as people write it after reading, `NAME.out.txt` what is found in it: nothing, unless
Istio of today refuses or ignores what is shown.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.examined import findings

CASES = sorted(Path(__file__).parent.glob("*.in.yaml"))
SERVICES = [f"{name}.default.svc.cluster.local" for name in ("storefront", "catalog", "basket")]
# What today's Istio does not do, or not like that; all other examples have nothing wrong with them.
NOT_AS_SHOWN = {
    "balancing-by-weight": "GM104",
    "condition-as-mapping": "GM102",
    "faults-without-percentage": "GM401",
    "gateway-without-routes": "GM120",
    "outside-service-mutual-tls": "GM234",
    "spec-alone": "GM016",
    "subset-without-a-rule": "GM201",
}


def name_of(case: Path) -> str:
    return case.name.removesuffix(".in.yaml")


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_what_is_shown_is_right_or_is_said_not_to_be(case: Path, update_golden: bool):
    name, expected = name_of(case), case.with_name(f"{name_of(case)}.out.txt")
    found = findings({f"{name}.yaml": case.read_bytes()}, known_hosts=SERVICES)
    text = "".join(f"{finding}\n" for finding in found)
    if update_golden:
        expected.write_text(text)
    assert text == expected.read_text()
    assert {finding.code for finding in found} == ({NOT_AS_SHOWN[name]} if name in NOT_AS_SHOWN else set())


def test_every_exception_is_an_example():
    assert set(NOT_AS_SHOWN) <= {name_of(case) for case in CASES}
