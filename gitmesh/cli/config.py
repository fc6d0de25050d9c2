"""`gitmesh config`: every setting of the daemon with its value and where that comes from.

Stage: none (face).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import click
import yaml

from gitmesh.cli.main import Refused
from gitmesh.cli.setting_options import setting_options
from gitmesh.cli.setting_sources import default_data_dir, sources
from gitmesh.model.config import Config
from gitmesh.parse.settings import Layer, Problem, read_file, settle

_LOGIN = re.compile(r"//[^/@\s]+@")
_COMMENT_COLUMN = 40


@click.command()
@click.argument("action", type=click.Choice(["show", "validate"]), default="show")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--schema", is_flag=True, help="Print the JSON schema of the file, and stop.")
@setting_options
@click.pass_context
def config(
    ctx: click.Context,
    /,
    action: Literal["show", "validate"],
    files: tuple[Path, ...],
    schema: bool,
    **options: Any,
) -> None:
    """Show what `gitmesh run` with these options and this environment would go by, or check FILES.

    An option goes before the environment, that before the file, and that before the default. The output is a
    file of settings itself; each line says where its value comes from. Exit status of `validate`: 0: all
    right; 1: something is wrong, with its place; 2: a file cannot be read.

    \b
    Examples:
      gitmesh config
      gitmesh config --config gitmesh.yaml
      gitmesh config validate gitmesh.yaml
      gitmesh config --schema
    """
    if schema:
        click.echo(json.dumps(json_schema(), indent=2))
        return
    if action == "validate":
        _validate(files)
        return
    if files:
        raise click.UsageError("show takes no FILES; name the file by --config")
    found = sources(ctx, None).load().settled
    if found.config is None:
        raise Refused("\n".join(str(problem) for problem in found.problems))
    click.echo("\n".join(shown(found.config, found.origins)))


def json_schema() -> dict[str, Any]:
    """Return the schema of the file. What must be there in the end need not stand in the file."""
    found = Config.model_json_schema(by_alias=True)
    found.pop("required", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": "GitMesh"}


def _validate(files: tuple[Path, ...]) -> None:
    if not files:
        raise click.UsageError("name the FILES to check")
    wrong = [problem for path in files for problem in check(str(path), path.read_bytes())]
    for problem in wrong:
        click.echo(str(problem))
    if wrong:
        raise SystemExit(1)
    click.echo(f"{len(files)} file{'s' if len(files) > 1 else ''}: nothing wrong")


def check(name: str, content: bytes) -> tuple[Problem, ...]:
    """Return what is wrong with a file of settings, by itself."""
    layer, problems = read_file(name, content)
    return (*problems, *settle((Layer("default", {"dataDir": default_data_dir()}), layer)).problems)


def shown(config: Config, origins: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a file that says all of it, each with where it comes from."""
    yield from _lines(config.model_dump(mode="json", by_alias=True), origins, "", "")


def _lines(values: Mapping[str, Any], origins: Mapping[str, str], path: str, indent: str) -> Iterator[str]:
    for name, value in values.items():
        here = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _lines(value, origins, here, f"{indent}  ")
            continue
        text = yaml.safe_dump({name: _sparse(value)}, sort_keys=False, allow_unicode=True, width=10_000)
        first, *rest = _LOGIN.sub("//***@", text).rstrip("\n").splitlines()
        line = f"{indent}{first}"
        yield f"{line:<{_COMMENT_COLUMN}}  # {origins.get(here, 'default')}"
        yield from (f"{indent}{more}" for more in rest)


def _sparse(value: Any) -> Any:
    """Leave out what a list's elements do not say: it would hide what they do."""
    if isinstance(value, list):
        return [_sparse(one) for one in value]
    if isinstance(value, dict):
        return {name: _sparse(one) for name, one in value.items() if one not in (None, "", {}, [])}
    return value
