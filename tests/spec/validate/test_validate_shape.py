"""Pydantic's errors in the words of the person who wrote the YAML."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.examined import findings

from gitmesh.model.diagnostic import Diagnostic, Severity

HEAD = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\nspec:\n"
ROUTE = "    - route: [{destination: {host: reviews}}]\n"


def one(spec: str, head: str = HEAD) -> Diagnostic:
    (found,) = findings(head + spec)
    return found


def rule(lines: str) -> Diagnostic:
    indented = "".join(f"      {line}\n" for line in lines.splitlines())
    return one("  hosts: [reviews]\n  http:\n" + ROUTE + indented)


@pytest.mark.parametrize(
    ("lines", "code", "place", "message", "hint"),
    [
        ("timeOut: 10s", "GM101", "8:7", "unknown field timeOut in spec.http[0]", "did you mean timeout?"),
        (
            "retries: {attempts: 3, perTryTimout: 2s}",
            "GM101",
            "8:30",
            "unknown field perTryTimout in spec.http[0].retries",
            "did you mean perTryTimeout?",
        ),
        ("retries: {attempts: 1, timeout: 3s}", "GM101", "8:30", "", "timeout belongs to spec.http[0]"),
        ("hosts: [a]", "GM101", "8:7", "", "hosts belongs to spec"),
        ("name: 5", "GM102", "8:13", "spec.http[0].name must be text, found the number 5", "quote it"),
        (
            "timeout: 10",
            "GM102",
            "8:16",
            "spec.http[0].timeout must be text, found the number 10",
            "write 10s, if you mean seconds",
        ),
        (
            "retries: {attempts: '3'}",
            "GM102",
            "8:27",
            'spec.http[0].retries.attempts must be a whole number, found the text "3"',
            "remove the quotes",
        ),
        (
            "corsPolicy: {allowCredentials: 'yes'}",
            "GM102",
            "8:38",
            'spec.http[0].corsPolicy.allowCredentials must be true or false, found the text "yes"',
            "remove the quotes",
        ),
        (
            "match: {uri: {prefix: /a}}",
            "GM102",
            "8:14",
            "spec.http[0].match must be a list, found a mapping",
            "begin each element with '- '",
        ),
        ("match: [null]", "GM102", "8:15", "spec.http[0].match[0] must be a mapping, found nothing", ""),
        (
            "match: [{headers: {end-user: jason}}]",
            "GM102",
            "8:36",
            'spec.http[0].match[0].headers.end-user must be a mapping, found the text "jason"',
            "",
        ),
        (
            "fault: {abort: {httpStatus: 500, percentage: {value: 101}}}",
            "GM106",
            "8:60",
            "spec.http[0].fault.abort.percentage.value must be at most 100, found the number 101",
            "",
        ),
        ("timeout: 0s", "GM107", "8:16", "spec.http[0].timeout: a duration must be at least 1ms", None),
        ("timeout: 1d", "GM107", "8:16", "spec.http[0].timeout: '1d' is not a duration", None),
        ("timeout: 1.0005s", "GM107", "8:16", "", None),
        (
            "fault: {delay: {fixedDelay: 1s, exponentialDelay: 1s}}",
            "GM105",
            "8:39",
            "fixedDelay and exponentialDelay exclude each other in spec.http[0].fault.delay",
            "keep one of them",
        ),
        ("mirror: {subset: v1}", "GM103", "8:7", "host is missing in spec.http[0].mirror", ""),
    ],
)
def test_a_finding_says_what_is_wrong_where_and_what_to_do(lines, code, place, message, hint):
    found = rule(lines)
    assert found.at is not None
    assert (found.code, f"{found.at.line}:{found.at.column}") == (code, place)
    assert message in found.message
    assert hint is None or found.hint == hint


def test_an_enum_lists_its_values():
    head = HEAD.replace("VirtualService", "DestinationRule")
    found = one("  host: a\n  trafficPolicy: {loadBalancer: {simple: WEIGHTED}}\n", head)
    assert found.code == "GM104"
    assert "ROUND_ROBIN" in found.hint


def test_every_error_of_an_object_is_reported_at_once():
    spec = "  hosts: reviews\n  http:\n    - timeOut: 1s\n      route: [{weight: '1'}]\n"
    assert [d.code for d in findings(HEAD + spec)] == ["GM102", "GM101", "GM103", "GM102"]


def test_a_null_is_as_good_as_nothing_as_on_a_server():
    spec = (
        "  hosts: [reviews]\n  tls:\n  http:\n"
        + ROUTE
        + "      match:\n      timeout:\n      retries: null\n"
    )
    assert findings(HEAD + spec) == ()


@pytest.mark.parametrize("spec", ["", "  []\n", "  text\n", "  7\n"])
def test_a_spec_that_is_no_mapping_is_a_finding(spec: str):
    assert [d.code for d in findings(HEAD + spec)] == (["GM120"] if not spec else ["GM102"])


@pytest.mark.parametrize("text", ["1ms", "10s", "1m30s", "1.5s", "100ms", "1h", "0.001s", "+5s", ".5s"])
def test_durations_are_those_of_go(text: str):
    spec = f"  hosts: [reviews]\n  http:\n{ROUTE}      timeout: {text}\n"
    assert findings(HEAD + spec) == ()


@pytest.mark.parametrize("text", ["1", "s", "1 s", "-5s", "1d", "1.s5", "1e3s", "'١s'", "1us", "0s", "0"])
def test_other_durations_are_refused(text: str):
    spec = f"  hosts: [reviews]\n  http:\n{ROUTE}      timeout: '{text.strip(chr(39))}'\n"
    assert [d.code for d in findings(HEAD + spec)] == ["GM107"]


def test_a_pool_may_never_close_idle_connections():
    spec = "  host: a\n  trafficPolicy: {connectionPool: {tcp: {idleTimeout: 0s}}}\n"
    assert findings(HEAD.replace("VirtualService", "DestinationRule") + spec) == ()


def test_both_spellings_of_mirror_percent_are_accepted():
    for name in ("mirrorPercent", "mirror_percent"):
        found = findings(
            HEAD + f"  hosts: [reviews]\n  http:\n{ROUTE}      mirror: {{host: b}}\n      {name}: 50\n"
        )
        assert [d.code for d in found] == ["GM141"]  # deprecated


SEED = Path(__file__).parent / "istio_examples.yaml"


def test_examples_of_istio_pass():
    found = findings(SEED.read_text())
    assert [str(d) for d in found if d.severity is not Severity.INFO] == []
    assert [d.code for d in found] == ["GM436"]
