"""Promises about large repositories of which little is read: what is fetched, by counts, from a server."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fakes.git_http import GitHttpServer, git_over_http, serving

from gitmesh.fetch import mirror as mirror_module
from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.mirror import GitMirror
from gitmesh.fetch.push import Proposal
from gitmesh.fetch.trust import Trust
from gitmesh.fetch.verifying import Demand
from gitmesh.model.config import GitLimits
from gitmesh.playground.repository import GitRepository, run_git

pytestmark = [pytest.mark.anyio, pytest.mark.real]
READ, ALL = 20, 2_000
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """2,000 files of a kilobyte, of which 20 are below `mesh`; none of them can be compressed."""
    repository = GitRepository.create(tmp_path / "repository")
    others = {f"apps/{n % 40}/{n}.yaml": f"# {n} {_noise(n)}\n" for n in range(ALL - READ)}
    repository.publish({**others, **{f"mesh/{n}.yaml": f"n: {n}\n" for n in range(READ)}}, "everything")
    return repository


def _noise(seed: int) -> str:
    return "".join(hashlib.sha256(f"{seed} {n}".encode()).hexdigest() for n in range(16))


@pytest.fixture
def server(repository: GitRepository) -> Iterator[GitHttpServer]:
    """A server that can leave files out, as those of the large hosts can."""
    with git_over_http(repository.origin.parent) as server:
        server.settings = ["uploadpack.allowFilter=true"]
        yield server


@pytest.fixture
def url(server: GitHttpServer) -> str:
    return f"{server.url}/origin.git"


def a_mirror(tmp_path: Path, **limits: Any) -> GitMirror:
    return GitMirror(tmp_path / "data" / "mirror", GitLimits(**limits), allow_file_urls=True)


async def test_of_a_large_repository_only_the_files_below_the_path_are_fetched(
    repository: GitRepository, server: GitHttpServer, url: str, tmp_path: Path
):
    mirror = a_mirror(tmp_path)
    revision = await mirror.fetch(url, "main", "mesh")
    assert len(revision.files) == READ
    assert (mirror.counters.blobs_fetched, mirror.counters.blobs_read) == (READ, READ)
    partly = server.bytes_sent
    await GitMirror(tmp_path / "whole", GitLimits(), allow_file_urls=True).fetch(url, "main", ".")
    assert partly * 5 < server.bytes_sent - partly

    repository.publish({"mesh/3.yaml": "n: 33\n", "apps/1/1.yaml": "changed\n"}, "one of each")
    revision = await mirror.fetch(url, "main", "mesh")
    assert revision.files["mesh/3.yaml"].content == b"n: 33\n"
    assert mirror.counters.blobs_fetched == READ + 1

    repository.publish({"apps/1/1.yaml": "changed again\n"}, "nothing that is read")
    before = len(server.requests)
    assert (await mirror.fetch(url, "main", "mesh")).subject == "nothing that is read"
    assert mirror.counters.blobs_fetched == READ + 1
    asked = len(server.requests)
    await mirror.fetch(url, "main", "mesh")
    assert len(server.requests) - asked < asked - before, "an unchanged branch costs less than a changed one"


async def test_files_that_spec_ignore_takes_away_are_never_fetched(url: str, tmp_path: Path):
    mirror = a_mirror(tmp_path)
    revision = await mirror.fetch(url, "main", "mesh", ignore=("mesh/1*", "!mesh/11.yaml"))
    left = {f"mesh/{n}.yaml" for n in range(READ) if not str(n).startswith("1") or n == 11}
    assert set(revision.files) == left
    assert mirror.counters.blobs_fetched == len(left)
    assert len((await mirror.fetch(url, "main", "mesh")).files) == READ


async def test_a_server_that_cannot_leave_files_out_sends_all_and_nothing_is_different(
    server: GitHttpServer, url: str, tmp_path: Path
):
    server.settings = []
    mirror = a_mirror(tmp_path)
    assert len((await mirror.fetch(url, "main", "mesh")).files) == READ
    assert (mirror.counters.blobs_fetched, mirror.counters.blobs_read) == (0, READ)


async def test_a_server_that_leaves_files_out_and_gives_no_single_one_is_asked_for_all(
    repository: GitRepository, server: GitHttpServer, url: str, tmp_path: Path
):
    server.versions = ("0",)
    for number in range(2):
        mirror = a_mirror(tmp_path)
        repository.publish({"mesh/3.yaml": f"n: {number}\n"}, str(number))
        revision = await mirror.fetch(url, "main", "mesh")
        assert revision.files["mesh/3.yaml"].content == f"n: {number}\n".encode()
        assert mirror.counters.blobs_fetched == 0


async def test_what_was_read_once_is_read_again_without_the_server(
    repository: GitRepository, server: GitHttpServer, url: str, tmp_path: Path
):
    accepted = await a_mirror(tmp_path).fetch(url, "main", "mesh")
    server.status = 503
    again = await a_mirror(tmp_path).read(accepted.commit, "main", "mesh")
    assert again.files == accepted.files
    with pytest.raises(FetchError, match=r"does not have 50 of the files; fetch again"):
        await a_mirror(tmp_path).read(accepted.commit, "main", "apps/1")


async def test_an_older_revision_comes_back_after_a_lost_mirror(
    repository: GitRepository, url: str, tmp_path: Path
):
    accepted = repository.publish({"mesh/3.yaml": "n: accepted\n"}, "accepted")
    repository.publish({"mesh/3.yaml": "n: [\n"}, "broken")
    mirror = a_mirror(tmp_path)
    await mirror.fetch(url, "main", "mesh", since=f"main@{accepted}")
    with pytest.raises(FetchError, match="does not have 1 of the files"):
        await mirror.read(accepted, "main", "mesh")
    restored = await mirror.read(accepted, "main", "mesh", url=url)
    assert restored.files["mesh/3.yaml"].content == b"n: accepted\n"
    assert mirror.counters.blobs_fetched == READ + 1


async def test_the_past_of_a_file_is_fetched_when_it_is_looked_at_and_all_at_once(
    repository: GitRepository, server: GitHttpServer, url: str, tmp_path: Path
):
    for number in range(100, 105):
        repository.publish({"mesh/3.yaml": f"n: {number}\n"}, str(number))
    mirror = a_mirror(tmp_path)
    head = await mirror.fetch(url, "main", "mesh")
    asked = len(server.requests)
    found = await mirror.look_back(
        head.commit, "mesh/3.yaml", lambda content: content == b"n: 101\n", url=url
    )
    assert found == b"n: 101\n"
    assert mirror.counters.blobs_fetched == READ + 5
    assert len(server.requests) - asked == 2
    with pytest.raises(FetchError, match="fetch again"):
        await mirror.look_back(head.commit, "apps/1/1.yaml", lambda content: True)


async def test_a_commit_is_made_and_pushed_without_the_files_that_are_not_here(
    repository: GitRepository, server: GitHttpServer, url: str, tmp_path: Path
):
    server.settings.append("http.receivepack=true")
    mirror = a_mirror(tmp_path)
    head = await mirror.fetch(url, "main", "mesh")
    proposal = Proposal(
        base=head.commit, branch="main", expected=head.commit, files={"mesh/3.yaml": b"n: 2\n"},
        author="Ada <ada@example.com>", when=datetime(2026, 3, 2, 12, 0, tzinfo=UTC), message="back",
    )  # fmt: skip
    commit = await mirror.push(url, proposal)
    assert (await mirror.fetch(url, "main", "mesh")).commit == commit
    assert mirror.counters.blobs_fetched == READ
    repository.git("fetch", "--quiet", "origin")
    assert repository.git("diff", "--name-only", head.commit, commit) == "mesh/3.yaml"


async def test_tidying_up_loses_nothing_and_fetches_nothing(
    repository: GitRepository,
    server: GitHttpServer,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(mirror_module, "_FETCHES_PER_TIDY", 1)
    monkeypatch.setattr(mirror_module, "_TIDY", ("-c", "gc.autoPackLimit=2", *mirror_module._TIDY))
    mirror = a_mirror(tmp_path)
    first = await mirror.fetch(url, "main", "mesh")
    for number in range(4):
        repository.publish({"mesh/3.yaml": f"n: {900 + number}\n"}, str(number))
        await mirror.fetch(url, "main", "mesh", since=first.id)
    repository.git("reset", "--quiet", "--hard", "HEAD~3")
    repository.write({"mesh/3.yaml": "n: other"})
    repository.commit("rewritten")
    repository.push(force=True)
    forced = await mirror.fetch(url, "main", "mesh", since=f"main@{'0' * 40}")
    assert forced.forced
    assert mirror.counters.blobs_fetched == READ + 5
    assert mirror.counters.rebuilds == 0
    packs = list((tmp_path / "data" / "mirror" / "objects" / "pack").glob("*.pack"))
    assert len(packs) < 6
    server.status = 503
    assert (await a_mirror(tmp_path).read(first.commit, "main", "mesh")).files == first.files


@pytest.mark.parametrize("tidy", [("no-such-command",), ("-c", "alias.x=!kill -9 $PPID", "x")])
async def test_a_fetch_has_worked_also_when_nothing_could_be_tidied_up(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tidy: tuple[str, ...]
):
    monkeypatch.setattr(mirror_module, "_FETCHES_PER_TIDY", 1)
    monkeypatch.setattr(mirror_module, "_TIDY", tidy)
    mirror = a_mirror(tmp_path)
    for _ in range(2):
        assert len((await mirror.fetch(url, "main", "mesh")).files) == READ
    assert mirror.counters.rebuilds == 0


async def test_a_whole_repository_is_read_as_well(url: str, tmp_path: Path):
    mirror = a_mirror(tmp_path)
    assert len((await mirror.fetch(url, "main", ".")).files) == ALL
    assert mirror.counters.blobs_fetched == ALL


async def test_a_large_file_outside_the_path_costs_nothing_and_one_inside_is_an_error(
    repository: GitRepository, server: GitHttpServer, url: str, tmp_path: Path
):
    large = "".join(_noise(n) for n in range(300))
    repository.publish({"apps/large.yaml": large, "mesh/large.yaml": large[:200_000]}, "large")
    mirror = a_mirror(tmp_path, file_bytes_max=100_000)
    revision = await mirror.fetch(url, "main", "mesh")
    assert [(d.code, d.at.file) for d in revision.diagnostics if d.at] == [("GM003", "mesh/large.yaml")]
    assert server.bytes_sent < 500_000


async def test_files_that_are_too_much_together_are_cut_off_while_they_come(
    repository: GitRepository, url: str, tmp_path: Path
):
    repository.publish({"mesh/large.yaml": random.Random(1).randbytes(20_000_000)}, "large")
    mirror = a_mirror(tmp_path, total_bytes_max=1_000_000)
    with pytest.raises(FetchError, match=r"larger than 1000000 bytes together; set spec\.path") as refused:
        await mirror.fetch(url, "main", "mesh")
    assert refused.value.retryable
    assert bytes_below(tmp_path / "data") < 2_000_000
    assert len((await mirror.fetch(url, "main", "apps/1")).files) == 50


async def test_a_mirror_whose_history_was_cut_off_judges_nothing_and_is_made_anew(
    repository: GitRepository, url: str, tmp_path: Path
):
    """Behind the cut could be what nobody has signed."""
    repository.publish({"mesh/3.yaml": "n: 3.1\n"}, "more")
    mirror = a_mirror(tmp_path)
    good = await mirror.fetch(url, "main", "mesh")
    cut = tmp_path / "data" / "mirror" / "shallow"
    cut.write_text(f"{good.commit}\n")
    with pytest.raises(FetchError, match=r"is shallow.* with `git fetch --unshallow`"):
        await mirror.verify(good.commit, "", Demand(Trust("a list"), NOW))
    assert (await mirror.fetch(url, "main", "mesh")).files == good.files
    assert not cut.exists()


def bytes_below(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


async def test_a_server_that_only_serves_files_is_followed_without_leaving_any_out(
    repository: GitRepository, tmp_path: Path
):
    """Git's "dumb" protocol, with which it looks for what is left out in process upon process."""
    handler = partial(QuietFiles, directory=str(repository.origin.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, serving(server):
        mirror, url = a_mirror(tmp_path), f"http://127.0.0.1:{server.server_address[1]}/origin.git"
        for content in ("n: 3\n", "n: three\n"):
            repository.publish({"mesh/3.yaml": content}, content)
            run_git("-C", str(repository.origin), "update-server-info")
            revision = await mirror.fetch(url, "main", "mesh")
            assert revision.files["mesh/3.yaml"].content == content.encode()
            assert len(revision.files) == READ


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass
