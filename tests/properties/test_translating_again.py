"""A translation that uses what the last one left is the translation that it would be without."""

from __future__ import annotations

import copy
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fakes.mesh_objects import objects

from gitmesh.model.resource import Resource, ResourceKey, resource_from_body
from gitmesh.playground.translate import translate
from gitmesh.playground.translate.memo import Memo

CASES = sorted((Path(__file__).parents[1] / "golden" / "translate").glob("*.in.yaml"))
STEPS = 15


def changed(body: dict[str, Any], random: Random) -> dict[str, Any]:
    """Return an object with something left out, moved or renamed."""
    body = copy.deepcopy(body)
    part: Any = body.get("spec") or body.get("status") or body.get("data") or {}
    for _ in range(random.randint(0, 4)):
        inner = [child for child in (part.values() if isinstance(part, dict) else part) if child]
        inner = [child for child in inner if isinstance(child, dict | list)]
        if not inner:
            break
        part = random.choice(inner)
    if isinstance(part, list) and part:
        part.append(part.pop(random.randrange(len(part))))
        if random.random() < 0.5:
            part.pop()
    elif part:
        name = random.choice(sorted(part))
        if isinstance(part[name], str) and random.random() < 0.5:
            part[name] = random.choice(["v1", "v2", "reviews", "127.0.99.9", "", "7s"])
        else:
            del part[name]
    return body


def step(resources: dict[ResourceKey, Resource], all_: list[Resource], random: Random) -> None:
    chosen = random.choice(all_)
    kind = random.random()
    if kind < 0.3:
        resources.pop(chosen.key, None)
    elif kind < 0.5:
        resources[chosen.key] = chosen
    else:
        resources[chosen.key] = resource_from_body(changed(dict(chosen.body), random))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.removesuffix(".in.yaml"))
def test_what_is_kept_is_what_would_be_made_anew(case: Path):
    random = Random(case.name)
    resources, memo = dict(objects(case.read_text())), Memo()
    all_ = list(resources.values())
    for _ in range(STEPS):
        for _ in range(random.randint(0, 2)):
            step(resources, all_, random)
        again, anew = translate(resources, memo=memo), translate(resources)
        assert again.routes == anew.routes
        assert [list(config["virtual_hosts"]) for config in again.routes.values()] == [
            list(config["virtual_hosts"]) for config in anew.routes.values()
        ]
        assert again.clusters == anew.clusters
        assert again == anew
