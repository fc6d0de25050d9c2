"""Which kinds have a schema: CustomResourceDefinitions, read and made ready when they are needed.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.kinds import CUSTOM_RESOURCE_DEFINITION
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.validate.cel import Language, Problem, Program, language
from gitmesh.validate.schemas.formats import FORMATS, format_name
from gitmesh.validate.schemas.shape import Schema, SchemaError, SchemaPath, Shape, read_shape
from gitmesh.validate.schemas.strict import strict_schema
from gitmesh.validate.subject import Subject

GroupKind = tuple[str, str]
_MESSAGE_CHARS_MAX = 300


@dataclass(slots=True)
class Ready:
    """The schema of one version, compiled. Programs are compiled when a rule is first evaluated."""

    shape: Shape
    schema: Schema  # as JSON schema, to look up what an error is about
    validator: Any
    programs: dict[str, Program | Problem] = field(default_factory=dict)

    def program(self, text: str) -> Program | Problem:
        """Return the compiled expression, or why there is none."""
        found = self.programs.get(text)
        if found is None:
            found = self.programs[text] = _language().compile(text)
        return found


def _language() -> Language:
    return language("self")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a kind, as its definition has it."""

    name: str
    served: bool
    deprecated: str  # what the definition says about it; empty when it is not
    schema: Any
    path: SchemaPath


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """The schemas of one kind."""

    group: str
    kind: str
    versions: Mapping[str, Version]
    resource: Resource
    _ready: dict[str, Ready | SchemaError] = field(default_factory=dict)

    def ready(self, version: Version) -> Ready | SchemaError:
        """Return the compiled schema of a version, or why it cannot be used."""
        if version.name not in self._ready:
            try:
                self._ready[version.name] = _compiled(version.schema)
            except SchemaError as error:
                self._ready[version.name] = error
        return self._ready[version.name]

    def problems(self) -> tuple[tuple[Version, SchemaError], ...]:
        """Return the versions that were needed and cannot be used."""
        tried = ((version, self._ready.get(name)) for name, version in self.versions.items())
        return tuple((version, ready) for version, ready in tried if isinstance(ready, SchemaError))


@dataclass(frozen=True, slots=True, eq=False)
class Schemas:
    """The kinds whose schema is known."""

    definitions: Mapping[GroupKind, Definition] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, key: ResourceKey) -> Definition | None:
        """Return the definition of an object's kind."""
        return self.definitions.get((key.group, key.kind))

    def over(self, other: Schemas) -> Schemas:
        """Return both; for a kind in both, this one's."""
        return Schemas({**other.definitions, **self.definitions})


NO_SCHEMAS = Schemas()


def is_definition(key: ResourceKey) -> bool:
    """Say whether the key is that of a CustomResourceDefinition."""
    return (key.group, key.kind) == (CUSTOM_RESOURCE_DEFINITION.group, CUSTOM_RESOURCE_DEFINITION.kind)


def read_schemas(resources: Iterable[Resource]) -> tuple[Schemas, tuple[Diagnostic, ...]]:
    """Return the schemas of all CustomResourceDefinitions among these, and what is wrong with them."""
    found: dict[GroupKind, Definition] = {}
    wrong: list[Diagnostic] = []
    for resource in resources:
        if not is_definition(resource.key):
            continue
        read = read_definition(resource)
        if isinstance(read, Definition):
            found.setdefault((read.group, read.kind), read)
        else:
            wrong.append(read)
    return Schemas(found), tuple(wrong)


def read_definition(resource: Resource) -> Definition | Diagnostic:
    """Read one CustomResourceDefinition; its schemas are looked at when they are needed."""
    try:
        return _definition(resource)
    except SchemaError as error:
        return unusable(resource, error, ())


def unusable(resource: Resource, error: SchemaError, below: SchemaPath) -> Diagnostic:
    """Return the finding for a definition that cannot be used; `below`: where its schema begins."""
    message = f"the definition cannot be used, so its kind is not checked: {error.reason}"
    hint = "apply it to a cluster with --dry-run=server to see everything that is wrong with it"
    return Subject(resource).finding("GM512", message[:_MESSAGE_CHARS_MAX], (*below, *error.path), hint=hint)


def _definition(resource: Resource) -> Definition:
    if resource.api_version.rpartition("/")[2] != CUSTOM_RESOURCE_DEFINITION.version:
        raise SchemaError("only apiextensions.k8s.io/v1 is read", ("apiVersion",))
    spec = resource.spec
    names = spec.get("names")
    group, kind = spec.get("group"), names.get("kind") if isinstance(names, Mapping) else None
    if not isinstance(group, str) or not isinstance(kind, str):
        raise SchemaError("spec.group and spec.names.kind must be text", ("spec",))
    written = spec.get("versions")
    if not isinstance(written, list):
        raise SchemaError("spec.versions must be a list", ("spec", "versions"))
    read = [_version(part, ("spec", "versions", index)) for index, part in enumerate(written)]
    return Definition(group, kind, {version.name: version for version in read}, resource)


def _version(found: Any, path: SchemaPath) -> Version:
    if not isinstance(found, Mapping) or not isinstance(found.get("name"), str):
        raise SchemaError("a version needs a name", path)
    schema = found.get("schema")
    warning = found.get("deprecationWarning")
    deprecated = ""
    if found.get("deprecated") is True:
        deprecated = warning if isinstance(warning, str) and warning else "its definition says so"
    return Version(
        name=found["name"],
        served=found.get("served") is not False,
        deprecated=deprecated,
        schema=schema.get("openAPIV3Schema") if isinstance(schema, Mapping) else None,
        path=(*path, "schema", "openAPIV3Schema"),
    )


def _compiled(schema: Any) -> Ready:
    """Compile a schema. Raises SchemaError."""
    # The module is large and most runs need none of it.
    import jsonschema_rs

    shape = read_shape(schema)
    strict = strict_schema(shape)
    try:
        validator = jsonschema_rs.Draft202012Validator(
            strict,
            validate_formats=True,
            formats={format_name(name): check for name, check in FORMATS.items()},
            # As in Go, a pattern takes time linear in the text.
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except Exception as error:  # whatever the library does not take, there is no schema then
        raise SchemaError(f"the schema is not valid: {str(error).partition(chr(10))[0]}", ()) from None
    return Ready(shape, strict, validator)
