"""`gitmesh run`: the daemon.

Stage: none (face).
"""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import click
import structlog

from gitmesh.apply.sources import ensure_source
from gitmesh.apply.sync_requests import request_sync
from gitmesh.cli.connection import Connection, cluster_options, connection, run_async
from gitmesh.cli.logs import configure, set_level
from gitmesh.cli.main import Refused
from gitmesh.cli.setting_options import DurationType, setting_options
from gitmesh.cli.setting_sources import Sources, sources
from gitmesh.engine.clock import SystemClock
from gitmesh.engine.reloading import Reading, Reloader
from gitmesh.engine.wiring import Running, daemon, lead, on_loop
from gitmesh.fetch.file_watch import file_watch
from gitmesh.model.config import Config
from gitmesh.model.kinds import POD
from gitmesh.model.resource import Resource, resource_from_body
from gitmesh.model.source import TrafficSourceSpec
from gitmesh.web.health import app
from gitmesh.web.hooks.receiver import HookReceiver
from gitmesh.web.serving import serve, serve_strangers


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
@setting_options
@click.pass_context
def run(
    ctx: click.Context,
    /,
    kubeconfig: Path | None,
    context: str,
    playground: bool,
    playground_dir: Path | None,
    **options: Any,
) -> None:
    """Run the daemon: make a cluster follow its TrafficSources until stopped.

    The cluster is that of --kubeconfig, the one the daemon runs in, or the playground. Every option can
    also be an environment variable: --data-dir is GITMESH_RUN_DATA_DIR. All settings can stand in a file;
    `gitmesh config` shows them.

    \b
    Examples:
      gitmesh run --playground --repo ./my-mesh
      gitmesh run --kubeconfig ~/.kube/config --prometheus http://127.0.0.1:9090
      gitmesh run --config /etc/gitmesh/config.yaml
    """
    configure(options["log_level"], options["log_format"])
    where = connection(kubeconfig, context, playground, playground_dir)
    given = sources(ctx, where.playground)
    first = read(given)
    if first.config is None:
        raise Refused("\n".join(first.problems))
    configure(first.config.log.level, first.config.log.format)
    source = _source(options, first.config) if options["repo"] else None
    run_async(lambda: _serve(where, given, first, options["name"], options["namespace"], source))


def read(given: Sources) -> Reading:
    """Read the configuration as it stands now."""
    loaded = given.load()
    problems = tuple(str(problem) for problem in loaded.settled.problems)
    return Reading(loaded.digest, loaded.settled.config, problems)


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
    where: Connection,
    given: Sources,
    first: Reading,
    name: str,
    namespace: str,
    source: TrafficSourceSpec | None,
) -> None:
    log, config = structlog.get_logger(), first.config
    assert config is not None
    async with daemon(config, where.kubeconfig, where.context) as running:
        if source is not None:
            await ensure_source(running.cluster, namespace, name, source)
        async with anyio.create_task_group() as group:
            group.start_soon(_stop_on_signal, group.cancel_scope)
            if config.listen_port:
                health = app(lambda: running.ready, running.shards, running.meters.registry)
                group.start_soon(serve, health, config.listen_host, config.listen_port)
            hooks = receiver_of(running, config) if config.receiver_port else None
            if hooks is not None:
                address = config.receiver_host, config.receiver_port
                group.start_soon(serve_strangers, hooks.app(), *address, config.receiver)
            if given.files:
                group.start_soon(_follow, given, first, running, hooks)
            log.info("daemon started", stage="engine", data_dir=str(config.data_dir))
            await lead(running)
    log.info("daemon stopped", stage="engine")


def receiver_of(running: Running, config: Config) -> HookReceiver:
    """Return what takes webhooks, on every replica: one that does not lead marks a source just the same."""
    return HookReceiver(
        config.receivers,
        config.receiver,
        sources=running.sources,
        wake=lambda key: request_sync(running.cluster, key),
        clock=SystemClock(),
        meters=running.meters,
    )


async def _follow(given: Sources, first: Reading, running: Running, hooks: HookReceiver | None) -> None:
    """Follow the files with settings until cancelled."""

    async def apply(config: Config) -> None:
        if hooks is not None:
            hooks.configure(config.receivers)  # first: it may refuse
        await running.configure(config)
        set_level(config.log.level)

    async def tell(type_: str, reason: str, message: str) -> None:
        if pod := _own_pod():
            await running.events.record(pod, type_, reason, message)

    reloader = Reloader(
        lambda: read(given),
        first,
        apply,
        tell=tell,
        meters=running.meters,
        log=structlog.get_logger(),
    )
    with file_watch(given.files, on_loop(reloader.wake)):
        reloader.wake()  # what changed since it was read
        await reloader.run()


def _own_pod() -> Resource | None:
    """Return the Pod that this is, as the Deployment tells it; None outside of a cluster."""
    name, namespace = os.environ.get("POD_NAME", ""), os.environ.get("POD_NAMESPACE", "")
    if not name or not namespace:
        return None
    metadata = {"name": name, "namespace": namespace, "uid": os.environ.get("POD_UID", "")}
    return resource_from_body({"apiVersion": POD.api_version, "kind": POD.kind, "metadata": metadata})


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
            return
