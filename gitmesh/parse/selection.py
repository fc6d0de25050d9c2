"""Which files of a revision hold objects, and which are left alone.

Stage: parse (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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
HIDING = frozenset((IGNORE_FILE, _CHART))  # names of files for which others below their folder are not read


@dataclass(frozen=True, slots=True)
class Selection:
    """The files to read, by path, and what is said about others.

    `choices` holds for each path whether it is read, or why not. It is right while `ground` is the same:
    the ignore files and where charts are.
    """

    files: tuple[SourceFile, ...] = ()
    findings: tuple[Diagnostic, ...] = ()
    ground: tuple[frozenset[tuple[str, str]], frozenset[str]] = (frozenset(), frozenset())
    choices: Mapping[str, bool | Diagnostic] = field(default_factory=dict, repr=False)


NOTHING_SELECTED = Selection()


def select(files: Mapping[str, SourceFile], previous: Selection | None = None) -> Selection:
    """Choose the files to read. Paths about which nothing has changed are not judged again.

    Files and folders whose name begins with a dot belong to tools (.github, .pre-commit-config.yaml).
    """
    ignoring = [path for path in files if path.endswith(IGNORE_FILE) and basename(path) == IGNORE_FILE]
    charts = frozenset(dirname(path) for path in files if path.endswith(_CHART) and basename(path) == _CHART)
    ground = (frozenset((path, files[path].blob) for path in ignoring), charts)
    known = previous.choices if previous and previous.ground == ground and _are_known(files, ignoring) else {}
    rules, findings = _ignore_rules({path: files[path] for path in ignoring})
    choices: dict[str, bool | Diagnostic] = {}
    for path in sorted(files):
        choice = known.get(path)
        choices[path] = _choice(path, rules, charts) if choice is None else choice
    findings += [choice for choice in choices.values() if isinstance(choice, Diagnostic)]
    chosen = tuple(files[path] for path, choice in choices.items() if choice is True)
    return Selection(chosen, tuple(findings), ground, choices)


def _are_known(files: Mapping[str, SourceFile], paths: Iterable[str]) -> bool:
    """Say whether equal blobs mean equal content."""
    return all(files[path].blob for path in paths)


def _choice(path: str, rules: IgnoreRules, charts: frozenset[str]) -> bool | Diagnostic:
    """Say whether a file is read, or what is said when it is not."""
    if not _is_manifest(path) or _is_hidden(path) or rules.ignores(path):
        return False
    if basename(path) == _CHART:
        return _not_applied(path, "a Helm chart is not rendered; its files are left alone")
    if basename(path) in _KUSTOMIZATION:
        return _not_applied(path, "kustomize is not run; the files beside it are read as they are")
    return not charts or not any(folder in charts for folder in _folders(path))


def _is_manifest(path: str) -> bool:
    return path.lower().endswith(SUFFIXES) or path == STANDARD_INPUT


def _ignore_rules(files: Mapping[str, SourceFile]) -> tuple[IgnoreRules, list[Diagnostic]]:
    texts: dict[str, str] = {}
    unreadable: list[Diagnostic] = []
    for path, file in files.items():
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
