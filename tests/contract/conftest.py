"""The clusters that keep the contract: the playground's API server, the fake, and any that is given.

`make contract KUBECONFIG=... [CONTEXT=...]` adds a cluster. Everything happens there in namespaces of our
own, which go again also after a failure or Ctrl-C; a missing definition is installed for that time.
Without a kubeconfig there is no such parameter: nothing is skipped that somebody could take for passed.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from fakes.apiserver import an_api_server
from fakes.borrowed_cluster import BorrowedCluster, borrowed
from fakes.cluster import FakeCluster
from fakes.raw_api import RawApi

from gitmesh.kube.client import KubeClient
from gitmesh.kube.connect import connect
from gitmesh.kube.protocol import ClusterClient
from gitmesh.model.kinds import NAMESPACE
from gitmesh.playground.apiserver.limits import ApiLimits

HISTORY = 40
BOOKMARK_SECONDS = 0.2
TIMEOUT = timedelta(seconds=30)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`client`: every cluster. `own_client`: those whose limits are ours to set. `api`: by HTTP."""
    given = ["kubeconfig"] if metafunc.config.getoption("kubeconfig") else []
    for name, params in (
        ("client", ["server", "fake", *given]),
        ("own_client", ["server", "fake"]),
        ("api", ["server", *given]),
    ):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, params, indirect=True)


@pytest.fixture(scope="module")
def server_kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    arguments = ("--watch-history-max", str(HISTORY), "--bookmark-seconds", str(BOOKMARK_SECONDS))
    with an_api_server(tmp_path_factory.mktemp("apiserver"), arguments=arguments) as server:
        yield server.kubeconfig


@dataclass(frozen=True)
class Given:
    """The cluster that was given, and what must be removed from it."""

    kubeconfig: Path
    context: str
    run: str

    async def open(self) -> KubeClient:
        return await connect(self.kubeconfig, context=self.context, timeout=TIMEOUT)


@pytest.fixture(scope="session")
def given_cluster(pytestconfig: pytest.Config) -> Iterator[Given]:
    """The definitions stay as long as there are tests; pytest comes back here also after Ctrl-C."""
    given = Given(
        Path(pytestconfig.getoption("kubeconfig")),
        str(pytestconfig.getoption("context")),
        uuid.uuid4().hex[:8],
    )
    installed: list[str] = []

    async def begin() -> None:
        client = await given.open()
        cluster = BorrowedCluster(client, given.run)
        try:
            await cluster.install_kinds()
        finally:
            installed.extend(cluster.installed)
            await client.close()

    async def end() -> None:
        client = await given.open()
        try:
            await BorrowedCluster(client, given.run, installed=installed).give_back()
        finally:
            await client.close()

    try:
        _apart(begin)
        yield given
    finally:
        _apart(end)


def _apart(work: Callable[[], Awaitable[None]]) -> None:
    """Run it in a loop of its own: pytest comes here from within one of a test."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(anyio.run, work).result()


Make = Callable[[], Awaitable[str]]


@dataclass(frozen=True)
class Cluster:
    """One cluster in one test."""

    client: ClusterClient
    make_namespace: Make


async def _of(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    if request.param == "fake":
        limits = ApiLimits(watch_history_max=HISTORY, bookmark_seconds=BOOKMARK_SECONDS)
        fake = FakeCluster(limits=limits)
        yield Cluster(fake, lambda: _namespace(fake))
        return
    if request.param == "server":
        real = await connect(request.getfixturevalue("server_kubeconfig"), timeout=TIMEOUT)
        try:
            yield Cluster(real, lambda: _namespace(real))
        finally:
            await real.close()
        return
    given: Given = request.getfixturevalue("given_cluster")
    client = await given.open()
    try:
        async with borrowed(client, kinds=False) as cluster:
            yield Cluster(client, cluster.namespace)
    finally:
        await client.close()


async def _namespace(client: ClusterClient) -> str:
    name = f"t-{uuid.uuid4().hex[:10]}"
    await client.create(NAMESPACE, {"metadata": {"name": name}})
    return name


async def _client(request: pytest.FixtureRequest) -> AsyncIterator[ClusterClient]:
    async for found in _of(request):
        request.node.stash[_MAKE] = found.make_namespace
        yield found.client


_MAKE = pytest.StashKey[Make]()


@pytest.fixture
async def client(request: pytest.FixtureRequest) -> AsyncIterator[ClusterClient]:
    async for found in _client(request):
        yield found


@pytest.fixture
async def own_client(request: pytest.FixtureRequest) -> AsyncIterator[ClusterClient]:
    async for found in _client(request):
        yield found


@pytest.fixture
async def api(request: pytest.FixtureRequest) -> AsyncIterator[RawApi]:
    """The same by plain HTTP: any manager, any form of patch, any header."""
    async for found in _client(request):
        assert isinstance(found, KubeClient)
        async with RawApi(found) as raw:
            yield raw


@pytest.fixture
def make_namespace(request: pytest.FixtureRequest) -> Make:
    """Makes a namespace that goes with the test. Ask for it after a client."""
    for name in ("client", "own_client", "api"):
        if name in request.fixturenames:
            request.getfixturevalue(name)
    return request.node.stash[_MAKE]  # type: ignore[no-any-return]  # a stash is untyped here


@pytest.fixture
async def namespace(make_namespace: Make) -> str:
    return await make_namespace()
