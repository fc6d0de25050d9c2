"""Rules about kinds that GitMesh does not manage, by their CustomResourceDefinitions.

Stage: validate (pure).
"""

from __future__ import annotations

from gitmesh.model.diagnostic import Severity
from gitmesh.validate.rule import Rule, documents

_CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Lamp, plural: lamps}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
"""
_LAMP = "apiVersion: example.com/v1\nkind: Lamp\nmetadata: {name: hall}\nspec:\n"
_OLD_VERSION = """\
    - name: v1alpha1
      served: true
      storage: false
      deprecated: true
      deprecationWarning: write example.com/v1
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


def _lines(text: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in text.strip("\n").splitlines())


def _example(schema: str, spec: str) -> str:
    return documents(_CRD + _lines(schema, 14), _LAMP + _lines(spec, 2))


def _rule(code: str, title: str, explanation: str, schema: str, wrong: str, right: str) -> Rule:
    return Rule(code, Severity.ERROR, title, explanation, _example(schema, wrong), _example(schema, right))


_COLOURS = "type: object\nproperties:\n  colour: {type: string, enum: [white, red]}\n  watt: {type: integer}"
_SOURCES = """\
type: object
properties: {battery: {type: string}, mains: {type: string}}
oneOf:
  - required: [battery]
  - required: [mains]"""
_DIMMER = """\
type: object
properties: {fade: {type: string}}
x-kubernetes-validations:
  - rule: "!has(self.fade) || duration(self.fade) <= duration('10s')"
    message: a fade takes at most 10s"""

SCHEMA_RULES = (
    Rule(
        "GM500",
        Severity.INFO,
        "The schema of a kind is not known",
        "Objects of kinds that GitMesh does not manage are checked against the CustomResourceDefinition of "
        "their kind: one in the same files, one that --crds names, or one of a cluster (--cluster). Without"
        " it only name and place of the object are read. Kinds that are built into Kubernetes have no "
        "definition.",
        _LAMP + "  colour: red\n",
        _example(_COLOURS, "colour: red"),
        file="",
    ),
    _rule(
        "GM501",
        "A field that the schema of the kind does not have",
        "An API server drops the field, or refuses the object when it is asked to be strict. Either way it "
        "does not do what was meant.",
        _COLOURS,
        "color: red",
        "colour: red",
    ),
    _rule(
        "GM502",
        "A value of another type than the schema of the kind wants",
        "An API server refuses the object.",
        _COLOURS,
        'watt: "40"',
        "watt: 40",
    ),
    _rule(
        "GM503",
        "A field that the schema of the kind requires is missing",
        "An API server refuses the object. Fields with a default are never missing.",
        "type: object\nrequired: [watt]\nproperties: {watt: {type: integer}, colour: {type: string}}",
        "colour: red",
        "watt: 40",
    ),
    _rule(
        "GM504",
        "A value that the schema of the kind does not list",
        "An API server refuses the object.",
        _COLOURS,
        "colour: rde",
        "colour: red",
    ),
    _rule(
        "GM505",
        "Fields that exclude each other, or none of several of which one is needed",
        "The schema of the kind combines forms (oneOf, anyOf, allOf, not), and the object has none of those"
        " that are allowed. An API server refuses it.",
        _SOURCES,
        "battery: AA\nmains: 230V",
        "mains: 230V",
    ),
    _rule(
        "GM506",
        "A value outside of the bounds that the schema of the kind sets",
        "Bounds of numbers and lengths, patterns and formats. An API server refuses the object.",
        "type: object\nproperties: {watt: {type: integer, maximum: 60}}",
        "watt: 75",
        "watt: 40",
    ),
    _rule(
        "GM507",
        "An element that a list may have only once",
        "The schema of the kind says that the list is a set, or that some fields are the key of each "
        "element. An API server refuses the object.",
        "type: object\nproperties:\n"
        "  rooms: {type: array, x-kubernetes-list-type: set, items: {type: string}}",
        "rooms: [hall, attic, hall]",
        "rooms: [hall, attic]",
    ),
    _rule(
        "GM508",
        "A rule of the kind does not hold",
        "A CustomResourceDefinition can hold rules in CEL (x-kubernetes-validations). An API server "
        "evaluates them for each object and refuses those for which one is false. Rules that compare with "
        "the object before (oldSelf) are not for files and are left out.",
        _DIMMER,
        "fade: 1m",
        "fade: 5s",
    ),
    _rule(
        "GM509",
        "A rule of the kind fails for this object",
        "The rule is neither true nor false: it asks for a field that is not there, or reads a value that "
        "has not the form that it expects. An API server refuses the object for that, too.",
        _DIMMER,
        "fade: soon",
        "fade: 5s",
    ),
    Rule(
        "GM510",
        Severity.WARNING,
        "A rule of the kind could not be evaluated here",
        "The rule uses a function that is not known here, or costs more than is spent on files that nobody "
        "vouches for. Nothing is said about whether it holds; an API server can tell.",
        _example(_DIMMER.replace("duration(self.fade)", "self.fade.length()"), "fade: 5s"),
        _example(_DIMMER, "fade: 5s"),
    ),
    Rule(
        "GM511",
        Severity.ERROR,
        "A version that the kind does not have",
        "The CustomResourceDefinition of the kind does not have the version, or no longer serves it.",
        _example(_COLOURS, "colour: red").replace(
            "apiVersion: example.com/v1\n", "apiVersion: example.com/v2\n"
        ),
        _example(_COLOURS, "colour: red"),
    ),
    Rule(
        "GM512",
        Severity.WARNING,
        "A CustomResourceDefinition that cannot be used",
        "Its schema, or where it should be, has a form that an API server would refuse. Objects of the kind"
        " are not checked.",
        _example("type: thing", "colour: red"),
        _example(_COLOURS, "colour: red"),
    ),
    Rule(
        "GM513",
        Severity.WARNING,
        "A version that will go",
        "The CustomResourceDefinition says that the version is deprecated.",
        documents(
            _CRD + _lines(_COLOURS, 14) + _OLD_VERSION,
            _LAMP.replace("/v1\n", "/v1alpha1\n") + "  colour: red\n",
        ),
        documents(_CRD + _lines(_COLOURS, 14) + _OLD_VERSION, _LAMP + "  colour: red\n"),
    ),
)
