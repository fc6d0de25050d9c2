"""A translation that keeps what did not change says exactly what one that begins anew says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.mesh_objects import resource_set
from fakes.random_mesh import RandomMesh

from gitmesh.model.resource import Resource, resource_from_body
from gitmesh.playground.translate import translate
from gitmesh.playground.translate.memo import Memo

SEEDS, STEPS = 6, 40
GOLDEN = Path(__file__).parent.parent / "golden" / "translate"


def all_objects(seed: int) -> list[Resource]:
    """Return objects of every kind: those of the golden files, and random ones."""
    bodies: list[dict[str, Any]] = []
    for path in sorted(GOLDEN.glob("*.in.yaml")):
        bodies += [body for body in yaml.safe_load_all(path.read_text()) if body]
    found: list[Resource] = []
    for body in bodies:  # one at a time, as several files have objects of one name
        found += resource_set([body]).values()
    found += resource_set(RandomMesh(seed).objects()).values()
    return [*found, *(changed for item in found for changed in variants(item))]


def variants(resource: Resource) -> Iterator[Resource]:
    """Yield an object with the same name and another meaning."""
    spec, metadata = resource.body.get("spec"), resource.body["metadata"]
    if resource.key.kind == "VirtualService" and spec.get("http"):
        yield resource_from_body({**resource.body, "spec": {**spec, "http": spec["http"][1:]}})
    if resource.key.kind == "Pod":
        labels = {**metadata["labels"], "version": "v9"}
        yield resource_from_body({**resource.body, "metadata": {**metadata, "labels": labels}})
    if resource.key.kind == "DestinationRule":
        selector = {"matchLabels": {"version": "v9"}}
        yield resource_from_body({**resource.body, "spec": {**spec, "workloadSelector": selector}})


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_is_kept_is_what_would_be_made_anew(seed: int):
    chance = random.Random(seed)
    pool = all_objects(seed)
    resources = {item.key: item for item in chance.sample(pool, len(pool) // 2)}
    by_kind: dict[str, list[Resource]] = {}
    for item in pool:
        by_kind.setdefault(kind_for_choice(item), []).append(item)
    memo = Memo()
    for step in range(STEPS):
        for _ in range(chance.choice((0, 1, 1, 2, 10))):
            changed = chance.choice(by_kind[chance.choice(sorted(by_kind))])
            if chance.random() < 0.3 and changed.key in resources:
                del resources[changed.key]
            else:
                resources[changed.key] = changed
        kept, anew = translate(resources, memo=memo), translate(resources)
        assert kept.untranslated == anew.untranslated, step
        assert kept == anew, step


def kind_for_choice(resource: Resource) -> str:
    """Give objects of which there are few the same chance as others."""
    delegate = resource.key.kind == "VirtualService" and not resource.spec.get("hosts")
    return "delegate" if delegate else resource.key.kind


def test_what_did_not_change_is_the_same_object():
    pool = all_objects(0)
    resources = {item.key: item for item in pool}
    memo = Memo()
    first = translate(resources, memo=memo)
    second = translate(resources, memo=memo)
    assert all(second.clusters[name] is cluster for name, cluster in first.clusters.items() if "|80|" in name)
    assert first == second
