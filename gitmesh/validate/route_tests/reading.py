"""RouteTests of a revision, ready to be run.

Stage: validate (pure). A document is read once, for as long as it stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from gitmesh.istio.matching.request import Request, RequestError, read_request
from gitmesh.model.kinds import GITMESH
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.model.route_test import ROUTE_TEST, Expect, From, RouteCase, RouteTestSpec

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One case. `request` is None where it is no request; `problem` says why."""

    resource: Resource
    index: int
    name: str
    text: str  # the request as it is written, with its method
    request: Request | None
    problem: str
    sender: From
    expect: Expect

    @property
    def namespace(self) -> str:
        """The namespace in which the document is, and so short names are meant."""
        return self.resource.key.namespace

    @property
    def path(self) -> Path:
        """Where the case stands in its document."""
        return ("spec", "cases", self.index)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One RouteTest; without cases where its shape is wrong, which is said elsewhere."""

    resource: Resource
    cases: tuple[Case, ...] = ()
    own_sender: bool = False  # some case has no `from` of its own


def is_route_test(key: ResourceKey) -> bool:
    """Say whether the key is that of a RouteTest."""
    return key.group == GITMESH and key.kind == ROUTE_TEST


def read_documents(
    resources: ResourceSet, before: Mapping[ResourceKey, Document] | None = None
) -> dict[ResourceKey, Document]:
    """Return every RouteTest, by file and place in it."""
    found: dict[ResourceKey, Document] = {}
    for key, resource in resources.items():
        if is_route_test(key):
            known = before.get(key) if before else None
            found[key] = known if known and known.resource is resource else read_document(resource)
    return found


def read_document(resource: Resource) -> Document:
    """Read one RouteTest."""
    try:
        spec = RouteTestSpec.model_validate(resource.spec)
    except ValidationError:
        return Document(resource)
    cases = tuple(_case(resource, spec, index, case) for index, case in enumerate(spec.cases))
    return Document(resource, cases, any(case.sender is None for case in spec.cases))


def _case(resource: Resource, spec: RouteTestSpec, index: int, case: RouteCase) -> Case:
    method, url = split_request(case.request)
    request, problem = request_of(case)
    text = f"{method} {url}"
    return Case(
        resource, index, case.name or text, text, request, problem, case.sender or spec.sender, case.expect
    )


def request_of(case: RouteCase) -> tuple[Request | None, str]:
    """Return the request of a case, or why it is none."""
    method, url = split_request(case.request)
    if any(not character.isprintable() or character == " " for character in url):
        return None, f"{url!r} is not a URL; write for example GET http://reviews:9080/ratings/7"
    try:
        return read_request(method, url, case.headers.items()), ""
    except RequestError as error:
        return None, str(error)


def split_request(text: str) -> tuple[str, str]:
    """Return method and URL; the method is GET where there is none."""
    method, _, url = text.strip().partition(" ")
    return (method, url.strip()) if url and method.isalpha() else ("GET", text.strip())
