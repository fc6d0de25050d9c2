"""What a webhook says: which refs of which repository have moved.

Stage: none (pure). The body is hostile even when its proof holds: who may push to a forge shapes a part
of it. Each field is looked at for what it is, nothing is a pattern, and no address in it is ever asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs

import orjson

from gitmesh.model.receivers import ReceiverKind

REFS_MAX = 1_000
_URLS_MAX = 20
_TEXT_MAX = 2_048
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch or a tag, by its short name."""

    kind: Literal["branch", "tag"]
    name: str


@dataclass(frozen=True, slots=True)
class Push:
    """Refs have moved in the repository that is known by each of these URLs. `refs` None: not said which."""

    urls: tuple[str, ...]
    refs: tuple[Ref, ...] | None


@dataclass(frozen=True, slots=True)
class Other:
    """Something that is no push: a ping, or an event that nobody asked for."""

    event: str
    ping: bool = False


@dataclass(frozen=True, slots=True)
class Malformed:
    """It cannot be what the forge sends; `why` names the field and quotes nothing."""

    why: str


class _Wrong(Exception):  # noqa: N818 (never leaves this module)
    """A field is missing or of another type."""


def read_payload(
    kind: ReceiverKind, headers: Mapping[str, str], body: bytes | bytearray
) -> Push | Other | Malformed:
    """Read one webhook; header names are in lower case. Never raises."""
    try:
        document = _json(headers.get("content-type", ""), body)
        return _READERS[kind](headers, document)
    except _Wrong as wrong:
        return Malformed(str(wrong))


def _json(content_type: str, body: bytes | bytearray) -> Mapping[str, Any]:
    # GitHub and Gitea send a form when nobody chose JSON. The proof was of the form as it came.
    if content_type.partition(";")[0].strip().lower() == _FORM:
        try:
            fields = parse_qs(body.decode("utf-8"), max_num_fields=10)
        except (UnicodeDecodeError, ValueError):
            raise _Wrong("the form cannot be read") from None
        if len(fields.get("payload", ())) != 1:
            raise _Wrong("the form has no field called payload")
        body = fields["payload"][0].encode("utf-8", "replace")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _Wrong("the body is not JSON") from None
    if not isinstance(document, dict):
        raise _Wrong("the body is not a JSON object")
    return document


# Each kind --------------------------------------------------------------------------------------------------


def _github_like(*events: str) -> Callable[[Mapping[str, str], Mapping[str, Any]], Push | Other]:
    """Read what GitHub, Gitea and Forgejo send, which is alike.

    Source: docs.github.com, "Webhook events and payloads", push; docs.gitea.com and forgejo.org,
    "Webhooks".
    """

    def read(headers: Mapping[str, str], document: Mapping[str, Any]) -> Push | Other:
        event = _event(headers, *events)
        if event != "push":
            return Other(event, ping=event == "ping")
        repository = _mapping(document, "repository")
        urls = _urls(repository, "clone_url", "ssh_url", "git_url", "html_url", "svn_url", where="repository")
        return Push(urls, _refs([_full_ref(document, "ref")]))

    return read


def _gitlab(headers: Mapping[str, str], document: Mapping[str, Any]) -> Push | Other:
    """Source: docs.gitlab.com, "Webhook events", push and tag events."""
    _event(headers, "x-gitlab-event")
    event = _text(document, "object_kind")
    if event not in ("push", "tag_push"):
        return Other(event)
    project = _mapping(document, "project")
    urls = _urls(project, "git_http_url", "git_ssh_url", "http_url", "ssh_url", "web_url", where="project")
    return Push(urls, _refs([_full_ref(document, "ref")]))


def _bitbucket(headers: Mapping[str, str], document: Mapping[str, Any]) -> Push | Other:
    """Source: support.atlassian.com, Bitbucket Cloud, "Event payloads", repo:push."""
    event = _event(headers, "x-event-key")
    if event != "repo:push":
        return Other(event, ping=event == "diagnostics:ping")
    repository = _mapping(document, "repository")
    urls = [f"https://bitbucket.org/{_text(repository, 'full_name', 'repository')}"]
    moved = []
    for index, change in enumerate(_list(_mapping(document, "push"), "changes", "push")):
        where = f"push.changes[{index}]"
        # A branch that was deleted has nothing new, one that was created nothing old.
        which = "old" if _element(change, where).get("new") is None else "new"
        end = _mapping(change, which, where)
        moved.append(_ref(_text(end, "type", f"{where}.{which}"), _text(end, "name", f"{where}.{which}")))
    return Push(tuple(urls), _refs(moved))


def _bitbucket_server(headers: Mapping[str, str], document: Mapping[str, Any]) -> Push | Other:
    """Source: confluence.atlassian.com/bitbucketserver, "Event payload", repo:refs_changed."""
    event = _event(headers, "x-event-key")
    if event not in ("repo:refs_changed", "mirror:repo_synchronized"):
        return Other(event, ping=event == "diagnostics:ping")
    links = _mapping(_mapping(document, "repository"), "links", "repository")
    where = "repository.links.clone"
    clones = _list(links, "clone", "repository.links")[:_URLS_MAX]
    urls = [_text(_element(link, where), "href", where) for link in clones]
    moved = []
    for index, change in enumerate(_list(document, "changes")):
        ref = _mapping(_element(change, f"changes[{index}]"), "ref", f"changes[{index}]")
        moved.append(_full_ref(ref, "id", f"changes[{index}].ref"))
    return Push(tuple(urls), _refs(moved))


def _generic(headers: Mapping[str, str], document: Mapping[str, Any]) -> Push | Other:
    """Read our own form: `{"repository": URL, "ref": "refs/heads/main"}`; who leaves `ref` out means any."""
    urls = _urls(document, "repository", where="the body")
    return Push(urls, None if "ref" not in document else _refs([_full_ref(document, "ref")]))


_READERS: Mapping[ReceiverKind, Callable[[Mapping[str, str], Mapping[str, Any]], Push | Other]] = {
    "github": _github_like("x-github-event"),
    "gitea": _github_like("x-gitea-event", "x-forgejo-event", "x-github-event"),
    "forgejo": _github_like("x-forgejo-event", "x-gitea-event", "x-github-event"),
    "gitlab": _gitlab,
    "bitbucket": _bitbucket,
    "bitbucket-server": _bitbucket_server,
    "generic": _generic,
}


# Fields -----------------------------------------------------------------------------------------------------


def _event(headers: Mapping[str, str], *names: str) -> str:
    for name in names:
        if event := headers.get(name, ""):
            return event[:100]
    raise _Wrong(f"the header {names[0]} is missing")


def _place(name: str, where: str) -> str:
    return f"{where}.{name}" if where else name


def _mapping(document: Mapping[str, Any], name: str, where: str = "") -> Mapping[str, Any]:
    value = document.get(name)
    if not isinstance(value, dict):
        raise _Wrong(f"{_place(name, where)} is not an object")
    return value


def _element(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"{where} is not an object")
    return value


def _list(document: Mapping[str, Any], name: str, where: str = "") -> list[Any]:
    value = document.get(name)
    if not isinstance(value, list) or not value:
        raise _Wrong(f"{_place(name, where)} is not a list with an element")
    if len(value) > REFS_MAX:
        raise _Wrong(f"{_place(name, where)} has more than {REFS_MAX} elements")
    return value


def _text(document: Mapping[str, Any], name: str, where: str = "") -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value or len(value) > _TEXT_MAX or not value.isprintable():
        raise _Wrong(f"{_place(name, where)} is not text")
    return value


def _urls(document: Mapping[str, Any], *names: str, where: str) -> tuple[str, ...]:
    """Return those that are there: forges leave out what they do not serve, such as SSH."""
    found = tuple(_text(document, name, where) for name in names if document.get(name) not in (None, ""))
    if not found:
        raise _Wrong(f"{where} names no URL ({', '.join(names)})")
    return found


def _full_ref(document: Mapping[str, Any], name: str, where: str = "") -> Ref | None:
    text = _text(document, name, where)
    for prefix, kind in (("refs/heads/", "branch"), ("refs/tags/", "tag")):
        if text.startswith(prefix) and text != prefix:
            return _ref(kind, text.removeprefix(prefix))
    if not text.startswith("refs/"):
        raise _Wrong(f"{_place(name, where)} does not begin with refs/")
    return None  # a note, a pull request: nobody follows those


def _ref(kind: str, name: str) -> Ref | None:
    if kind == "branch":
        return Ref("branch", name)
    return Ref("tag", name) if kind in ("tag", "annotated_tag") else None


def _refs(found: list[Ref | None]) -> tuple[Ref, ...]:
    return tuple(dict.fromkeys(_known(found)))


def _known(found: list[Ref | None]) -> Iterator[Ref]:
    yield from (ref for ref in found if ref is not None)
