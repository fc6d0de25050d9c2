"""Texts of Gateways and of objects that GitMesh does not manage, for the examples of rules.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.validate.rule import traffic_object


def gateway(spec: str, name: str = "entry") -> str:
    """Return the text of a Gateway with this spec (lines without indentation)."""
    return traffic_object("Gateway", spec).replace("name: example", f"name: {name}")


def service(name: str, spec: str) -> str:
    """Return the text of a Service with this spec."""
    lines = "".join(f"  {line}\n" for line in spec.strip("\n").splitlines())
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n{lines}"


def pod(name: str, labels: str) -> str:
    """Return the text of a Deployment whose Pods have these labels."""
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\n"
        f"spec:\n  selector: {{matchLabels: {{{labels}}}}}\n"
        f"  template:\n    metadata: {{labels: {{{labels}}}}}\n"
        "    spec: {containers: [{name: main, image: example}]}\n"
    )


def secret(name: str, kind: str = "kubernetes.io/tls") -> str:
    """Return the text of a Secret without its data."""
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: {kind}\n"


def namespace(name: str, labels: str) -> str:
    """Return the text of a Namespace with these labels."""
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n"
