"""`gitmesh validate`: find what is wrong in files before anyone pushes them.

Stage: none (face).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from gitmesh.cli.explain import explain as explained
from gitmesh.cli.explain import list_rules as rules_listed
from gitmesh.cli.findings import render_text
from gitmesh.cli.given import Given, read_given, read_paths
from gitmesh.cli.main import Refused
from gitmesh.cli.options import cluster_options
from gitmesh.cli.plain import plain, plain_finding
from gitmesh.cli.report import Report
from gitmesh.cli.report_github import render_github
from gitmesh.cli.report_json import render_json
from gitmesh.cli.report_junit import render_junit
from gitmesh.cli.report_sarif import render_sarif
from gitmesh.cli.surroundings import ClusterOptions, Surroundings, surroundings
from gitmesh.engine.accept import examine
from gitmesh.model.config import ParseLimits
from gitmesh.model.diagnostic import Severity, in_order
from gitmesh.parse.positions import pinpoint
from gitmesh.parse.selection import SUFFIXES
from gitmesh.parse.suppressions import Rules, suppress
from gitmesh.validate.catalogue import CATALOGUE

__all__ = ["read_paths", "validate"]

FORMATS: Mapping[str, Callable[[Report], str]] = {
    "text": render_text,
    "json": render_json,
    "sarif": render_sarif,
    "github": render_github,
    "junit": render_junit,
}


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice([*FORMATS]), default="text", show_default=True)
@click.option(
    "--fail-on",
    type=click.Choice([severity.value for severity in Severity]),
    default=Severity.ERROR.value,
    show_default=True,
    help="The mildest finding that makes the exit status 1.",
)
@click.option("--output", type=click.Path(path_type=Path), help="Write to this file instead of the terminal.")
@click.option("--namespace", default="default", show_default=True, help="For documents that name none.")
@click.option(
    "--crds",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A file or directory with the CustomResourceDefinitions of other kinds. Can be repeated.",
)
@click.option(
    "--cluster",
    is_flag=True,
    help="Check also against the Services, Pods, Secrets and definitions of a cluster. Nothing is written.",
)
@cluster_options
@click.option("--explain", metavar="CODE", help="Print a rule with an example wrong and right, and stop.")
@click.option("--list-rules", is_flag=True, help="Print every rule in one line, and stop.")
def validate(
    paths: tuple[Path, ...],
    form: str,
    fail_on: str,
    output: Path | None,
    namespace: str,
    crds: tuple[Path, ...],
    cluster: bool,
    kubeconfig: Path | None,
    context: str,
    playground: bool,
    playground_dir: Path | None,
    explain: str | None,
    list_rules: bool,
) -> None:
    """Check the traffic configuration in PATHS (files, directories, or - for standard input).

    It is what the daemon does with every commit before anything is applied. No cluster is needed. Exit status
    0: nothing found at or above --fail-on; 1: something found; 2: could not run, or could not read all paths.

    \b
    Examples:
      gitmesh validate manifests policies
      helm template chart | gitmesh validate -
      gitmesh validate --format json . | jq '.findings[].code'
      gitmesh validate --explain GM201
    """
    if explain or list_rules:
        as_json = form == "json"
        _write(explained(explain, as_json=as_json) if explain else rules_listed(as_json=as_json), output)
        return
    if not paths:
        raise click.UsageError("name at least one file or directory, for example: gitmesh validate .")
    options = ClusterOptions(cluster, kubeconfig, context, playground, playground_dir)
    given, beside = read_given(paths), surroundings(crds, options)
    for entry in (*given.unreadable, *beside.unreadable):
        click.echo(f"Error: {entry.reason}", err=True)
    for path in given.ignored:
        click.echo(f"{plain(path)} is left alone: .gitmeshignore names it", err=True)
    if form == "text" and given.unreadable and not given.revision.files:
        raise SystemExit(2)
    report = _judged(given, beside, namespace, Severity(fail_on))
    if not (report.checked or given.unreadable or given.ignored):
        endings = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        shown = plain(" ".join(str(path) for path in paths))
        click.echo(f"Warning: no {endings} file to check was found in {shown}; check the path", err=True)
    _write(FORMATS[form](report), output)
    raise SystemExit(report.status)


def _judged(given: Given, beside: Surroundings, namespace: str, fail_on: Severity) -> Report:
    files, limits = given.revision.files, ParseLimits()
    examined = examine(
        given.revision,
        default_namespace=namespace,
        limits=limits,
        context=beside.context,
        schemas=beside.schemas,
    )
    # What could not be checked is no news for the daemon, and is suppressed like a finding.
    unchecked = suppress(
        pinpoint(files, examined.validated.unchecked),
        examined.parsed.suppressions,
        Rules(CATALOGUE, unchecked=CATALOGUE),
    )
    found = in_order(dict.fromkeys((*examined.findings, *unchecked, *beside.findings)))
    # What is wrong with a definition may show only when an object of its kind is checked.
    definitions = beside.given.revision.files if beside.given else {}
    findings = pinpoint({path: definitions[path] for path in definitions if path not in files}, found)
    return Report(
        findings=tuple(plain_finding(finding) for finding in findings),
        files={**definitions, **files},
        checked=tuple(examined.parsed.files),
        unreadable=(*given.unreadable, *beside.unreadable),
        fail_on=fail_on,
    )


def _write(text: str, output: Path | None) -> None:
    """Write a report. Colours go to a terminal only, unless FORCE_COLOR or NO_COLOR say otherwise."""
    if output is None:
        wanted = False if os.environ.get("NO_COLOR") else True if os.environ.get("FORCE_COLOR") else None
        click.echo(text, color=wanted)
        return
    try:
        output.write_text(click.unstyle(text) + "\n", encoding="utf-8")
    except OSError as error:
        raise Refused(f"cannot write {output}: {error.strerror or error}; check the path") from None
