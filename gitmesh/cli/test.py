"""`gitmesh test`: the RouteTests of a directory, on a real Envoy.

Stage: none (face). An Envoy is started for them and stopped again; there is no cluster.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import click

from gitmesh.cli.connection import run_async
from gitmesh.cli.findings import render_findings, summary
from gitmesh.cli.given import read_given
from gitmesh.cli.logs import configure
from gitmesh.cli.main import Refused
from gitmesh.cli.plain import plain
from gitmesh.cli.test_report import FORMATS, Progress, TestReport
from gitmesh.engine.accept import ROUTE_TEST_FAILS, examine
from gitmesh.model.config import ParseLimits
from gitmesh.model.diagnostic import has_errors
from gitmesh.parse.positions import Places
from gitmesh.playground.route_tests.run import Outcome, real_envoy
from gitmesh.validate.route_tests.reading import Case, is_route_test
from gitmesh.validate.route_tests.run import Result, Tested, run_route_tests


@click.command(short_help="Run the RouteTests of a directory on a real Envoy.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice([*FORMATS]), default="text", show_default=True)
@click.option(
    "--filter",
    "wanted",
    default="",
    metavar="TEXT",
    help="Only cases with this in the name of the case, its request or its document; * and ? are wildcards.",
)
@click.option("--output", type=click.Path(path_type=Path), help="Write to this file instead of the terminal.")
@click.option("--namespace", default="default", show_default=True, help="For documents that name none.")
def test(paths: tuple[Path, ...], form: str, wanted: str, output: Path | None, namespace: str) -> None:
    """Run the RouteTests in PATHS (default: this directory) on a real Envoy that is started for them.

    Routes, redirects, rewritten paths and headers are Envoy's; one server stands behind all Services. No
    cluster is needed, and none is touched. For a host that no Service in PATHS serves, one stands in.
    Exit status 0: all hold; 1: some do not, or the files have errors; 2: could not run.

    \b
    Examples:
      gitmesh test manifests policies
      gitmesh test . --filter 'jason*'
      gitmesh test . --format junit --output report.xml
    """
    configure("error", "auto")
    began = monotonic()
    given = read_given(paths or (Path(),))
    if given.unreadable:
        raise Refused(given.unreadable[0].reason)
    files = given.revision.files
    examined = examine(given.revision, default_namespace=namespace, limits=ParseLimits())
    wrong = tuple(found for found in examined.findings if found.code != ROUTE_TEST_FAILS)
    if has_errors(wrong):
        shown = render_findings(wrong, files) + summary(wrong, len(examined.parsed.files))
        click.echo(shown, err=form != "text")
        raise SystemExit(1)
    tested = _chosen(run_route_tests(examined.tested), wanted)
    if not tested.results:
        where = plain(" ".join(map(str, paths)) or "this directory")
        named = f" with {plain(wanted)} in its name" if wanted and examined.tested.results else ""
        raise Refused(f"there is no RouteTest{named} in {where}; see gitmesh validate --explain GM350")
    places = Places(files, examined.parsed.resources)
    progress = Progress(tested.results, quiet=form != "text" or output is not None)
    outcomes = run_async(lambda: _run(tested, progress))
    about = tuple(found for found in wrong if found.key and is_route_test(found.key))
    report = TestReport(outcomes, places.of, monotonic() - began, tested.stand_ins, about)
    _write(FORMATS[form](report), output)
    raise SystemExit(0 if report.passed else 1)


async def _run(tested: Tested, progress: Progress) -> list[Outcome]:
    with TemporaryDirectory(prefix="gitmesh-test-") as directory:
        async with real_envoy(Path(directory), tested) as bench:
            return await bench.run(tested.results, progress.told)


def _chosen(tested: Tested, wanted: str) -> Tested:
    if not wanted:
        return tested
    return replace(tested, results=tuple(r for r in tested.results if _is_wanted(r, wanted)))


def _is_wanted(result: Result, wanted: str) -> bool:
    pattern = wanted.lower() if any(mark in wanted for mark in "*?") else f"*{wanted.lower()}*"
    return any(fnmatchcase(text.lower(), pattern) for text in _texts(result.case))


def _texts(case: Case) -> tuple[str, ...]:
    key = case.resource.key
    return case.name, case.text, key.name, f"{key.namespace}/{key.name}"


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(click.unstyle(text) + "\n", encoding="utf-8")
    except OSError as error:
        raise Refused(f"cannot write {output}: {error.strerror or error}; check the path") from None
