"""`gitmesh run`: the daemon.

Stage: none (face).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import click
import structlog
from pydantic import ValidationError

from gitmesh.apply.sources import ensure_source
from gitmesh.apply.sync_requests import request_sync
from gitmesh.cli.connection import Connection, cluster_options, connection, run_async
from gitmesh.cli.listed import read_providers, read_receivers
from gitmesh.cli.logs import LEVELS, configure
from gitmesh.engine.clock import SystemClock
from gitmesh.engine.wiring import Running, daemon, lead
from gitmesh.model.config import Config, MetricsConfig
from gitmesh.model.providers import Provider
from gitmesh.model.source import TrafficSourceSpec
from gitmesh.model.values import parse_duration
from gitmesh.web.health import app
from gitmesh.web.hooks.receiver import HookReceiver
from gitmesh.web.serving import serve, serve_strangers

T = TypeVar("T")


def default_data_dir() -> Path:
    """Return where mirrors are kept unless told otherwise."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "gitmesh" / "data"


class DurationType(click.ParamType[Any]):
    """A duration such as 250ms, 10s or 1m30s."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the text."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(short_help="Run the daemon.")
@cluster_options
@click.option("--repo", help="Also create a TrafficSource for this repository (a URL or a directory).")
@click.option("--name", default="traffic", show_default=True, help="Name of that TrafficSource.")
@click.option(
    "-n", "--namespace", default="default", show_default=True, help="Namespace of that TrafficSource."
)
@click.option("--branch", default="main", show_default=True, help="Branch of that repository.")
@click.option("--path", default=".", show_default=True, help="Directory inside that repository.")
@click.option(
    "--interval", type=DurationType(), default="1m", show_default=True, help="How often to poll it."
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where mirrors are kept.")
@click.option("--prometheus", default="", help="URL of a Prometheus that scrapes Istio's metrics.")
@click.option(
    "--providers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file with a list of metrics providers, with logins and certificates.",
)
@click.option("--scrape", default="", help="URL of an Envoy's own metrics, when there is no Prometheus.")
@click.option(
    "--gate-host",
    "gate_hosts",
    multiple=True,
    help="A host that gates of policies may ask, as a pattern; may be given again. [default: any]",
)
@click.option(
    "--settle", type=DurationType(), default="2s", show_default=True, help="Wait between waves of a plan."
)
@click.option("--allow-file-urls", is_flag=True, help="Allow repositories on this machine (file://).")
@click.option("--listen", default="", help="Serve /healthz, /readyz and /metrics at HOST:PORT.")
@click.option("--receiver", default="", help="Take webhooks at HOST:PORT, below /hooks/.")
@click.option(
    "--receivers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file with a list of webhook receivers, each with its secret.",
)
@click.option(
    "--leader-election/--no-leader-election", default=False, help="Work only while holding a Lease."
)
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
@click.option("--log-format", type=click.Choice(["auto", "json", "text"]), default="auto", show_default=True)
def run(
    kubeconfig: Path | None,
    context: str,
    playground: bool,
    playground_dir: Path | None,
    log_level: str,
    log_format: str,
    **options: Any,
) -> None:
    """Run the daemon: make a cluster follow its TrafficSources until stopped.

    The cluster is that of --kubeconfig, the one the daemon runs in, or the playground. Every option can
    also be an environment variable: --data-dir is GITMESH_RUN_DATA_DIR.

    \b
    Examples:
      gitmesh run --playground --repo ./my-mesh
      gitmesh run --kubeconfig ~/.kube/config --prometheus http://127.0.0.1:9090
    """
    configure(log_level, log_format)
    where = connection(kubeconfig, context, playground, playground_dir)
    config = _config(where, options)
    source = _source(options, config) if options["repo"] else None
    run_async(lambda: _serve(where, config, options["name"], options["namespace"], source))


def _config(where: Connection, options: dict[str, Any]) -> Config:
    host, port = _address("--listen", options["listen"], "127.0.0.1:8080")
    receiver_host, receiver_port = _address("--receiver", options["receiver"], "127.0.0.1:9292")
    if bool(receiver_port) != bool(options["receivers"]):
        raise click.UsageError(
            "--receiver and --receivers belong together: where webhooks come in, and whose"
        )
    scrape = options["scrape"]
    if where.playground and not options["prometheus"]:
        scrape = scrape or where.playground["metrics"]
    return Config(
        data_dir=options["data_dir"] or default_data_dir(),
        # A playground is this machine's own, and so are the repositories that it is tried with.
        allow_file_urls=options["allow_file_urls"] or where.playground is not None,
        settle=options["settle"],
        gate_hosts=options["gate_hosts"] or ("*",),
        listen_host=host,
        listen_port=port,
        receivers=_listed("--receivers", options["receivers"], read_receivers),
        receiver_host=receiver_host,
        receiver_port=receiver_port,
        leader_election=options["leader_election"],
        metrics=MetricsConfig(providers=_providers(options["providers"], options["prometheus"], scrape)),
    )


def _address(option: str, text: str, example: str) -> tuple[str, int]:
    """Return host and port; port 0 where the option is not given."""
    host, _, port = text.rpartition(":")
    if text and not (port.isdigit() and 0 < int(port) < 65_536):
        raise click.UsageError(f"{option} {text}: write HOST:PORT, for example {example}")
    return host.strip("[]") or "127.0.0.1", int(port or 0)


def _listed(option: str, file: Path | None, read: Callable[[str], tuple[T, ...]]) -> tuple[T, ...]:
    try:
        return read(file.read_text()) if file else ()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{option} {file}: {error}") from None


def _providers(file: Path | None, prometheus: str, scrape: str) -> tuple[Provider, ...]:
    """Return the providers of the file, then those that are given by their address alone."""
    listed = _listed("--providers", file, read_providers)
    names = [provider.name for provider in listed]
    plain = (_plain("prometheus", prometheus), _plain("scrape", scrape))
    return (*listed, *(provider for provider in plain if provider and provider.name not in names))


def _plain(kind: Literal["prometheus", "scrape"], url: str) -> Provider | None:
    """Return a provider that is given by its address alone; None where it is not given."""
    try:
        return Provider(name=kind, kind=kind, url=url) if url else None
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise click.UsageError(f"--{kind} {url}: {said}") from None


def _source(options: dict[str, Any], config: Config) -> TrafficSourceSpec:
    url = options["repo"]
    if "://" not in url and Path(url).exists():
        url = Path(url).resolve().as_uri()
    if url.startswith("file:") and not config.allow_file_urls:
        raise click.UsageError(f"--repo {url}: a repository on this machine needs --allow-file-urls")
    if options["interval"] < timedelta(seconds=1):
        raise click.UsageError(
            "--interval must be at least 1s; pushes to this machine are seen without polling"
        )
    return TrafficSourceSpec(
        url=url, branch=options["branch"], path=options["path"], interval=options["interval"]
    )


async def _serve(
    where: Connection, config: Config, name: str, namespace: str, source: TrafficSourceSpec | None
) -> None:
    log = structlog.get_logger()
    async with daemon(config, where.kubeconfig, where.context) as running:
        if source is not None:
            await ensure_source(running.cluster, namespace, name, source)
        async with anyio.create_task_group() as group:
            group.start_soon(_stop_on_signal, group.cancel_scope)
            if config.listen_port:
                health = app(lambda: running.ready, running.meters.registry)
                group.start_soon(serve, health, config.listen_host, config.listen_port)
            if config.receiver_port:
                hooks = receiver_of(running, config).app()
                address = config.receiver_host, config.receiver_port
                group.start_soon(serve_strangers, hooks, *address, config.receiver)
            log.info("daemon started", stage="engine", data_dir=str(config.data_dir))
            await lead(running, config)
    log.info("daemon stopped", stage="engine")


def receiver_of(running: Running, config: Config) -> HookReceiver:
    """Return what takes webhooks, on every replica: one that does not lead marks a source just the same."""
    return HookReceiver(
        config.receivers,
        config.receiver,
        sources=running.daemon.sources,
        wake=lambda key: request_sync(running.cluster, key),
        clock=SystemClock(),
        meters=running.meters,
    )


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
            return
