"""The definitions of a cluster are read for validation, as far as we may."""

from __future__ import annotations

from typing import Any

import pytest

from gitmesh.kube.errors import ClusterError, NotFoundError, RejectedError
from gitmesh.kube.protocol import Listing
from gitmesh.model.kinds import CUSTOM_RESOURCE_DEFINITION, Kind
from gitmesh.observe.definitions import read_definitions
from gitmesh.validate.schemas.definitions import read_schemas

pytestmark = pytest.mark.anyio
LAMPS = {
    "metadata": {"name": "lamps.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"kind": "Lamp"},
        "versions": [{"name": "v1", "served": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
    },
}


class Answer:
    """A client that knows one answer."""

    def __init__(self, answer: Listing | ClusterError) -> None:
        self.answer = answer
        self.asked: list[Kind] = []

    async def list(self, kind: Kind, *, namespace: str = "", page_size: int = 500) -> Listing:
        self.asked.append(kind)
        if isinstance(self.answer, ClusterError):
            raise self.answer
        return self.answer


async def read(answer: Any) -> tuple[Any, Answer]:
    client = Answer(answer)
    return await read_definitions(client), client  # type: ignore[arg-type]


async def test_each_definition_is_a_schema_though_the_elements_of_a_list_do_not_say_what_they_are():
    definitions, client = await read(Listing((LAMPS,), "1"))
    assert client.asked == [CUSTOM_RESOURCE_DEFINITION]
    schemas, wrong = read_schemas(definitions)
    assert list(schemas.definitions) == [("example.com", "Lamp")]
    assert wrong == ()


@pytest.mark.parametrize("kind", [NotFoundError, RejectedError])
async def test_what_is_not_served_or_not_allowed_is_not_known(kind: type[ClusterError]):
    assert (await read(kind("no", retryable=False)))[0] == ()


async def test_any_other_failure_is_one():
    with pytest.raises(ClusterError, match="away"):
        await read(ClusterError("the server is away", retryable=True))
