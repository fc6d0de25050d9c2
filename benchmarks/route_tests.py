"""How long route tests take: on a real Envoy, and in every pass of a daemon with a large repository."""

from __future__ import annotations

import gc
import hashlib
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio.to_thread

from benchmarks.corpus import corpus
from benchmarks.figures import Figure, milliseconds, percentile
from gitmesh.model.config import ParseLimits
from gitmesh.model.revision import SourceFile
from gitmesh.parse.manifests import Parsed, parse_files
from gitmesh.validate.route_tests.run import NOTHING_TESTED, Tested, read_route_tests, run_route_tests

T = TypeVar("T")
DOCUMENTS, CASES, CHANGES = 4_000, 500, 20
CLI_CASES = (7, 1_000)
START_SECONDS_MAX, CASE_SECONDS_MAX, PASS_SECONDS_MAX = 3.0, 0.002, 0.1
RUNS = 3
_ROUTES = re.compile(r"kind: VirtualService\nmetadata:\n  name: (\S+)\n  namespace: (\S+)")
_HEAD = "apiVersion: gitmesh.dev/v1alpha1\nkind: RouteTest\nmetadata: {{name: tests-{}}}\nspec:\n  cases:\n"


async def measure(directory: Path) -> list[Figure]:
    """Measure both."""
    return await anyio.to_thread.run_sync(lambda: [*_on_envoy(directory), *_in_passes()])


def _on_envoy(directory: Path) -> list[Figure]:
    figures = []
    for cases in CLI_CASES:
        seconds = min(_command(directory / str(cases), cases) for _ in range(RUNS))
        allowed = START_SECONDS_MAX + cases * CASE_SECONDS_MAX
        name = f"gitmesh test, {cases} cases on a real Envoy, from start to exit (best of {RUNS})"
        figures.append(Figure(name, f"{seconds:.2f} s", f"under {allowed:.2f} s", seconds < allowed))
    return figures


def _command(folder: Path, cases: int) -> float:
    folder.mkdir(exist_ok=True)
    files = corpus(30, mistakes_percent=0)
    for place, text in enumerate(files.values()):
        (folder / f"{place}.yaml").write_text(text)
    (folder / "tests.yaml").write_text(_tests(files, cases))
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "gitmesh", "test", str(folder)], capture_output=True, text=True, check=False
    )
    assert f"{cases} passed in " in done.stdout, done.stdout[-2_000:] + done.stderr
    return time.monotonic() - began


def _in_passes() -> list[Figure]:
    files = corpus(DOCUMENTS, mistakes_percent=0)
    routes = [path for path, text in files.items() if _ROUTES.search(text)]
    files["tests.yaml"] = _tests(files, CASES)
    parsed = _parsed(files, None)
    first, cold = _timed(lambda: _run(parsed, NOTHING_TESTED))
    _, same = _timed(lambda: _run(parsed, first))
    took = []
    for number in range(CHANGES):
        path = routes[number * 7]
        files[path] = files[path].replace("jason", f"jason-{number}")
        parsed = _parsed(files, parsed)
        first, seconds = _timed(lambda parsed=parsed, first=first: _run(parsed, first))  # type: ignore[misc]
        took.append(seconds)
    where = f"{CASES} cases, {DOCUMENTS} documents"
    return [
        Figure(f"{where}: nothing known", f"{cold * 1000:.0f} ms", "as little as possible", True),
        Figure(f"{where}: nothing changed", f"{same * 1000:.1f} ms", "under 20 ms", same < 0.02),
        Figure(
            f"{where}: one VirtualService changed",
            milliseconds(took),
            f"p95 under {PASS_SECONDS_MAX * 1000:.0f} ms",
            percentile(took, 95) < PASS_SECONDS_MAX,
        ),
    ]


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    gc.disable()  # as the daemon does while it examines a revision
    try:
        began = time.perf_counter()
        return work(), time.perf_counter() - began
    finally:
        gc.enable()


def _run(parsed: Parsed, previous: Tested) -> Tested:
    read = read_route_tests(parsed.resources, parsed.others, previous=previous)
    tested = run_route_tests(read, previous)
    assert len(tested.results) == CASES
    assert not any(result.failed or result.skipped for result in tested.results)
    return tested


def _parsed(files: dict[str, str], previous: Parsed | None) -> Parsed:
    read = {path: text.encode() for path, text in files.items()}
    sources = {p: SourceFile(p, hashlib.sha256(c).hexdigest(), c) for p, c in read.items()}
    return parse_files(sources, default_namespace="default", limits=ParseLimits(), previous=previous)


def _tests(files: dict[str, str], count: int) -> str:
    """Return so many cases, each for the plain route of some service."""
    apps = [found.groups() for text in files.values() for found in _ROUTES.finditer(text)]
    cases = []
    for number in range(count):
        app, namespace = apps[number % len(apps)]
        host = f"{app}.{namespace}.svc.cluster.local"
        cases.append(
            f"    - {{request: 'http://{app}.{namespace}:9080/{number}', headers: {{end-user: ada}}, "
            f"expect: {{destination: {{host: {host}}}, status: 200, path: /{number}}}}}\n"
        )
    documents = [cases[start : start + 500] for start in range(0, count, 500)]
    return "---\n".join(_HEAD.format(place) + "".join(inside) for place, inside in enumerate(documents))
