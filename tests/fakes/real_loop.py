"""The whole product on real parts: `gitmesh play` and `gitmesh run` as processes, a repository, a client."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from fakes.kubectl import Kubectl, kubectls

from gitmesh.engine.clock import SystemClock
from gitmesh.kube.client import KubeClient
from gitmesh.kube.connect import connect
from gitmesh.kube.errors import ClusterError, NotFoundError
from gitmesh.model.kinds import (
    EVENT,
    POD,
    TRAFFIC_KINDS,
    TRAFFIC_ROLLOUT,
    TRAFFIC_SOURCE,
    VIRTUAL_SERVICE,
    Kind,
)
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.model.source import Condition, TrafficSourceStatus
from gitmesh.playground.load import LoadGenerator
from gitmesh.playground.repository import GitRepository
from gitmesh.playground.translate.listeners import Address

T = TypeVar("T")
START_SECONDS = 40.0
PATIENCE_SECONDS = 20.0  # for what takes well under a second on an idle machine
LOOK_SECONDS = 0.03
KNOBS = ("playground.gitmesh.dev/error-percent", "playground.gitmesh.dev/latency-ms")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

RULES = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
"""


def routes(v1: int, v2: int) -> str:
    """A VirtualService of reviews with these weights."""
    return f"""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews}}
spec:
  hosts: [reviews]
  http:
    - name: all
      route:
        - destination: {{host: reviews, subset: v1}}
          weight: {v1}
        - destination: {{host: reviews, subset: v2}}
          weight: {v2}
"""


def policy(*steps: tuple[int, str], analysis: str = "", bake: str = "0s") -> str:
    """A policy for the VirtualService reviews; without `analysis` the steps advance by time alone."""
    listed = "".join(f"    - {{progress: {progress}, hold: {hold}}}\n" for progress, hold in steps)
    return f"""\
apiVersion: gitmesh.dev/v1alpha1
kind: RolloutPolicy
metadata: {{name: careful}}
spec:
  select: {{names: [reviews]}}
  steps:
{listed}  analysis: {analysis or "null"}
  bake: {bake}
"""


def guard(interval: str = "200ms", window: str = "2s") -> str:
    """An analysis that judges quickly."""
    return f"{{interval: {interval}, window: {window}, metrics: [{{name: error-rate, max: 5%}}]}}"


@dataclass(frozen=True)
class Ran:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


def gitmesh_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gitmesh", *arguments]


def gitmesh(*arguments: str, cwd: Path | None = None, seconds: float = 60, **environment: str) -> Ran:
    """Run a command to its end. A traceback is never an answer."""
    done = subprocess.run(
        gitmesh_command(*arguments),
        capture_output=True,
        text=True,
        timeout=seconds,
        cwd=cwd,
        env={**clean_environment(), **environment},
    )
    ran = Ran(done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in ran.all, ran.all
    assert not CONTROL.search(ran.all), f"control characters in what is piped: {ran.all!r}"
    return ran


def clean_environment() -> dict[str, str]:
    return {
        k: v
        for k, v in os.environ.items()
        if k not in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "FORCE_COLOR") and not k.startswith("GITMESH_")
    }


def wait_until(what: str, seen: Callable[[], T], seconds: float = PATIENCE_SECONDS) -> T:
    """Look until something is seen; for tests without an event loop."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := seen():
            return found
        time.sleep(LOOK_SECONDS)  # noqa: TID251 (a real process works meanwhile)
    raise AssertionError(f"waited {seconds:g} s for {what}, in vain")


async def until(what: str, seen: Callable[[], Awaitable[T]], seconds: float = PATIENCE_SECONDS) -> T:
    """Look until something is seen, and return it. An API server that is away is looked at again."""
    end = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < end:
        try:
            last = await seen()
        except ClusterError as error:
            last = error
        else:
            if last:
                return last
        await anyio.sleep(LOOK_SECONDS)
    raise AssertionError(f"waited {seconds:g} s for {what}, in vain; last seen: {last!r}")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> dict[int, str]:
    """Return the living processes below one, at any depth: id -> command line."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if fields[0] != "Z":
                    parents[int(entry.name)] = int(fields[1])
            except (OSError, IndexError):  # it ends while it is read
                continue
    found: dict[int, str] = {}
    for child in parents:
        above: int | None = child
        while (above := parents.get(above or 0)) is not None:
            if above == pid:
                with suppress(OSError):
                    found[child] = (
                        Path(f"/proc/{child}/cmdline")
                        .read_bytes()
                        .replace(b"\0", b" ")
                        .decode(errors="replace")
                    )
                break
    return found


def end(process: subprocess.Popen[Any], seconds: float = 15) -> int:
    """Ask a process to end, and make sure that it did."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


@dataclass(frozen=True)
class Play:
    """A running `gitmesh play`."""

    directory: Path
    process: subprocess.Popen[bytes]
    state: Mapping[str, Any]

    @property
    def kubeconfig(self) -> Path:
        return Path(self.state["kubeconfig"])

    @property
    def mesh(self) -> Address:
        host, _, port = str(self.state["mesh"]).removeprefix("http://").partition(":")
        return Address(host, int(port))

    def pids_of(self, part: str) -> list[int]:
        """Return the ids of the processes whose command line holds this text."""
        return [pid for pid, command in children(self.process.pid).items() if part in command]

    def gitmesh(self, *arguments: str, **options: Any) -> Ran:
        """Run a command on this playground."""
        command, *rest = arguments
        return gitmesh(command, "--playground-dir", str(self.directory), *rest, **options)

    def kubectl(self, home: Path) -> Kubectl:
        return Kubectl(next(iter(kubectls().values()), ""), self.kubeconfig, home)


@contextmanager
def running_play(directory: Path, *options: str) -> Iterator[Play]:
    """Run `gitmesh play` on free ports."""
    ports = [f"--{name}-port=0" for name in ("api", "gateway", "gateway-tls", "mesh")]
    with (directory.parent / f"{directory.name}.log").open("w") as log:
        process = subprocess.Popen(
            gitmesh_command("play", "--dir", str(directory), *ports, *options),
            stdout=log,
            stderr=log,
            env=clean_environment(),
        )
    state = directory / "playground.json"

    def up() -> bool:
        assert process.poll() is None, f"gitmesh play ended: {Path(log.name).read_text()}"
        return state.exists()

    try:
        wait_until("the playground", up, START_SECONDS)
        yield Play(directory, process, json.loads(state.read_text()))
    finally:
        end(process)


@dataclass
class Daemon:
    """A `gitmesh run` that can be killed and started again on the same data directory."""

    play: Play
    directory: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    starts: int = 0

    @property
    def log(self) -> str:
        return (self.directory / "daemon.log").read_text()

    def start(self) -> None:
        self.starts += 1
        with (self.directory / "daemon.log").open("a") as log:
            self.process = subprocess.Popen(
                gitmesh_command(
                    *("run", "--playground-dir", str(self.play.directory)),
                    *("--data-dir", str(self.directory / "data"), "--log-format=json", "--settle=100ms"),
                    *self.options,
                ),
                stdout=log,
                stderr=log,
                env=clean_environment(),
            )

    def started(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the daemon ended: {self.log}"
        return self.log.count('"daemon started"') == self.starts

    def wait_started(self) -> None:
        wait_until("the daemon to start", self.started, START_SECONDS)

    def kill(self) -> None:
        """End it as a crash does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        # What it had not said it will not say: the next start is counted alone.
        self.starts = self.log.count('"daemon started"')

    def stop(self) -> None:
        if self.process is not None:
            end(self.process)


@contextmanager
def running_daemon(play: Play, directory: Path, *options: str) -> Iterator[Daemon]:
    directory.mkdir(parents=True, exist_ok=True)
    daemon = Daemon(play, directory, options)
    daemon.start()
    try:
        daemon.wait_started()
        yield daemon
    finally:
        daemon.stop()
    assert "Traceback" not in daemon.log, daemon.log


@dataclass
class World:
    """One repository and the TrafficSource that makes the playground follow it."""

    play: Play
    client: KubeClient
    repository: GitRepository
    name: str
    namespace: str = "default"

    @property
    def source_name(self) -> str:
        return f"{self.namespace}/{self.name}"

    async def follow(self, url: str = "", **spec: Any) -> None:
        """Create or change the TrafficSource. It is polled once an hour unless told otherwise."""
        body = {
            "apiVersion": TRAFFIC_SOURCE.api_version,
            "kind": TRAFFIC_SOURCE.kind,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {"url": url or self.repository.url, "interval": "1h", **spec},
        }
        await self.client.apply(TRAFFIC_SOURCE, body, force=True)

    async def publish(self, files: Mapping[str, str | bytes | None], message: str = "Change") -> str:
        """Commit and push; return `main@` and the short id of the commit."""
        commit = await anyio.to_thread.run_sync(lambda: self.repository.publish(files, message))
        return f"{self.repository.branch}@{commit[:7]}"

    async def gitmesh(self, *arguments: str, **options: Any) -> Ran:
        return await anyio.to_thread.run_sync(lambda: self.play.gitmesh(*arguments, **options))

    async def kubectl(self, *arguments: str, **environment: str) -> str:
        kubectl = self.play.kubectl(self.repository.work.parent)
        return await anyio.to_thread.run_sync(lambda: kubectl.ok(*arguments, **environment))

    async def status(self) -> TrafficSourceStatus:
        body = await self.client.get(TRAFFIC_SOURCE, self.namespace, self.name)
        return TrafficSourceStatus.model_validate(body.get("status") or {})

    async def ready(self) -> Condition | None:
        return next((c for c in (await self.status()).conditions if c.type == "Ready"), None)

    async def wait_ready(
        self, status: str = "True", reason: str = "", about: str = "", seconds: float = PATIENCE_SECONDS
    ) -> Condition:
        """Wait for Ready to be so; `about` is a part of its message."""

        async def seen() -> Condition | None:
            ready = await self.ready()
            fits = (
                ready and ready.status == status and reason in ("", ready.reason) and about in ready.message
            )
            return ready if fits else None

        try:
            return await until(f"Ready {status} {reason} {about}", seen, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; Ready is {await self.ready()}") from None

    async def wait_applied(self, revision: str, seconds: float = PATIENCE_SECONDS) -> None:
        await self.wait_ready("True", about=revision, seconds=seconds)

    async def wait_phase(self, *phases: Phase, seconds: float = PATIENCE_SECONDS) -> RolloutRecord:
        async def seen() -> RolloutRecord | None:
            record = await self.rollout()
            return record if record and record.phase in phases else None

        return await until(f"the rollout to be {' or '.join(phases)}", seen, seconds)

    async def rollout(self, name: str = "reviews") -> RolloutRecord | None:
        try:
            body = await self.client.get(TRAFFIC_ROLLOUT, self.namespace, name)
        except NotFoundError:
            return None
        return RolloutRecord.model_validate(body["status"]) if body.get("status") else None

    async def weights(self, name: str = "reviews") -> tuple[int, ...] | None:
        """Return the weights that are live; None while there is no such VirtualService."""
        try:
            body = await self.client.get(VIRTUAL_SERVICE, self.namespace, name)
        except NotFoundError:
            return None
        return tuple(d.get("weight", 0) for d in body["spec"]["http"][0]["route"])

    async def wait_weights(self, *weights: int, seconds: float = PATIENCE_SECONDS) -> None:
        async def seen() -> bool:
            return await self.weights() == weights

        await until(f"the weights to be {weights}", seen, seconds)

    async def items(self, kind: Kind) -> list[dict[str, Any]]:
        return [dict(body) for body in (await self.client.list(kind)).items]

    async def versions(self) -> dict[str, str]:
        """Return the resourceVersion of every traffic object: equal means that nothing was written."""
        return {
            f"{kind.kind}/{body['metadata']['namespace']}/{body['metadata']['name']}": body["metadata"][
                "resourceVersion"
            ]
            for kind in TRAFFIC_KINDS
            for body in await self.items(kind)
        }

    async def events(self, kind: Kind, name: str, reason: str = "") -> list[dict[str, Any]]:
        """Return the events about an object that is there now, not about one of that name before."""
        uid = (await self.client.get(kind, self.namespace, name))["metadata"]["uid"]
        found = await self.items(EVENT)
        return [e for e in found if e["involvedObject"].get("uid") == uid and reason in ("", e["reason"])]

    async def make_fail(self, pod: str, percent: int) -> None:
        await self.client.merge_patch(
            POD, "default", pod, {"metadata": {"annotations": {KNOBS[0]: str(percent)}}}
        )

    @asynccontextmanager
    async def load(self, rate: float = 100) -> AsyncIterator[LoadGenerator]:
        """Send requests to reviews while the body runs."""
        generator = LoadGenerator(self.play.mesh, clock=SystemClock(), rate=rate)
        async with anyio.create_task_group() as group:
            group.start_soon(generator.run)
            yield generator
            group.cancel_scope.cancel()

    async def clean(self) -> None:
        """Leave the playground as it was found: sources first, for a daemon heals what it still owns."""
        for pod in await self.items(POD):
            marks = dict.fromkeys(KNOBS)
            await self.client.merge_patch(
                POD,
                pod["metadata"]["namespace"],
                pod["metadata"]["name"],
                {"metadata": {"annotations": marks}},
            )

        async def nothing_left() -> bool:
            left = 0
            for kind in (TRAFFIC_SOURCE, *TRAFFIC_KINDS, TRAFFIC_ROLLOUT):
                for body in await self.items(kind):
                    left += 1
                    await self.client.delete(kind, body["metadata"]["namespace"], body["metadata"]["name"])
            await anyio.sleep(LOOK_SECONDS)
            return not left

        await until("an empty playground", nothing_left)


@asynccontextmanager
async def a_world(play: Play, directory: Path, name: str) -> AsyncIterator[World]:
    """Yield a world with an empty repository; clean up afterwards."""
    repository = await anyio.to_thread.run_sync(lambda: GitRepository.create(directory / "git"))
    client = await connect(play.kubeconfig, timeout=timedelta(seconds=10))
    world = World(play, client, repository, name)
    try:
        yield world
    finally:
        with anyio.CancelScope(shield=True):
            await world.clean()
            await client.close()
