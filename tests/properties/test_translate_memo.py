"""A translation that keeps what did not change says exactly what one that begins anew says."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.mesh_objects import resource_set
from fakes.random_mesh import RandomMesh

from gitmesh.model.resource import Resource
from gitmesh.playground.translate import translate
from gitmesh.playground.translate.memo import Memo

SEEDS, STEPS = 6, 25
GOLDEN = Path(__file__).parent.parent / "golden" / "translate"


def all_objects(seed: int) -> list[Resource]:
    """Return objects of every kind: those of the golden files, and random ones."""
    bodies: list[dict[str, Any]] = []
    for path in sorted(GOLDEN.glob("*.in.yaml")):
        bodies += [body for body in yaml.safe_load_all(path.read_text()) if body]
    found: list[Resource] = []
    for body in bodies:  # one at a time, as several files have objects of one name
        found += resource_set([body]).values()
    return [*found, *resource_set(RandomMesh(seed).objects()).values()]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_is_kept_is_what_would_be_made_anew(seed: int):
    chance = random.Random(seed)
    pool = all_objects(seed)
    resources = {item.key: item for item in chance.sample(pool, len(pool) // 2)}
    memo = Memo()
    for step in range(STEPS):
        for _ in range(chance.choice((0, 1, 1, 2, 10))):
            changed = chance.choice(pool)
            if chance.random() < 0.3 and changed.key in resources:
                del resources[changed.key]
            else:
                resources[changed.key] = changed
        kept, anew = translate(resources, memo=memo), translate(resources)
        assert kept.untranslated == anew.untranslated, step
        assert kept == anew, step


def test_what_did_not_change_is_the_same_object():
    pool = all_objects(0)
    resources = {item.key: item for item in pool}
    memo = Memo()
    first = translate(resources, memo=memo)
    second = translate(resources, memo=memo)
    assert all(second.clusters[name] is cluster for name, cluster in first.clusters.items() if "|80|" in name)
    assert first == second
