"""The options that give settings, each with the setting that it gives.

Stage: none (face). An option is also a variable, GITMESH_RUN_*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from gitmesh.cli.logs import LEVELS
from gitmesh.model.values import parse_duration

F = TypeVar("F", bound=Callable[..., Any])

_SETTINGS: dict[str, tuple[str, ...]] = {}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


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


class PartType(click.ParamType[Any]):
    """The number of a part, or auto."""

    name = "index"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it; -1 stands for auto."""
        if value in ("auto", -1):
            return -1
        if not str(value).isdecimal():
            self.fail(f"{value!r} is neither a number nor auto", param, ctx)
        return int(value)


def _option(flag: str, name: str = "", *, setting: str = "", variable: str = "", **how: Any) -> Any:
    """Return an option. `setting` is the path of what it gives; empty: more, or other, than one setting."""
    name = name or flag.partition("/")[0].removeprefix("--").replace("-", "_")
    if setting:
        _SETTINGS[name] = tuple(setting.split("."))
    return click.option(flag, name, envvar=f"GITMESH_RUN_{(variable or name).upper()}", **how)


_OPTIONS = (
    _option(
        "--config",
        "config_file",
        variable="config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="YAML file with settings; a change to it takes effect at once.",
    ),
    _option(
        "--data-dir",
        setting="dataDir",
        type=click.Path(path_type=Path),
        help="Where mirrors are kept.",
    ),
    _option("--prometheus", default="", help="URL of a Prometheus that scrapes Istio's metrics."),
    _option(
        "--providers",
        type=_FILE,
        help="YAML file with a list of metrics providers, with logins and certificates.",
    ),
    _option("--scrape", default="", help="URL of an Envoy's own metrics, when there is no Prometheus."),
    _option(
        "--gate-host",
        "gate_hosts",
        setting="gateHosts",
        multiple=True,
        help="A host that gates of policies may ask, as a pattern; may be given again. [default: any]",
    ),
    _option(
        "--settle",
        setting="settle",
        type=DurationType(),
        default="2s",
        show_default=True,
        help="Wait between waves of a plan.",
    ),
    _option(
        "--allow-file-urls",
        setting="allowFileUrls",
        is_flag=True,
        help="Allow repositories on this machine (file://).",
    ),
    _option("--listen", default="", help="Serve /healthz, /readyz and /metrics at HOST:PORT."),
    _option("--receiver", default="", help="Take webhooks at HOST:PORT, below /hooks/."),
    _option(
        "--receivers",
        type=_FILE,
        help="YAML file with a list of webhook receivers, each with its secret.",
    ),
    _option(
        "--leader-election/--no-leader-election",
        setting="leaderElection",
        default=False,
        help="Work only while holding a Lease.",
    ),
    _option(
        "--shard",
        setting="sharding.label",
        default="",
        help="Work on the TrafficSources with this label gitmesh.dev/shard [default: those without it].",
    ),
    _option(
        "--shards",
        setting="sharding.count",
        type=click.IntRange(1, 64),
        default=1,
        show_default=True,
        help="Cut them into so many parts, which the replicas share.",
    ),
    _option(
        "--shard-index",
        setting="sharding.index",
        type=PartType(),
        default="auto",
        show_default=True,
        help="Work on this part alone, counted from 0; auto: on any.",
    ),
    _option("--log-level", setting="log.level", type=click.Choice(LEVELS), default="info", show_default=True),
    _option(
        "--log-format",
        setting="log.format",
        type=click.Choice(["auto", "json", "text"]),
        default="auto",
        show_default=True,
    ),
)

# option -> the setting that it is. An address is two settings, and providers are joined.
SETTINGS: Mapping[str, tuple[str, ...]] = _SETTINGS


def setting_options(command: F) -> F:
    """Add --config and every option that is a setting."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
