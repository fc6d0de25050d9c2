"""The gateways of a playground, met as people do: a Secret, a Gateway, a request with curl's habits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from fakes.certificates import Authority, tls_secret
from fakes.mesh_objects import istio, to, virtual_service

from gitmesh.kube.errors import ClusterError
from gitmesh.model.kinds import GATEWAY, POD, SECRET, VIRTUAL_SERVICE
from gitmesh.playground.supervisor import Playground, Ports, playground

pytestmark = [pytest.mark.anyio, pytest.mark.real]

AUTHORITY = Authority()
FREE = Ports(api=0, gateway=0, gateway_tls=0, mesh=0)


async def until(condition: Any) -> None:
    with anyio.fail_after(15):
        while True:
            try:
                if await condition():
                    return
            except (ClusterError, aiohttp.ClientError):
                pass
            await anyio.sleep(0.02)


def front() -> dict[str, Any]:
    tls = {"mode": "SIMPLE", "credentialName": "shop"}
    server = {
        "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
        "hosts": ["shop.example"],
        "tls": tls,
    }
    return istio("Gateway", "front", {"selector": {"istio": "ingressgateway"}, "servers": [server]})


async def status_of(play: Playground) -> dict[str, Any]:
    return (await play.client.get(GATEWAY, "default", "front")).get("status") or {}


async def test_a_gateway_waits_for_its_secret_says_so_and_serves_once_it_is_there(tmp_path: Path):
    async with playground(tmp_path, FREE) as play, aiohttp.ClientSession() as http:
        listed = (await play.client.list(POD)).items
        pods = {p["metadata"]["name"]: p for p in listed if p["metadata"]["namespace"] == "istio-system"}
        assert set(pods) == {"istio-ingressgateway", "istio-egressgateway"}
        for pod in pods.values():
            assert pod["status"]["phase"] == "Running"
            assert pod["status"]["podIP"].startswith("127.")
        rule = {"route": [to("reviews")]}
        routes = virtual_service("shop", rule, hosts=["shop.example"], gateways=["front"])
        await play.client.create(GATEWAY, front())
        await play.client.create(VIRTUAL_SERVICE, routes)

        async def is_waiting() -> bool:
            messages = (await status_of(play)).get("validationMessages") or []
            return any("no Secret istio-system/shop" in message["message"] for message in messages)

        await until(is_waiting)
        await play.client.create(SECRET, tls_secret("shop", AUTHORITY.issue("shop.example")))

        async def answers() -> bool:
            url = f"https://{play.gateway_tls_address}/reviews"
            named = {"Host": "shop.example"}
            async with http.get(
                url, headers=named, ssl=AUTHORITY.context(), server_hostname="shop.example"
            ) as response:
                return response.status == 200

        await until(answers)

        async def is_content() -> bool:
            return not (await status_of(play)).get("validationMessages")

        await until(is_content)
        await no_key_is_readable_by_others(play)
        await a_gateway_may_go_and_come_back(play, answers)


async def no_key_is_readable_by_others(play: Playground) -> None:
    files = [path for path in play.files.directory.rglob("*") if path.is_file()]
    holding = [
        path
        for path in files
        if b"PRIVATE KEY" in path.read_bytes() or b"LS0tLS1CRUdJTiBQUklW" in path.read_bytes()
    ]
    assert holding
    assert not [path for path in holding if path.stat().st_mode & 0o077]
    assert not [path for path in holding if path.is_relative_to(play.files.logs)]


async def a_gateway_may_go_and_come_back(play: Playground, answers: Any) -> None:
    """The doors stay open: they lead to the ingress gateway, whichever Pod that is."""
    old = await ingress(play)
    assert await listens(old)
    await play.client.delete(POD, "istio-system", "istio-ingressgateway")

    async def is_gone() -> bool:
        return not await listens(old)

    await until(is_gone)
    await until(answers)
    metadata = {name: old["metadata"][name] for name in ("name", "namespace", "labels")}
    new = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": old["spec"]}
    await play.client.create(POD, new)

    async def is_back() -> bool:
        return await listens(await ingress(play))

    await until(is_back)
    await until(answers)


async def ingress(play: Playground) -> dict[str, Any]:
    return await play.client.get(POD, "istio-system", "istio-ingressgateway")


async def listens(pod: dict[str, Any]) -> bool:
    address = (pod.get("status") or {}).get("podIP")
    if not address:
        return False
    try:
        async with await anyio.connect_tcp(address, 8443):
            return True
    except OSError:
        return False
