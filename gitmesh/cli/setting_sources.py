"""Everything that gives settings to `gitmesh run` and `gitmesh config`: options, variables, files.

Stage: none (face).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
from click.core import ParameterSource
from pydantic import ValidationError

from gitmesh.cli.listed import read_providers, read_receivers
from gitmesh.cli.setting_options import SETTINGS
from gitmesh.model.providers import Provider
from gitmesh.parse.settings import Layer, Problem, Settled, read_environment, read_file, settle

T = TypeVar("T")


def default_data_dir() -> Path:
    """Return where mirrors are kept unless told otherwise."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "gitmesh" / "data"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What all sources say together. `digest` is of the files: equal digests, equal settings."""

    settled: Settled
    digest: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that settings come from. Each `load` reads the files anew."""

    file: Path | None
    providers: Path | None
    receivers: Path | None
    below: Layer  # what the command itself presumes: the data directory, and what a playground needs
    above: tuple[Layer, ...]  # environment and options
    plain: tuple[tuple[Provider, str], ...]  # providers that an option gives by their address alone
    problems: tuple[Problem, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that may change."""
        return tuple(path for path in (self.file, self.providers, self.receivers) if path is not None)

    def load(self) -> Loaded:
        """Read the files, and let each source overrule those before it."""
        digest = hashlib.sha256()
        layers, problems = [self.below], list(self.problems)
        if self.file is not None:
            content, wrong = _content(self.file)
            digest.update(b"file" + content)
            layer, found = read_file(str(self.file), content)
            layers.append(layer)
            problems += wrong or found
        layers += self.above
        listed, wrong = _listed("--providers", self.providers, read_providers, digest)
        problems += wrong
        layers += self._with_providers(layers, listed)
        receivers, wrong = _listed("--receivers", self.receivers, read_receivers, digest)
        problems += wrong
        if self.receivers is not None:
            layers.append(Layer(f"--receivers {self.receivers}", {"receivers": receivers}))
        settled = settle(layers)
        problems += settled.problems
        if problems:
            settled = Settled(None, settled.origins, tuple(problems))
        return Loaded(settled, digest.hexdigest())

    def _with_providers(self, layers: list[Layer], listed: tuple[Provider, ...]) -> list[Layer]:
        """Return a layer with the providers of a list, then those of single options."""
        if not listed and not self.plain:
            return []
        found: list[Any] = list(listed)
        origins = [f"--providers {self.providers}"] if listed else []
        if not listed:
            for layer in layers:
                group = layer.values.get("metrics")
                given = group.get("providers") if isinstance(group, Mapping) else None
                if isinstance(given, list):
                    found, origins = list(given), [layer.place(("metrics", "providers"))]
        names = {one.get("name") if isinstance(one, Mapping) else getattr(one, "name", "") for one in found}
        for provider, origin in self.plain:
            if provider.name not in names:
                found.append(provider)
                origins.append(origin)
        path = ("metrics", "providers")
        return [Layer("options", {"metrics": {"providers": found}}, {path: " and ".join(origins)})]


def sources(ctx: click.Context, playground: Mapping[str, Any] | None) -> Sources:
    """Return where the settings of this command line come from."""
    options = ctx.params
    below: dict[str, Any] = {"dataDir": default_data_dir()}
    names: dict[tuple[str, ...], str] = {}
    scrape, scrape_from = options["scrape"], _origin(ctx, "scrape")
    if playground is not None:
        # A playground is this machine's own, and so are the repositories that it is tried with.
        below["allowFileUrls"] = True
        names["allowFileUrls",] = "playground"
        if not options["prometheus"] and not scrape:
            scrape, scrape_from = playground["metrics"], "playground"
    environment, problems = read_environment(os.environ)
    plain = (
        (_plain("prometheus", options["prometheus"]), _origin(ctx, "prometheus")),
        (_plain("scrape", scrape), scrape_from),
    )
    return Sources(
        file=options["config_file"],
        providers=options["providers"],
        receivers=options["receivers"],
        below=Layer("default", below, names),
        above=(
            environment,
            _of_options(ctx, ParameterSource.ENVIRONMENT),
            _of_options(ctx, ParameterSource.COMMANDLINE),
        ),
        plain=tuple((provider, origin) for provider, origin in plain if provider is not None),
        problems=problems,
    )


def _of_options(ctx: click.Context, source: ParameterSource) -> Layer:
    """Return the settings that options gave, or their variables."""
    values: dict[str, Any] = {}
    names: dict[tuple[str, ...], str] = {}
    for option, path in SETTINGS.items():
        value = ctx.params[option]
        if ctx.get_parameter_source(option) is source:
            _put(values, path, list(value) if isinstance(value, tuple) else value)
            names[path] = _origin(ctx, option)
    for option, example in (("listen", "127.0.0.1:8080"), ("receiver", "127.0.0.1:9292")):
        if ctx.get_parameter_source(option) is source and ctx.params[option]:
            host, port = _address(f"--{option}", ctx.params[option], example)
            values |= {f"{option}Host": host, f"{option}Port": port}
            names |= {(f"{option}{part}",): _origin(ctx, option) for part in ("Host", "Port")}
    return Layer("options", values, names)


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value


def _origin(ctx: click.Context, option: str) -> str:
    found = next(p for p in ctx.command.params if p.name == option)
    if ctx.get_parameter_source(option) is ParameterSource.ENVIRONMENT:
        return str(found.envvar)
    return found.opts[0]


def _address(option: str, text: str, example: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (port.isdigit() and 0 < int(port) < 65_536):
        raise click.UsageError(f"{option} {text}: write HOST:PORT, for example {example}")
    return host.strip("[]") or "127.0.0.1", int(port)


def _listed(
    option: str, file: Path | None, read: Callable[[str], tuple[T, ...]], digest: Any
) -> tuple[tuple[T, ...], list[Problem]]:
    """Read a file with a list, if it is given."""
    if file is None:
        return (), []
    content, wrong = _content(file)
    digest.update(option.encode() + content)
    if wrong:
        return (), wrong
    try:
        return read(content.decode()), []
    except ValueError as error:
        return (), [Problem(f"{option} {file}", str(error))]


def _plain(kind: Literal["prometheus", "scrape"], url: str) -> Provider | None:
    """Return a provider that is given by its address alone; None where it is not given."""
    try:
        return Provider(name=kind, kind=kind, url=url) if url else None
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise click.UsageError(f"--{kind} {url}: {said}") from None


def _content(path: Path) -> tuple[bytes, list[Problem]]:
    """Read a file, with bounded memory."""
    try:
        with path.open("rb") as file:
            return file.read(2_000_000), []  # more than any limit on it
    except OSError as error:
        return b"", [Problem(str(path), f"cannot be read: {error.strerror}")]
