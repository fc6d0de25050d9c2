"""Reading revisions leaves no garbage behind that nobody takes away."""

from __future__ import annotations

import gc
import weakref

import pytest

from gitmesh.engine import accept
from gitmesh.engine.accept import MANY_FILES, examine
from gitmesh.engine.memory import Examined
from gitmesh.model.config import ParseLimits
from gitmesh.model.revision import Revision, SourceFile

TEXT = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: v-{number}}}
spec: {{hosts: [reviews], http: [{{timeout: {seconds}s, route: [{{destination: {{host: reviews}}}}]}}]}}
"""


class Cycle:
    """Something that only the garbage collector can take away."""

    def __init__(self) -> None:
        self.itself = self


def a_revision(files: int, seconds: int) -> Revision:
    made = {}
    for number in range(files):
        path = f"{number}.yaml"
        content = TEXT.format(number=number, seconds=seconds).encode()
        made[path] = SourceFile(path, f"{number}-{seconds}", content)
    return Revision(f"{seconds:040}", "", "main", made)


def read(revision: Revision, previous: Examined | None = None) -> Examined:
    return examine(revision, default_namespace="default", limits=ParseLimits(), previous=previous)


def test_what_small_commits_leave_behind_is_collected_as_ever():
    gc.collect()
    left, last = [], None
    for seconds in range(1, 201):
        left.append(weakref.ref(Cycle()))
        last = read(a_revision(2, seconds), last)
    assert sum(ref() is not None for ref in left) < 100


@pytest.mark.parametrize(("files", "is_much"), [(MANY_FILES, False), (MANY_FILES + 1, True)])
def test_only_while_many_documents_are_read_is_nothing_collected(
    monkeypatch: pytest.MonkeyPatch, files: int, is_much: bool
):
    seen: list[bool] = []
    parse = accept.parse_files

    def watched(*given: object, **options: object) -> object:
        seen.append(gc.isenabled())
        return parse(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(accept, "parse_files", watched)
    first = read(a_revision(files, 1))
    read(a_revision(files, 1), first)
    assert seen == [not is_much, True]
    assert gc.isenabled()
