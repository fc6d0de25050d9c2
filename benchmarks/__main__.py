"""Run the measurements: all of them, or those that are named."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from benchmarks import (
    decisions,
    help_time,
    idle,
    monorepo,
    push,
    rollback,
    route_tests,
    scale,
    translate,
    validation,
    webhook,
    weight_changes,
)
from benchmarks.figures import Figure
from gitmesh.cli.logs import configure

MEASUREMENTS: dict[str, Callable[[Path], Awaitable[list[Figure]]]] = {
    "help": help_time.measure,
    "validation": validation.measure,
    "translate": translate.measure,
    "route-tests": route_tests.measure,
    "push": push.measure,
    "webhook": webhook.measure,
    "weights": weight_changes.measure,
    "rollback": rollback.measure,
    "decisions": decisions.measure,
    "idle": idle.measure,
    "monorepo": monorepo.measure,
    "scale": scale.measure,
}


def main() -> None:
    """Measure and print one line a figure. Exit status 1 when a figure is not what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(MEASUREMENTS)} (default: all)")
    names = parser.parse_args().names or list(MEASUREMENTS)
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"no measurement is called {unknown[0]}; there are {', '.join(MEASUREMENTS)}")
    configure("error", "text")
    figures = []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        with TemporaryDirectory(prefix="gitmesh-bench-") as directory:
            found = anyio.run(MEASUREMENTS[name], Path(directory))
        figures += found
        for figure in found:
            mark = "ok  " if figure.met else "MISS"
            print(f"{mark} {figure.name}: {figure.measured} (asked: {figure.asked})", flush=True)
    sys.exit(0 if all(figure.met for figure in figures) else 1)


if __name__ == "__main__":
    main()
