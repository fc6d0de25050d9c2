"""Checking a configuration before Envoy gets it: the structure here, the rest by `envoy --mode validate`.

Stage: playground (effect). The second takes some 50 ms, and more for what is large; so it reads only what
has changed. Where that is routes alone it is left out: Envoy takes a route configuration as a whole or not at
all, and says why, so that asking it is as good as asking another one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import anyio

from gitmesh.playground.envoy.bootstrap import static_bootstrap
from gitmesh.playground.envoy.errors import EnvoyError, Rejected
from gitmesh.playground.envoy.files import Files
from gitmesh.playground.envoy.snapshot import (
    Snapshot,
    address_of,
    may_name,
    route_names_of,
    secrets_of,
    what_can_be_wrong,
)
from gitmesh.playground.translate.naming import Envoy

_NOTHING = Snapshot()
_TIMEOUT_SECONDS = 30.0
_WEIGHT_SUM_MAX = 4_294_967_295
_REASON_CHARACTERS_MAX = 500
_FAILURE = re.compile(r"error initializing config(?:uration)? '[^']*': *(.*)", re.DOTALL)


class Precheck:
    """Says no before Envoy has to. `check` raises Rejected."""

    def __init__(self, binary: Path, files: Files) -> None:
        self._binary = binary
        self._files = files
        self._one_at_a_time = anyio.Lock()

    async def check(self, old: Snapshot, new: Snapshot) -> None:
        """Check `new`, given that `old` is right."""
        self._check_structure(old, new)
        doubtful = what_can_be_wrong(old, new)
        if doubtful.clusters or doubtful.listeners:
            await self.validate(doubtful)

    async def check_fully(self, snapshot: Snapshot) -> None:
        """Check a snapshot as if nothing of it were known."""
        self._check_structure(Snapshot(), snapshot)
        await self.validate(snapshot)

    async def validate(self, snapshot: Snapshot) -> None:
        """Let an Envoy of its own read the whole snapshot."""
        async with self._one_at_a_time:
            path = self._files.write("validate", static_bootstrap(snapshot))
            try:
                code, output = await self._run(path)
            finally:
                self._files.delete(path)  # keys of certificates may be in it
        if code != 0:
            raise Rejected("configuration", _reason(output))

    def _check_structure(self, old: Snapshot, new: Snapshot) -> None:
        for problem in structural_problems(new, old):
            raise Rejected("configuration", problem)
        for name, config in new.routes.items():
            if old.routes.get(name) is not config:
                self._files.check_routes(config)

    async def _run(self, path: str) -> tuple[int, str]:
        arguments = ("--mode", "validate", "-c", path, "--disable-hot-restart", "-l", "error")
        process = await asyncio.create_subprocess_exec(
            self._binary, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            with anyio.fail_after(_TIMEOUT_SECONDS):
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise EnvoyError(f"envoy --mode validate did not end within {_TIMEOUT_SECONDS:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                with anyio.CancelScope(shield=True):
                    await process.wait()
        return process.returncode or 0, output.decode(errors="replace")


def structural_problems(snapshot: Snapshot, known: Snapshot = _NOTHING) -> Iterator[str]:
    """Yield what is wrong with a snapshot as a whole: these mistakes would be ours, not the user's.

    What is the same in `known` is not looked at again.
    """
    for name, config in snapshot.routes.items():
        if known.routes.get(name) is not config:
            yield from _host_problems(name, config, known.routes.get(name, {}))
    if snapshot.listeners is not known.listeners:
        yield from _address_problems(snapshot.listeners.values())
        for listener in snapshot.listeners.values():
            for name in route_names_of(listener):
                if name not in snapshot.routes:
                    yield f"the listener {listener['name']} has no route configuration {name}"
    for message in filter(may_name, (*snapshot.listeners.values(), *snapshot.clusters.values())):
        for name in secrets_of(message):
            if name not in snapshot.secrets:
                yield f"{message['name']} has no secret {name}"


def _host_problems(name: str, config: Envoy, known: Envoy) -> Iterator[str]:
    fine = {host["name"]: host for host in known.get("virtual_hosts", ())}
    domains: dict[str, str] = {}
    names: set[str] = set()
    for host in config["virtual_hosts"]:
        if host["name"] in names:
            yield f"the routes {name} have the virtual host {host['name']} twice"
        names.add(host["name"])
        for domain in map(str.lower, host["domains"]):
            if domain in domains:
                where = f"in {domains[domain]} and {host['name']}"
                yield f"the routes {name} have the domain {domain} twice: {where}"
            domains[domain] = host["name"]
        if fine.get(host["name"]) is not host:
            for route in host.get("routes", ()):
                yield from _weight_problems(host["name"], route)


def _address_problems(listeners: Iterable[Envoy]) -> Iterator[str]:
    owners: dict[str, str] = {}
    for listener in listeners:
        address = address_of(listener)
        if address is not None and address.port:
            owner = owners.setdefault(str(address), listener["name"])
            if owner != listener["name"]:
                yield f"the listeners {owner} and {listener['name']} have the same address, {address}"


def _weight_problems(host: str, route: Envoy) -> Iterator[str]:
    weighted = route.get("route", {}).get("weighted_clusters")
    if weighted is not None:
        total = sum(entry["weight"] for entry in weighted["clusters"])
        if not 0 < total <= _WEIGHT_SUM_MAX:
            yield f"the weights of a route of {host} add to {total}; it must be 1 to {_WEIGHT_SUM_MAX}"


def _reason(output: str) -> str:
    found = _FAILURE.search(output)
    text = found.group(1) if found else output
    return " ".join(text.split())[:_REASON_CHARACTERS_MAX] or "no reason given"
