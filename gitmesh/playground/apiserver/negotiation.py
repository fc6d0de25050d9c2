"""Which form of an answer a client wants: the object, a Table, or only metadata.

Stage: playground (pure). Source: kubernetes.io, API concepts, "Alternate representations of resources".
"""

from __future__ import annotations

from dataclasses import dataclass

from gitmesh.playground.apiserver.failures import ApiError

_JSON = frozenset({"application/json", "*/*", "application/*", ""})


@dataclass(frozen=True, slots=True)
class Form:
    """`shape`: Object, Table or Partial."""

    shape: str = "Object"
    parameters: str = ""


def choose_form(accept: str) -> Form:
    """Return the first form in the header that is served. Raises 406 when there is none."""
    for media_type, parameters in _ranges(accept):
        if media_type not in _JSON:
            continue
        wanted = parameters.get("as", "")
        if not wanted:
            return Form()
        if parameters.get("g") == "meta.k8s.io" and parameters.get("v") == "v1":
            if wanted == "Table":
                return Form("Table", ";as=Table;g=meta.k8s.io;v=v1")
            if wanted in ("PartialObjectMetadata", "PartialObjectMetadataList"):
                return Form("Partial", f";as={wanted};g=meta.k8s.io;v=v1")
    raise not_acceptable()


def not_acceptable() -> ApiError:
    """406: only JSON is served."""
    return ApiError(406, "NotAcceptable", "only the following media types are accepted: application/json")


def wanted_discovery(accept: str) -> str:
    """Return `v2` or `v2beta1` for aggregated discovery, empty for the older form."""
    for media_type, parameters in _ranges(accept):
        if media_type not in _JSON:
            continue
        if parameters.get("as") == "APIGroupDiscoveryList" and parameters.get("g") == "apidiscovery.k8s.io":
            if parameters.get("v") in ("v2", "v2beta1"):
                return parameters["v"]
            continue
        if not parameters.get("as"):
            return ""
    return ""


def _ranges(accept: str) -> list[tuple[str, dict[str, str]]]:
    found = []
    for part in accept.split(","):
        media_type, *parameters = (p.strip() for p in part.split(";"))
        pairs = (p.partition("=") for p in parameters)
        found.append((media_type, {key: value for key, _, value in pairs}))
    return found
