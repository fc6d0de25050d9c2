"""Files to resources.

Stage: parse (pure). What was read from an equal file before is taken over, so a commit costs what it changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gitmesh.model.config import ParseLimits
from gitmesh.model.diagnostic import Diagnostic, bounded, up_to_errors
from gitmesh.model.edition import Edition, next_edition
from gitmesh.model.resource import Location, Resource, ResourceKey, ResourceSet
from gitmesh.model.revision import SourceFile
from gitmesh.parse import codes
from gitmesh.parse.envelope import Envelope, is_managed
from gitmesh.parse.json_text import read_json
from gitmesh.parse.marks import Node, locate, read_marks
from gitmesh.parse.selection import NOTHING_SELECTED, Selection, not_text, select
from gitmesh.parse.suppressions import Suppression, read_suppressions
from gitmesh.parse.text import decode
from gitmesh.parse.yaml_text import read_yaml


@dataclass(frozen=True, slots=True)
class FileResult:
    """What one file holds."""

    blob: str
    resources: tuple[Resource, ...]
    diagnostics: tuple[Diagnostic, ...]
    others: tuple[Resource, ...] = ()
    suppressions: tuple[Suppression, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a revision holds. `files_read` counts the files that were not taken over from before.

    `others` are well-formed objects of kinds that GitMesh does not manage; of a Secret only name and type.
    """

    resources: ResourceSet
    diagnostics: tuple[Diagnostic, ...]
    files: Mapping[str, FileResult] = field(default_factory=dict)
    files_read: int = 0
    default_namespace: str = ""
    limits: ParseLimits | None = None
    others: ResourceSet = field(default_factory=dict)
    selection: Selection = NOTHING_SELECTED
    has_duplicates: bool = False

    @property
    def suppressions(self) -> dict[str, tuple[Suppression, ...]]:
        """What each file suppresses; most files do not."""
        return {path: result.suppressions for path, result in self.files.items() if result.suppressions}


# Source: github.com/git-lfs/git-lfs, docs/spec.md, "The Pointer": version is the first key.
_LFS_POINTER = "version https://git-lfs.github.com/spec/"
NOTHING_READ = Parsed({}, ())


def parse_files(
    files: Mapping[str, SourceFile],
    *,
    default_namespace: str,
    limits: ParseLimits,
    previous: Parsed | None = None,
) -> Parsed:
    """Read every file; keep what is right and report what is wrong.

    `files`: path below the repository's root -> file. `previous` is the result for another revision.
    """
    known = _usable(previous, default_namespace, limits)
    selection = select(files, previous.selection if previous else None)
    results: dict[str, FileResult] = {}
    read = 0
    for file in selection.files:
        result = known.get(file.path)
        if result is None or not file.blob or result.blob != file.blob:
            result = _read_file(file, default_namespace, limits)
            read += 1
        results[file.path] = result
    resources, duplicates = _collected(results, previous, known)
    found = [
        *selection.findings,
        *duplicates,
        *(d for result in results.values() for d in result.diagnostics),
    ]
    shown = bounded(found, limits.diagnostics_max)
    others: dict[ResourceKey, Resource] = {}
    for result in results.values():
        for other in result.others:
            others.setdefault(other.key, other)
    return Parsed(
        resources, shown, results, read, default_namespace, limits, others, selection, bool(duplicates)
    )


def _usable(previous: Parsed | None, namespace: str, limits: ParseLimits) -> Mapping[str, FileResult]:
    if previous is None or previous.default_namespace != namespace or previous.limits != limits:
        return {}
    return previous.files


def _read_file(file: SourceFile, default_namespace: str, limits: ParseLimits) -> FileResult:
    text = decode(file.content)
    if text is None:
        return FileResult(file.blob, (), (not_text(file),))
    if text.startswith(_LFS_POINTER):
        return FileResult(file.blob, (), (_lfs_pointer(file),))
    is_json = file.path.lower().endswith(".json")
    documents, findings = (read_json if is_json else read_yaml)(file.path, text, limits)
    as_yaml = text.replace("\t", " ") if is_json else text
    envelope = Envelope(file.path, default_namespace, _Places(as_yaml))
    resources: list[Resource] = []
    wrong = (found for document in documents for found in _set_apart(envelope.read(document), resources))
    shown = tuple(up_to_errors(wrong, limits.diagnostics_max))
    managed = tuple(resource for resource in resources if is_managed(resource))
    others = tuple(resource for resource in resources if not is_managed(resource))
    suppressions, unclear = read_suppressions(file, as_yaml, resources)
    return FileResult(file.blob, managed, (*findings, *shown, *unclear), others, suppressions)


def _lfs_pointer(file: SourceFile) -> Diagnostic:
    return codes.LFS_POINTER.finding(
        "the repository holds a Git LFS pointer here, and not the file itself",
        Location(file.path, 1, 1),
        hint="take the file out of Git LFS: `git lfs untrack` its pattern, and commit the file again",
    )


def _set_apart(found: Iterable[Resource | Diagnostic], resources: list[Resource]) -> Iterator[Diagnostic]:
    """Put the resources aside and yield the findings."""
    for item in found:
        if isinstance(item, Resource):
            resources.append(item)
        else:
            yield item


class _Places:
    """Finds the elements of a `List`. The text is read a second time, and only if it has one."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._roots: list[Node] | None = None

    def __call__(self, document: int, path: tuple[str | int, ...]) -> tuple[int, int]:
        """Return line and column of an element; the file's beginning where it cannot be found."""
        if self._roots is None:
            self._roots = read_marks(self._text)
        if document >= len(self._roots):
            return 1, 1
        return locate(self._roots[document], path)


def _collected(
    results: Mapping[str, FileResult], previous: Parsed | None, known: Mapping[str, FileResult]
) -> tuple[ResourceSet, list[Diagnostic]]:
    """Return what `_by_key` does, as the next edition: it may differ in the files that do."""
    if previous is None or not known:
        resources, duplicates = _by_key(results.values())
        return Edition(resources), duplicates
    other = [path for path in results.keys() | known.keys() if results.get(path) is not known.get(path)]
    pairs = [(known.get(path), results.get(path)) for path in other]
    changed = {r.key for pair in pairs for result in pair if result is not None for r in result.resources}
    if not previous.has_duplicates and all(_are_alike(*pair) for pair in pairs):
        now = {r.key: r for _, result in pairs if result is not None for r in result.resources}
        return next_edition(previous.resources, changed, now), []
    resources, duplicates = _by_key(results.values())
    return Edition(resources, previous.resources, changed), duplicates


def _are_alike(before: FileResult | None, after: FileResult | None) -> bool:
    """Say whether a file holds the same objects in the same order, so that none can become a duplicate."""
    return (
        before is not None
        and after is not None
        and [r.key for r in before.resources] == [r.key for r in after.resources]
    )


def _by_key(results: Iterable[FileResult]) -> tuple[dict[ResourceKey, Resource], list[Diagnostic]]:
    """Return the first object of each identity, and a finding for each further one."""
    resources: dict[ResourceKey, Resource] = {}
    findings: list[Diagnostic] = []
    for result in results:
        for resource in result.resources:
            first = resources.setdefault(resource.key, resource)
            if first is not resource:
                assert first.origin is not None
                assert resource.origin is not None
                findings.append(
                    codes.DUPLICATE_OBJECT.finding(
                        f"{resource.key} is already defined at {first.origin.location}",
                        resource.origin.location,
                        hint="remove one of them, or give it another name or namespace",
                        path=("metadata", "name"),
                        key=resource.key,
                    )
                )
    return resources, findings
