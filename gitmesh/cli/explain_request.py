"""`gitmesh explain`: which route takes a request, and why no earlier one does.

Stage: none (face). The answer comes from Envoy, which is asked through its probe; the reasons come from the
objects.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from gitmesh.cli.connection import Connection, cluster, connection, run_async
from gitmesh.cli.explain_json import explanation_json
from gitmesh.cli.explain_text import explanation_text
from gitmesh.cli.given import read_paths
from gitmesh.cli.main import Refused
from gitmesh.cli.places import Places
from gitmesh.cli.plain import plain
from gitmesh.engine.accept import examine
from gitmesh.istio.matching.request import Caller, Request, RequestError, read_request
from gitmesh.istio.matching.sidecars import ALLOW_ANY
from gitmesh.istio.matching.traffic import Traffic
from gitmesh.model.config import ParseLimits
from gitmesh.model.diagnostic import Severity
from gitmesh.model.resource import ResourceSet
from gitmesh.model.revision import Revision
from gitmesh.parse.manifests import Parsed
from gitmesh.plan.masking import blotted, secrets_in
from gitmesh.playground.elsewhere import Elsewhere, address_in, doors_in, read_objects
from gitmesh.playground.envoy.admin import Admin
from gitmesh.playground.envoy.dataplane import Addresses, DataPlane
from gitmesh.playground.envoy.errors import Rejected
from gitmesh.playground.envoy.probe import Probe, Probed
from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.explanation import Explanation, explanation
from gitmesh.playground.sketch import CALLER, Sketch, sketch
from gitmesh.playground.translate import Translation, translate
from gitmesh.playground.translate.doors import Address, Doors
from gitmesh.playground.translate.fields import Reports
from gitmesh.playground.translate.mesh_config import read_mesh_config
from gitmesh.playground.translate.proxies import CLIENT
from gitmesh.playground.who import Who, gateway_named, sidecar_named
from gitmesh.playground.workloads import workloads

_FREE = Address("127.0.0.1", 0)
Explained = tuple[Explanation, frozenset[str]]  # with what of the objects must not be shown


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a request, and as whom it is sent."""

    request: Request
    sender: str
    namespace: str
    gateway: str
    labels: Mapping[str, str] = field(default_factory=dict)


@click.command(short_help="Say which route takes a request, and why.")
@click.argument("request", nargs=-1, metavar="[METHOD] URL")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send this header.")
@click.option(
    "--from", "sender", default=CLIENT, show_default=True, help="Send it as this Pod, or label `app` of Pods."
)
@click.option("-n", "--namespace", default="", help="Namespace of that Pod [default: any].")
@click.option(
    "--labels", default="", metavar="NAME=VALUE,...", help="With --repo: send it as a Pod with these labels."
)
@click.option("--gateway", default="", help="Ask at this gateway: name of its Pod, or of a Gateway.")
@click.option(
    "--repo",
    type=click.Path(path_type=Path, exists=True),
    help="Ask these files instead of the playground: an Envoy is started for them.",
)
@click.option(
    "--playground-dir",
    type=click.Path(path_type=Path),
    help="Directory of the playground [default: its own].",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def explain(
    request: tuple[str, ...],
    headers: tuple[str, ...],
    sender: str,
    namespace: str,
    labels: str,
    gateway: str,
    repo: Path | None,
    playground_dir: Path | None,
    form: str,
) -> None:
    """Say which route takes a request, what happens to it, and why no earlier rule takes it.

    Nothing is sent to any service. The answer is Envoy's own; the reasons are read from the objects, with
    Istio's rules: the order of VirtualServices and of their rules, wildcards, Sidecars, exportTo, delegates.

    Without --repo, the playground that `gitmesh play` runs is asked as it is now. With it, an Envoy is
    started for the files alone, and each rule is named with file, line and column. A repository without
    Services and Pods gets those of a new playground; a Service that is still lacking is assumed.

    METHOD is GET unless it is given. The request is sent as --from, so that sourceLabels, Sidecars and
    exportTo count; `client` is a client without labels in the namespace `default`. At a --gateway the port of
    the URL is the one that the Gateway names.

    Exit status 0: explained, also when no route takes the request; 2: could not run.

    \b
    Examples:
      gitmesh explain http://reviews:9080/reviews
      gitmesh explain POST http://reviews:9080/reviews/7 -H 'end-user: jason' --from productpage
      gitmesh explain http://bookinfo.example.com/reviews --gateway bookinfo-gateway
      gitmesh explain http://reviews:9080/ --repo manifests --labels app=web,version=v2
      gitmesh explain http://reviews:9080/ --format json
    """
    question = _question(request, headers, sender, namespace, gateway, labels)
    if repo is not None and playground_dir is not None:
        raise click.UsageError("--repo and --playground-dir name two meshes; give one of them")
    if labels and repo is None:
        raise click.UsageError("--labels makes up a Pod, which needs --repo; in the playground use --from")
    if repo is not None:
        revision, parsed = _read_repository(repo)
        found, secrets = run_async(lambda: _ask_files(question, parsed))
        places = Places(revision.files, parsed.resources)
    else:
        where = connection(None, "", playground=True, playground_dir=playground_dir)
        found, secrets = run_async(lambda: _ask_playground(question, where))
        places = _places_of(where.playground or {})
    if form == "json":
        click.echo(json.dumps(blotted(explanation_json(found, places), secrets), indent=2))
    else:
        click.echo(blotted(explanation_text(found, places), secrets))


def _question(
    words: tuple[str, ...], headers: tuple[str, ...], sender: str, namespace: str, gateway: str, labels: str
) -> Question:
    if not 1 <= len(words) <= 2:
        raise click.UsageError(
            "give a method and a URL, for example: gitmesh explain GET http://reviews:9080/"
        )
    pairs = []
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon:
            raise click.UsageError(f"{header!r} is no header; write -H 'name: value'")
        pairs.append((name, value))
    try:
        request = read_request(words[0] if len(words) > 1 else "GET", words[-1], pairs)
    except RequestError as error:
        raise click.UsageError(str(error)) from None
    if gateway and sender != CLIENT:
        raise click.UsageError("--gateway is asked from outside of the mesh; leave out --from")
    if namespace and sender == CLIENT and not labels:
        raise click.UsageError("--namespace says where the Pod of --from is; give --from (or --labels) too")
    if request.scheme == "https" and not gateway:
        raise click.UsageError(
            "inside the mesh a proxy does not see into https; ask with http, or at a --gateway that ends TLS"
        )
    return Question(request, sender, namespace, gateway, _labels(labels))


def _labels(written: str) -> dict[str, str]:
    found = {}
    for part in filter(None, written.split(",")):
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{part!r} is no label; write --labels app=web,version=v2")
        found[name.strip()] = value.strip()
    return found


def _read_repository(path: Path) -> tuple[Revision, Parsed]:
    revision = read_paths((path,))
    examined = examine(revision, default_namespace="default", limits=ParseLimits())
    errors = [f for f in examined.findings if f.severity is Severity.ERROR and not f.suppressed]
    told = plain(f"{errors[0].at}: {errors[0].message}") if errors else ""
    if not examined.parsed.resources:
        raise Refused(f"{path} holds no traffic configuration that can be read; {told or 'check the path'}")
    if errors:  # What two objects in conflict do is a good question.
        count = f"{len(errors)} errors" if len(errors) > 1 else "an error"
        click.echo(f"Warning: the files have {count}: {told}; see: gitmesh validate {path}", err=True)
    return revision, examined.parsed


async def _ask_files(question: Question, parsed: Parsed) -> Explained:
    made_up = question.labels or question.sender == CALLER
    drawn = sketch(
        parsed.resources,
        parsed.others,
        workloads(),
        asked=(question.request.host, question.request.port),
        caller=(question.namespace or "default", question.labels) if made_up else None,
    )
    sender = CALLER if question.labels else question.sender
    with tempfile.TemporaryDirectory(prefix="gitmesh-explain-") as directory:
        async with DataPlane(Path(directory), Addresses(outbound=_FREE)) as plane:
            doors = plane.addresses.doors
            translation = translate(drawn.resources, doors=doors)
            who = _who(question, sender, translation, drawn.resources, doors)
            try:
                await plane.apply(Snapshot.of(translation))
            except Rejected as error:
                raise Refused(f"Envoy refuses what these files say: {error.reason}") from None
            return await _explain(question.request, who, plane, drawn.resources, _assumed(drawn))


async def _ask_playground(question: Question, where: Connection) -> Explained:
    assert where.playground is not None
    doors = doors_in(where.playground)
    admin = Admin(address_in(where.playground, "metrics"))
    try:
        async with cluster(where) as client:
            resources = await read_objects(client)
        translation = translate(resources, doors=doors)
        who = _who(question, question.sender, translation, resources, doors)
        plane = Elsewhere(Snapshot.of(translation), admin)
        return await _explain(question.request, who, plane, resources, ())
    finally:
        await admin.close()


def _who(
    question: Question, sender: str, translation: Translation, resources: ResourceSet, doors: Doors
) -> Who:
    if question.gateway:
        return gateway_named(question.gateway, question.request, translation, resources)
    if sender == CLIENT:
        routes = next(entry.routes for entry in translation.proxies if entry.name == CLIENT)
        return Who(Caller(name=CLIENT), routes)
    return sidecar_named(sender, question.namespace, translation, resources, doors)


async def _explain(
    request: Request, who: Who, plane: Probed, resources: ResourceSet, assumed: tuple[str, ...]
) -> Explained:
    outbound = read_mesh_config(resources, Reports()).outbound_policy or ALLOW_ANY
    answer = Traffic(resources, outbound=outbound).answer(request, who.caller)
    secrets = frozenset[str]().union(*(secrets_in(resource.body) for resource in resources.values()))
    if not who.routes:
        return explanation(answer, None, assumed), secrets
    async with Probe(plane) as probe:
        headers = [("host", request.authority), *request.sent]
        envoy = await probe.ask(who.routes, request.method, request.url, headers)
    return explanation(answer, envoy, assumed), secrets


def _assumed(drawn: Sketch) -> tuple[str, ...]:
    return tuple(
        f"{host} with port {', '.join(str(port) for port in ports)}" for host, ports in drawn.assumed.items()
    )


def _places_of(state: Mapping[str, Any]) -> Places:
    """Return places in the repository that the playground previews, if it does."""
    repository = state.get("repository")
    if not isinstance(repository, str) or not Path(repository).exists():
        return Places({}, {})
    revision = read_paths((Path(repository),))
    parsed = examine(revision, default_namespace="default", limits=ParseLimits()).parsed
    return Places(revision.files, parsed.resources)
