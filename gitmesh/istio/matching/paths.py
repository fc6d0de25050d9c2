"""The path of a request as Envoy compares it.

Stage: plan (pure). Source: envoyproxy.io, HttpConnectionManager, normalize_path (on in Istio's meshes by
default; slashes are not merged and escaped slashes stay). Measured with Envoy 1.40.
"""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# What a canonical path holds only as an escape.
_TO_ESCAPE = re.compile(r'[\x00-\x20"<>^`{|}\x7f-\U0010ffff]')
# Parameters behind dots would hide them; those behind dots that are escaped stay.
_DOTS_WITH_PARAMETERS = re.compile(r"(?<=/)(\.\.?);[^/]*")


def split_target(target: str) -> tuple[str, str | None]:
    """Return the path and the query (None: there is no `?`) of a request's target."""
    path, mark, query = target.partition("?")
    return path or "/", query if mark else None


def normalized(path: str) -> str:
    """Return the path with needless escapes undone, and without `.` and `..`."""
    bare = _DOTS_WITH_PARAMETERS.sub(r"\1", path)
    plain = _ESCAPED.sub(_unescape, bare.replace("\\", "/"))
    return _TO_ESCAPE.sub(_escape, _without_dots(plain))


def query_values(query: str | None) -> dict[str, str]:
    """Return the first value of each key. Nothing is decoded: Envoy compares what was sent."""
    found: dict[str, str] = {}
    for part in (query or "").split("&"):
        key, _, value = part.partition("=")
        if part:
            found.setdefault(key, value)
    return found


def _unescape(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0]


def _escape(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape"))


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:] if path.startswith("/") else path.split("/")
    for place, segment in enumerate(segments):
        is_last = place == len(segments) - 1
        if segment == "..":
            if kept:
                kept.pop()
            if is_last:
                kept.append("")
        elif segment == ".":
            if is_last:
                kept.append("")
        else:
            kept.append(segment)
    return "/" + "/".join(kept)
