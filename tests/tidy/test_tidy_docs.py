"""The documents against the code: names, commands, examples and links hold."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from generate_docs import DOCS, GENERATED, block

from gitmesh.cli.main import cli
from gitmesh.decide.transitions import TABLE
from gitmesh.engine.fetcher import HISTORY_REWRITTEN
from gitmesh.engine.meters import Meters
from gitmesh.engine.verifier import VERIFICATION_FAILED
from gitmesh.model.config import ParseLimits
from gitmesh.model.freeze import FreezeSpec
from gitmesh.model.guardrail import GuardrailSpec
from gitmesh.model.plan import CONFLICT, PRUNE_FAILED, Refusal
from gitmesh.model.policy import RolloutPolicySpec
from gitmesh.model.rollout import Phase
from gitmesh.model.route_test import RouteTestSpec
from gitmesh.model.source import TrafficSourceSpec
from gitmesh.parse.setting_names import all_settings
from gitmesh.parse.yaml_text import read_yaml
from gitmesh.validate.catalogue import CATALOGUE

ROOT = DOCS.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
OWN_KINDS = {
    "FreezeWindow": FreezeSpec,
    "Guardrail": GuardrailSpec,
    "RolloutPolicy": RolloutPolicySpec,
    "RouteTest": RouteTestSpec,
    "TrafficSource": TrafficSourceSpec,
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fences(*languages: str) -> Iterator[tuple[Path, str]]:
    for path in DOCUMENTS:
        for language, text in FENCE.findall(path.read_text()):
            if language in languages:
                yield path, text


def commands_shown() -> list[tuple[str, list[str]]]:
    """Every `gitmesh ...` line of a block of shell commands, without prompt, comment, pipe or redirection."""
    found = []
    for path, text in fences("sh", "console"):
        for line in text.replace("\\\n", " ").splitlines():
            words = re.match(r"(?:\$ )?(?:\.venv/bin/)?gitmesh (.+)", line.strip())
            if words:
                plain = re.split(r"\s(?:\||&|>|#)", words[1])[0]
                found.append((name_of(path), shlex.split(plain)))
    return found


def own_objects() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path, text in fences("yaml"):
        if path.name == "rules.md":  # half of its examples are wrong on purpose
            continue
        documents, findings = read_yaml(path.name, text, ParseLimits())
        assert findings == (), f"{name_of(path)} shows YAML that cannot be read"
        for document in documents:
            if isinstance(document.value, dict) and document.value.get("kind") in OWN_KINDS:
                yield path, document.value


@pytest.mark.parametrize("name", GENERATED)
def test_generated_parts_are_what_the_code_says(name: str):
    file, generate = GENERATED[name]
    found = block(name).search((DOCS / file).read_text())
    assert found, f"docs/{file} has no place for {name}"
    assert found[2] == f"\n{generate()}\n\n", "run: .venv/bin/python tests/tidy/generate_docs.py"


def test_every_command_and_option_is_documented():
    text, group = (DOCS / "cli.md").read_text(), click.Context(cli, info_name="gitmesh")
    for name in cli.list_commands(group):
        command = cli.get_command(group, name)
        assert command is not None
        section = text.partition(f"## gitmesh {name}\n")[2].partition("\n## ")[0]
        options = [o for p in command.params if isinstance(p, click.Option) for o in p.opts]
        assert [option for option in options if f"`{option}`" not in section] == []


def test_every_rule_is_documented():
    text = (DOCS / "rules.md").read_text()
    assert [code for code in CATALOGUE if f"\n## {code}\n" not in text] == []


def test_every_metric_is_documented():
    text = (DOCS / "metrics.md").read_text()
    names = [m._name for m in vars(Meters()).values() if hasattr(m, "_name")]
    assert names
    assert [name for name in names if name not in text] == []


def test_every_setting_has_a_meaning():
    without = [setting.name for setting in all_settings() if not setting.field.description]
    assert without == [], "write it below the setting in gitmesh/model/config.py, as text in three quotes"


def test_every_transition_is_documented_and_no_other():
    text = (DOCS / "rollouts.md").read_text()
    found = block("transitions").search(text)
    assert found
    rows = [tuple(cell.strip() for cell in row.split("|")[1:4]) for row in found[2].strip().splitlines()[2:]]
    assert rows == [(phase.value, move.value, after.value) for (phase, move), after in TABLE.items()]
    assert {phase.value for phase in Phase} == {row[0] for row in rows} | {row[2] for row in rows}


def test_every_command_shown_exists_with_its_options():
    group = click.Context(cli, info_name="gitmesh")
    shown = commands_shown()
    assert shown
    for where, words in shown:
        if words[0].startswith("-"):
            continue
        command = cli.get_command(group, words[0])
        assert command is not None, f"{where}: gitmesh {words[0]} is no command"
        known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
        unknown = [w for w in words[1:] if w.startswith("-") and w.partition("=")[0] not in known]
        assert unknown == [], f"{where}: gitmesh {words[0]} has no {unknown}"


def test_every_example_of_our_own_kinds_is_right():
    seen = set()
    for path, body in own_objects():
        OWN_KINDS[body["kind"]].model_validate(body["spec"])
        assert body["apiVersion"] == "gitmesh.dev/v1alpha1", name_of(path)
        seen.add(body["kind"])
    assert seen == set(OWN_KINDS), "the documents show an example of each"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_inside_the_repository_lead_somewhere(path: Path):
    text = FENCE.sub("", path.read_text())
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (anchor and anchor not in _anchors(there)):
            broken.append(target)
    assert broken == []


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_make_target_shown_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    shown = {
        t for _, text in fences("sh", "console") for t in re.findall(r"^(?:\$ )?make ([a-z-]+)", text, re.M)
    }
    assert {"demo", "test"} <= shown
    assert shown - targets == set()


def test_decisions_are_numbered_without_a_gap_and_short():
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    numbers = [int(path.name[:4]) for path in decisions]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [name_of(path) for path in decisions if len(path.read_text().splitlines()) > 40] == []


def test_the_architecture_names_every_package():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    packages = [p.parent.name for p in (ROOT / "gitmesh").glob("*/__init__.py")]
    assert [name for name in packages if f"`{name}/`" not in text] == []
    assert len(text.splitlines()) <= 250


def test_every_decision_that_the_code_refers_to_exists():
    numbers = {path.name[:4] for path in (DOCS / "decisions").glob("*.md")}
    sources = "".join(path.read_text() for path in (ROOT / "gitmesh").rglob("*.py"))
    assert set(re.findall(r"docs/decisions/(\d{4})", sources)) <= numbers


def test_every_reason_of_ready_is_documented():
    engine = "".join(path.read_text() for path in (ROOT / "gitmesh/engine").glob("*.py"))
    said = set(re.findall(r'(?:Verdict\(\s*"\w+"|Unready\((?=\s*"))[\s,]*"([A-Z]\w+)"', engine))
    said |= {CONFLICT, PRUNE_FAILED, Refusal("", "").cause, HISTORY_REWRITTEN, VERIFICATION_FAILED}
    assert len(said) > 20
    text = (DOCS / "conditions.md").read_text()
    assert {reason for reason in said if f"| `{reason}` |" not in text} == set()
    assert set(re.findall(r"^\| `(\w+)` \| `", text, re.MULTILINE)) == said
