"""What holds for every way between two lists of rules: each request meets one of both lists, and wholly."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gitmesh.istio.routes import destination_of, entries_of, routes_of
from gitmesh.istio.walks import rules, services
from gitmesh.istio.walks.request_ids import RESOLUTION, share_of
from gitmesh.istio.walks.routes import MARK
from gitmesh.model.policy import Walk
from gitmesh.model.stand import END, Stand
from gitmesh.model.steps import RequestMatch

BETA = RequestMatch.model_validate({"headers": {"x-group": {"exact": "beta"}}})
STEPS = st.floats(0.001, 99.999)
PATHS = ["/", "/a", "/a/b", "/c"]
CONDITIONS = [
    {},
    *({"uri": {"prefix": path}} for path in PATHS),
    {"uri": {"exact": "/a"}, "headers": {"end-user": {"exact": "jason"}}},
    {"headers": {"x-group": {"prefix": "be"}}},
    {"headers": {"x-group": {"exact": "beta"}}},
    {"headers": {"x-group": {"exact": "alpha"}}},
]


@st.composite
def http_routes(draw: st.DrawFn) -> dict[str, Any]:
    alternatives = draw(st.lists(st.sampled_from(CONDITIONS), max_size=2))
    match = {"match": [a for a in alternatives if a]} if alternatives and {} not in alternatives else {}
    timeout = draw(st.sampled_from([{}, {"timeout": "1s"}, {"timeout": "2s"}]))
    names = draw(st.lists(st.sampled_from(["v1", "v2", "v3"]), min_size=1, max_size=2, unique=True))
    weights = {"v1": 30, "v2": 70, "v3": 50}
    route = [{"destination": {"host": "reviews", "subset": n}, "weight": weights[n]} for n in names]
    return {**draw(st.sampled_from([{}, {"name": "a"}, {"name": "b"}])), **match, **timeout, "route": route}


SPECS = st.lists(http_routes(), max_size=5).map(lambda routes: {"hosts": ["reviews"], "http": routes})
REQUESTS = st.fixed_dictionaries(
    {"path": st.sampled_from([*PATHS, "/other"]), "x-request-id": st.uuids(version=4).map(str)},
    optional={
        "end-user": st.sampled_from(["jason", "eve"]),
        "x-group": st.sampled_from(["beta", "be", "alpha"]),
    },
)


def says(wanted: dict[str, str], value: str) -> bool:
    ((how, text),) = wanted.items()
    if how == "regex":
        return re.fullmatch(text, value) is not None
    return value == text if how == "exact" else value.startswith(text)


def takes(alternative: dict[str, Any], request: dict[str, str]) -> bool:
    asked = [(alternative["uri"], request["path"])] if "uri" in alternative else []
    asked += [(w, request.get(name)) for name, w in alternative.get("headers", {}).items()]
    return all(value is not None and says(wanted, value) for wanted, value in asked)


def answer(spec: dict[str, Any], request: dict[str, str]) -> Any:
    """What happens to a request: everything that the first rule says that takes it, but name and match."""
    for route in spec.get("http", ()):
        if any(takes(alternative, request) for alternative in route.get("match") or [{}]):
            said = {name: value for name, value in route.items() if name not in ("name", "match")}
            return None if said == {"directResponse": {"status": 404}} else said
    return None


def on_share(request: dict[str, str], progress: float) -> bool:
    return int(request["x-request-id"][-4:], 16) < share_of(progress)


@given(SPECS, SPECS, STEPS, REQUESTS)
def test_by_routes_a_request_meets_all_of_the_new_rules_or_all_of_the_old_ones(old, new, progress, request_):
    walked = services.effective(old, new, Stand(progress, walk=Walk.ROUTES))
    chosen = services.walks_routes(old, new, Walk.ROUTES) and on_share(request_, progress)
    assert answer(walked, request_) == answer(new if chosen else old, request_)


@given(SPECS, SPECS, STEPS, REQUESTS)
def test_matched_requests_meet_all_of_the_new_rules(old, new, progress, request_):
    walked = services.effective(old, new, Stand(progress, (BETA,), walk=Walk.ROUTES))
    chosen = on_share(request_, progress) or request_.get("x-group") == "beta"
    chosen = chosen and services.walks_routes(old, new, Walk.ROUTES)
    assert answer(walked, request_) == answer(new if chosen else old, request_)


@given(SPECS, SPECS, REQUESTS, STEPS, STEPS)
def test_whoever_has_the_new_rules_keeps_them_while_the_share_grows(old, new, request_, one, other):
    early, late = sorted((one, other))
    if on_share(request_, early):
        before = services.effective(old, new, Stand(early, walk=Walk.ROUTES))
        after = services.effective(old, new, Stand(late, walk=Walk.ROUTES))
        assert answer(before, request_) == answer(after, request_)


@given(SPECS, SPECS, st.sampled_from(Walk))
def test_at_both_ends_nothing_is_left_of_the_way(old, new, walk):
    assert services.effective(old, new, Stand(100, (BETA,), 50, walk)) is new
    assert services.effective(old, new, END) is new
    if services.walks_routes(old, new, walk):
        assert services.effective(old, new, Stand(0, walk=walk)) is old


@given(SPECS, SPECS, STEPS)
def test_the_old_rules_stay_in_their_order_and_all_others_bear_a_mark(old, new, progress):
    if services.walks_routes(old, new, Walk.ROUTES):
        walked = services.effective(old, new, Stand(progress, walk=Walk.ROUTES))
        kept = [r for r in walked.get("http", ()) if not str(r.get("name", "")).endswith(MARK)]
        assert kept == old["http"]


@given(SPECS, SPECS, STEPS, st.sampled_from(Walk), st.booleans(), st.sampled_from([0.0, 50.0]))
def test_every_way_keeps_the_sums_and_names_what_both_ends_name(old, new, progress, walk, match, mirror):
    stand = Stand(progress, (BETA,) if match else (), mirror, walk)
    walked = services.effective(old, new, stand)
    sums = {sum(e.get("weight", 100) for e in entries_of(r)) for spec in (old, new) for r in spec["http"]}
    known = {destination_of(e, "") for spec in (old, new) for r in spec["http"] for e in entries_of(r)}
    for route in routes_of(walked, "http"):
        entries = entries_of(route)
        assert {destination_of(entry, "") for entry in entries} <= known
        marked = str(route.get("name", "")).endswith(MARK)
        if len(entries) > 1 and not marked:
            total = sum(entry["weight"] for entry in entries)
            assert total in sums or total % 100 == 0 or total >= 100


@given(st.floats(0, 100), st.floats(0, 100))
def test_a_share_is_right_to_half_an_ending_and_never_shrinks(one, other):
    early, late = sorted((one, other))
    assert share_of(early) <= share_of(late)
    if 0.01 < early < 99.99:
        assert abs(share_of(early) / RESOLUTION - early / 100) <= 0.5 / RESOLUTION


POLICIES = st.sampled_from(
    [
        {},
        {"connectionPool": {"tcp": {"maxConnections": 1}}},
        {"connectionPool": {"tcp": {"maxConnections": 9}}, "loadBalancer": {"simple": "RANDOM"}},
        {"portLevelSettings": [{"port": {"number": 80}, "connectionPool": {"tcp": {"maxConnections": 5}}}]},
        {
            "loadBalancer": {"simple": "ROUND_ROBIN"},
            "portLevelSettings": [{"port": {"number": 80}, "outlierDetection": {}}],
        },
    ]
)


@st.composite
def destination_rules(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(["v1", "v2", "v3"]), unique=True, max_size=3))
    subsets = []
    for name in names:
        policy = draw(POLICIES)
        subsets.append({"name": name, **({"trafficPolicy": policy} if policy else {})})
    policy = draw(POLICIES)
    return {"host": "reviews", "subsets": subsets, **({"trafficPolicy": policy} if policy else {})}


BLOCKS = ("connectionPool", "outlierDetection", "loadBalancer", "tls")


def at_port(policy: dict[str, Any], port: int) -> dict[str, Any]:
    for setting in policy.get("portLevelSettings", ()):
        if setting["port"]["number"] == port:
            return {name: setting.get(name) for name in BLOCKS}
    return {name: policy[name] for name in BLOCKS if name in policy}


def in_force(rule: dict[str, Any], subset: str, port: int) -> dict[str, Any]:
    """The policy that Istio has for one port of a subset, or of the host: block -> what it says."""
    own = next((s.get("trafficPolicy", {}) for s in rule["subsets"] if s["name"] == subset), {})
    found = {**at_port(rule.get("trafficPolicy", {}), port), **at_port(own, port)}
    return {name: value for name, value in found.items() if value is not None}


@given(destination_rules(), destination_rules(), STEPS)
def test_a_twin_is_in_force_as_the_target_is_and_its_subset_as_before(old, new, progress):
    if not rules.moves(old, new):
        return
    live = rules.effective(old, new, Stand(progress))
    for port in (80, 81):
        for twin in rules.twins(old, new):
            assert in_force(live, twin.name, port) == in_force(new, twin.of, port)
        for subset in ["", *(s["name"] for s in old["subsets"])]:
            assert in_force(live, subset, port) == in_force(old, subset, port)
        for added in {s["name"] for s in new["subsets"]} - {s["name"] for s in old["subsets"]}:
            assert in_force(live, added, port) == in_force(new, added, port)
