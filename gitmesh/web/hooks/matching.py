"""Which sources a push concerns: those that follow that repository, by whatever URL, and that ref.

Stage: none (pure).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from gitmesh.engine.report import Source
from gitmesh.model.receivers import Receiver
from gitmesh.model.repository import RefKind
from gitmesh.model.semver import parse_range
from gitmesh.model.source import TrafficSourceSpec
from gitmesh.web.hooks.payload import Push, Ref

_SCP_LIKE = re.compile(r"(?:[^@/:\s]+@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^/:\s\[\]]+):(?!//)(?P<path>.*)")
_OWN_PORTS = {"https": 443, "http": 80, "ssh": 22, "git+ssh": 22, "ssh+git": 22, "git": 9418}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repository is, whichever of its URLs one knows. `port`: empty for the scheme's own."""

    host: str
    port: str
    path: str

    def of_any_case(self) -> Place:
        """Forges find a repository by its name in any case."""
        return Place(self.host, self.port, self.path.casefold())


def place_of(url: str) -> Place | None:
    """Return where a URL leads; None where it leads nowhere. Scheme, login, `.git` and the case of the host
    do not count."""
    if "://" not in url:
        match = _SCP_LIKE.fullmatch(url)
        return _place(match["host"], "", match["path"]) if match else _place("", "", url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if not host and parts.scheme.lower() != "file":
        return None
    own = port is None or port == _OWN_PORTS.get(parts.scheme.lower())
    return _place(host, "" if own else str(port), parts.path)


def _place(host: str, port: str, path: str) -> Place | None:
    plain = "/".join(part for part in unquote(path).split("/") if part not in ("", "."))
    plain = plain.removesuffix(".git")
    return Place(host.strip("[]").rstrip(".").casefold(), port, plain) if plain else None


def concerned(push: Push, receiver: Receiver, sources: Iterable[Source]) -> list[Source]:
    """Return the sources that have to look again."""
    fold = receiver.kind != "generic"
    moved = {_comparable(url, fold) for url in push.urls} - {None}
    return [
        source
        for source in sources
        if receiver.may_wake(source.resource.key.namespace, source.resource.key.name)
        and _comparable(source.spec.url, fold) in moved
        and (push.refs is None or any(follows(source.spec, ref) for ref in push.refs))
    ]


def _comparable(url: str, fold: bool) -> Place | None:
    place = place_of(url)
    return place.of_any_case() if place and fold else place


def follows(spec: TrafficSourceSpec, ref: Ref) -> bool:
    """Say whether a source may have to move because a ref did."""
    match spec.ref.kind:
        case RefKind.TAG:
            return ref == Ref("tag", spec.tag)
        case RefKind.SEMVER:
            return ref.kind == "tag" and parse_range(spec.semver).newest([ref.name]) is not None
        case RefKind.BRANCH | RefKind.COMMIT:
            return ref == Ref("branch", spec.branch)
