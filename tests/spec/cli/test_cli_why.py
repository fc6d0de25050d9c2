"""What `gitmesh why` and `gitmesh status NAME` tell of the evidence."""

from __future__ import annotations

from fakes.builders import NOON, a_rollout, a_target, seconds
from rich.console import Console

from gitmesh.cli.status import tables
from gitmesh.cli.why import lines
from gitmesh.kube.protocol import Body
from gitmesh.model.kinds import TRAFFIC_ROLLOUT, TRAFFIC_SOURCE
from gitmesh.model.resource import resource_from_body
from gitmesh.model.rollout import Evidence, HistoryEntry, Outcome, Phase, RolloutRecord, Verdict
from gitmesh.observe.live import LiveState

SLOW = Evidence(
    metric="latency-p99",
    outcome=Outcome.FAIL,
    target=a_target(),
    above=1.2,
    below=0.0,
    query="sum by (le) (...)",
    message="3 % slower than 500 ms, limit 1 % (30 of 1000 requests since it began, reviews v2)",
)
FINE = Evidence(metric="error-rate", outcome=Outcome.PASS, target=a_target(), message="0 % errors, limit 1 %")


def record() -> RolloutRecord:
    earlier = Verdict(at=NOON, outcome=Outcome.PASS, evidence=(FINE,))
    last = Verdict(at=NOON + seconds(10), outcome=Outcome.FAIL, evidence=(FINE, SLOW))
    return a_rollout(
        verdict=last,
        checks=(earlier, last),
        message="holds at 25 %",
        history=(HistoryEntry(at=NOON, phase=Phase.PROGRESSING, progress=5, message="5 % (v1 95, v2 5)"),),
    )


def test_why_tells_each_metric_with_its_evidence_and_query_the_checks_before_and_the_history():
    said = list(lines("default/reviews", record()))
    assert said[:2] == [
        "default/reviews: Progressing, step 2 of 4, v1 75, v2 25",
        "  holds at 25 %",
    ]
    assert "The last check, 2026-03-02 12:00:10 UTC: fail" in said
    assert f"  fail         latency-p99: {SLOW.message}" in said
    assert "               evidence to roll back 120%, to advance 0% of what it takes" in said
    assert "               query: sum by (le) (...)" in said
    assert said[said.index("Checks before:") + 1] == "  2026-03-02 12:00:00 UTC  pass: 0 % errors, limit 1 %"
    assert said[-1] == "  2026-03-02 12:00:00 UTC  Progressing 5 % (v1 95, v2 5)"


def test_why_says_when_both_variants_are_counted_together():
    told = "Both variants go to the same workloads"
    shared = record().model_copy(update={"targets": (a_target().model_copy(update={"shared": True}),)})
    said = "\n".join(lines("default/reviews", shared))
    assert told in said
    assert "of which about 25 % meet the new one." in said
    assert told not in "\n".join(lines("default/reviews", record()))
    alone = shared.model_copy(update={"progress": 100.0, "phase": Phase.PROMOTING})
    assert told not in "\n".join(lines("default/reviews", alone)), "at 100 % there is one variant"


def test_status_of_one_rollout_shows_each_metric():
    body: Body = {
        "apiVersion": TRAFFIC_ROLLOUT.api_version,
        "kind": TRAFFIC_ROLLOUT.kind,
        "metadata": {"namespace": "default", "name": "reviews"},
        "status": record().as_json(),
    }
    live = LiveState(
        {}, frozenset(), {}, {TRAFFIC_ROLLOUT.key("default", "reviews"): resource_from_body(body)}
    )

    def shown(name: str | None) -> str:
        console = Console(width=500, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        console.print(tables(live, name, NOON))
        return console.export_text()

    assert f"fail: latency-p99: {SLOW.message}" in shown("reviews")
    assert "pass: error-rate: 0 % errors" in shown("reviews")
    assert "pass: error-rate" not in shown(None)


HOSTILE = "parse error [/red] at [bold]5m[/], [link=https://evil.example]here \x1b[2J\u202e"


def test_what_a_provider_says_is_shown_and_not_obeyed():
    """Neither as markup, which could end the command, nor as an escape sequence of the terminal."""
    evidence = Evidence(metric="error-rate", outcome=Outcome.BLIND, target=a_target(), message=HOSTILE)
    blind = record().model_copy(
        update={
            "message": f"blind: {HOSTILE}",
            "verdict": Verdict(at=NOON, outcome=Outcome.BLIND, evidence=(evidence,)),
        }
    )
    rollout: Body = {
        "apiVersion": TRAFFIC_ROLLOUT.api_version,
        "kind": TRAFFIC_ROLLOUT.kind,
        "metadata": {"namespace": "default", "name": "reviews"},
        "status": blind.as_json(),
    }
    ready = {"type": "Ready", "status": "False", "reason": "FetchFailed", "message": HOSTILE}
    source: Body = {
        "apiVersion": TRAFFIC_SOURCE.api_version,
        "kind": TRAFFIC_SOURCE.kind,
        "metadata": {"namespace": "default", "name": "mesh"},
        "spec": {"url": "https://git.example.com/mesh.git"},
        "status": {"conditions": [ready]},
    }
    found, followed = resource_from_body(rollout), resource_from_body(source)
    live = LiveState(resources={}, services={}, sources={followed.key: followed}, rollouts={found.key: found})
    for name in (None, "reviews"):
        console = Console(width=4_000, color_system=None)
        with console.capture() as captured:
            console.print(tables(live, name, NOON))
        assert "[/red] at [bold]5m[/], [link=https://evil.example]here \\x1b[2J\\u202e" in captured.get()
        assert "\x1b" not in captured.get()
