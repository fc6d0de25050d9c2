"""Which kubeconfig counts, and whether it can be used, said before the official client reads it.

Stage: observe and apply (effect). Its own messages may quote the file, and with it a token; these never do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gitmesh.kube.errors import ClusterError

KUBECONFIG_BYTES_MAX = 10_485_760


@dataclass(frozen=True, slots=True)
class Chosen:
    """The files to read (joined as $KUBECONFIG joins them), the context, and its user."""

    files: str
    context: str
    user_name: str
    user: Mapping[str, Any]
    token_file: str = ""


def unusable(where: str, problem: str) -> ClusterError:
    """Return the error for a kubeconfig that cannot be used."""
    return ClusterError(
        f"kubeconfig {where}: {problem}; correct it, or pass another one with --kubeconfig", retryable=False
    )


def choose(kubeconfig: Path | None, context: str, env: Mapping[str, str]) -> Chosen:
    """Find the files, read them, and look the context up. Raises ClusterError."""
    paths = _paths(kubeconfig, env)
    files = os.pathsep.join(str(path) for path in paths)
    documents = [(path, _read(path)) for path in paths]
    name = context or _first(documents, "current-context")
    if not name:
        raise unusable(files, "it names no current-context")
    chosen = _named(documents, "contexts", name, "context", files)[1]
    cluster = _named(documents, "clusters", chosen.get("cluster"), "cluster", files)[1]
    if not isinstance(cluster.get("server"), str):
        raise unusable(files, f"cluster {chosen.get('cluster')!r} has no server")
    user_name = chosen.get("user") or ""
    if not user_name:
        return Chosen(files, name, "", {})
    home, user = _named(documents, "users", user_name, "user", files)
    return Chosen(files, name, str(user_name), user, _token_file(home, user))


def _paths(kubeconfig: Path | None, env: Mapping[str, str]) -> list[Path]:
    if kubeconfig is not None:
        if not kubeconfig.is_file():
            raise ClusterError(f"kubeconfig {kubeconfig}: there is no such file", retryable=False)
        return [kubeconfig]
    listed = [Path(part).expanduser() for part in env.get("KUBECONFIG", "").split(os.pathsep) if part]
    asked = listed or [Path.home() / ".kube" / "config"]
    found = [path for path in asked if path.is_file()]
    if found:
        return found
    tried = ", ".join(str(path) for path in asked)
    raise ClusterError(
        f"no kubeconfig: looked at {tried}, and this is no Pod; pass --kubeconfig or set KUBECONFIG",
        retryable=False,
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > KUBECONFIG_BYTES_MAX:
            raise unusable(str(path), f"it is above {KUBECONFIG_BYTES_MAX} bytes")
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unusable(str(path), f"it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise unusable(str(path), "it is not UTF-8 text") from None
    except yaml.YAMLError as error:
        # Not `from error`: a traceback would show the lines around, and one of them may be a token.
        raise unusable(str(path), f"it is not valid YAML{_line(error)}") from None
    if not isinstance(document, Mapping):
        raise unusable(str(path), "it holds no mapping")
    return document


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _first(documents: list[tuple[Path, Mapping[str, Any]]], key: str) -> str:
    # The last file that has the key wins: so the official client merges, and it is what connects.
    values = [document[key] for _, document in documents if document.get(key)]
    return str(values[-1]) if values else ""


def _named(
    documents: list[tuple[Path, Mapping[str, Any]]], section: str, name: object, field: str, files: str
) -> tuple[Path, Mapping[str, Any]]:
    """Return the entry with that name and the file it stands in; the first one wins."""
    known: list[str] = []
    for path, document in documents:
        entries = document.get(section)
        for entry in entries if isinstance(entries, list) else ():
            if not isinstance(entry, Mapping):
                continue
            if entry.get("name") == name and isinstance(entry.get(field), Mapping):
                return path, entry[field]
            known.append(str(entry.get("name")))
    there = ", ".join(known[:20]) or "none"
    raise unusable(files, f"there is no {field} named {name!r} (there is: {there})")


def _token_file(home: Path, user: Mapping[str, Any]) -> str:
    named = user.get("tokenFile")
    if not isinstance(named, str) or user.get("token"):
        return ""
    return str((home.parent / named).absolute())
