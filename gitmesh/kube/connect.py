"""From a kubeconfig, or from inside a Pod, to a client.

Stage: observe and apply (effect). The only module that imports the official client, and only when called.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from copy import copy
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio

from gitmesh import __version__
from gitmesh.kube.client import KubeClient
from gitmesh.kube.errors import ClusterError, RejectedError
from gitmesh.kube.kubeconfig import Chosen, choose, unusable

CONNECTIONS_MAX = 100
LOGIN_TIMEOUT_SECONDS = 30  # a credential plugin may open a browser or ask a cloud
TOKEN_FILE_SECONDS = 60  # how long a token that was read from a file is used; as client-go does
KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


async def connect(
    kubeconfig: Path | None,
    *,
    context: str = "",
    timeout: timedelta,
    environ: Mapping[str, str] | None = None,
    check: bool = True,
    identity: str = "",
) -> KubeClient:
    """Return a client; with `check` only one that the server has answered.

    `identity` tells this process from others in the server's audit log, as a part of the user agent.

    Looks at `kubeconfig`, else at $KUBECONFIG, else for the token of a Pod, else at ~/.kube/config.
    Raises ClusterError: a file is missing or broken, the context is unknown, the server does not answer.
    """
    env = os.environ if environ is None else environ
    configuration = await _configuration(kubeconfig, context, env)
    agent = f"gitmesh/{__version__}" + (f" ({identity})" if identity else "")
    client = KubeClient(_api_client(configuration, agent), timeout=timeout)
    if check:
        try:
            await _greet(client)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await client.close()
            raise
    return client


def apart(client: KubeClient) -> KubeClient:
    """Return a client of the same server and login that opens a connection for every request.

    A connection that was kept may lead to nowhere, and nothing tells before a request on it has failed.
    """
    api = _api_client(copy(client.configuration), client.agent, kept=False)
    return KubeClient(api, timeout=client.timeout)


async def _greet(client: KubeClient) -> None:
    try:
        await client.greet()
    except RejectedError as error:
        # A hardened server may forbid even this; then it knows us, and that is what was asked.
        if error.status != 403 or "system:anonymous" in str(error):
            raise


async def _configuration(kubeconfig: Path | None, context: str, env: Mapping[str, str]) -> Any:
    if kubeconfig is None and not env.get("KUBECONFIG") and env.get("KUBERNETES_SERVICE_HOST"):
        return _of_pod(env)
    return await _of_kubeconfig(choose(kubeconfig, context, env))


def _of_pod(env: Mapping[str, str]) -> Any:
    from kubernetes.aio.client.configuration import Configuration
    from kubernetes.aio.config import ConfigException
    from kubernetes.aio.config.incluster_config import (
        SERVICE_CERT_FILENAME,
        SERVICE_TOKEN_FILENAME,
        InClusterConfigLoader,
    )

    configuration = Configuration()
    loader = InClusterConfigLoader(SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME, environ=env)
    try:
        loader.load_and_set(configuration)
    except (ConfigException, OSError) as error:
        raise ClusterError(
            f"connect from inside a Pod: {error}; give the Pod a service account token, or pass --kubeconfig",
            retryable=False,
        ) from error
    return configuration


async def _of_kubeconfig(chosen: Chosen) -> Any:
    from kubernetes.aio.client.configuration import Configuration
    from kubernetes.aio.config import load_kube_config

    configuration = Configuration()
    try:
        with anyio.fail_after(LOGIN_TIMEOUT_SECONDS):
            loader = await load_kube_config(
                config_file=chosen.files,
                context=chosen.context,
                client_configuration=configuration,
                persist_config=False,
            )
    except TimeoutError as error:
        raise unusable(
            chosen.files, f"the login of user {chosen.user_name!r} took over {LOGIN_TIMEOUT_SECONDS} s"
        ) from error
    except Exception as error:
        raise unusable(chosen.files, _safe_text(error)) from error
    if "exec" in chosen.user and "BearerToken" not in configuration.api_key and not configuration.cert_file:
        raise unusable(
            chosen.files, f"the credential plugin of user {chosen.user_name!r} gave no credentials"
        )
    _keep_fresh(configuration, loader, chosen)
    return configuration


def _keep_fresh(configuration: Any, loader: Any, chosen: Chosen) -> None:
    """Renew credentials that end. The official client does so for Pods only."""
    renew_at = anyio.current_time() + TOKEN_FILE_SECONDS

    async def from_plugin(configuration: Any) -> None:
        await loader.load_from_exec_plugin()  # asks the plugin only after the expiry that it named
        configuration.api_key["BearerToken"] = loader.token

    async def from_file(configuration: Any) -> None:
        nonlocal renew_at
        if anyio.current_time() >= renew_at:
            renew_at = anyio.current_time() + TOKEN_FILE_SECONDS
            token = await anyio.Path(chosen.token_file).read_text()
            configuration.api_key["BearerToken"] = f"Bearer {token.strip()}"

    if hasattr(loader, "exec_plugin_expiry") and "BearerToken" in configuration.api_key:
        configuration.refresh_api_key_hook = from_plugin
    elif chosen.token_file:
        configuration.refresh_api_key_hook = from_file


def _safe_text(error: Exception) -> str:
    """Return the error's text, unless it may quote a part of the file: that can hold a token."""
    text = str(error)
    return type(error).__name__ if "{" in text or len(text) > 300 else text


def _api_client(configuration: Any, agent: str, *, kept: bool = True) -> Any:
    """Return the official client; `kept`: it keeps connections for the next request."""
    from kubernetes.aio.client.api_client import ApiClient

    try:
        api = ApiClient(configuration)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ClusterError(
            f"connect to {configuration.host}: certificates cannot be read: {error}; renew the kubeconfig",
            retryable=False,
        ) from error
    api.user_agent = agent
    configuration.client_session_kwargs = {
        "connector": aiohttp.TCPConnector(
            ssl=api.rest_client.ssl_context,
            limit=CONNECTIONS_MAX,
            force_close=not kept,
            socket_factory=_socket,
        ),
        # As in Go, a proxy of the environment is never used for loopback; aiohttp would use it.
        "trust_env": not _is_loopback(configuration.host),
    }
    return api


def _socket(address: Any) -> socket.socket:
    """Open a socket that notices a peer that has gone without a word: an idle watch sends nothing."""
    family, type_, proto, _, _ = address
    sock = socket.socket(family, type_, proto)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return sock


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
