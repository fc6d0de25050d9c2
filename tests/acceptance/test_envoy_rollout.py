"""One snapshot takes the place of another: listeners, routes, clusters and secrets, without a gap."""

from __future__ import annotations

import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from fakes.certificates import Authority, Pair
from fakes.envoy_messages import (
    cluster,
    free_port,
    inside_tls,
    leading_to,
    listener,
    routes,
    secret,
    snapshot,
    tcp_inside,
)
from fakes.upstreams import upstreams

from gitmesh.playground.envoy import rollout
from gitmesh.playground.envoy.dataplane import DataPlane
from gitmesh.playground.envoy.errors import Rejected

pytestmark = [pytest.mark.anyio, pytest.mark.real]

V1, V2 = "127.0.24.1", "127.0.24.2"
AUTHORITY = Authority()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstreams(V1, V2) as number:
        yield number


@pytest.fixture
def door() -> int:
    return free_port()


async def ask(door: int, path: str = "/", *, tls: ssl.SSLContext | None = None) -> tuple[int, str]:
    """Send one request over a connection of its own; returns the status, and who answered."""
    scheme, name = ("https", "shop.test") if tls else ("http", None)
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"{scheme}://127.0.0.1:{door}{path}", headers={"Host": "a"}, ssl=tls or True, server_hostname=name
        ) as response,
    ):
        return response.status, response.headers.get("x-served-by", "")


@contextlib.asynccontextmanager
async def load(door: int, path: str = "/") -> AsyncIterator[Counter[tuple[int, str]]]:
    """Send requests all the time, over connections that are kept and over fresh ones."""
    answers: Counter[tuple[int, str]] = Counter()

    async def send(session: aiohttp.ClientSession, **headers: str) -> None:
        while True:
            url = f"http://127.0.0.1:{door}{path}"
            async with session.get(url, headers={"Host": "a", **headers}) as response:
                await response.read()
                answers[response.status, response.headers.get("x-served-by", "")] += 1

    async with aiohttp.ClientSession() as session, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(send, session)
        tasks.start_soon(lambda: send(session, Connection="close"))
        yield answers
        tasks.cancel_scope.cancel()


def files_in(directory: Path) -> set[Path]:
    return {path for path in directory.rglob("*") if path.is_file()}


async def names(plane: DataPlane, kind: str) -> set[str]:
    """Return what Envoy itself says that it has."""
    found = await plane.admin.json(kind)
    return {item["name"] for item in found.get("listener_statuses", found.get("cluster_statuses", ()))}


async def test_listener_changes_under_load_lose_no_request(tmp_path: Path, port: int, door: int):
    def world(change: int) -> Any:
        return snapshot(
            cluster("one", V1, port),
            routes("r", a="one"),
            listener("l", door, "r", server_name=f"s{change}"),
        )

    async with DataPlane(tmp_path) as plane:
        await plane.apply(world(0))
        async with load(door, "/slow/20") as answers:
            for change in range(1, 16):
                await plane.apply(world(change))
                async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{door}/") as r:
                    assert r.headers["server"] == f"s{change}"
    assert answers.keys() == {(200, V1)}
    assert answers.total() > 50


async def test_a_listener_that_asks_other_routes_loses_no_request_and_forgets_the_old_ones(
    tmp_path: Path, port: int, door: int
):
    def world(change: int) -> Any:
        name, address = f"c{change}", (V1, V2)[change % 2]
        return snapshot(
            cluster(name, address, port), routes(f"r{change}", a=name), listener("l", door, f"r{change}")
        )

    async with DataPlane(tmp_path) as plane, aiohttp.ClientSession() as kept:
        await plane.apply(world(0))
        async with kept.get(f"http://127.0.0.1:{door}/", headers={"Host": "a"}) as response:
            assert response.status == 200
        async with load(door) as answers:
            for change in range(1, 11):
                await plane.apply(world(change))
                assert await ask(door) == (200, (V1, V2)[change % 2])
        # A connection that was open all the time asks for what holds now, though its listener has gone.
        async with kept.get(f"http://127.0.0.1:{door}/", headers={"Host": "a"}) as response:
            assert (response.status, response.headers["x-served-by"]) == (200, V1)
    assert {status for status, _ in answers} == {200}


async def test_what_goes_goes_in_reverse_order(
    tmp_path: Path, port: int, door: int, monkeypatch: pytest.MonkeyPatch
):
    other = free_port()
    both = snapshot(
        cluster("one", V1, port),
        cluster("two", V2, port),
        routes("r", a="one"),
        routes("s", a="two"),
        listener("l", door, "r"),
        listener("m", other, "s"),
    )
    one = snapshot(cluster("one", V1, port), routes("r", a="one"), listener("l", door, "r"))
    async with DataPlane(tmp_path) as plane:
        await plane.apply(both)
        assert await ask(other) == (200, V2)
        assert await names(plane, "listeners") == {"l", "m"}
        steps: list[str] = []
        publish, forget = plane.delivery.publish, plane.delivery.forget

        async def noted(wanted: Any, **options: Any) -> None:
            await publish(wanted, **options)
            steps.extend(f"{place}: {sorted(item['name'] for item in c)}" for place, c in wanted.items())

        def noted_forget(place: Any) -> None:
            forget(place)
            steps.append(f"without {place}")

        monkeypatch.setattr(plane.delivery, "publish", noted)
        monkeypatch.setattr(plane.delivery, "forget", noted_forget)
        await plane.apply(one)
        assert steps == [
            "clusters: ['one', 'two']",
            "listeners: ['l', 'm']",
            "r routes: ['r']",
            "listeners: ['l']",
            "clusters: ['one']",
            "without s routes",
        ]
        assert await names(plane, "listeners") == {"l"}
        assert await names(plane, "clusters") == {"one"}
        assert not (tmp_path / "routes" / "s.json").exists()
        with pytest.raises(aiohttp.ClientConnectorError):
            await ask(other)


async def test_an_address_goes_from_one_listener_to_another_under_load(tmp_path: Path, port: int, door: int):
    def world(name: str) -> Any:
        return snapshot(cluster("one", V1, port), routes("r", a="one"), listener(name, door, "r"))

    async with DataPlane(tmp_path) as plane:
        await plane.apply(world("l0"))
        async with load(door) as answers:
            for change in range(1, 11):
                await plane.apply(world(f"l{change}"))
                assert await ask(door) == (200, V1)
    assert answers.keys() == {(200, V1)}


async def test_listeners_that_stay_exchange_their_addresses(tmp_path: Path, port: int, door: int):
    other = free_port()

    def world(one: int, two: int) -> Any:
        return snapshot(
            cluster("one", V1, port),
            cluster("two", V2, port),
            routes("r", a="one"),
            routes("s", a="two"),
            listener("l", one, "r"),
            listener("m", two, "s"),
        )

    async with DataPlane(tmp_path) as plane:
        await plane.apply(world(door, 0))
        assert await ask(door) == (200, V1)
        await plane.apply(world(0, door))
        assert await ask(door) == (200, V2)
        await plane.apply(world(other, door))
        await plane.apply(world(door, other))
        assert (await ask(door), await ask(other)) == ((200, V1), (200, V2))


async def test_more_route_configurations_than_envoy_can_follow_are_served_all_the_same(
    tmp_path: Path, port: int, door: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rollout, "FILES_MAX", 3)
    doors = [door, *(free_port() for _ in range(5))]

    def world(change: int) -> Any:
        to, address = f"c{change % 2}", (V1, V2)[change % 2]
        listeners = [listener(f"l{n}", number, f"r{n}") for n, number in enumerate(doors)]
        configs = [routes(f"r{n}", a=to) for n in range(len(doors))]
        return snapshot(cluster(to, address, port), *configs, *listeners)

    async with DataPlane(tmp_path) as plane:
        await plane.apply(world(0))
        async with load(doors[0]) as first, load(doors[-1]) as last:
            for change in range(1, 6):
                await plane.apply(world(change))
                assert [await ask(number) for number in doors] == [(200, (V1, V2)[change % 2])] * 6
        assert len(files_in(tmp_path / "routes")) == 3
    assert {status for status, _ in first} == {status for status, _ in last} == {200}


async def test_a_connection_goes_through_a_listener_without_a_socket(tmp_path: Path, port: int, door: int):
    world = snapshot(
        cluster("one", V1, port),
        leading_to("inside", "tcp"),
        tcp_inside("tcp", "one"),
        routes("r", a="inside"),
        listener("l", door, "r"),
    )
    async with DataPlane(tmp_path) as plane:
        await plane.apply(world)
        assert await ask(door) == (200, V1)


def https(port: int, door: int, certificate: Pair) -> Any:
    return snapshot(
        cluster("one", V1, port),
        routes("r", a="one"),
        inside_tls(listener("l", door, "r"), "shop/cert"),
        secret("shop/cert", certificate),
    )


async def test_a_certificate_changes_without_touching_its_listener(tmp_path: Path, port: int, door: int):
    first, second = Authority("first"), Authority("second")
    async with DataPlane(tmp_path) as plane:
        await plane.apply(https(port, door, first.issue("shop.test")))
        assert await ask(door, tls=first.context()) == (200, V1)
        await plane.apply(https(port, door, second.issue("shop.test")))
        assert await ask(door, tls=second.context()) == (200, V1)
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await ask(door, tls=first.context())
        assert set((await plane.admin.stats(r"^listener_manager\.listener_modified$")).values()) == {"0"}


async def test_only_the_owner_may_read_what_envoy_reads_and_keys_do_not_outlive_it(
    tmp_path: Path, port: int, door: int
):
    certificate = AUTHORITY.issue("shop.test")
    async with DataPlane(tmp_path / "envoy") as plane:
        await plane.apply(https(port, door, certificate))
        found = files_in(tmp_path)
        assert {path.stat().st_mode & 0o777 for path in found} == {0o600}
        with_key = [path for path in found if certificate.key.splitlines()[1] in path.read_text()]
        assert [path.name for path in with_key] == ["shop%2Fcert.json"]
        assert certificate.key.splitlines()[1] not in repr(plane.snapshot)
    assert not files_in(tmp_path / "envoy" / "secrets")


async def test_a_certificate_that_is_none_is_refused_and_the_old_one_serves(
    tmp_path: Path, port: int, door: int
):
    good = AUTHORITY.issue("shop.test")
    async with DataPlane(tmp_path) as plane:
        await plane.apply(https(port, door, good))
        for bad in (
            Pair("no certificate", good.key),
            Pair(good.certificate, AUTHORITY.issue("x").key),
        ):
            with pytest.raises(Rejected) as caught:
                await plane.apply(https(port, door, bad))
            assert good.key.splitlines()[1] not in str(caught.value)
            assert await ask(door, tls=AUTHORITY.context()) == (200, V1)


@pytest.mark.parametrize("checked", [True, False], ids=["before", "by the running Envoy"])
async def test_whatever_is_refused_leaves_all_of_the_old_state_in_force(
    tmp_path: Path, port: int, door: int, monkeypatch: pytest.MonkeyPatch, *, checked: bool
):
    async def lets_everything_pass(*_: object) -> None:
        return None

    good = [cluster("one", V1, port), routes("r", a="one"), listener("l", door, "r")]
    two = cluster("two", V2, port)
    moved = routes("r", a="two")
    unknown = listener("n", free_port(), "new", no_such_field=True)
    bad_match = {**moved["virtual_hosts"][0], "name": "b", "domains": ["b"]}
    bad_match["routes"] = [{**bad_match["routes"][0], "match": {"safe_regex": {"regex": "["}}}]
    changes = {
        "cluster": [cluster("bad", "not an address", 1), two, moved, good[2]],
        "routes": [
            good[0],
            two,
            {**moved, "virtual_hosts": [*moved["virtual_hosts"], bad_match]},
            good[2],
        ],
        "listener": [good[0], two, moved, routes("new", a="two"), good[2], unknown],
        "new routes": [
            good[0],
            two,
            moved,
            {**moved, "name": "new", "virtual_hosts": [bad_match]},
            good[2],
            listener("n", free_port(), "new"),
        ],
    }
    async with DataPlane(tmp_path) as plane:
        await plane.apply(snapshot(*good))
        files = files_in(tmp_path)
        if not checked:
            monkeypatch.setattr(plane.precheck, "check", lets_everything_pass)
        for what, messages in changes.items():
            with pytest.raises(Rejected):
                await plane.apply(snapshot(*messages))
            assert await ask(door) == (200, V1), what
            assert await names(plane, "clusters") == {"one"}, what
            assert await names(plane, "listeners") == {"l"}, what
            assert files_in(tmp_path) == files, what
        await plane.apply(snapshot(good[0], two, moved, good[2]))
        assert await ask(door) == (200, V2)


async def test_a_listener_whose_port_somebody_else_has_is_left_out_until_it_is_free(
    tmp_path: Path, port: int, door: int
):
    good = [cluster("one", V1, port), routes("r", a="one"), listener("l", door, "r")]
    async with DataPlane(tmp_path) as plane:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as taken:
            number = taken.extra(anyio.abc.SocketAttribute.local_port)
            world = snapshot(*good, listener("m", number, "r"))
            await plane.apply(world)
            assert f"cannot listen on 127.0.0.1:{number}" in plane.unheard["m"]
            assert await ask(door) == (200, V1)
        await plane.apply(world)
        assert not plane.unheard
        assert await ask(number) == (200, V1)


async def test_a_listener_that_goes_may_come_back_at_once(tmp_path: Path, port: int, door: int):
    other = free_port()
    one = [cluster("one", V1, port), routes("r", a="one"), listener("l", door, "r")]
    async with DataPlane(tmp_path) as plane:
        for _ in range(5):
            await plane.apply(snapshot(*one))
            await plane.apply(snapshot(*one, listener("m", other, "r")))
            assert await ask(other) == (200, V1)
            assert not plane.unheard
