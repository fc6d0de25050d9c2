"""Whatever becomes of a valid document: validation answers, at a cost that grows with the text, and with
findings that point into the file. What it answers can be written in every form."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from fakes.examined import files_of, findings
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmesh.cli.given import Unreadable
from gitmesh.cli.plain import plain_finding
from gitmesh.cli.report import Report
from gitmesh.cli.validate import FORMATS
from gitmesh.model.diagnostic import Diagnostic, Severity, has_errors
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.resource import Location
from gitmesh.model.revision import SourceFile
from gitmesh.parse.lines import lines_of
from gitmesh.validate.catalogue import CATALOGUE

HERE = Path(__file__).parent
GOOD = (HERE.parent / "spec/validate/istio_examples.yaml").read_bytes()
CORPUS = {path.name: path.read_bytes() for path in sorted((HERE / "corpus").iterdir())}
SEEDS = {
    **CORPUS,
    "examples.yaml": GOOD,
    **{f"{c}.yaml": r.wrong.encode() for c, r in CATALOGUE.items() if r.file},
}
CALLS_MAX, CALLS_PER_BYTE_MAX = 60_000, 400

TEXT_PIECES = (
    "\n",
    "  ",
    "- ",
    ": ",
    "#",
    "'",
    '"',
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "<<: ",
    "---\n",
    "...\n",
)
TOKENS = ("\t", "|\n", ">-\n", "!!int ", "? ", "%", "\r", "0", "y", "~", ",")
COMMENTS = ("# gitmesh: ignore GM130 because\n", "# gitmesh: ignore GM130 because x\n")
ODD_BYTES = (b"\x00", b"\xff", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80")
PIECES = st.sampled_from([*(piece.encode() for piece in (*TEXT_PIECES, *TOKENS, *COMMENTS)), *ODD_BYTES])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "*", "~/x", "a/b/c", "*.*", "5s", "-1s", "1e9h", "[", "(?P<", "a" * 2_000, "\u202e", "é"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file of the corpus with up to four places cut, doubled, swapped or written over."""
    name = draw(st.sampled_from(sorted(SEEDS)))
    content = SEEDS[name]
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(content))), draw(st.integers(0, 40))
        part = content[at : at + length]
        put = draw(
            st.one_of(PIECES, st.just(b""), st.just(part * 2), st.just(part[::-1]), st.binary(max_size=4))
        )
        content = content[:at] + put + content[at + length :]
    return name, content


def check_places(files: dict[str, SourceFile], found: tuple[Diagnostic, ...]) -> None:
    """Assert that each finding is somewhere in its file: a line that exists, and not behind its end."""
    for finding in found:
        if finding.at is None:
            continue
        lines = lines_of(files[finding.at.file].content.decode(errors="replace").removeprefix("\ufeff"))
        assert 1 <= finding.at.line <= len(lines), finding
        assert 1 <= finding.at.column <= len(lines[finding.at.line - 1]) + 1, finding


def calls_of(work: Callable[[], Any]) -> int:
    """Return how many functions of ours are called: a measure of time that no machine changes."""
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_every_file_of_the_corpus_is_answered_with_places(name: str):
    files = files_of({name: CORPUS[name]})
    check_places(files, findings({name: CORPUS[name]}, suppressed=True))


@settings(max_examples=250, deadline=None)
@given(damaged())
def test_a_damaged_file_is_answered_with_places(case: tuple[str, bytes]):
    name, content = case
    files = files_of({name: content})
    found = findings({name: content}, suppressed=True, known_hosts=())
    check_places(files, found)
    assert findings({name: content}, suppressed=True, known_hosts=()) == found


@settings(max_examples=60, deadline=None)
@given(damaged())
def test_the_cost_of_a_damaged_file_grows_with_its_size(case: tuple[str, bytes]):
    name, content = case
    calls = calls_of(lambda: findings({name: content}, known_hosts=()))
    assert calls <= CALLS_MAX + CALLS_PER_BYTE_MAX * len(content)


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in inside:
        yield from paths_of(child, (*path, name))


def put(value: Any, path: tuple[str | int, ...], by: Any) -> Any:
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:], by)
    return copy


EXAMPLES = list(yaml.safe_load_all(GOOD))


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(["yaml", "json"]), st.sampled_from([None, 2]))
def test_a_valid_object_with_other_values_is_answered_with_places(
    data: st.DataObject, form: str, indent: int | None
):
    bodies = list(EXAMPLES)
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(0, len(bodies) - 1))
        path = data.draw(st.sampled_from(list(paths_of(bodies[number]))[1:] or [()]))
        bodies[number] = put(bodies[number], path, data.draw(VALUES))
        if not isinstance(bodies[number], dict):
            break
    if form == "json":
        text = "\n".join(json.dumps(body, indent=indent, ensure_ascii=bool(indent)) for body in bodies)
    else:
        text = yaml.safe_dump_all(bodies, allow_unicode=True, default_flow_style=indent is None)
    files = files_of({f"a.{form}": text})
    check_places(files, findings({f"a.{form}": text}, known_hosts=()))


@pytest.mark.parametrize("shared", [False, True], ids=["each-its-own", "all-about-one-host"])
def test_twice_the_objects_cost_about_twice_as_much(shared: bool):
    """What looks at pairs of objects would cost four times as much."""

    def text(copies: int) -> str:
        bodies = []
        for number in range(copies):
            for body in EXAMPLES:
                metadata = {**body["metadata"], "name": f"{body['metadata']['name']}-{number}"}
                if not shared:
                    metadata["namespace"] = f"n{number}"
                bodies.append({**body, "metadata": metadata})
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies})

    def cost(copies: int) -> int:
        content = text(copies)
        return calls_of(lambda: findings({"a.json": content}, known_hosts=()))

    few, many = cost(20), cost(40)
    assert many < 2.6 * few


TEXTS = st.text(max_size=12) | st.sampled_from(
    ["\x1b[31m", "%0A::error::", "]]>", "<a&b>", "\r\n", "\u2028", "\ud800"]
)
FINDINGS = st.builds(
    Diagnostic,
    code=st.sampled_from(sorted(CATALOGUE)),
    severity=st.sampled_from(Severity),
    message=TEXTS,
    hint=TEXTS,
    at=st.none()
    | st.builds(
        Location, st.sampled_from(["a.yaml", "no.yaml"]) | TEXTS, st.integers(1, 9), st.integers(1, 30)
    ),
    key=st.none() | st.builds(VIRTUAL_SERVICE.key, TEXTS, TEXTS),
    path=st.lists(st.one_of(TEXTS, st.integers(0, 9)), max_size=2).map(tuple),
    suppressed=st.just("") | TEXTS,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(FINDINGS, max_size=5), st.binary(max_size=60), TEXTS, st.randoms(use_true_random=False))
def test_every_form_can_say_anything_and_obeys_nothing(
    found: list[Diagnostic], content: bytes, path: str, rng: random.Random
):
    report = Report(
        tuple(plain_finding(finding) for finding in found),
        files_of({"a.yaml": content}),
        ("a.yaml",),
        (Unreadable(path, "cannot be read"),) if rng.random() < 0.5 else (),
        rng.choice(list(Severity)),
    )
    written = {name: render(report) for name, render in FORMATS.items()}
    for name, text in written.items():
        coloured = re.sub(r"\x1b\[\d+m", "", text) if name == "text" else text
        assert [c for c in coloured if not c.isprintable() and c != "\n"] == [], name
        text.encode()
    assert len(json.loads(written["json"])["findings"]) == len(found)
    log = json.loads(written["sarif"])["runs"][0]
    assert len(log["results"]) == sum(finding.at is not None for finding in found)
    about_no_file = sum(finding.at is None and not finding.suppressed for finding in found)
    told = log["invocations"][0].get("toolExecutionNotifications", [])
    assert len(told) == about_no_file + len(report.unreadable)
    *commands, _ = written["github"].split("\n")
    assert len(commands) == len(report.shown) + len(report.unreadable)
    assert all(command.startswith(("::error ", "::warning ", "::notice ")) for command in commands)
    ElementTree.fromstring(written["junit"])
    assert (report.status == 0) == (
        not report.unreadable and not any(report.fails(f) for f in report.findings)
    )
    if has_errors(report.findings):
        assert report.status > 0
