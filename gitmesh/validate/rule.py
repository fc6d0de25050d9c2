"""What is known about one kind of finding.

Stage: validate (pure).
"""

from __future__ import annotations

from dataclasses import dataclass

from gitmesh.model.diagnostic import Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """A stable code with an explanation and two examples.

    Tests run both. `file` is the name under which the wrong one is a file, and is empty for a rule that
    no single text can show; the right one is an example.yaml. `istio` is the code that Istio has for the
    same finding: IST0106 for what its admission refuses, IST0133 for what it warns of.
    """

    code: str
    severity: Severity
    title: str
    explanation: str
    wrong: str
    right: str
    file: str = "example.yaml"
    istio: str = ""


def virtual_service(spec: str) -> str:
    """Return the text of a VirtualService with this spec (lines without indentation)."""
    return _object("VirtualService", "reviews", spec)


def reviews_rule(rule: str) -> str:
    """Return the text of a VirtualService for reviews with this one HTTP rule."""
    return virtual_service("hosts: [reviews]\nhttp:\n" + _list_item(rule))


def destination_rule(spec: str) -> str:
    """Return the text of a DestinationRule with this spec."""
    return _object("DestinationRule", "reviews", spec)


def traffic_object(kind: str, spec: str) -> str:
    """Return the text of an object of a traffic kind with this spec."""
    return _object(kind, "example", spec)


def policy(spec: str, name: str = "careful") -> str:
    """Return the text of a RolloutPolicy with this spec."""
    head = f"apiVersion: gitmesh.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {{name: {name}}}\nspec:\n"
    return head + _indented(spec, "  ")


def documents(*texts: str) -> str:
    """Return several objects as the documents of one file."""
    return "---\n".join(texts)


def _object(kind: str, name: str, spec: str) -> str:
    head = f"apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"
    return head + _indented(spec, "  ")


def _list_item(text: str) -> str:
    lines = text.strip("\n").splitlines()
    return "".join(f"{'- ' if number == 0 else '  '}{line}\n" for number, line in enumerate(lines))


def _indented(text: str, by: str) -> str:
    return "".join(f"{by}{line}\n" for line in text.strip("\n").splitlines())
