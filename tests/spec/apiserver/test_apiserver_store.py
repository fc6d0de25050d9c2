"""The store: one counter, a bounded history, snapshots of the past, and nothing lost between two openings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitmesh.playground.apiserver.failures import ApiError
from gitmesh.playground.apiserver.limits import ApiLimits
from gitmesh.playground.apiserver.store import Store, StoreError

THINGS = "things"


def a_store(path: Path | str = ":memory:", **limits: int) -> Store:
    return Store(str(path), ApiLimits(**limits), first_revision=100)


def a_thing(name: str, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "a", "uid": name}, **fields}


def put(store: Store, name: str, **fields: Any) -> int:
    stored = store.put(THINGS, "a", name, a_thing(name, **fields))
    return int(stored["metadata"]["resourceVersion"])


def names(store: Store, **options: Any) -> list[str]:
    return [body["metadata"]["name"] for body in store.all(THINGS, **options)]


def test_every_write_has_the_next_version():
    store = a_store()
    assert [put(store, "x"), put(store, "y"), put(store, "x", size=1)] == [101, 102, 103]
    assert store.remove(THINGS, "a", "y")["metadata"]["resourceVersion"] == "104"
    assert store.revision == 104


def test_the_past_can_be_listed_as_it_was():
    store = a_store()
    put(store, "x", size=1)
    then = put(store, "y")
    put(store, "x", size=2)
    store.remove(THINGS, "a", "y")
    put(store, "z")
    assert names(store, at=then) == ["x", "y"]
    assert store.all(THINGS, at=then)[0]["size"] == 1
    assert names(store) == ["x", "z"]


def test_history_that_is_gone_is_410_and_the_future_is_504():
    store = a_store(watch_history_max=2)
    first = put(store, "x")
    for size in range(3):
        put(store, "x", size=size)
    with pytest.raises(ApiError) as gone:
        store.events_after(THINGS, first)
    assert (gone.value.code, gone.value.reason) == (410, "Expired")
    assert [e.type for e in store.events_after(THINGS, store.revision - 2)] == ["MODIFIED", "MODIFIED"]
    with pytest.raises(ApiError) as ahead:
        store.check_known(THINGS, store.revision + 1)
    assert ahead.value.code == 504


def test_one_noisy_kind_does_not_expire_the_watches_of_another():
    store = a_store(watch_history_max=2)
    start = store.revision
    for number in range(10):
        store.put("leases", "a", "leader", a_thing("leader", number=number))
    put(store, "x")
    assert [e.place for e in store.events_after(THINGS, start)] == [("a", "x")]


def test_a_reopened_store_has_everything_and_goes_on_counting(tmp_path: Path):
    store = a_store(tmp_path / "db")
    put(store, "x", size=1)
    put(store, "y")
    store.remove(THINGS, "a", "y")
    before, revision = store.all(THINGS), store.revision
    store.close()
    again = a_store(tmp_path / "db")
    assert again.all(THINGS) == before
    assert put(again, "z") == revision + 1
    assert [spot[2] for spot in again.index.in_namespace("a")] == ["x", "z"]
    with pytest.raises(ApiError):
        again.events_after(THINGS, revision - 1)


def test_a_file_that_is_no_database_is_named(tmp_path: Path):
    (tmp_path / "db").write_text("this is text, and quite a lot of it, so that no header can be found here")
    with pytest.raises(StoreError, match="cannot open the database"):
        a_store(tmp_path / "db")


def test_the_number_of_objects_is_bounded():
    store = a_store(objects_max=2)
    put(store, "x")
    put(store, "y")
    put(store, "x", size=1)
    with pytest.raises(ApiError, match="objects_max"):
        put(store, "z")
    store.remove(THINGS, "a", "x")
    put(store, "z")


def test_the_index_knows_owners_and_forgets_them():
    store = a_store()
    owned = a_thing("child")
    owned["metadata"]["ownerReferences"] = [{"uid": "u-1"}]
    store.put(THINGS, "a", "child", owned)
    assert store.index.owned_by("u-1") == [(THINGS, "a", "child")]
    store.put(THINGS, "a", "child", a_thing("child"))
    assert store.index.owned_by("u-1") == []
    assert not store.index.is_empty("a")
    store.remove(THINGS, "a", "child")
    assert store.index.is_empty("a")
