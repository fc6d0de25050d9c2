"""`gitmesh play`: the playground, until Ctrl-C.

Stage: none (face).
"""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path

import anyio
import click

from gitmesh.cli.connection import run_async
from gitmesh.cli.logs import LEVELS, configure
from gitmesh.engine.clock import SystemClock
from gitmesh.model.errors import EdgeError
from gitmesh.playground.pods import ERROR_PERCENT
from gitmesh.playground.state import default_directory
from gitmesh.playground.supervisor import Playground, Ports, playground
from gitmesh.playground.translate.proxies import CLIENT

_DEFAULT = Ports()
_PORT = click.IntRange(0, 65535)


@click.command(short_help="Start the playground.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    help="Where it keeps its files [default: $XDG_STATE_HOME/gitmesh/play].",
)
@click.option(
    "--api-port", type=_PORT, default=_DEFAULT.api, show_default=True, help="Port of the API server."
)
@click.option(
    "--gateway-port",
    type=_PORT,
    default=_DEFAULT.gateway,
    show_default=True,
    help="Port of the ingress gateway.",
)
@click.option(
    "--gateway-tls-port",
    type=_PORT,
    default=_DEFAULT.gateway_tls,
    show_default=True,
    help="Port of the ingress gateway for https.",
)
@click.option(
    "--mesh-port", type=_PORT, default=_DEFAULT.mesh, show_default=True, help="Port of the mesh's listener."
)
@click.option("--memory", is_flag=True, help="Keep no objects on disk.")
@click.option("--reset", is_flag=True, help="Throw away the objects of last time.")
@click.option(
    "--repo",
    "folder",
    type=click.Path(path_type=Path, exists=True),
    help="A working copy to preview: what is saved there is validated, and live at once.",
)
@click.option("--log-level", type=click.Choice(LEVELS), default="warning", show_default=True)
def play(
    directory: Path | None,
    api_port: int,
    gateway_port: int,
    gateway_tls_port: int,
    mesh_port: int,
    memory: bool,
    reset: bool,
    folder: Path | None,
    log_level: str,
) -> None:
    """Start a mesh on this machine and keep it running until Ctrl-C.

    It is a small Kubernetes API server that kubectl works on, a real Envoy that follows the Istio objects in
    it, and a process of a sample service for each Pod. Everything listens on 127.x addresses only. Objects
    are kept for the next time, unless --memory or --reset says otherwise. A port of 0 takes a free one.

    With --repo the playground follows a working copy: a saved file is live at once, a state with an error is
    not, and the last good one stays.

    \b
    Examples:
      gitmesh play
      gitmesh play --repo manifests
      gitmesh play --reset --dir /tmp/mesh --api-port 0 --gateway-port 0 \\
        --gateway-tls-port 0 --mesh-port 0
    """
    configure(log_level, "auto")
    where = (directory or default_directory()).absolute()
    ports = Ports(api=api_port, gateway=gateway_port, gateway_tls=gateway_tls_port, mesh=mesh_port)
    is_default = directory is None
    run_async(lambda: _play(where, ports, folder, memory=memory, reset=reset, is_default=is_default))


async def _play(
    directory: Path, ports: Ports, folder: Path | None, *, memory: bool, reset: bool, is_default: bool
) -> None:
    option = "" if is_default else f" --playground-dir {shlex.quote(str(directory))}"
    failure: EdgeError | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(_stop_on_signal, group.cancel_scope)
        try:
            async with playground(
                directory, ports, memory=memory, reset=reset, on_progress=_progress
            ) as running:
                click.echo(_welcome(running, option=option, folder=folder))
                if folder is None:
                    await anyio.sleep_forever()
                else:
                    await _preview(running, folder)
        except EdgeError as error:  # the group would wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    click.echo("stopped", err=True)


async def _preview(running: Playground, folder: Path) -> None:
    from gitmesh.cli.preview_text import preview_text
    from gitmesh.playground.preview import Preview

    click.echo(f"Following {folder}. Save a file to change the mesh.\n")
    preview = Preview(
        running.client,
        folder,
        on_shown=lambda shown: click.echo(f"{preview_text(shown)}\n"),
        clock=SystemClock(),
    )
    await preview.run()


def _progress(step: str) -> None:
    click.echo(f"{step} ...", err=True)


def _welcome(running: Playground, *, option: str, folder: Path | None) -> str:
    kubeconfig = shlex.quote(str(running.kubeconfig))
    gateway, mesh = running.gateway_address.url, running.mesh_address.url
    rows = (
        ("API server", running.api_url),
        ("kubeconfig", str(running.kubeconfig)),
        ("mesh", f"{mesh}  (the Host header chooses the service)"),
        ("gateway", f"{gateway}  (serves what a Gateway and a VirtualService name)"),
        ("", f"https://{running.gateway_tls_address}  (the same, for Gateways with TLS)"),
        ("probe", f"{running.probe_address.url}  (says which route takes a request)"),
        ("metrics", running.metrics_url),
        ("logs", str(running.files.logs)),
    )
    as_pod = _as_pod(running)
    table = "\n".join(f"  {name:<12}{value}" for name, value in rows)
    return f"""
The playground runs (process {os.getpid()}). Ctrl-C stops it.

{table}

Look around, in another terminal:

  export KUBECONFIG={kubeconfig}
  kubectl get pods,services -o wide
  curl -H 'Host: reviews:9080' {mesh}/reviews{as_pod}
  gitmesh explain http://reviews:9080/reviews{option}
  curl -i {gateway}/
  kubectl annotate pod reviews-v2 {ERROR_PERCENT}=30 --overwrite
{_STEERED.format(option=option) if folder is None else ""}"""


_STEERED = """
Have a repository steer it:

  gitmesh run --playground{option} --repo DIR
  gitmesh status --playground{option} --watch
"""


def _as_pod(running: Playground) -> str:
    """Return a request that a Pod makes, where there is a Pod."""
    for proxy in running.mesh.proxies:
        if proxy.outbound and proxy.name != CLIENT:
            return f"\n  curl --proxy {proxy.outbound.url} http://reviews:9080/reviews    # as {proxy.name}"
    return ""


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async for _ in signals:
            scope.cancel()
            return
