"""What a large repository costs of which little is read: 50,000 files, 500 of them below the path.

The server is git's own, by file:// and set up as large hosts are: it can leave files out.
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.figures import Figure
from gitmesh.fetch.mirror import GitMirror
from gitmesh.model.config import GitLimits
from gitmesh.playground.repository import GitRepository

FILES, READ = 50_000, 500
FIRST_SECONDS, CHANGED_SECONDS, UNCHANGED_SECONDS = 10.0, 1.0, 0.5
MIRROR_PERCENT = 20  # of what the whole repository takes on disk


async def measure(directory: Path) -> list[Figure]:
    """Fetch such a repository for the first time, after a change, and when nothing moved."""
    repository = GitRepository.create(directory / "repository")
    _fill(repository)
    mirror = GitMirror(directory / "mirror", GitLimits(), allow_file_urls=True)

    async def timed() -> float:
        began = time.perf_counter()
        await mirror.fetch(repository.url, "main", "mesh")
        return time.perf_counter() - began

    first = await timed()
    fetched = mirror.counters.blobs_fetched
    _commit(repository, {"mesh/0.yaml": "changed: 1\n"}, after="refs/heads/main^0")
    changed = await timed()
    unchanged = await timed()
    share = 100 * _bytes(directory / "mirror") / _bytes(repository.origin)
    return [
        Figure(
            "monorepo, files fetched for the first revision",
            f"{fetched} of {FILES:,}",
            str(READ),
            fetched == READ,
        ),
        Figure(
            "monorepo, mirror on disk",
            f"{share:.1f} % of the repository",
            f"at most {MIRROR_PERCENT} %",
            share <= MIRROR_PERCENT,
        ),
        Figure(
            "monorepo, first fetch", f"{first:.2f} s", f"at most {FIRST_SECONDS:g} s", first <= FIRST_SECONDS
        ),
        Figure(
            "monorepo, fetch of a commit that changes one file",
            f"{changed:.2f} s",
            f"at most {CHANGED_SECONDS:g} s",
            changed <= CHANGED_SECONDS,
        ),
        Figure(
            "monorepo, fetch when nothing moved",
            f"{unchanged:.3f} s",
            f"at most {UNCHANGED_SECONDS:g} s",
            unchanged <= UNCHANGED_SECONDS,
        ),
    ]


def _fill(repository: GitRepository) -> None:
    """Put all files into one commit; the server can leave files out and give single ones."""
    files = {}
    for number in range(FILES):
        is_read = number < READ
        path = f"mesh/{number}.yaml" if is_read else f"apps/{number % 500}/{number}.yaml"
        noise = "" if is_read else hashlib.sha512(str(number).encode()).hexdigest() * 4
        files[path] = f"n: {number}\n# {noise}\n"
    _commit(repository, files)
    for setting in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        _git(repository, b"", "config", setting, "true")


def _commit(repository: GitRepository, files: Mapping[str, str], *, after: str = "") -> None:
    """Commit without a work tree, which would have to be written file by file."""
    lines = [b"commit refs/heads/main\ncommitter Ada <ada@example.com> 0 +0000\ndata 6\nchange\n"]
    lines.append(f"from {after}\n".encode() if after else b"")
    for path, text in files.items():
        content = text.encode()
        lines.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content))
    _git(repository, b"".join(lines), "fast-import", "--quiet")


def _git(repository: GitRepository, stdin: bytes, *arguments: str) -> None:
    subprocess.run(["git", f"--git-dir={repository.origin}", *arguments], input=stdin, check=True)


def _bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
