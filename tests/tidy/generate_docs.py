"""Write the parts of the documents that the code says better: commands, rules, metrics, transitions.

    .venv/bin/python tests/tidy/generate_docs.py

A test compares, so that a document cannot fall behind the code. In a hand-written document the generated
part stands between `<!-- generated: NAME -->` and `<!-- /generated -->`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from gitmesh.cli.main import COMMANDS, cli
from gitmesh.decide.transitions import TABLE, Move
from gitmesh.engine.meters import Meters
from gitmesh.model.config import Config
from gitmesh.parse.setting_names import all_settings
from gitmesh.validate.catalogue import CATALOGUE

DOCS = Path(__file__).parents[2] / "docs"


def commands() -> str:
    """Every command with its help and its options."""
    group = click.Context(cli, info_name="gitmesh", auto_envvar_prefix="GITMESH")
    names = ", ".join(f"[{name}](#gitmesh-{name})" for name in COMMANDS)
    blocks = [f"Commands: {names}.", *_help(cli)]
    for name in COMMANDS:
        command = cli.get_command(group, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=group)
        usage = " ".join(command.collect_usage_pieces(context))
        blocks += [f"## gitmesh {name}", f"```\ngitmesh {name} {usage}\n```", *_help(command)]
        blocks.append(_options(command, context))
    return "\n\n".join(blocks)


def rules() -> str:
    """Every rule with an example."""
    rows = [f"| [{r.code}](#{r.code.lower()}) | {r.severity.value} | {r.title} |" for r in CATALOGUE.values()]
    blocks = ["\n".join(["| Code | Severity | Rule |", "|---|---|---|", *rows])]
    for rule in CATALOGUE.values():
        blocks += [f"## {rule.code}", f"**{rule.title}** ({rule.severity.value})", rule.explanation.strip()]
        for label, example in (("Wrong", rule.wrong), ("Right", rule.right)):
            if example.strip():
                language = "yaml" if ":" in example else ""
                blocks.append(f"{label}:\n\n```{language}\n{example.strip(chr(10))}\n```")
    return "\n\n".join(blocks)


def metrics() -> str:
    """Every metric of the daemon."""
    rows = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
    for meter in vars(Meters()).values():
        for family in meter.collect() if hasattr(meter, "_labelnames") else ():
            suffix = "_total" if family.type == "counter" else ""
            labels = ", ".join(f"`{label}`" for label in meter._labelnames) or "none"
            rows.append(f"| `{family.name}{suffix}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(rows)


def transitions() -> str:
    """The table of phases."""
    rows = [f"| {phase.value} | {move.value} | {after.value} |" for (phase, move), after in TABLE.items()]
    return "\n".join(["| Phase | Decision | Next phase |", "|---|---|---|", *rows])


def diagram() -> str:
    """The table of phases as a picture; that every phase may hold where it is needs no arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (phase, move), after in TABLE.items():
        if move is not Move.HOLD:
            arrows.setdefault((phase.value, after.value), []).append(move.value)
    lines = [f"    {before} --> {after}: {', '.join(moves)}" for (before, after), moves in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def settings() -> str:
    """Every setting of the daemon."""
    rows = ["| Setting | Default | Restart | Meaning |", "|---|---|---|---|"]
    default = Config(data_dir="-").model_dump(mode="json", by_alias=True)
    for setting in all_settings():
        value: Any = default
        for name in setting.path:
            value = value[name]
        text = ", ".join(value) if isinstance(value, list) else str(value).lower()
        if setting.name == "dataDir":
            text = "$XDG_STATE_HOME/gitmesh/data"
        shown = f"`{text}`" if text else "empty"
        meaning = " ".join((setting.field.description or "").split())
        rows.append(
            f"| `{setting.name}` | {shown} | {'yes' if setting.needs_restart else 'no'} | {meaning} |"
        )
    return "\n".join(rows)


GENERATED: dict[str, tuple[str, Callable[[], str]]] = {
    "commands": ("cli.md", commands),
    "rules": ("rules.md", rules),
    "settings": ("configuration.md", settings),
    "metrics": ("metrics.md", metrics),
    "transitions": ("rollouts.md", transitions),
    "diagram": ("rollouts.md", diagram),
}


def block(name: str) -> re.Pattern[str]:
    """Where the generated part of that name stands."""
    return re.compile(rf"(<!-- generated: {name} -->\n)(.*?)(<!-- /generated -->)", re.S)


def _help(command: click.Command) -> Iterator[str]:
    """Yield the paragraphs of a help; one that click must not wrap becomes a block of code."""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        text = paragraph.strip("\n")
        if not text.startswith("\b"):
            yield " ".join(text.split())
            continue
        title, _, code = text.removeprefix("\b\n").partition("\n")
        yield title
        yield "```sh\n" + "\n".join(line.strip() for line in code.splitlines()) + "\n```"


def _options(command: click.Command, context: click.Context) -> str:
    rows = ["| Option | Default | Meaning |", "|---|---|---|"]
    for parameter in command.get_params(context):
        if not isinstance(parameter, click.Option) or "--help" in parameter.opts:
            continue
        names = " ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        meaning = [(parameter.help or "").replace("|", "\\|")]
        value = "" if parameter.is_flag else f" {parameter.make_metavar(context).removesuffix(' RANGE')}"
        if isinstance(parameter.type, click.Choice):
            value, choices = "", (f"`{choice}`" for choice in parameter.type.choices)
            meaning.append(f"One of {', '.join(choices)}.")
        default = _default(parameter)
        rows.append(f"| {names}{value} | {default} | {' '.join(meaning).strip()} |")
    return "\n".join(rows)


def _default(option: click.Option) -> str:
    value = option.default
    if option.secondary_opts:
        return f"`{(option.opts if value else option.secondary_opts)[0]}`"
    shown = isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""
    return f"`{value}`" if shown else ""


def main() -> None:
    """Write every generated part."""
    for name, (file, generate) in GENERATED.items():
        path = DOCS / file
        text = path.read_text()
        found = block(name).search(text)
        assert found, f"{file} has no place for {name}"
        path.write_text(f"{text[: found.start(2)]}\n{generate()}\n\n{text[found.end(2) :]}")


if __name__ == "__main__":
    main()
