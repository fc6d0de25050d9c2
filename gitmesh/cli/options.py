"""Options that several commands share. Importing them loads nothing that speaks to a cluster.

Stage: none (face).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def cluster_options(command: F) -> F:
    """Add --kubeconfig, --context and --playground to a command."""
    for option in (
        click.option(
            "--playground",
            is_flag=True,
            help="Use the playground that `gitmesh play` runs on this machine.",
        ),
        click.option(
            "--playground-dir",
            type=click.Path(path_type=Path),
            help="Directory of that playground, when it is not the default one.",
        ),
        click.option("--context", default="", help="Context of the kubeconfig."),
        click.option(
            "--kubeconfig",
            type=click.Path(path_type=Path),
            help="Kubeconfig file [default: $KUBECONFIG, in-cluster, ~/.kube/config].",
        ),
    ):
        command = option(command)
    return command
