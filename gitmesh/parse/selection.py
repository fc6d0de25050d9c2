"""Which files of a revision hold objects, and which are left alone.

Stage: parse (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from posixpath import basename, dirname

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.resource import Location
from gitmesh.model.revision import SourceFile
from gitmesh.parse import codes
from gitmesh.parse.ignore import IGNORE_FILE, IgnoreRules, read_ignore_files
from gitmesh.parse.text import decode, first_bad_byte

SUFFIXES = (".yaml", ".yml", ".json")
STANDARD_INPUT = "<stdin>"  # no file of a repository is read under this name: it has no such ending
_KUSTOMIZATION = frozenset(("kustomization.yaml", "kustomization.yml"))
_CHART = "Chart.yaml"


def select(files: Mapping[str, SourceFile]) -> tuple[tuple[SourceFile, ...], tuple[Diagnostic, ...]]:
    """Return the files to read, by path, and what is said about others.

    Files and folders whose name begins with a dot belong to tools (.github, .pre-commit-config.yaml).
    """
    rules, findings = _ignore_rules(files)
    charts = tuple(dirname(path) for path in files if basename(path) == _CHART)
    chosen: list[SourceFile] = []
    for path in sorted(files):
        if not _is_manifest(path) or _is_hidden(path) or rules.ignores(path):
            continue
        if basename(path) == _CHART:
            findings.append(_not_applied(path, "a Helm chart is not rendered; its files are left alone"))
        elif basename(path) in _KUSTOMIZATION:
            findings.append(
                _not_applied(path, "kustomize is not run; the files beside it are read as they are")
            )
        elif not any(folder in charts for folder in _folders(path)):
            chosen.append(files[path])
    return tuple(chosen), tuple(findings)


def _is_manifest(path: str) -> bool:
    return path.lower().endswith(SUFFIXES) or path == STANDARD_INPUT


def _ignore_rules(files: Mapping[str, SourceFile]) -> tuple[IgnoreRules, list[Diagnostic]]:
    texts: dict[str, str] = {}
    unreadable: list[Diagnostic] = []
    for path, file in files.items():
        if basename(path) != IGNORE_FILE:
            continue
        if (text := decode(file.content)) is None:
            unreadable.append(not_text(file))
        else:
            texts[path] = text
    rules, findings = read_ignore_files(texts)
    return rules, [*unreadable, *findings]


def not_text(file: SourceFile) -> Diagnostic:
    """Return the finding for a file that is not UTF-8."""
    line, column = first_bad_byte(file.content)
    hint = "save the file as UTF-8"
    return codes.NOT_TEXT.finding("the file is not UTF-8 text", Location(file.path, line, column), hint=hint)


def _is_hidden(path: str) -> bool:
    # An absolute path comes from the command line, where the folders above were named by a person.
    parts = path.split("/")[-1:] if path.startswith(("/", "..")) else path.split("/")
    return any(part.startswith(".") and part not in (".", "..") for part in parts)


def _folders(path: str) -> Iterator[str]:
    """Yield the folder of a file and all folders above it."""
    folder = dirname(path)
    while True:
        yield folder
        if folder in ("", "/"):
            return
        folder = dirname(folder)


def _not_applied(path: str, message: str) -> Diagnostic:
    hint = "commit the rendered objects, and name this in .gitmeshignore to silence the warning"
    return codes.NOT_APPLIED.finding(message, Location(path), hint=hint)
