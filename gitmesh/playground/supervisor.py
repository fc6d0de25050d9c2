"""The playground as a whole: its parts started in order, brought back when they die, ended in reverse.

Stage: playground (effect).
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path

import anyio
import structlog

from gitmesh.engine.clock import Clock, SystemClock
from gitmesh.kube.client import KubeClient
from gitmesh.kube.connect import connect
from gitmesh.kube.errors import ClusterError
from gitmesh.playground.api_process import ApiProcess
from gitmesh.playground.envoy.dataplane import Addresses, DataPlane
from gitmesh.playground.envoy.errors import EnvoyError
from gitmesh.playground.errors import PlaygroundError
from gitmesh.playground.kubelet import Kubelet
from gitmesh.playground.mesh import Mesh
from gitmesh.playground.state import Files, claimed
from gitmesh.playground.translate import ProxyEntry
from gitmesh.playground.translate.doors import Address
from gitmesh.playground.workloads import seed

HOST = "127.0.0.1"
PODS_SECONDS_MAX = 20.0
API_TIMEOUT = timedelta(seconds=10)

_log = structlog.get_logger("gitmesh.playground")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the playground listens, on 127.0.0.1. A port 0 takes a free one."""

    api: int = 16443
    gateway: int = 18080
    gateway_tls: int = 18443
    mesh: int = 15001


@dataclass(slots=True)
class Playground:
    """A running playground."""

    files: Files
    client: KubeClient
    api: ApiProcess
    dataplane: DataPlane
    mesh: Mesh
    kubelet: Kubelet

    @property
    def kubeconfig(self) -> Path:
        """What kubectl and the daemon connect with."""
        return self.files.kubeconfig

    @property
    def api_url(self) -> str:
        """Where the API server is."""
        return self.api.url

    @property
    def mesh_address(self) -> Address:
        """The proxy of a client that is no Pod; the Host header chooses the service."""
        return self.dataplane.addresses.mesh

    @property
    def gateway_address(self) -> Address:
        """The ingress gateway."""
        return self.dataplane.addresses.gateway

    @property
    def gateway_tls_address(self) -> Address:
        """The ingress gateway for https; nothing listens there before a Gateway says so."""
        return self.dataplane.addresses.gateway_tls

    @property
    def probe_address(self) -> Address:
        """The listener that says which route takes a request."""
        return self.dataplane.addresses.probe

    @property
    def metrics_url(self) -> str:
        """Envoy's request statistics."""
        return self.dataplane.addresses.metrics_url

    def processes(self) -> dict[str, int]:
        """Return the id of each process that runs now, by what it is."""
        found = {"apiserver": self.api.pid, "envoy": self.dataplane.process.pid, **self.kubelet.processes()}
        return {name: pid for name, pid in found.items() if pid is not None}

    def as_json(self) -> dict[str, object]:
        """Return what `playground.json` holds."""
        return {
            "kubeconfig": str(self.kubeconfig),
            "api": self.api_url,
            "gateway": self.gateway_address.url,
            "mesh": self.mesh_address.url,
            "metrics": self.metrics_url,
            "probe": self.probe_address.url,
            "pid": os.getpid(),
            "proxies": {p.name: p.outbound.url for p in self.mesh.proxies if p.outbound},
            "gateways": {p.name: _urls(p) for p in self.mesh.proxies if not p.outbound},
        }

    def write_state(self) -> None:
        """Tell other commands where everything is."""
        try:
            self.files.write_state(self.as_json())
        except OSError as error:
            raise PlaygroundError(f"cannot write {self.files.state}: {error.strerror}") from error


def _urls(gateway: ProxyEntry) -> dict[str, str]:
    """Return where each open port of a gateway is."""
    open_ports = {port: served for port, served in gateway.servers.items() if served.address}
    return {
        str(port): f"{'https' if served.has_tls else 'http'}://{served.address}"
        for port, served in sorted(open_ports.items())
    }


@asynccontextmanager
async def playground(
    directory: Path,
    ports: Ports = Ports(),
    *,
    memory: bool = False,
    reset: bool = False,
    on_progress: Callable[[str], None] = lambda step: None,
    clock: Clock | None = None,
) -> AsyncIterator[Playground]:
    """Run a playground while the body runs. Raises PlaygroundError when it cannot start.

    `directory` is absolute. `memory` keeps no objects on disk, `reset` throws away those of last time.
    `on_progress` is told each step.
    """
    clock = clock or SystemClock()
    failure: Exception | None = None
    with claimed(directory) as files:
        if reset:
            files.forget_objects()
        _check_ports(ports)
        async with AsyncExitStack() as stack:
            try:
                play = await _start(stack, files, ports, memory=memory, on_progress=on_progress, clock=clock)
                play.write_state()
                play.mesh.on_proxies(play.write_state)
                yield play
            except Exception as error:  # task groups on the stack would wrap it in groups
                failure = error
            on_progress("stopping")
        if isinstance(failure, EnvoyError):
            raise PlaygroundError(str(failure)) from failure
        if failure is not None:
            raise failure


async def _start(
    stack: AsyncExitStack,
    files: Files,
    ports: Ports,
    *,
    memory: bool,
    on_progress: Callable[[str], None],
    clock: Clock,
) -> Playground:
    """Start every part; the stack ends them in reverse: mesh, pods, Envoy, and the API server last."""
    on_progress("starting the API server")
    api = ApiProcess(files, ports.api, memory=memory, clock=clock)
    stack.push_async_callback(api.stop)
    await api.start()
    client = await connect(files.kubeconfig, timeout=API_TIMEOUT)
    stack.push_async_callback(client.close)
    if await seed(client):
        on_progress("created the sample workloads")

    on_progress("starting Envoy")
    addresses = Addresses(
        mesh=Address(HOST, ports.mesh),
        gateway=Address(HOST, ports.gateway),
        gateway_tls=Address(HOST, ports.gateway_tls),
    )
    dataplane = await stack.enter_async_context(DataPlane(files.envoy, addresses, clock=clock))

    on_progress("starting the pods")
    kubelet = Kubelet(client, logs=files.logs, seed=str(files.directory), clock=clock)
    tasks = await stack.enter_async_context(anyio.create_task_group())
    stack.callback(tasks.cancel_scope.cancel)
    tasks.start_soon(kubelet.run)
    tasks.start_soon(api.supervise, lambda: _seed_again(client))
    await kubelet.wait_ready(PODS_SECONDS_MAX)

    on_progress("configuring the mesh")
    mesh = await stack.enter_async_context(Mesh(client, dataplane, clock=clock))
    return Playground(files, client, api, dataplane, mesh, kubelet)


async def _seed_again(client: KubeClient) -> None:
    """An API server that keeps nothing on disk comes back empty."""
    try:
        await seed(client)
    except ClusterError as error:
        _log.error("cannot create the sample workloads", error=str(error))


def _check_ports(ports: Ports) -> None:
    """Find out before anything is started. Raises PlaygroundError naming the option that chooses another."""
    for field in fields(ports):
        name, port = field.name.replace("_", "-"), getattr(ports, field.name)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((HOST, port))
                sock.listen(1)
            except (OSError, OverflowError) as error:
                reason = getattr(error, "strerror", None) or error
                raise PlaygroundError(
                    f"cannot listen on {HOST}:{port}: {reason}; stop what uses it "
                    f"(ss -ltnp 'sport = :{port}'), or choose another port with --{name}-port (0: a free one)"
                ) from error
