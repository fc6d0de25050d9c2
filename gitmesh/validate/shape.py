"""The shape of a spec: pydantic's errors in the words of the person who wrote the YAML.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gitmesh.istio.kinds import MODELS
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.freeze import FreezeSpec
from gitmesh.model.guardrail import GuardrailSpec
from gitmesh.model.kinds import NETWORKING
from gitmesh.model.policy import RolloutPolicySpec
from gitmesh.model.resource import Resource
from gitmesh.model.route_test import ROUTE_TEST, RouteTestSpec
from gitmesh.model.spelling import closest
from gitmesh.validate.fields import fields_at
from gitmesh.validate.known_fields import Meant
from gitmesh.validate.subject import Path, Subject, dotted

SPECS: Mapping[str, type[BaseModel]] = {
    **MODELS,
    "RolloutPolicy": RolloutPolicySpec,
    "Guardrail": GuardrailSpec,
    ROUTE_TEST: RouteTestSpec,
    "FreezeWindow": FreezeSpec,
}
_ERRORS_MAX = 200
_UNKNOWN = "extra_forbidden"
_TURNS_MAX = 4
_SHOWN_CHARS_MAX = 60
_NAMES_SHOWN_MAX = 12

NOTHING_MEANT = Meant(None)

Translate = Callable[[Subject, Path, ErrorDetails], Diagnostic]


@dataclass(frozen=True, slots=True)
class Shaped:
    """The typed spec, None when it has not the shape of one, and what is wrong with its shape.

    `meant`: the spec with the fields that exist, which is what was typed. `around`: mappings of which a field
    was left out that belongs further up: something may seem to be missing there.
    `misshapen`: the paths of what has the wrong shape all the same, as they are meant.
    """

    spec: BaseModel | None
    wrong: tuple[Diagnostic, ...] = ()
    meant: Meant = NOTHING_MEANT
    around: frozenset[Path] = frozenset()
    misshapen: tuple[Path, ...] = ()


def written(shaped: Shaped, path: Path) -> Path:
    """Return the path of a finding about the typed spec, with the names of fields as they are written."""
    return (*path[:1], *shaped.meant.written(path[1:])) if path[:1] == ("spec",) else path


def check_shape(resource: Resource) -> tuple[BaseModel | None, tuple[Diagnostic, ...]]:
    """Return the typed spec, and what is wrong with its shape; None when it has not the shape of one."""
    shaped = shape_of(resource)
    return shaped.spec, shaped.wrong


def shape_of(resource: Resource) -> Shaped:
    """Type the spec of a resource.

    Fields that do not exist are wrong, and the rest is typed all the same: a field that seems to be misspelt
    as the one that is meant, and without any other. So what else is wrong is found at once, also when
    somebody wants such a field and says so.
    """
    model = SPECS.get(resource.key.kind)
    if model is None:
        return Shaped(None)
    spec = resource.body.get("spec")
    try:
        return Shaped(model.model_validate({} if spec is None else spec))
    except ValidationError as error:
        return _Typing(Subject(resource), model, Meant(spec)).shaped(_details(error))


class _Typing:
    """Types a spec with errors, in several turns: what is below a misspelt field shows when it is renamed."""

    def __init__(self, subject: Subject, model: type[BaseModel], meant: Meant) -> None:
        self._subject = subject
        self._model = model
        self._meant = meant
        self._wrong: dict[tuple[str, Path], Diagnostic] = {}
        self._around: set[Path] = set()

    def shaped(self, details: list[ErrorDetails]) -> Shaped:
        """Return the result of all turns; `details` are what the first one found."""
        typed: BaseModel | None = None
        self._note(details)
        for _ in range(_TURNS_MAX):
            if self._subject.resource.key.group != NETWORKING or not self._correct(details):
                break
            try:
                typed = self._model.model_validate(self._meant.value)
                break
            except ValidationError as error:
                details = _details(error)
                self._note([detail for detail in details if not self._follows(detail)])
        wrong = tuple(self._wrong.values())[:_ERRORS_MAX]
        misshapen = [] if typed else details
        paths = tuple(("spec", *_place(detail)) for detail in misshapen)
        return Shaped(typed, wrong, self._meant, frozenset(self._around), paths)

    def _note(self, details: list[ErrorDetails]) -> None:
        for detail in details[:_ERRORS_MAX]:
            loc = self._meant.written(detail["loc"])
            place = (detail["type"], loc)
            if place not in self._wrong:
                self._wrong[place] = _translate(self._subject, {**detail, "loc": loc})

    def _correct(self, details: list[ErrorDetails]) -> bool:
        """Rename and leave out the unknown fields; say whether there are any."""
        names: dict[Path, str] = {}
        for detail in details:
            if detail["type"] == _UNKNOWN:
                loc = detail["loc"]
                names[loc] = name = self._name_for(loc, detail, names)
                if name:
                    self._wrong.pop(("missing", self._meant.written((*loc[:-1], name))), None)
                elif _where_instead(self._subject, ("spec", *loc))[0] is _Instead.ABOVE:
                    self._around.add(("spec", *self._meant.written(loc[:-1])))
        self._meant = self._meant.corrected(names)
        return bool(names)

    def _name_for(self, loc: Path, detail: ErrorDetails, names: Mapping[Path, str]) -> str:
        """Return the field that is meant; empty where it is not known, or is written as well."""
        instead, name = _where_instead(self._subject, ("spec", *loc))
        if instead is not _Instead.NEAR:
            return ""
        beside = _inside(self._meant.value, loc[:-1])
        taken = any(to == name and place[:-1] == loc[:-1] for place, to in names.items())
        return "" if taken or not isinstance(beside, dict) or name in beside else name

    def _follows(self, detail: ErrorDetails) -> bool:
        path = ("spec", *self._meant.written(detail["loc"]))
        return path in self._around or path[:-1] in self._around


def _inside(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _details(error: ValidationError) -> list[ErrorDetails]:
    return [detail for detail in error.errors(include_url=False) if not _follows(detail)]


def _follows(error: ErrorDetails) -> bool:
    """Say whether a list is only too short because pydantic left out elements that are wrong themselves."""
    written = error["input"]
    return (
        error["type"] == "too_short"
        and isinstance(written, list)
        and len(written) >= error.get("ctx", {}).get("min_length", 0)
    )


def _place(error: ErrorDetails) -> Path:
    return tuple(part for part in error["loc"] if part != "[key]")


def _translate(subject: Subject, error: ErrorDetails) -> Diagnostic:
    path: Path = ("spec", *_place(error))
    kind = error["type"]
    for translate, kinds in _TRANSLATIONS.items():
        if kind in kinds:
            return translate(subject, path, error)
    return _wrong_type(subject, path, error)


def _unknown_field(subject: Subject, path: Path, error: ErrorDetails) -> Diagnostic:
    name = str(path[-1])
    message = f"unknown field {name} in {dotted(path[:-1])}"
    instead, words = _where_instead(subject, path)
    hint = instead.value.format(name=name, words=words)
    return subject.finding("GM101", message, path, hint=hint, wants_key=True)


class _Instead(Enum):
    """What is said about a field that does not exist."""

    ABOVE = "{name} belongs to {words}"
    NEAR = "did you mean {words}?"
    OTHERS = "known fields: {words}"
    NOTHING = ""


def _where_instead(subject: Subject, path: Path) -> tuple[_Instead, str]:
    """Say what was meant: the same name further up, a field with a similar name, or what there is."""
    model = SPECS[subject.resource.key.kind]
    name = str(path[-1])
    for length in range(len(path) - 2, 0, -1):
        if name in fields_at(model, path[1:length]):
            return _Instead.ABOVE, dotted(path[:length])
    known = fields_at(model, path[1:-1])
    if near := closest(name, known):
        return _Instead.NEAR, near
    more = ", ..." if len(known) > _NAMES_SHOWN_MAX else ""
    words = f"{', '.join(known[:_NAMES_SHOWN_MAX])}{more}"
    return (_Instead.OTHERS, words) if known else (_Instead.NOTHING, "")


def _missing(subject: Subject, path: Path, error: ErrorDetails) -> Diagnostic:
    parent = dotted(path[:-1])
    written = error["input"]
    near = closest(str(path[-1]), [str(name) for name in written]) if isinstance(written, dict) else ""
    hint = f"did you mean {path[-1]} where {near} is written?" if near else ""
    return subject.finding("GM103", f"{path[-1]} is missing in {parent}", path, hint=hint)


_WANTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping",
}


def _wrong_type(subject: Subject, path: Path, error: ErrorDetails) -> Diagnostic:
    found = error["input"]
    wanted = _WANTED.get(error["type"].partition("_")[0])
    if wanted is None:
        return subject.finding("GM102", f"{dotted(path)}: {error['msg'][:200]}", path)
    message = f"{dotted(path)} must be {wanted}, found {shown(found)}"
    return subject.finding("GM102", message, path, hint=_type_hint(wanted, found, str(path[-1])))


_DURATION_NAMES = ("timeout", "interval", "delay", "backoff", "maxage", "duration", "ejectiontime")


def _type_hint(wanted: str, found: Any, name: str) -> str:
    if wanted == "text" and isinstance(found, bool | int | float):
        is_duration = name.lower().endswith(_DURATION_NAMES) and not isinstance(found, bool)
        return f"write {found}s, if you mean seconds" if is_duration else "quote it"
    if wanted in ("a whole number", "true or false", "a number") and isinstance(found, str):
        return (
            "remove the quotes" if found.strip().lstrip("-").isdecimal() or wanted == "true or false" else ""
        )
    if wanted == "a list" and isinstance(found, dict):
        return "begin each element with '- '"
    if wanted == "a list" and isinstance(found, str):
        return f"write [{found[:_SHOWN_CHARS_MAX]}]"
    return ""


def _not_listed(subject: Subject, path: Path, error: ErrorDetails) -> Diagnostic:
    expected = str(error.get("ctx", {}).get("expected", ""))
    values = [part.strip().strip("'") for part in expected.replace(" or ", ", ").split(",")]
    found = error["input"]
    near = closest(found, values) if isinstance(found, str) else ""
    hint = f"did you mean {near}?" if near else f"one of: {', '.join(values)}"
    if near:
        hint += f" It is one of: {', '.join(values)}"
    return subject.finding("GM104", f"{shown(found)} is not a value of {dotted(path)}", path, hint=hint)


def _excluded(subject: Subject, path: Path, error: ErrorDetails) -> Diagnostic:
    names = [str(name) for name in error.get("ctx", {}).get("names", ())]
    message = f"{' and '.join(names)} exclude each other in {dotted(path)}"
    last = [name for name in names if name in error["input"]] if isinstance(error["input"], dict) else []
    return subject.finding(
        "GM105", message, (*path, last[-1]) if last else path, hint="keep one of them", wants_key=bool(last)
    )


_BOUNDS = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "less than"}


def _out_of_range(subject: Subject, path: Path, error: ErrorDetails) -> Diagnostic:
    context = error.get("ctx", {})
    for name, words in _BOUNDS.items():
        if name in context:
            message = f"{dotted(path)} must be {words} {context[name]:g}, found {shown(error['input'])}"
            return subject.finding("GM106", message, path)
    for name, words in (("min_length", "at least"), ("max_length", "at most")):
        if name in context:
            unit = "characters" if isinstance(error["input"], str) else "elements"
            message = f"{dotted(path)} must have {words} {context[name]} {unit}"
            return subject.finding("GM106", message, path)
    return subject.finding("GM106", f"{dotted(path)}: {error['msg'][:200]}", path)


def _duration(subject: Subject, path: Path, error: ErrorDetails) -> Diagnostic:
    message = f"{dotted(path)}: {error['msg']}"
    hint = "write for example 250ms, 10s or 1m30s; leave the field out for no limit"
    return subject.finding("GM107", message, path, hint=hint)


def _by_code(code: str) -> Translate:
    def translate(subject: Subject, path: Path, error: ErrorDetails) -> Diagnostic:
        at = (*path, *error.get("ctx", {}).get("at", ()))
        return subject.finding(code, f"{dotted(at)}: {error['msg']}", at, wants_key=at != path)

    return translate


def _contradiction(subject: Subject, path: Path, error: ErrorDetails) -> Diagnostic:
    reason = str(error.get("ctx", {}).get("error", error["msg"]))
    code = "GM351" if subject.resource.key.kind == ROUTE_TEST else "GM301"
    return subject.finding(code, f"{dotted(path)}: {reason}", path)


_TRANSLATIONS: Mapping[Translate, frozenset[str]] = {
    _unknown_field: frozenset((_UNKNOWN,)),
    _missing: frozenset(("missing",)),
    _not_listed: frozenset(("literal_error", "enum")),
    _excluded: frozenset(("one_of",)),
    _out_of_range: frozenset(
        (
            "greater_than",
            "greater_than_equal",
            "less_than",
            "less_than_equal",
            "finite_number",
            "int_parsing_size",
            "too_long",
            "too_short",
            "string_too_long",
            "string_too_short",
        )
    ),
    _duration: frozenset(("duration",)),
    _by_code("GM108"): frozenset(("malformed",)),
    _by_code("GM109"): frozenset(("refused",)),
    _by_code("GM110"): frozenset(("duplicated",)),
    _by_code("GM301"): frozenset(("contradiction",)),
    _contradiction: frozenset(("value_error", "assertion_error")),
}


def shown(value: Any) -> str:
    """Return a value in a form that says its type, and is short."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {str(value)[:_SHOWN_CHARS_MAX]}"
    if isinstance(value, str):
        cut = value if len(value) <= _SHOWN_CHARS_MAX else value[:_SHOWN_CHARS_MAX] + "..."
        return f'the text "{cut}"'
    return "a list" if isinstance(value, list | tuple) else "a mapping"
