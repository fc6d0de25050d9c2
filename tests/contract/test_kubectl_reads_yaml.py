"""The recorded table of scalars is what the real kubectl says today."""

from __future__ import annotations

import json
import subprocess

import pytest
from fakes.kubectl import kubectls
from fakes.kubectl_scalars import VALUES

DOCUMENT = "apiVersion: v1\nkind: Example\nmetadata: {name: a}\nspec:\n"


def spec_by_kubectl(program: str, spec: str) -> dict[str, object] | None:
    done = subprocess.run(
        [program, "annotate", "--local", "-f", "-", "a=b", "-o", "json"],
        input=DOCUMENT + spec,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return json.loads(done.stdout)["spec"] if done.returncode == 0 else None


@pytest.mark.real
def test_every_value_is_what_kubectl_prints():
    assert kubectls(), "no kubectl: run `make tools`"
    expected = {text: json.loads(value) for text, value in VALUES.items() if value is not None}
    spec = "".join(f"  k{number}: {text}\n" for number, text in enumerate(expected))
    for program in kubectls().values():
        found = spec_by_kubectl(program, spec)
        assert found is not None
        assert {text: found[f"k{number}"] for number, text in enumerate(expected)} == expected


@pytest.mark.real
@pytest.mark.parametrize("text", [t for t, value in VALUES.items() if value is None])
def test_kubectl_refuses_what_we_refuse(text: str):
    assert kubectls(), "no kubectl: run `make tools`"
    for program in kubectls().values():
        assert spec_by_kubectl(program, f"  v: {text}\n") is None
