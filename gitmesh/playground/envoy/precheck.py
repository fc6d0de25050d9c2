"""Checking a configuration before Envoy gets it: the structure here, the rest by `envoy --mode validate`.

Stage: playground (effect). The second takes some 50 ms; it is left out where only weights or
endpoints change.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import anyio

from gitmesh.playground.envoy.bootstrap import static_bootstrap
from gitmesh.playground.envoy.errors import EnvoyError, Rejected
from gitmesh.playground.envoy.files import Files
from gitmesh.playground.envoy.snapshot import Snapshot, differs_in_shape
from gitmesh.playground.translate.naming import Envoy

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
        """Check `new`, as deeply as its difference from `old` asks for."""
        _check_structure(new)
        if differs_in_shape(old, new):
            await self.validate(new)

    async def check_fully(self, snapshot: Snapshot) -> None:
        """Check a snapshot as if nothing of it were known."""
        _check_structure(snapshot)
        await self.validate(snapshot)

    async def validate(self, snapshot: Snapshot) -> None:
        """Let an Envoy of its own read the whole snapshot."""
        async with self._one_at_a_time:
            content = static_bootstrap(snapshot.clusters.values(), snapshot.routes.values())
            path = self._files.write("validate", content)
            code, output = await self._run(path)
        if code != 0:
            raise Rejected("configuration", _reason(output))

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


def _check_structure(snapshot: Snapshot) -> None:
    for problem in structural_problems(snapshot):
        raise Rejected("routes", problem)


def structural_problems(snapshot: Snapshot) -> Iterator[str]:
    """Yield what is wrong with the routes as a whole: these mistakes would be ours, not the user's."""
    for name, config in snapshot.routes.items():
        seen: dict[str, str] = {}
        for host in config["virtual_hosts"]:
            for domain in host["domains"]:
                if domain in seen:
                    yield f"the {name} has the domain {domain} twice: in {seen[domain]} and {host['name']}"
                seen[domain] = host["name"]
            for route in host.get("routes", ()):
                yield from _weight_problems(host["name"], route)


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
