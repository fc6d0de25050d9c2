"""Settings from several places become one configuration: defaults, a file, the environment, options.

Stage: parse (pure). What is wrong is a value, with its place; all of it is reported, not the first alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from gitmesh.model.config import Config, ParseLimits
from gitmesh.model.diagnostic import Severity
from gitmesh.model.spelling import closest
from gitmesh.parse.marks import Node, locate, read_marks
from gitmesh.parse.setting_names import NESTED, PREFIX, all_settings, names_at
from gitmesh.parse.text import decode
from gitmesh.parse.yaml_text import read_yaml

SETTINGS_BYTES_MAX = 1_048_576
_LIMITS = ParseLimits(documents_max=2, nesting_max=20, alias_expansions_max=1_000, diagnostics_max=100)

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a setting, and where: a place in a file, a variable or an option."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Layer:
    """Settings from one place, nested by the names of a file.

    `names`: which variable or option gave a setting. `root`: where things stand in the file `origin`.
    """

    origin: str
    values: Mapping[str, Any]
    names: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    root: Node | None = None

    def place(self, path: FieldPath, *, wants_key: bool = False) -> str:
        """Say where a setting stands."""
        if self.root is not None:
            line, column = locate(self.root, path, wants_key=wants_key)
            return f"{self.origin}:{line}:{column}"
        for end in range(len(path), 0, -1):
            if name := self.names.get(tuple(str(part) for part in path[:end])):
                return name
        return self.origin


@dataclass(frozen=True, slots=True)
class Settled:
    """The configuration, None when something is wrong with it; and who gave each setting, by its name."""

    config: Config | None
    origins: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def read_file(name: str, content: bytes) -> tuple[Layer, tuple[Problem, ...]]:
    """Read a file of settings. A setting without a value counts as not given."""
    empty = Layer(name, {})
    if len(content) > SETTINGS_BYTES_MAX:
        return empty, (Problem(name, f"the file is above {SETTINGS_BYTES_MAX} bytes"),)
    text = decode(content)
    if text is None:
        return empty, (Problem(name, "the file is not UTF-8 text"),)
    documents, findings = read_yaml(name, text, _LIMITS)
    problems = [
        Problem(str(f.at or name), f"{f.message}; {f.hint}" if f.hint else f.message)
        for f in findings
        if f.severity is Severity.ERROR
    ]
    if not documents:
        return empty, tuple(problems)
    if len(documents) > 1:
        second = documents[1]
        problems.append(
            Problem(f"{name}:{second.line}:{second.column}", "a second document; settings are in one")
        )
    first = documents[0]
    if not isinstance(first.value, dict):
        problems.append(Problem(f"{name}:{first.line}:{first.column}", "settings are names with values"))
        return empty, tuple(problems)
    return Layer(name, _without_nothing(first.value), root=read_marks(text)[0]), tuple(problems)


def read_environment(environ: Mapping[str, str]) -> tuple[Layer, tuple[Problem, ...]]:
    """Read the variables that are named after settings.

    A list is written with commas, or as YAML in brackets. A name with two underscores that names no setting
    is a mistake; another one is not ours to judge: Kubernetes itself sets GITMESH_PORT beside a Service.
    """
    by_variable = {setting.variable: setting for setting in all_settings()}
    values: dict[str, Any] = {}
    names: dict[tuple[str, ...], str] = {}
    problems: list[Problem] = []
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        setting = by_variable.get(variable)
        if setting is None:
            if NESTED in variable.removeprefix(PREFIX):
                problems.append(Problem(variable, f"no such setting{_meant(variable, by_variable)}"))
            continue
        value: Any = environ[variable]
        if value.startswith(("[", "{")):
            layer, wrong = read_file(variable, f"value: {value}".encode())
            problems += (Problem(variable, problem.message) for problem in wrong)
            value = layer.values.get("value")
        elif str(setting.field.annotation).startswith("tuple["):
            value = [part.strip() for part in value.split(",") if part.strip()]
        _put(values, setting.path, value)
        names[setting.path] = variable
    return Layer("environment", values, names), tuple(problems)


def settle(layers: Sequence[Layer]) -> Settled:
    """Return the configuration of layers, of which each overrules those before it; lists are not joined."""
    values: dict[str, Any] = {}
    owners: dict[tuple[str, ...], Layer] = {}
    for layer in layers:
        _overrule(values, layer.values, (), layer, owners)
    try:
        config = Config.model_validate(values, by_alias=True, by_name=False)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        return Settled(None, problems=tuple(_problem(one, owners) for one in found))
    origins = {
        setting.name: owner.place(setting.path)
        for setting in all_settings()
        if (owner := owners.get(setting.path)) is not None
    }
    return Settled(config, origins)


def _overrule(
    values: dict[str, Any],
    by: Mapping[str, Any],
    path: tuple[str, ...],
    layer: Layer,
    owners: dict[tuple[str, ...], Layer],
) -> None:
    for name, value in by.items():
        here = (*path, name)
        if isinstance(value, Mapping) and isinstance(values.get(name, {}), dict):
            _overrule(values.setdefault(name, {}), value, here, layer, owners)
            owners[here] = layer
        else:
            values[name] = value
            owners[here] = layer


def _problem(error: Any, owners: Mapping[tuple[str, ...], Layer]) -> Problem:
    path: FieldPath = error["loc"]
    unknown = error["type"] == "extra_forbidden"
    owner = next(
        (
            found
            for end in range(len(path), 0, -1)
            if (found := owners.get(tuple(str(part) for part in path[:end])))
        ),
        None,
    )
    where = owner.place(path, wants_key=unknown) if owner else "settings"
    name = ".".join(str(part) for part in path)
    if unknown:
        return Problem(where, f"{name}: no such setting{_meant_at(path)}")
    return Problem(where, f"{name}: {error['msg'].removeprefix('Value error, ')}")


def _meant_at(path: FieldPath) -> str:
    """Say which setting was probably meant: one beside it, or one of that name elsewhere."""
    word, beside = str(path[-1]), names_at(path[:-1])
    if near := closest(word, beside):
        return f"; did you mean {near}?"
    elsewhere = {setting.path[-1]: setting.name for setting in all_settings()}
    near = closest(word, elsewhere)
    return f"; did you mean {elsewhere[near]}?" if near else f"; there is: {', '.join(sorted(beside))}"


def _meant(variable: str, known: Mapping[str, Any]) -> str:
    near = closest(variable, known)
    return f"; did you mean {near}?" if near else "; `gitmesh config` lists all"


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value


def _without_nothing(values: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_given(values))


def _given(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield name, _without_nothing(value)
        elif value is not None:
            yield name, value
