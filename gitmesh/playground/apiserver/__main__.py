"""`python -m gitmesh.playground.apiserver`: the API server as a process of its own.

Stage: playground.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gitmesh.playground.apiserver.limits import ApiLimits
from gitmesh.playground.apiserver.serve import ServeOptions, StartError, serve


def _options(arguments: list[str]) -> ServeOptions:
    parser = argparse.ArgumentParser(
        prog="python -m gitmesh.playground.apiserver",
        description="A small Kubernetes API server on a loopback address.",
    )
    default = ApiLimits()
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--token-file", type=Path, required=True, help="made when it is missing")
    parser.add_argument("--db", default=":memory:", help="an SQLite file, or :memory:")
    parser.add_argument("--kubeconfig-out", type=Path, help="where to write a kubeconfig")
    parser.add_argument(
        "--ready-file", type=Path, help="written, with the address, when requests are answered"
    )
    parser.add_argument("--watch-history-max", type=int, default=default.watch_history_max)
    parser.add_argument("--bookmark-seconds", type=float, default=default.bookmark_seconds)
    parser.add_argument("--objects-max", type=int, default=default.objects_max)
    given = parser.parse_args(arguments)
    return ServeOptions(
        host=given.host,
        port=given.port,
        token_file=given.token_file,
        database=given.db,
        kubeconfig=given.kubeconfig_out,
        ready_file=given.ready_file,
        limits=ApiLimits(
            watch_history_max=given.watch_history_max,
            bookmark_seconds=given.bookmark_seconds,
            objects_max=given.objects_max,
        ),
    )


def main() -> int:
    """Serve until a signal comes; return the exit status."""
    try:
        serve(_options(sys.argv[1:]))
    except StartError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
