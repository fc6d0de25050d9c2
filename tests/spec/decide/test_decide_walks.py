"""Steps that move no weight, and other ways than weights: entered, held, and gone back from."""

from datetime import timedelta
from typing import Any

import pytest
from fakes.builders import ANALYSIS, NOON, a_resource, a_route, a_verdict, owned, resolve, seconds

from gitmesh.decide.questions import questions
from gitmesh.decide.retarget import retarget
from gitmesh.decide.transitions import advance, decide, mark_effective
from gitmesh.decide.verdict import take_verdict
from gitmesh.model.analysis import Response
from gitmesh.model.metrics import RequestQuery
from gitmesh.model.policy import RolloutPolicy, RolloutPolicySpec, Walk
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.rollout import Advance, Finish, Phase, RolloutIntent, RolloutRecord
from gitmesh.plan.overlay import overlay

KEY = ResourceKey("networking.istio.io", "VirtualService", "default", "reviews")
BETA, STAFF = ({"headers": {"x-group": {"exact": name}}} for name in ("beta", "staff"))
CAREFUL = {
    "steps": [
        {"match": [BETA], "hold": "10s"},
        {"match": [STAFF], "hold": "10s"},
        {"mirror": 100, "hold": "10s"},
        {"progress": 25, "hold": "10s"},
        {"progress": 100},
    ],
    "analysis": None,
}
BY_ROUTES = {
    "walk": "routes",
    "steps": [{"progress": 25, "hold": "10s"}, {"progress": 100}],
    "analysis": None,
}


def policy(**spec: Any) -> RolloutPolicy:
    return RolloutPolicy(name="careful", namespace="default", spec=RolloutPolicySpec.model_validate(spec))


def reviews(subset: str, **route: Any) -> Resource:
    spec = {"hosts": ["reviews"], "http": [a_route(subset, name="all", **route)]}
    return a_resource("VirtualService", "reviews", spec)


V1, V2 = reviews("v1"), reviews("v2")


class Way:
    """A rollout from one object to another one, in seconds after noon."""

    def __init__(self, stable: Resource, target: Resource, **spec: Any) -> None:
        self.stable, self.target, self.policy = stable, target, policy(**spec)
        self.record: RolloutRecord | None = None
        self.at = 0.0
        self.turn()

    def turn(self) -> None:
        now = NOON + seconds(self.at)
        record = retarget(
            self.record,
            desired=self.target,
            live=owned(self.stable),
            policy=self.policy,
            resolve=resolve,
            intent=RolloutIntent(),
            source="gitmesh/mesh",
            revision="main@2",
            now=now,
        )
        assert record is not None
        self.decision = decide(record, now=now)
        self.record = advance(record, self.decision, now, namespace="default")

    def live(self) -> dict[str, Any]:
        assert self.record is not None
        effective = overlay({KEY: self.target}, {KEY: self.record}, {KEY: owned(self.stable)})
        return dict(effective[KEY].spec)

    def hold(self) -> None:
        """See the step live, and let its hold pass."""
        assert self.record is not None
        self.record = mark_effective(self.record, NOON + seconds(self.at))
        self.at += 10
        self.turn()


def names(spec: dict[str, Any]) -> list[str]:
    return [route["name"] for route in spec["http"]]


def test_matches_widen_then_copies_then_weights():
    way = Way(V1, V2, **CAREFUL)
    seen = []
    for _ in range(5):
        assert way.record is not None
        routes = way.live()["http"]
        asked = routes[0].get("match", []) if len(routes) > 1 else []
        weights = [entry.get("weight") for entry in routes[-1]["route"]]
        seen.append((way.record.progress, len(asked), "mirrors" in routes[-1], weights))
        way.hold()
    assert seen == [
        (0, 1, False, [0, 100]),
        (0, 2, False, [0, 100]),
        (0, 2, True, [0, 100]),
        (25, 2, False, [25, 75]),
        (100, 0, False, [None]),
    ]
    assert isinstance(way.decision, Finish)
    assert way.live() == V2.spec


def test_people_read_what_a_step_without_weight_does():
    way = Way(V1, V2, **CAREFUL)
    assert way.record is not None
    assert way.record.weights == "v2 0, v1 100; 1 match on the canary"
    assert way.record.phase is Phase.PROGRESSING


def test_chosen_requests_are_waited_for():
    way = Way(V1, V2, **{**CAREFUL, "analysis": ANALYSIS})
    way.hold()
    assert not isinstance(way.decision, Advance), "no check has been made of the chosen requests"
    assert way.record is not None
    assert way.record.step == 0


def test_a_match_that_fails_goes_back_and_leaves_nothing():
    way = Way(V1, V2, **{**CAREFUL, "analysis": ANALYSIS})
    assert way.record is not None
    way.record = mark_effective(way.record, NOON)
    for second in (1, 2):
        way.record = take_verdict(way.record, a_verdict("fail", NOON + seconds(second)))
    way.at = 3
    way.turn()
    assert way.record.phase is Phase.ROLLED_BACK
    assert way.live() == V1.spec


def test_a_wider_match_that_is_not_live_yet_stays_out_after_a_failure():
    way = Way(V1, V2, **CAREFUL)
    way.hold()
    assert way.record is not None
    assert (way.record.step, way.record.effective_at) == (1, None)
    assert way.record.policy_spec is not None
    watched = way.record.policy_spec.model_copy(update={"analysis": ANALYSIS})
    failed = way.record.model_copy(update={"failed_checks": 1, "policy_spec": watched})
    assert len(failed.stand.matches) == 2
    assert len(failed.live_stand.matches) == 1


def test_a_new_timeout_is_walked_by_the_ids_of_requests():
    way = Way(V1, reviews("v1", timeout="2s"), **BY_ROUTES)
    assert way.record is not None
    assert (way.record.steps, way.record.progress) == (2, 25)
    assert way.record.weights == "25 % of requests take the new routes"
    assert names(way.live()) == ["all-gitmesh-canary", "all"]
    assert [(t.subset, t.shared) for t in way.record.targets] == [("v1", True)]
    way.hold()
    assert way.live() == reviews("v1", timeout="2s").spec


def test_only_what_both_variants_go_to_is_counted_for_both():
    def watched(stable: Resource, target: Resource, **spec: Any) -> list[tuple[str, bool]]:
        way = Way(stable, target, **spec)
        assert way.record is not None
        return [(t.subset, t.shared) for t in way.record.targets]

    half = reviews("v1 50, v2 50")
    assert watched(reviews("v1 100, v2 0"), V2, **BY_ROUTES) == [("v2", False)]
    assert watched(half, reviews("v1 50, v2 50", timeout="2s"), **BY_ROUTES) == [("v1", True), ("v2", True)]
    assert watched(V1, reviews("v2", timeout="2s"), **BY_ROUTES) == [("v2", False)]
    assert watched(half, V2, **CAREFUL) == [("v2", False)], "by weights it is the same version that grows"
    assert watched(V1, reviews("v1", timeout="2s"), **CAREFUL) == [("v1", False)], "live at once, as a whole"


def test_by_weights_a_new_timeout_has_no_steps():
    way = Way(V1, reviews("v1", timeout="2s"), **{**BY_ROUTES, "walk": "weights"})
    assert way.record is not None
    assert (way.record.steps, way.record.progress) == (0, 100)


def test_what_is_in_motion_ends_on_the_way_on_which_it_began():
    way = Way(V1, reviews("v1", timeout="2s"), **BY_ROUTES)
    way.policy = policy(**{**BY_ROUTES, "walk": "weights"})
    way.turn()
    assert names(way.live()) == ["all-gitmesh-canary", "all"]
    way.target = reviews("v1", timeout="3s")
    way.turn()
    assert way.record is not None
    assert way.record.policy_spec is not None
    assert way.record.policy_spec.walk is Walk.WEIGHTS
    assert way.live() == reviews("v1", timeout="3s").spec


def test_other_content_by_routes_begins_anew():
    way = Way(
        V1,
        reviews("v1", timeout="2s"),
        **{**BY_ROUTES, "steps": [{"progress": 5, "hold": "10s"}, *BY_ROUTES["steps"]]},
    )
    way.hold()
    assert way.record is not None
    assert way.record.progress == 25
    way.target = reviews("v1", timeout="3s")
    way.turn()
    assert way.record.progress == 5


@pytest.mark.parametrize("dropped", [0, 1])
def test_a_policy_that_loses_a_match_keeps_the_rollout_before_its_first_weight(dropped: int):
    way = Way(V1, V2, **CAREFUL)
    way.hold()
    steps = [step for index, step in enumerate(CAREFUL["steps"]) if index != dropped]
    way.policy = policy(**{**CAREFUL, "steps": steps})
    way.turn()
    assert way.record is not None
    assert way.record.progress == 0
    assert not way.record.stand.is_end


def test_blue_green_is_copies_then_everything():
    way = Way(V1, V2, steps=[{"mirror": 100, "hold": "10s"}, {"progress": 100}], bake="10s", analysis=None)
    assert way.live()["http"][0]["mirrors"][0]["destination"]["subset"] == "v2"
    way.hold()
    assert way.live() == V2.spec
    assert way.record is not None
    assert way.record.phase is Phase.PROMOTING
    assert way.record.policy_spec is not None
    assert way.record.policy_spec.bake == timedelta(seconds=10)


COPIES = [{"mirror": 100, "hold": "10s"}, {"progress": 25, "hold": "10s"}, {"progress": 100}]


def test_too_few_requests_count_as_failed_where_the_policy_says_so_also_when_they_are_copies():
    analysis = ANALYSIS.model_copy(update={"on_insufficient_data": Response.ROLL_BACK})
    for first in ({"mirror": 100}, {"match": [BETA]}):
        way = Way(V1, V2, steps=[{**first, "hold": "10s"}, {"progress": 100}], analysis=analysis)
        assert way.record is not None
        way.record = mark_effective(way.record, NOON)
        way.record = take_verdict(way.record, a_verdict("insufficient", NOON + seconds(1)))
        assert way.record.failed_checks == 1


def test_copies_are_waited_for():
    way = Way(V1, V2, steps=COPIES, analysis=ANALYSIS)
    way.hold()
    assert way.record is not None
    assert way.record.step == 0
    assert "waits for the first check" in way.record.message
    for outcome, step in (("insufficient", 0), ("pass", 1)):
        way.record = take_verdict(way.record, a_verdict(outcome, NOON + seconds(way.at)))
        way.at += 1
        way.turn()
        assert way.record.step == step


def test_copies_that_fail_go_back_before_any_weight():
    way = Way(V1, V2, steps=COPIES, analysis=ANALYSIS)
    assert way.record is not None
    way.record = mark_effective(way.record, NOON)
    for second in (1, 2):
        way.record = take_verdict(way.record, a_verdict("fail", NOON + seconds(second)))
    way.at = 3
    way.turn()
    assert way.record.phase is Phase.ROLLED_BACK
    assert way.live() == V1.spec


def test_copies_are_counted_as_long_as_they_are_what_is_live():
    way = Way(V1, V2, steps=COPIES, analysis=ANALYSIS)
    assert way.record is not None

    def copies(record: RolloutRecord) -> set[bool]:
        asked = questions(record, NOON + seconds(30))
        return {q.copies for q in asked if isinstance(q, RequestQuery)}

    assert copies(way.record) == {True}
    way.record = mark_effective(way.record, NOON)
    way.record = take_verdict(way.record, a_verdict("pass", NOON + seconds(11)))
    way.at = 12
    way.turn()
    assert (way.record.progress, way.record.effective_at) == (25, None)
    assert copies(way.record) == {False}
    assert copies(way.record.model_copy(update={"failed_checks": 1})) == {True}, "25 % is kept out"
