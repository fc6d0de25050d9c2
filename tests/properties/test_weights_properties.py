"""What holds for every way between any two weightings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gitmesh.istio.routes import destination_of, entries_of
from gitmesh.istio.weights import interpolate, moves_weight, same_course

NAMES = ["v1", "v2", "v3", "v4"]
PROGRESS = st.floats(0, 100) | st.integers(0, 100)


@st.composite
def specs(draw: st.DrawFn, least: int = 1):
    names = draw(st.lists(st.sampled_from(NAMES), min_size=least, max_size=4, unique=True))
    weights = draw(
        st.lists(st.integers(0, 1000), min_size=len(names), max_size=len(names)).filter(lambda w: sum(w) > 0)
    )
    entries = [
        {"destination": {"host": "reviews", "subset": name}, "weight": weight}
        for name, weight in zip(names, weights, strict=True)
    ]
    return {"hosts": ["reviews"], "http": [{"route": entries}]}


def weights(spec) -> dict[str, int]:
    return {destination_of(e, "").subset: e["weight"] for e in entries_of(spec["http"][0])}


@given(specs(), specs(least=2), PROGRESS)
def test_the_sum_is_the_targets_or_a_multiple_of_it(stable, target, progress):
    total = sum(weights(target).values())
    moved = sum(weights(interpolate(stable, target, progress)).values())
    assert moved == total if total >= 100 else moved % total == 0


@given(specs(), specs(), PROGRESS, PROGRESS)
def test_each_weight_moves_one_way_only(stable, target, one, other):
    early, late = sorted((one, other))
    if not moves_weight(stable, target) or late >= 100:
        return
    start, before, after = (weights(interpolate(stable, target, p)) for p in (0, early, late))
    end = weights(interpolate(stable, target, 99.999999))
    for name in end:
        steps = [start[name], before[name], after[name], end[name]]
        assert steps in (sorted(steps), sorted(steps, reverse=True))


@given(specs(), specs(), PROGRESS)
def test_with_two_destinations_a_weight_is_never_a_whole_unit_off(stable, target, progress):
    if len(weights(stable).keys() | weights(target).keys()) != 2 or not moves_weight(stable, target):
        return
    if progress >= 100:
        return
    start, now = weights(interpolate(stable, target, 0)), weights(interpolate(stable, target, progress))
    end = weights(interpolate(stable, target, 99.9999999))
    for name in now:
        exact = start[name] + (end[name] - start[name]) * progress / 100
        assert abs(now[name] - exact) <= (1 if progress else 0)


@given(specs(), specs())
def test_progress_0_carries_the_stable_weights(stable, target):
    total_old, total_new = sum(weights(stable).values()), sum(weights(target).values())
    if total_old == total_new >= 100 and len(weights(target)) > 1 and len(weights(stable)) > 1:
        moved = weights(interpolate(stable, target, 0))
        if moves_weight(stable, target):
            assert {k: v for k, v in moved.items() if v} == {k: v for k, v in weights(stable).items() if v}


@given(specs(), specs(), PROGRESS)
def test_the_result_is_the_same_every_time_and_leads_nowhere_else(stable, target, progress):
    moved = interpolate(stable, target, progress)
    assert interpolate(stable, target, progress) == moved
    assert interpolate(stable, target, 100) is target
    assert same_course(stable, target, target)
    assert interpolate(stable, stable, progress) is stable
