"""What many objects cost a daemon: its first sync, a pass with nothing to do, one change, memory.

`python -m benchmarks.scale` prints the table of docs/scale.md; `--kubeconfig` measures with that cluster.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.to_thread

from benchmarks.figures import Figure, milliseconds, percentile
from benchmarks.followed import App, Followed, followed
from benchmarks.idle import cpu_seconds
from gitmesh.cli.logs import configure
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.playground.child import Child

SIZES = (1_000, 10_000, 50_000)
OBJECTS = 10_000  # what the figures are asked for
CHANGES = 10
WAKES = 10
SYNC_SECONDS_MAX = 7_200.0
CHANGE_SECONDS_MAX = 60.0
QUIET_SECONDS = 2.0
_LOOK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one size. Times in seconds, memory in MB, `requests` in all idle passes.

    `sync_work` and `change_work` are what the processor did for the daemon meanwhile: on a busy machine they
    say more than the clock.
    """

    objects: int
    first_sync: float
    sync_work: float
    idle_passes: int
    idle_pass: float
    requests: dict[str, float]
    changes: list[float]
    change_work: float
    passes: list[float]  # how long the passes of the changes took, on average
    peak: float
    steady: float


async def measure(directory: Path) -> list[Figure]:
    """Measure the size that is promised."""
    found = await measure_size(directory, OBJECTS, None)
    idle = {name: count for name, count in found.requests.items() if count}
    return [
        Figure(
            f"first sync of {OBJECTS} objects",
            f"{found.first_sync:.1f} s",
            "under 60 s",
            found.first_sync < 60,
        ),
        Figure(
            "a pass with nothing to do",
            f"{found.idle_pass * 1000:.1f} ms",
            "under 20 ms",
            found.idle_pass < 0.02,
        ),
        Figure(f"API requests in {found.idle_passes} such passes", str(idle or "none"), "none", not idle),
        Figure(
            "from git push to one changed object live",
            milliseconds(found.changes),
            "p50 under 500 ms",
            percentile(found.changes, 50) < 0.5,
        ),
        Figure("memory, highest", f"{found.peak:.0f} MB", "under 300 MB", found.peak < 300),
    ]


async def measure_size(
    directory: Path, objects: int, kubeconfig: Path | None, seeded: bool = False
) -> Measured:
    """Let a daemon follow a repository of that many objects, from an empty cluster on."""
    async with followed(directory, objects, kubeconfig, seeded=seeded) as world:
        began = time.monotonic()
        async with world.daemon() as daemon:
            await _until_applied(world, daemon, SYNC_SECONDS_MAX)
            first_sync, sync_work = time.monotonic() - began, cpu_seconds(daemon.pid)
            await _wake(world, 0)  # what the server stored is compared once
            await _until_quiet(world)
            count, seconds, requests = await _idle_passes(world)
            before, worked = await _passes(world), cpu_seconds(daemon.pid)
            changes = [await _change(world, number) for number in range(CHANGES)]
            after = await _passes(world)
            work = (cpu_seconds(daemon.pid) - worked) / CHANGES
            peak, steady = _megabytes(daemon.pid, "VmHWM"), _megabytes(daemon.pid, "VmRSS")
    each = [(after[1] - before[1]) / max(1.0, after[0] - before[0])]
    return Measured(
        objects, first_sync, sync_work, count, seconds, requests, changes, work, each, peak, steady
    )


async def _until_applied(world: Followed, daemon: Child, seconds: float) -> None:
    wanted = f"main@{world.repository.head}"
    with anyio.fail_after(seconds):
        while (await world.source()).get("lastAppliedRevision") != wanted:
            if not daemon.is_running:
                raise SystemExit(f"the daemon ended; see {world.directory / 'daemon.log'}")
            await anyio.sleep(0.1)


async def _passes(world: Followed) -> tuple[float, float]:
    meters = await world.meters()
    return (
        meters.get("gitmesh_pass_duration_seconds_count", 0.0),
        meters.get("gitmesh_pass_duration_seconds_sum", 0.0),
    )


async def _until_quiet(world: Followed) -> None:
    """Wait until the events of the daemon's own writes are dealt with."""
    seen = -1.0
    while seen != (seen := (await _passes(world))[0]):  # noqa: ASYNC110 (of another process)
        await anyio.sleep(QUIET_SECONDS)


async def _wake(world: Followed, number: int) -> None:
    app = world.apps[number]
    labels = {"metadata": {"labels": {"somebody": f"else-{number}"}}}
    await world.client.merge_patch(VIRTUAL_SERVICE, app.namespace, app.name, labels)


async def _idle_passes(world: Followed) -> tuple[int, float, dict[str, float]]:
    """Wake the daemon by labels of somebody else; return passes, seconds of each, and API requests."""
    before = await _passes(world)
    asked = await world.requests()
    for number in range(1, WAKES + 1):
        await _wake(world, number)
        await anyio.sleep(0.3)
    await _until_quiet(world)
    after = await _passes(world)
    now = await world.requests()
    ours = {"PATCH virtualservices": WAKES}
    requests = {
        name: count - asked.get(name, 0) - ours.get(name, 0)
        for name, count in now.items()
        if name.split()[-1] in ("virtualservices", "destinationrules", "serviceentries", "trafficsources")
        and not name.startswith("WATCH")
    }
    count = after[0] - before[0]
    return int(count), (after[1] - before[1]) / max(1.0, count), requests


async def _change(world: Followed, number: int) -> float:
    """Change one object in Git; return the seconds from the beginning of the push until it is live."""
    app: App = world.apps[-1 - number]
    timeout = 20 + number
    seen = anyio.Event()

    async def look(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        version = (await world.client.list(VIRTUAL_SERVICE, namespace=app.namespace)).resource_version
        events = world.client.watch(
            VIRTUAL_SERVICE, resource_version=version, namespace=app.namespace, timeout_seconds=300
        )
        async for event in events:
            if event.type == "BOOKMARK":
                task_status.started() if not seen.is_set() and not begun.is_set() else None
                begun.set()
            elif _timeout(event.object, app.name) == f"{timeout}s":
                seen.set()
                return

    begun = anyio.Event()
    await anyio.to_thread.run_sync(world.repository.write, {app.path: app.text(timeout)})
    await anyio.to_thread.run_sync(world.repository.commit, f"A timeout of {timeout} s")
    async with anyio.create_task_group() as group:
        await group.start(look)
        began = time.monotonic()
        await anyio.to_thread.run_sync(world.repository.push)
        with anyio.fail_after(CHANGE_SECONDS_MAX):
            await seen.wait()
        took = time.monotonic() - began
    await _until_quiet(world)
    return took


def _timeout(body: Any, name: str) -> str:
    if body["metadata"]["name"] != name:
        return ""
    return str(body["spec"]["http"][1].get("timeout"))


def _megabytes(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


_HEAD = (
    "| objects | first sync (processor) | a pass with nothing to do | API requests in it "
    "| one change live (processor) | its passes | memory, highest | memory after |\n"
    "|---|---|---|---|---|---|---|---|"
)


def _row(found: Measured) -> str:
    asked = sum(found.requests.values()) / max(1, found.idle_passes)
    return (
        f"| {found.objects:,} | {found.first_sync:.1f} s ({found.sync_work:.1f} s) "
        f"| {found.idle_pass * 1000:.1f} ms | {asked:g} "
        f"| {percentile(found.changes, 50) * 1000:.0f} ms ({found.change_work * 1000:.0f} ms) "
        f"| {found.passes[0] * 1000:.0f} ms | {found.peak:.0f} MB | {found.steady:.0f} MB |"
    )


def main() -> None:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of objects")
    parser.add_argument(
        "--kubeconfig", type=Path, help="measure in this cluster, in namespaces of our own (default: own one)"
    )
    parser.add_argument(
        "--seeded", action="store_true", help="begin with everything applied: a restart, and no first sync"
    )
    given = parser.parse_args()
    configure("error", "text")
    print(_HEAD, flush=True)
    for size in (int(text) for text in given.sizes.split(",")):
        with TemporaryDirectory(prefix="gitmesh-bench-") as directory:
            print(
                _row(anyio.run(measure_size, Path(directory), size, given.kubeconfig, given.seeded)),
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
