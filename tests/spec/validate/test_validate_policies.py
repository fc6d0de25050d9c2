"""RolloutPolicies: valid ones are read, and each VirtualService has at most one."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from fakes.examined import findings, parsed

from gitmesh.model.policy import most_precise
from gitmesh.model.values import parse_duration
from gitmesh.validate.policies import read_freezes, read_policies

REVIEWS = (
    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\n"
    "spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}\n"
)


def policy(spec: str, name: str = "careful") -> str:
    head = f"apiVersion: gitmesh.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {{name: {name}}}\n"
    return head + f"spec: {{{spec}}}\n"


def test_a_policy_is_read_with_its_place():
    text = policy("select: {names: [reviews]}, steps: [{progress: 10%, hold: 1m30s}, {progress: 100}]")
    (found,) = read_policies(parsed(text).resources)
    assert (found.name, found.namespace) == ("careful", "default")
    assert [(s.progress, s.hold) for s in found.spec.steps] == [
        (10.0, timedelta(seconds=90)),
        (100.0, timedelta(0)),
    ]


def test_a_policy_that_is_not_valid_is_left_out():
    assert read_policies(parsed(policy("steps: []")).resources) == ()


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ("stepps: []", "GM101", "did you mean steps?"),
        ("steps: []", "GM106", "at least 1"),
        ("steps: [{hold: 1s}, {progress: 100}]", "GM301", "one of progress, match and mirror"),
        ("steps: [{progress: 50}, {progress: 50}, {progress: 100}]", "GM301", "must grow"),
        ("steps: [{progress: 50}]", "GM301", "last step"),
        ("steps: [{progress: 101}]", "GM301", "between 0 and 100"),
        ("steps: [{progress: half}, {progress: 100}]", "GM301", "not a percentage"),
        ("bake: 10", "GM301", "a duration is text"),
        ("analysis: {interval: 1m, window: 1s}", "GM301", "window must not be shorter"),
        ("analysis: {metrics: [{name: latency, max: 1}]}", "GM301", "there are error-rate, latency-p99"),
        ("analysis: {onInsufficientData: ignore}", "GM104", "one of: hold, rollback"),
        ("select: {kinds: [Gateway]}", "GM104", "VirtualService"),
        ("select: [reviews]", "GM102", "must be a mapping, found a list"),
    ],
)
def test_a_broken_policy_says_what_is_wrong(spec: str, code: str, words: str):
    (found,) = findings(REVIEWS + "---\n" + policy(spec))
    assert found.code == code
    assert words in f"{found.message}; {found.hint}"


def test_two_policies_for_one_virtual_service_are_an_error_that_names_both():
    found = findings("---\n".join([REVIEWS, policy("bake: 2s"), policy("bake: 1s", "fast")]))
    assert [d.code for d in found] == ["GM302"]
    assert "default/careful and default/fast" in found[0].message


def test_a_policy_that_selects_nothing_is_a_warning():
    found = findings(REVIEWS + "---\n" + policy("select: {namespaces: [other]}"))
    assert [(d.code, d.severity) for d in found] == [("GM303", "warning")]
    (found,) = findings(REVIEWS + "---\n" + policy("select: {kinds: [DestinationRule]}"))
    assert "selects no DestinationRule of the repository" in found.message


RATINGS = REVIEWS.replace("reviews", "ratings")
RULE = (
    "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: reviews}\n"
    "spec: {host: reviews}\n"
)
WINDOW = "windows: [{cron: '%s', duration: 8h, timezone: %s}]"


def found_in(*documents: str) -> list[tuple[str, str, int]]:
    """Code, message and line of every finding."""
    return [(d.code, d.message, d.at.line) for d in findings("---\n".join(documents)) if d.at]


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        (WINDOW % ("0 9 * * *", "Mars/Base"), "GM304", "spec.windows[0].timezone: there is no time zone"),
        (WINDOW % ("0 9 * *", "UTC"), "GM305", "five fields"),
        (WINDOW % ("0 9 30 2 *", "UTC"), "GM305", "is no cron expression"),
        ("windows: [{cron: 0 9 * * *, duration: 0s}]", "GM301", "more than 0s"),
        ("steps: [{progress: 5, gate: {cel: 'evidence.'}}, {progress: 100}]", "GM306", "cannot be used"),
        ("steps: [{progress: 5, gate: {cel: '1 + 1'}}, {progress: 100}]", "GM306", "yields int"),
        ("steps: [{progress: 5, gate: maybe}, {progress: 100}]", "GM301", "is no gate"),
        ("steps: [{progress: 5, gate: {manual: true, cel: 'true'}}, {progress: 100}]", "GM301", "is one of"),
        ("steps: [{progress: 5, gate: {http: {url: 'ftp://x'}}}, {progress: 100}]", "GM301", "http://"),
        ("steps: [{progress: 5, gate: {http: {url: 'http://a:b@x'}}}, {progress: 100}]", "GM301", "password"),
        (
            "steps: [{progress: 5, gate: {http: {url: 'http://x', timeout: 1h}}}]",
            "GM301",
            "30s",
        ),
        ("deadline: 10m, bake: 10m", "GM307", "no rollout could end in time"),
        (
            WINDOW % ("0 9 * * *", "UTC")
            + ", deadline: 12h, steps: [{progress: 5, hold: 9h}, {progress: 100}]",
            "GM307",
            "by its windows a rollout ends 16h1s after its first step at the soonest",
        ),
        ("deadline: 0s", "GM301", "more than 0s"),
        (
            "steps: [{match: [{cookies: {a: b}, headers: {cookie: {exact: c}}}]}, {progress: 100}]",
            "GM301",
            "exclude each other",
        ),
        ("ramp: linear 10%", "GM301", "is not a ramp"),
        ("ramp: exponential 1% x1 every 5m", "GM301", "more than 1"),
        ("ramp: linear 0.1% every 5m", "GM301", "at most 100 steps"),
        ("ramp: linear 10% every 5m, steps: [{progress: 100}]", "GM301", "exclude each other"),
        ("maxConcurrent: 0", "GM106", "at least 1"),
    ],
)
def test_a_policy_that_cannot_be_met_is_told(spec: str, code: str, words: str):
    found = [(d.code, d.message) for d in findings(REVIEWS + "---\n" + policy(spec))]
    assert [each[0] for each in found] == [code]
    assert words in found[0][1]


def test_a_rule_has_no_stable_version_to_compare_with_because_a_twin_looks_like_its_subset():
    spec = (
        "select: {kinds: [DestinationRule]}, "
        "analysis: {metrics: [{name: error-rate, max: 1%}, {name: error-rate, compare: stable, margin: 1%}]}"
    )
    found = findings(f"{RULE}---\n{policy(spec)}")
    assert [d.code for d in found] == ["GM307"]
    assert "no stable version to compare with" in found[0].message


@pytest.mark.parametrize(
    ("windows", "rest", "takes"),
    [
        # 9:00 to 17:00. A hold of 9 h never ends on the day on which it begins.
        ("{cron: '0 9 * * *', duration: 8h}", "steps: [{progress: 5, hold: 9h}, {progress: 100}]", "16h1s"),
        ("{cron: '0 9 * * *', duration: 8h}", "steps: [{progress: 5, hold: 7h}, {progress: 100}]", "7h"),
        # Two holds of 5 h: the first may end before the window closes, and the second in the night.
        (
            "{cron: '0 9 * * *', duration: 8h}",
            "steps: [{progress: 5, hold: 5h}, {progress: 9, hold: 5h}, {progress: 100}]",
            "21h1s",
        ),
        (
            "{cron: '0 9 * * mon', duration: 1h}",
            "steps: [{progress: 5, hold: 2h}, {progress: 100}]",
            "167h1s",
        ),
        ("{cron: '0 0 * * *', duration: 24h}", "steps: [{progress: 5, hold: 9h}, {progress: 100}]", "9h"),
        ("{cron: '0 9 * * *', duration: 8h}", "bake: 10h", "16h1s"),
    ],
)
def test_a_deadline_that_windows_let_nobody_keep_is_told_and_a_longer_one_is_fine(
    windows: str, rest: str, takes: str
):
    def codes(deadline: timedelta) -> list[str]:
        text = policy(f"windows: [{windows}], {rest}, deadline: {deadline.total_seconds():.0f}s")
        return [d.code for d in findings(REVIEWS + "---\n" + text)]

    least = parse_duration(takes)
    assert codes(least) == ["GM307"]
    assert codes(least + timedelta(seconds=2)) == []


def test_looking_for_a_way_to_keep_a_deadline_costs_a_bounded_time():
    steps = ", ".join(f"{{progress: {i / 2:g}, hold: 61m}}" for i in range(1, 100))
    text = (
        f"windows: [{{cron: '0 9 * * *', duration: 1h}}], steps: [{steps}, {{progress: 100}}], deadline: 200h"
    )
    assert findings(REVIEWS + "---\n" + policy(text)) == ()


def test_findings_point_to_the_line():
    lines = ["windows:", "    - {cron: '0 9 * * *', duration: 1h}", "    - cron: nine", "      duration: 1h"]
    text = REVIEWS + "---\n" + policy("").replace("spec: {}", "spec:\n  " + "\n  ".join(lines))
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "cron: nine" in each)
    assert [(code, at) for code, _, at in found_in(text)] == [("GM305", line)]


def test_a_ramp_is_read_as_its_steps():
    spec = "select: {names: [reviews]}, ramp: %s"
    (linear,) = read_policies(parsed(policy(spec % "linear 25% every 5m")).resources)
    assert [(s.progress, s.hold) for s in linear.spec.steps] == [
        (25, timedelta(minutes=5)),
        (50, timedelta(minutes=5)),
        (75, timedelta(minutes=5)),
        (100, timedelta(0)),
    ]
    (exponential,) = read_policies(parsed(policy(spec % "exponential 1% x4 every 1m")).resources)
    assert [s.progress for s in exponential.spec.steps] == [1, 4, 16, 64, 100]


def test_the_more_precise_selector_wins():
    ladder = ["", "namespaces: ['def*']", "namespaces: [default]", "hosts: ['rev*']", "hosts: [reviews]"]
    ladder += ["names: ['rev*']", "names: [reviews]"]
    for low, high in itertools.pairwise(ladder):
        policies = [policy(f"select: {{{select}}}", name) for select, name in ((low, "low"), (high, "high"))]
        text = "---\n".join([REVIEWS, *policies])
        assert findings(text) == ()
        resources = parsed(text).resources
        (service,) = [r for r in resources.values() if r.key.kind == "VirtualService"]
        chosen = most_precise(read_policies(resources), service.key, service.spec)
        assert [p.name for p in chosen] == ["high"], (low, high)


def test_two_policies_that_are_equally_precise_are_an_error_even_if_their_patterns_differ():
    one, other = policy("select: {hosts: ['rev*']}"), policy("select: {hosts: ['*iews']}", "fast")
    assert [code for code, *_ in found_in(REVIEWS, one, other)] == ["GM302"]


def test_what_waits_for_itself_can_never_begin():
    loop = [
        policy("select: {names: [reviews]}, after: [ratings]", "one"),
        policy("select: {names: [ratings]}, after: [default/reviews]", "two"),
    ]
    assert [code for code, *_ in found_in(REVIEWS, RATINGS, *loop)] == ["GM313", "GM313"]
    alone = policy("select: {names: [reviews]}, after: [reviews]")
    assert [code for code, *_ in found_in(REVIEWS, alone)] == ["GM313"]


def test_what_waits_for_its_own_group_can_never_begin():
    group = policy("select: {names: [reviews]}, group: shop, after: [ratings]", "one")
    rest = policy("select: {names: [ratings]}, group: shop", "two")
    assert [code for code, *_ in found_in(REVIEWS, RATINGS, group, rest)] == ["GM313"]


def test_a_circle_by_way_of_a_group_is_found_and_told_in_order():
    details = REVIEWS.replace("reviews", "details")
    policies = [
        policy("select: {names: [reviews]}, group: shop, after: [ratings]", "one"),
        policy("select: {names: [details]}, group: shop", "two"),
        policy("select: {names: [ratings]}, after: [details]", "three"),
    ]
    found = found_in(REVIEWS, RATINGS, details, *policies)
    assert [code for code, *_ in found] == ["GM313", "GM313"]
    told = "reviews waits for ratings, which waits for details, which begins with reviews"
    assert told in found[0][1]
    assert (
        found_in(REVIEWS, RATINGS, details, policies[0], policies[1], policies[2].replace("details", ""))
        == []
    )


def test_what_waits_for_nothing_that_exists_is_a_warning():
    ((code, message, _),) = found_in(REVIEWS, policy("select: {names: [reviews]}, after: [rating]"))
    assert (code, "default/rating" in message) == ("GM314", True)
    text = policy("select: {kinds: [DestinationRule]}, after: [rating]")
    ((code, message, _),) = found_in(RULE, text)
    assert (code, "default/rating" in message) == ("GM314", True)


@pytest.mark.parametrize(
    ("routes", "analysis", "codes"),
    [
        ("tcp: [{route: [{destination: {host: reviews}}]}]", "{}", ["GM324"]),
        ("tls: [{match: [{sniHosts: [reviews]}], route: [{destination: {host: reviews}}]}]", "{}", ["GM324"]),
        ("tcp: [{route: [{destination: {host: reviews}}]}]", "null", []),
        (
            "tcp: [{route: [{destination: {host: reviews}}]}]",
            "{metrics: [{name: lost, query: up, max: 1}]}",
            [],
        ),
        ("http: [{route: [{destination: {host: reviews}}]}]", "{}", []),
    ],
)
def test_connections_are_no_requests_to_judge(routes: str, analysis: str, codes: list[str]):
    service = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\n"
        f"spec: {{hosts: [reviews], {routes}}}\n"
    )
    assert [code for code, *_ in found_in(service, policy(f"analysis: {analysis}"))] == codes


def freeze(spec: str) -> str:
    head = "apiVersion: gitmesh.dev/v1alpha1\nkind: FreezeWindow\nmetadata: {name: xmas}\n"
    return head + f"spec: {{who: sre, why: holidays, {spec}}}\n"


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ("from: 2026-12-20T18:00Z", "GM103", "to is missing"),
        (
            "from: 2026-12-20T18:00, to: 2026-12-21T18:00Z",
            "GM308",
            "spec.from: '2026-12-20T18:00' has no offset",
        ),
        ("from: 2026-12-22T18:00Z, to: 2026-12-21T18:00Z", "GM308", "spec.to: it is not after from"),
        ("from: soon, to: 2026-12-21T18:00Z", "GM308", "is no moment"),
        ("from: 2026-12-20, to: 2026-12-21, timezone: Mars", "GM304", "there is no time zone 'Mars'"),
        ("from: 2026-12-20T18:00Z, to: 2026-12-21T18:00Z, why: ''", "GM106", "at least 1"),
    ],
)
def test_a_freeze_that_makes_no_sense_is_told(spec: str, code: str, words: str):
    text = freeze(spec) if "why" not in spec else freeze(spec).replace("why: holidays, ", "")
    (found,) = findings(text)
    assert (found.code, words in found.message) == (code, True)


def test_a_freeze_that_holds_nothing_is_a_warning():
    moments = "from: 2026-12-20T18:00Z, to: 2026-12-21T18:00Z"
    for select, codes in (("names: [rewiews]", ["GM309"]), ("names: [reviews]", [])):
        found = findings("---\n".join([REVIEWS, freeze(f"{moments}, select: {{{select}}}")]))
        assert [d.code for d in found] == codes
    assert findings(freeze(moments)) == ()


def test_freezes_are_read_with_their_moments():
    (found,) = read_freezes(parsed(freeze("from: 2026-12-20T18:00Z, to: 2026-12-21T18:00Z")).resources)
    assert (found.name, found.start.isoformat(), found.who) == ("xmas", "2026-12-20T18:00:00+00:00", "sre")
    for wrong in ("from: soon, to: later", "from: 2026-12-20, to: 2026-12-21, timezone: Mars"):
        assert read_freezes(parsed(freeze(wrong)).resources) == ()


@pytest.mark.parametrize(
    ("analysis", "code", "words"),
    [
        ("metrics: [{name: x, query: 'up{v=\"$versoin\"}', max: 1}]", "GM320", "did you mean $version?"),
        ("metrics: [{name: x, query: '${pod}', max: 1}]", "GM320", "there are: $namespace, $host"),
        ("metrics: [{name: error-rate, max: 0}]", "GM307", "no number of requests proves that none fails"),
        ("metrics: [{name: error-rate, compare: stable, margin: 0}]", "GM307", "proves a share equal"),
        ("failures: 3", "GM322", "no effect in mode sequential"),
        ("mode: threshold, alpha: 1%", "GM322", "no effect in mode threshold"),
        ("metrics: [{name: error-rate, max: 1%, minRequests: 5}]", "GM322", "minRequests is not needed"),
        ("metrics: [{name: latency, max: 5ms}]", "GM301", "takes a number; metrics with a unit are"),
        ("metrics: [{name: latency-p0, max: 5ms}]", "GM301", "no quantile"),
        ("metrics: [{name: latency-p99, max: fast}]", "GM301", "not a duration"),
        ("metrics: [{name: requests-per-second, max: 5}]", "GM301", "has a floor"),
        ("metrics: [{name: error-rate, max: 1, compare: stable}]", "GM301", "two metrics"),
        ("metrics: [{name: error-rate, max: 1, margin: 1}]", "GM301", "margin is for compare"),
        ("metrics: [{name: error-rate}]", "GM301", "say what error-rate is held against"),
        ("metrics: [{name: error-rate, max: 1}, {name: error-rate, max: 1%}]", "GM301", "stands twice"),
        ("mode: threshold, failures: 3, of: 2", "GM301", "of must not be less than failures"),
        ("alpha: 0", "GM301", "no evidence is ever certain"),
        ("confidence: 100", "GM301", "no evidence is ever certain"),
    ],
)
def test_an_analysis_that_is_wrong_or_has_no_effect_says_where(analysis: str, code: str, words: str):
    (found,) = findings(REVIEWS + "---\n" + policy(f"analysis: {{{analysis}}}"))
    assert found.code == code
    assert words in f"{found.message}; {found.hint}"


def test_comparisons_alone_say_nothing_of_a_change_without_weights():
    compared = "metrics: [{name: error-rate, compare: stable}]"
    assert [d.code for d in findings(REVIEWS + "---\n" + policy(f"bake: 1m, analysis: {{{compared}}}"))] == [
        "GM321"
    ]
    assert not findings(REVIEWS + "---\n" + policy(f"analysis: {{{compared}}}"))


GATED = "steps: [{progress: 5, gate: {cel: '%s'}}, {progress: 100}]"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("evidence.eror_rate.value < 3.0", "evidence has no eror_rate; did you mean error_rate?"),
        ("evidence.latency_p99.value < 3.0", "evidence has no latency_p99; there are: error_rate"),
        ("has(evidence.error_rate.stabel)", "evidence.error_rate has no stabel; did you mean stable?"),
        ('evidence.error_rate.target.verison == "v2"', "did you mean version?"),
        ("true || rollout.stp > 3", "rollout has no stp; did you mean step?"),
        ("rollout.name < 3", "< does not take (string, int)"),
        ('rollout.name.first == "x"', "a field of something that has no fields"),
        ("evidence.error_rate.outcome", "it is a text"),
        ("evidence", "neither true nor false"),
    ],
)
def test_an_expression_that_no_evidence_could_make_true_is_told(expression: str, words: str):
    (found,) = findings(REVIEWS + "---\n" + policy(GATED % expression))
    assert (found.code, words in f"{found.message}; {found.hint}") == ("GM306", True), found


def test_an_expression_needs_metrics_that_the_policy_has():
    text = policy(GATED % "evidence.latency_p99.value < 300.0" + ", analysis: %s")
    metrics = "{metrics: [{name: latency-p99, max: 1s}]}"
    assert findings(REVIEWS + "---\n" + text % metrics) == ()
    (found,) = findings(REVIEWS + "---\n" + text % "null")
    assert found.hint == "the policy has no analysis"


@pytest.mark.parametrize(
    "expression",
    [
        "has(evidence.error_rate.stable) && evidence.error_rate.stable < 1",
        "evidence.error_rate.requests > 100 && rollout.progress <= 5 && rollout.step == 0",
        'evidence.all(name, evidence[name].outcome == "pass")',
        'rollout.weights.contains("v2")',
        "true",
    ],
)
def test_an_expression_that_may_come_true_is_fine(expression: str):
    assert findings(REVIEWS + "---\n" + policy(GATED % expression)) == ()


HOOKED = "steps: [{progress: 5, gate: {http: {url: '%s'}}}, {progress: 100}]"


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("http://169.254.169.254/latest", "GM306", "never asked"),
        ("http://[::ffff:169.254.169.254]/", "GM306", "never asked"),
        ("http://gate:99999/", "GM301", "cannot be read"),
        ("http://gate:port/", "GM301", "cannot be read"),
        ("http://[::1/", "GM301", "cannot be read"),
        ("http://:80/", "GM301", "names a host"),
    ],
)
def test_a_hook_that_can_never_be_asked_is_told(url: str, code: str, words: str):
    (found,) = findings(REVIEWS + "---\n" + policy(HOOKED % url))
    assert (found.code, words in found.message) == (code, True), found


@pytest.mark.parametrize(
    ("match", "code", "words"),
    [
        ("headers: {a: {regex: '(('}}", "GM108", "headers.a.regex is not a regular expression of RE2"),
        ("headers: {a: {regex: '(?=x)'}}", "GM108", "not a regular expression of RE2"),
        ("headers: {a: {prefix: ''}}", "GM108", "prefix is empty"),
        ("headers: {'a b': {exact: c}}", "GM108", "is not the name of a header"),
        ("cookies: {'a=b': c}", "GM108", "is not the name of a cookie"),
        (f"cookies: {{{', '.join(f'{name}: {name * 12}' for name in 'abcd')}}}", "GM108", "in every order"),
        ("sourceLabels: {'a b': c}", "GM112", "cannot be the key of a label"),
    ],
)
def test_a_step_asks_for_requests_as_a_route_could(match: str, code: str, words: str):
    (found,) = findings(REVIEWS + "---\n" + policy(f"steps: [{{match: [{{{match}}}]}}, {{progress: 100}}]"))
    assert (found.code, words in found.message) == (code, True), found


LONG = "9" * 14 + "h"


@pytest.mark.parametrize(
    "spec",
    [
        f"bake: {LONG}",
        f"deadline: {LONG}",
        f"ramp: linear 10% every {LONG}",
        f"steps: [{{progress: 5, hold: {LONG}}}, {{progress: 100}}]",
        f"steps: [{{progress: 5, gate: {{http: {{url: 'http://x', interval: {LONG}}}}}}}, {{progress: 100}}]",
        f"windows: [{{cron: '0 9 * * *', duration: {LONG}}}]",
        f"analysis: {{interval: {LONG}, metrics: [{{name: error-rate, max: 1%}}]}}",
        f"analysis: {{mode: threshold, window: {LONG}, metrics: [{{name: error-rate, max: 1%}}]}}",
        f"analysis: {{metrics: [{{name: latency-p99, max: {LONG}}}]}}",
        f"analysis: {{metrics: [{{name: latency-p99, compare: stable, margin: {LONG}}}]}}",
        "bake: 8785h",
        "ramp: linear 10% every 8785h",
    ],
)
def test_a_time_beyond_all_dates_is_told_wherever_it_stands(spec: str):
    (found,) = findings(REVIEWS + "---\n" + policy(spec))
    assert (found.code, "is too long" in found.message) == ("GM301", True), found
