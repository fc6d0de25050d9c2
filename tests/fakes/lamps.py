"""A kind of our own for tests of schemas: a CustomResourceDefinition and objects of it."""

from __future__ import annotations

import textwrap

from fakes.examined import findings

from gitmesh.model.diagnostic import Diagnostic

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.example.com}
spec:
  group: example.com
  names: {kind: Lamp, plural: lamps}
  versions:
    - name: v1
      served: true
      schema:
        openAPIV3Schema:
"""


def crd(schema: str) -> str:
    """Return the definition with this schema of whole objects."""
    return CRD + textwrap.indent(textwrap.dedent(schema).strip("\n"), " " * 10) + "\n"


def crd_of_spec(schema: str) -> str:
    """Return the definition with this schema of the spec."""
    below = textwrap.indent(textwrap.dedent(schema).strip("\n"), " " * 4)
    return crd(f"type: object\nproperties:\n  spec:\n{below}\n")


def lamp(spec: str, version: str = "v1") -> str:
    """Return an object with this spec, in one line."""
    return f"apiVersion: example.com/{version}\nkind: Lamp\nmetadata: {{name: hall}}\nspec: {spec}\n"


def judged(definition: str, *objects: str) -> list[Diagnostic]:
    """Return what is found in the objects, whose kinds GitMesh does not manage."""
    texts = {"crd.yaml": definition, "lamp.yaml": "---\n".join(objects)}
    return [found for found in findings(texts) if found.code not in ("GM019", "GM500")]


def said(definition: str, *objects: str) -> list[str]:
    """Return the findings as `CODE message; hint`."""
    return [f"{d.code} {d.message}" + (f"; {d.hint}" if d.hint else "") for d in judged(definition, *objects)]
