"""`gitmesh validate`: find what is wrong in files before anyone pushes them.

Stage: none (face).
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from gitmesh.cli.findings import render_findings, summary
from gitmesh.engine.accept import examine
from gitmesh.fetch.directory import read_directory
from gitmesh.model.config import GitLimits, ParseLimits
from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.revision import Revision, SourceFile
from gitmesh.validate.catalogue import CATALOGUE


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning"]),
    default="error",
    show_default=True,
    help="The mildest finding that makes the exit status 1.",
)
@click.option("--namespace", default="default", show_default=True, help="For documents that name none.")
@click.option("--explain", metavar="CODE", help="Print a rule with an example wrong and right, and stop.")
def validate(paths: tuple[Path, ...], output: str, fail_on: str, namespace: str, explain: str | None) -> None:
    """Check the traffic configuration in PATHS (files or directories), without a cluster.

    It is what the daemon does with every commit before anything is applied. Exit status 0: nothing found
    at or above --fail-on; 1: something found; 2: could not run.

    \b
    Examples:
      gitmesh validate manifests policies
      gitmesh validate --format json . | jq '.findings[].code'
      gitmesh validate --explain GM201
    """
    if explain:
        click.echo(_explanation(explain))
        return
    if not paths:
        raise click.UsageError("name at least one file or directory, for example: gitmesh validate .")
    revision = read_paths(paths)
    examined = examine(revision, default_namespace=namespace, limits=ParseLimits())
    findings = examined.findings
    if output == "json":
        click.echo(
            json.dumps({"files": len(revision.files), "findings": [f.as_json() for f in findings]}, indent=2)
        )
    else:
        click.echo(render_findings(findings, revision.files) + summary(findings, len(revision.files)))
    raise SystemExit(1 if _fails(findings, fail_on) else 0)


def read_paths(paths: tuple[Path, ...]) -> Revision:
    """Read files and directories as if they were one revision; names stay as they were given."""
    files: dict[str, SourceFile] = {}
    skipped: list[Diagnostic] = []
    for path in paths:
        part = read_directory(path, GitLimits())
        skipped += part.diagnostics
        for name, file in part.files.items():
            shown = str(path / name) if path.is_dir() else str(path)
            files[shown] = SourceFile(shown, file.blob, file.content)
    return Revision("", "", "working tree", files, diagnostics=tuple(skipped))


def _fails(findings: tuple[Diagnostic, ...], fail_on: str) -> bool:
    bad = {Severity.ERROR} if fail_on == "error" else {Severity.ERROR, Severity.WARNING}
    return any(f.severity in bad for f in findings)


def _explanation(code: str) -> str:
    rule = CATALOGUE.get(code.upper())
    if rule is None:
        known = ", ".join(CATALOGUE)
        raise click.UsageError(f"{code} is no rule; the rules are {known}")
    return "\n".join(
        [
            f"{rule.code} ({rule.severity.value}): {rule.title}",
            "",
            rule.explanation,
            "",
            "Wrong:",
            _indented(rule.wrong),
            "",
            "Right:",
            _indented(rule.right),
        ]
    )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip("\n").splitlines())
