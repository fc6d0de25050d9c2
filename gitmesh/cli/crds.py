"""CustomResourceDefinitions that a command line names: the schemas of kinds that GitMesh does not manage.

Stage: none (face).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gitmesh.cli.given import Given, read_given
from gitmesh.model.config import GitLimits, ParseLimits
from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.parse.manifests import parse_files
from gitmesh.parse.positions import pinpoint
from gitmesh.validate.schemas.definitions import Schemas, is_definition, read_schemas

# Definitions are generated and come from whoever called us: deeper and larger than what people write.
_GIT = GitLimits(file_bytes_max=33_554_432)
_PARSE = ParseLimits(nesting_max=240)


def read_crd_files(paths: Iterable[Path]) -> tuple[Schemas, tuple[Diagnostic, ...], Given]:
    """Read files and directories. Returns the schemas, what is wrong with them, and what was read.

    Objects of other kinds that stand beside the definitions are left alone.
    """
    given = read_given(paths, _GIT)
    parsed = parse_files(given.revision.files, default_namespace="default", limits=_PARSE)
    definitions = [resource for key, resource in parsed.others.items() if is_definition(key)]
    schemas, wrong = read_schemas(definitions)
    unread = [found for found in parsed.diagnostics if found.severity is Severity.ERROR]
    return schemas, pinpoint(given.revision.files, (*unread, *wrong)), given
