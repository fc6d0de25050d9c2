"""The process: its socket, its files, and how it starts and stops.

Stage: playground (effect).
"""

from __future__ import annotations

import base64
import errno
import ipaddress
import json
import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from gitmesh.playground.apiserver.app import make_app
from gitmesh.playground.apiserver.certificate import ensure_certificate
from gitmesh.playground.apiserver.cluster import Cluster
from gitmesh.playground.apiserver.limits import ApiLimits
from gitmesh.playground.apiserver.setup import open_cluster
from gitmesh.playground.apiserver.store import StoreError

_BACKLOG = 128
_KEEP_ALIVE_SECONDS = 120
_STOP_SECONDS = 1


class StartError(Exception):
    """The server cannot start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What the command line says. The certificate stands beside the token file, as `<token file>.pem`."""

    host: str
    port: int
    token_file: Path
    database: str
    kubeconfig: Path | None = None
    ready_file: Path | None = None
    limits: ApiLimits = field(default_factory=ApiLimits)


def serve(options: ServeOptions) -> None:
    """Serve until a signal ends it. Raises StartError."""
    listener = _listen(options.host, options.port)
    try:
        token = _ensure_token(options.token_file)
        pem = options.token_file.with_name(options.token_file.name + ".pem")
        authority = ensure_certificate(pem, _now())
        cluster = open_cluster(options.database, now=_now, monotonic=time.monotonic, limits=options.limits)
    except (StoreError, OSError) as error:
        listener.close()
        raise StartError(str(error)) from error
    address = f"https://{options.host}:{listener.getsockname()[1]}"

    def started() -> None:
        if options.kubeconfig:
            _write_private(options.kubeconfig, kubeconfig_text(address, token, authority))
        if options.ready_file:
            _write_private(options.ready_file, f"{address}\n")

    try:
        _Server(_config(cluster, token, pem), cluster, started).run(sockets=[listener])
    finally:
        cluster.store.close()


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 (the clock of this process)


def _config(cluster: Cluster, token: str, pem: Path) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(cluster, token),
        ssl_certfile=pem,
        access_log=False,
        log_level="warning",
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, cluster: Cluster, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._cluster = cluster
        self._on_start = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Watches would keep their connections open; end them first, as a real server does.
        self._cluster.stopping = True
        self._cluster.store.wake_all()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise StartError(
            f"{host} is not a loopback address; this server is for one machine, use --host 127.0.0.1"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's algorithm off only then: 40 ms for each answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise StartError(
                f"{host}:{port} is in use by another process; stop it (find it with: ss -ltnp), "
                f"or choose another port with --port (0 picks a free one)"
            ) from error
        raise StartError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another --port"
        ) from error
    return listener


def _ensure_token(path: Path) -> str:
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(32) + "\n")
    token = path.read_text().strip()
    if not token:
        raise StartError(f"the token file {path} is empty; remove it and a new one is made")
    return token


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


def kubeconfig_text(address: str, token: str, authority: str) -> str:
    """Return a kubeconfig as JSON, which is YAML too."""
    authority_data = base64.b64encode(authority.encode()).decode()
    name = "gitmesh-playground"
    context = {"cluster": name, "user": name, "namespace": "default"}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": name, "cluster": {"server": address, "certificate-authority-data": authority_data}}
            ],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": context}],
            "current-context": name,
        },
        indent=2,
    )
