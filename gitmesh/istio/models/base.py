"""What all Istio models share: strictness, and groups of fields that exclude each other.

Stage: validate (pure). Source: the CRDs of Istio 1.30.3 and pkg/config/validation of istio/istio.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError


class IstioModel(BaseModel):
    """Base of all models: no unknown field, no conversion between types, immutable."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)


class ExclusiveModel(IstioModel):
    """Base of the models with groups of which at most one field may be set.

    `one_of` holds the groups by the names that people write.
    """

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    _names: ClassVar[dict[str, str]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        cls._names = {field.alias or name: name for name, field in cls.model_fields.items()}

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        for group in self.one_of:
            written = [alias for alias in group if getattr(self, self._names[alias]) is not None]
            if len(written) > 1:
                raise excluded(written)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the groups in the form that Istio's CRDs use."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        groups = [_group_schema(group) for group in cls.one_of]
        if len(groups) == 1:
            schema |= groups[0]
        elif groups:
            schema["allOf"] = groups
        return schema


def _group_schema(group: tuple[str, ...]) -> dict[str, Any]:
    alone: list[dict[str, Any]] = [{"required": [name]} for name in group]
    return {"oneOf": [{"not": {"anyOf": alone}}, *alone]}


def excluded(fields: Iterable[str]) -> PydanticCustomError:
    """Return the error for fields of which only one may be set."""
    names = list(fields)
    return PydanticCustomError("one_of", "set only one of {names}", {"names": names})


def refused(reason: str, *at: str | int) -> PydanticCustomError:
    """Return the error for a combination that Istio's own validation refuses; `at` leads to the field."""
    return PydanticCustomError("refused", "{reason}", {"reason": reason, "at": at})


def malformed(reason: str) -> PydanticCustomError:
    """Return the error for text that has the wrong form."""
    return PydanticCustomError("malformed", "{reason}", {"reason": reason})


def duplicated(reason: str, *at: str | int) -> PydanticCustomError:
    """Return the error for elements of a list that must differ; `at` leads to the second one."""
    return PydanticCustomError("duplicated", "{reason}", {"reason": reason, "at": at})
