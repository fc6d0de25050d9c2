"""What files are checked against beside one another: schemas from files, and what a cluster holds.

Stage: none (face). Nothing is written to a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gitmesh.cli.crds import read_crd_files
from gitmesh.cli.given import Given, Unreadable
from gitmesh.cli.main import Refused
from gitmesh.cli.plain import plain
from gitmesh.model.context import NOTHING_KNOWN, Context
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.resource import Resource
from gitmesh.validate.schemas.definitions import NO_SCHEMAS, Schemas, read_schemas


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Which cluster to read, if any, as the options say it."""

    wanted: bool = False
    kubeconfig: Path | None = None
    context: str = ""
    playground: bool = False
    playground_dir: Path | None = None

    @property
    def given(self) -> bool:
        """Naming a cluster is enough to have it read."""
        return self.wanted or self.playground or bool(self.kubeconfig or self.context or self.playground_dir)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known beside the files. `findings` are about the schemas' own files, `given`."""

    context: Context = NOTHING_KNOWN
    schemas: Schemas = NO_SCHEMAS
    findings: tuple[Diagnostic, ...] = ()
    given: Given | None = None

    @property
    def unreadable(self) -> tuple[Unreadable, ...]:
        """Paths with schemas that could not be read."""
        return self.given.unreadable if self.given else ()


def surroundings(crds: tuple[Path, ...], options: ClusterOptions) -> Surroundings:
    """Read what there is. A schema in a file comes before that of the cluster. Raises EdgeError, Refused."""
    of_files = _of_files(crds) if crds else Surroundings()
    if not options.given:
        return of_files
    context, definitions = _of_cluster(options)
    live, _ = read_schemas(definitions)  # what is wrong in a cluster is not for the files to say
    return Surroundings(context, of_files.schemas.over(live), of_files.findings, of_files.given)


def _of_files(paths: tuple[Path, ...]) -> Surroundings:
    schemas, findings, given = read_crd_files(paths)
    if not schemas.definitions and not findings and not given.unreadable:
        shown = ", ".join(plain(str(path)) for path in paths)
        raise Refused(f"--crds: there is no CustomResourceDefinition in {shown}; check the path")
    return Surroundings(schemas=schemas, findings=findings, given=given)


def _of_cluster(options: ClusterOptions) -> tuple[Context, tuple[Resource, ...]]:
    # What speaks to a cluster takes time to load, and most runs need none.
    from gitmesh.cli.connection import cluster, connection, run_async
    from gitmesh.observe.context import read_context
    from gitmesh.observe.definitions import read_definitions

    where = connection(options.kubeconfig, options.context, options.playground, options.playground_dir)

    async def read() -> tuple[Context, tuple[Resource, ...]]:
        async with cluster(where) as client:
            return await read_context(client), await read_definitions(client)

    return run_async(read)
