"""Annotations by which people steer GitMesh are found out when they say nothing."""

from __future__ import annotations

import pytest
from fakes.examined import findings

from gitmesh.model.diagnostic import Diagnostic, Severity

SIDECAR = (
    "apiVersion: networking.istio.io/v1\nkind: Sidecar\n"
    "metadata: {{name: a, annotations: {{{}: '{}'}}}}\nspec: {{egress: [{{hosts: [./*]}}]}}\n"
)


def found(name: str, value: str) -> tuple[Diagnostic, ...]:
    return findings(SIDECAR.format(name, value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gitmesh.dev/reconcile", "disabled"),
        ("gitmesh.dev/reconcile", "enabled"),
        ("gitmesh.dev/prune", "disabled"),
        ("gitmesh.dev/adopt", "enabled"),
        ("gitmesh.dev/conflicts", "force"),
        ("example.com/prune", "false"),
    ],
)
def test_what_has_a_meaning_is_fine(name: str, value: str):
    assert not found(name, value)


@pytest.mark.parametrize(
    ("name", "value", "message", "hint"),
    [
        ("gitmesh.dev/reconcile", "false", "'false' is no value of it", "write disabled or enabled"),
        ("gitmesh.dev/prune", "Disabled", "'Disabled' is no value of it", "write disabled or enabled"),
        ("gitmesh.dev/conflicts", "yes", "'yes' is no value of it", "write refuse or force"),
        ("gitmesh.dev/reconcil", "disabled", "no such annotation", "did you mean gitmesh.dev/reconcile?"),
        ("gitmesh.dev/whatever", "x", "no such annotation", "remove it"),
        ("gitmesh.dev/source", "a/b", "GitMesh sets it itself", "remove it"),
        ("gitmesh.dev/pause", "lunch", "asks something of the live object", "kubectl annotate"),
    ],
)
def test_what_has_none_is_a_warning_with_what_to_write(name: str, value: str, message: str, hint: str):
    (finding,) = found(name, value)
    assert (finding.code, finding.severity) == ("GM113", Severity.WARNING)
    assert message in finding.message
    assert hint in finding.hint
    assert (finding.at.line, finding.at.column) == (3, 35)  # type: ignore[union-attr]
