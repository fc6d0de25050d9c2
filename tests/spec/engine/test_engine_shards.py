"""Each source is one shard's, whatever the shards are cut by."""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import ValidationError

from gitmesh.engine.shards import SHARD_LABEL, Shard, part_of, shards_of
from gitmesh.model.config import Config
from gitmesh.model.kinds import TRAFFIC_SOURCE
from gitmesh.model.resource import Resource, resource_from_body


def a_source(name: str, label: str = "") -> Resource:
    metadata = {"namespace": "default", "name": name, "labels": {SHARD_LABEL: label} if label else {}}
    return resource_from_body(
        {"apiVersion": TRAFFIC_SOURCE.api_version, "kind": TRAFFIC_SOURCE.kind, "metadata": metadata}
    )


SOURCES = [a_source(f"source-{number}") for number in range(200)]


def config(**sharding: object) -> Config:
    return Config.model_validate({"dataDir": "/data", "leaderElection": True, "sharding": sharding})


@pytest.mark.parametrize("count", [1, 2, 3, 8, 64])
def test_each_source_is_in_exactly_one_part_and_the_parts_are_about_even(count: int):
    shards = shards_of(config(count=count))
    owners = [[shard.index for shard in shards if shard.follows(source)] for source in SOURCES]
    assert {len(found) for found in owners} == {1}
    sizes = Counter(found[0] for found in owners)
    assert max(sizes.values()) <= 3 * len(SOURCES) / count + 5


def test_the_part_of_a_source_is_the_same_everywhere_and_for_ever():
    assert [part_of(source.key, 4) for source in SOURCES[:8]] == [0, 0, 0, 0, 0, 2, 1, 2]


def test_a_label_is_for_the_daemon_of_that_label_and_no_label_for_the_one_without():
    shards = {label: Shard(label) for label in ("", "payments", "shop")}
    for wanted in shards:
        source = a_source("mesh", wanted)
        assert [label for label, shard in shards.items() if shard.follows(source)] == [wanted]


def test_each_shard_has_a_lease_of_its_own_and_one_layout_never_shares_one_with_another():
    names = [
        shard.lease("gitmesh")
        for label in ("", "payments")
        for count in (1, 2, 3)
        for shard in shards_of(config(label=label, count=count))
    ]
    assert len(set(names)) == len(names)
    assert names[0] == "gitmesh"
    assert {Shard("", 0, count).group("gitmesh") for count in (1, 2, 3)} == {"gitmesh"}


def test_a_fixed_index_is_one_shard():
    assert shards_of(config(count=4, index=2)) == (Shard("", 2, 4),)


@pytest.mark.parametrize(
    ("sharding", "said"),
    [
        ({"count": 4, "index": 4}, "index is at most 3 of 4 parts"),
        ({"count": 0}, "greater than or equal to 1"),
        ({"label": "No Label"}, "String should match pattern"),
    ],
)
def test_a_shard_that_cannot_be_is_refused(sharding: dict[str, object], said: str):
    with pytest.raises(ValidationError, match=said):
        config(**sharding)


def test_parts_without_leader_election_need_a_number():
    with pytest.raises(ValidationError, match=r"needs sharding\.index"):
        Config.model_validate({"dataDir": "/data", "sharding": {"count": 2}})
