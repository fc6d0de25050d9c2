"""GitMesh's own matching and a real Envoy come to the same verdict on route tests."""

from __future__ import annotations

import pytest
from fakes.examined import files_of
from fakes.route_test_examples import EDGE, EDGE_HOLDS, FAILS, HOLDS, MESH, route_test

from gitmesh.engine.accept import examine
from gitmesh.model.config import ParseLimits
from gitmesh.model.revision import Revision
from gitmesh.playground.route_tests.run import Outcome, difference, real_envoy

pytestmark = [pytest.mark.anyio, pytest.mark.real]


async def run(tmp_path, *cases: str, mesh: str = MESH, namespace: str = "default") -> list[Outcome]:
    tests = route_test(*cases).replace("{name: ours}", f"{{name: ours, namespace: {namespace}}}")
    files = files_of({"mesh.yaml": mesh, "tests.yaml": tests})
    examined = examine(Revision("", "", "main", files), default_namespace="default", limits=ParseLimits())
    async with real_envoy(tmp_path / "envoy", examined.tested) as bench:
        return await bench.run(examined.tested.results)


@pytest.mark.parametrize(
    ("cases", "mesh", "namespace"),
    [(HOLDS, MESH, "default"), (EDGE_HOLDS, EDGE, "shop")],
    ids=["one service", "the edge"],
)
async def test_what_holds_here_holds_there(tmp_path, cases: list[str], mesh: str, namespace: str):
    outcomes = await run(tmp_path, *cases, mesh=mesh, namespace=namespace)
    assert len(outcomes) == len(cases)
    assert [
        (o.predicted.case.text, list(map(str, o.misses)), o.error) for o in outcomes if not o.passed
    ] == []
    assert [o.differs for o in outcomes if o.differs] == []


async def test_what_fails_here_fails_there_by_the_same_words(tmp_path):
    outcomes = await run(tmp_path, *FAILS)
    for outcome in outcomes:
        assert [m.field for m in outcome.misses] == [m.field for m in outcome.predicted.misses]
        # A word of Envoy's own may stand for a reason that only the configuration knows.
        ours, envoys = (str(x[0]).partition(", is 4")[0] for x in (outcome.predicted.misses, outcome.misses))
        assert ours == envoys
        assert outcome.differs == ""


async def test_another_verdict_is_told(tmp_path):
    (outcome,) = await run(tmp_path, HOLDS[0])
    assert difference(outcome.predicted, ()) == ""
    wrong = (await run(tmp_path / "other", next(iter(FAILS))))[0].misses
    assert difference(outcome.predicted, wrong) == "reviews v1 100 %"
