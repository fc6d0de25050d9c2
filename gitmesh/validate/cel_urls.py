"""URLs in expressions, read as Go reads them.

Stage: validate (pure). Source: pkg.go.dev/net/url, ParseRequestURI: an absolute URI or an absolute path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

from gitmesh.validate.cel_signature import Signature

_MARK = "@url"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PORT = re.compile(r"(?::[0-9]*)?", re.ASCII)
_HOST = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:\"<>]|%[0-9A-Fa-f]{2}|[^\x00-\x7f])*")
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of a URL. `host` includes the port."""

    scheme: str = ""
    host: str = ""
    path: str = ""
    query: str = ""


def read_url(text: str) -> Url | None:
    """Return the parts, or None when the text is no URL."""
    if not text or _CONTROL.search(text):
        return None
    scheme, rest = "", text
    if found := _SCHEME.match(text):
        scheme, rest = found[1].lower(), text[found.end() :]
    elif text.startswith(":"):
        return None
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        # What follows a scheme without a slash is opaque, as in mailto:someone.
        return Url(scheme, query=query) if scheme else None
    host, path = "", rest
    if scheme and rest.startswith("//") and not rest.startswith("///"):
        authority, slash, below = rest[2:].partition("/")
        path = slash + below
        user, at, host = authority.rpartition("@")
        if not _is_host(host) or (at and not _USER.fullmatch(user)):
            return None
    elif rest.startswith("///") and scheme:
        path = rest[2:]
    return None if _BAD_ESCAPE.search(path) else Url(scheme, host, path, query)


def _is_host(text: str) -> bool:
    if text.startswith("["):
        inside, closed, after = text[1:].partition("]")
        return bool(closed) and bool(_PORT.fullmatch(after)) and " " not in inside
    name, colon, port = text.rpartition(":")
    if not colon:
        return bool(_HOST.fullmatch(text))
    return bool(_HOST.fullmatch(name)) and bool(_PORT.fullmatch(colon + port))


def _url(text: str) -> dict[str, str]:
    if read_url(text) is None:
        raise ValueError(f"{text[:80]!r} is no URL")
    return {_MARK: text}


def _read(value: Any) -> Url:
    found = read_url(value[_MARK]) if isinstance(value, dict) and _MARK in value else None
    if found is None:
        raise ValueError("the value is no URL")
    return found


def _hostname(value: Any) -> str:
    host = _read(value).host
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _port(value: Any) -> str:
    host = _read(value).host
    _, colon, port = host.rpartition(":")
    return port if colon and "]" not in port else ""


def _escaped_path(value: Any) -> str:
    return quote(_read(value).path, safe="/%:@!$&'()*+,;=-._~")


def _query(value: Any) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, text in parse_qsl(_read(value).query, keep_blank_values=True):
        values.setdefault(name, []).append(text)
    return values


URL_FUNCTIONS = (
    Signature("url", "dyn", ("string",), _url),
    Signature("isURL", "bool", ("string",), lambda text: read_url(text) is not None),
    Signature("getScheme", "string", ("dyn",), lambda value: _read(value).scheme, member=True),
    Signature("getHost", "string", ("dyn",), lambda value: _read(value).host, member=True),
    Signature("getHostname", "string", ("dyn",), _hostname, member=True),
    Signature("getPort", "string", ("dyn",), _port, member=True),
    Signature("getEscapedPath", "string", ("dyn",), _escaped_path, member=True),
    Signature("getQuery", "dyn", ("dyn",), _query, member=True),
)
