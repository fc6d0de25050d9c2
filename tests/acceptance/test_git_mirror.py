"""Promises about fetching, on real repositories over file:// and HTTP."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import anyio
import pytest

from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.mirror import GitMirror
from gitmesh.model.config import GitLimits
from gitmesh.playground.repository import GitRepository
from tests.fakes.git_http import git_over_http

pytestmark = [pytest.mark.anyio, pytest.mark.real]


@pytest.fixture
def repository(tmp_path):
    return GitRepository.create(tmp_path / "repository")


@pytest.fixture
def mirror(tmp_path):
    return a_mirror(tmp_path)


def a_mirror(tmp_path: Path, **limits) -> GitMirror:
    return GitMirror(tmp_path / "data" / "mirror", GitLimits(**limits), allow_file_urls=True)


async def test_a_commit_is_read_whole_with_its_author_and_subject(repository, mirror):
    commit = repository.publish(
        {"mesh/a.yaml": "a: 1\n", "mesh/b.yaml": b"b: 2\n"}, "Say hello\n\nAt length."
    )
    revision = await mirror.fetch(repository.url, "main", "mesh")
    assert revision.commit == commit
    assert revision.tree == repository.git("rev-parse", "HEAD^{tree}")
    assert (revision.author, revision.subject) == ("Ada Example <ada@example.com>", "Say hello")
    assert {path: file.content for path, file in revision.files.items()} == {
        "mesh/a.yaml": b"a: 1\n",
        "mesh/b.yaml": b"b: 2\n",
    }
    assert revision.files["mesh/a.yaml"].blob == repository.git("rev-parse", "HEAD:mesh/a.yaml")
    assert not revision.forced
    assert revision.diagnostics == ()


async def test_ignore_files_above_the_path_come_along_and_nothing_else_from_there(repository, mirror):
    ignored = {
        ".gitmeshignore": "*.tmpl.yaml\n",
        "a/.gitmeshignore": "b/x.yaml\n",
        "a/b/.gitmeshignore": "y.yaml\n",
    }
    repository.publish(
        {**ignored, "a/b/z.yaml": "z: 1\n", "a/c.yaml": "c: 1\n", "ab/.gitmeshignore": "*\n"}, "one"
    )
    revision = await mirror.fetch(repository.url, "main", "a/b")
    assert sorted(revision.files) == [*sorted(ignored), "a/b/z.yaml"]
    with pytest.raises(FetchError, match="no path 'a/absent'"):
        await mirror.fetch(repository.url, "main", "a/absent")


async def test_an_unchanged_branch_gives_the_very_same_revision_and_reads_nothing(repository, mirror):
    repository.publish({"a.yaml": "a: 1\n"}, "one")
    first = await mirror.fetch(repository.url, "main", ".")
    assert await mirror.fetch(repository.url, "main", ".") is first
    assert mirror.counters.blobs_read == 1


async def test_of_a_changed_commit_only_the_changed_files_are_read(repository, mirror):
    repository.publish({f"{n}.yaml": f"n: {n}\n" for n in range(20)}, "twenty")
    await mirror.fetch(repository.url, "main", ".")
    repository.publish({"3.yaml": "n: 33\n"}, "one of them")
    revision = await mirror.fetch(repository.url, "main", ".")
    assert mirror.counters.blobs_read == 21
    assert revision.files["3.yaml"].content == b"n: 33\n"
    assert revision.files["4.yaml"].content == b"n: 4\n"


async def test_a_path_is_a_directory_and_not_a_prefix_of_names(repository, mirror):
    repository.publish(
        {"mesh/a.yaml": "a: 1", "mesh-old/b.yaml": "b: 1", "meshes.yaml": "c: 1"}, "neighbours"
    )
    assert list((await mirror.fetch(repository.url, "main", "./mesh/")).files) == ["mesh/a.yaml"]
    assert list((await mirror.fetch(repository.url, "main", "meshes.yaml")).files) == ["meshes.yaml"]


async def test_a_force_push_is_followed_and_told(repository, mirror):
    repository.publish({"a.yaml": "a: 1"}, "one")
    await mirror.fetch(repository.url, "main", ".")
    repository.publish({"a.yaml": "a: 2"}, "two")
    assert not (await mirror.fetch(repository.url, "main", ".")).forced
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.write({"a.yaml": "a: 3"})
    commit = repository.commit("another two")
    repository.push(force=True)
    revision = await mirror.fetch(repository.url, "main", ".")
    assert (revision.commit, revision.forced) == (commit, True)


async def test_an_old_revision_is_read_without_the_remote_also_by_a_new_process(repository, mirror, tmp_path):
    old = repository.publish({"a.yaml": "a: 1"}, "one")
    await mirror.fetch(repository.url, "main", ".")
    repository.publish({"a.yaml": "a: 2"}, "two")
    await mirror.fetch(repository.url, "main", ".")
    shutil.rmtree(repository.origin)
    revision = await a_mirror(tmp_path).read(old, "main", ".")
    assert revision.files["a.yaml"].content == b"a: 1"
    with pytest.raises(FetchError, match="does not have commit"):
        await mirror.read("0" * 40, "main", ".")
    with pytest.raises(FetchError, match="fetch first"):
        await GitMirror(tmp_path / "none", GitLimits(), allow_file_urls=True).read(old, "main", ".")


async def test_a_new_process_goes_on_with_the_mirror_that_is_there(repository, mirror, tmp_path):
    repository.publish({"a.yaml": "a: 1"}, "one")
    await mirror.fetch(repository.url, "main", ".")
    again = a_mirror(tmp_path)
    repository.git("commit", "--quiet", "--amend", "--message=rewritten")
    repository.push(force=True)
    assert (await again.fetch(repository.url, "main", ".")).forced
    assert again.counters.rebuilds == 0


async def test_an_empty_repository_says_that_a_commit_is_missing(repository, mirror):
    with pytest.raises(FetchError, match="the repository has no commits on branch main") as told:
        await mirror.fetch(repository.url, "main", ".")
    assert told.value.retryable
    repository.publish({"a.yaml": "a: 1"}, "one")
    assert list((await mirror.fetch(repository.url, "main", ".")).files) == ["a.yaml"]


async def test_a_wrong_branch_is_answered_with_those_that_exist(repository, mirror):
    repository.publish({"a.yaml": "a: 1"}, "one")
    for n in range(12):
        repository.git("push", "--quiet", "origin", f"HEAD:refs/heads/b{n:02}")
    with pytest.raises(
        FetchError, match=r"has no branch master; it has: b00, .* and 3 more; set spec.branch"
    ):
        await mirror.fetch(repository.url, "master", ".")


async def test_a_wrong_path_is_answered_with_what_is_there(repository, mirror):
    repository.publish({"mesh/a.yaml": "a: 1", "README.md": "x"}, "one")
    with pytest.raises(
        FetchError, match=r"no path 'meshes' in main@\w{7}; at its root there are: README.md, mesh"
    ):
        await mirror.fetch(repository.url, "main", "meshes")
    assert list((await mirror.fetch(repository.url, "main", "mesh")).files) == ["mesh/a.yaml"]


async def test_an_absent_remote_is_an_error_that_names_it(mirror, tmp_path):
    with pytest.raises(FetchError, match=r"fetch main of file://.*absent.*no repository.*spec.url") as told:
        await mirror.fetch(f"file://{tmp_path}/absent", "main", ".")
    assert told.value.retryable


async def test_an_unreachable_server_is_an_error_that_names_it(mirror):
    with socket.socket() as taken:  # bound and not listening: nobody answers here, and nobody else can
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/mesh.git"
        with pytest.raises(FetchError, match=r"fetch main of http://127.*server is up and reachable"):
            await mirror.fetch(url, "main", ".")


async def test_a_damaged_mirror_is_made_again_once(repository, mirror, tmp_path):
    repository.publish({f"{n}.yaml": f"n: {n}" for n in range(5)}, "one")
    await mirror.fetch(repository.url, "main", ".")
    for thing in (tmp_path / "data" / "mirror" / "objects").rglob("*"):
        if thing.is_file():
            thing.chmod(0o600)
            thing.write_bytes(b"")
    again = a_mirror(tmp_path)
    assert len((await again.fetch(repository.url, "main", ".")).files) == 5
    assert again.counters.rebuilds == 1


async def test_a_remote_that_is_gone_leaves_the_good_mirror_as_it_is(repository, mirror, tmp_path):
    commit = repository.publish({"a.yaml": "a: 1"}, "one")
    await mirror.fetch(repository.url, "main", ".")
    repository.origin.rename(tmp_path / "away")
    with pytest.raises(FetchError):
        await mirror.fetch(repository.url, "main", ".")
    assert (await a_mirror(tmp_path).read(commit, "main", ".")).commit == commit


async def test_another_url_makes_another_mirror(repository, mirror, tmp_path):
    repository.publish({"a.yaml": "a: 1"}, "one")
    other = GitRepository.create(tmp_path / "other")
    other.publish({"b.yaml": "b: 1"}, "two")
    await mirror.fetch(repository.url, "main", ".")
    revision = await mirror.fetch(other.url, "main", ".")
    assert (list(revision.files), revision.forced) == (["b.yaml"], False)


async def test_branches_that_are_folders_of_each_other_do_not_get_in_the_way(repository, mirror):
    repository.publish({"a.yaml": "a: 1"}, "one")
    repository.git("push", "--quiet", "origin", "HEAD:refs/heads/release")
    await mirror.fetch(repository.url, "release", ".")
    repository.git("push", "--quiet", "origin", ":refs/heads/release", "HEAD:refs/heads/release/1")
    assert (await mirror.fetch(repository.url, "release/1", ".")).branch == "release/1"


async def test_a_lock_that_a_crash_left_behind_is_no_obstacle(repository, mirror, tmp_path):
    repository.publish({"a.yaml": "a: 1"}, "one")
    await mirror.fetch(repository.url, "main", ".")
    (tmp_path / "data/mirror/refs/remotes/origin/main.lock").touch()
    repository.publish({"a.yaml": "a: 2"}, "two")
    again = a_mirror(tmp_path)
    assert (await again.fetch(repository.url, "main", ".")).files["a.yaml"].content == b"a: 2"
    assert again.counters.rebuilds == 0


async def test_a_variable_of_the_host_does_not_lead_git_astray(repository, mirror, monkeypatch, tmp_path):
    repository.publish({"a.yaml": "a: 1"}, "one")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "nowhere"))
    assert list((await mirror.fetch(repository.url, "main", ".")).files) == ["a.yaml"]


async def test_without_git_the_error_says_what_to_install(repository, mirror, monkeypatch, tmp_path):
    repository.publish({"a.yaml": "a: 1"}, "one")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "env").symlink_to(shutil.which("env"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(FetchError, match="git is not installed"):
        await mirror.fetch(repository.url, "main", ".")


async def test_smart_http_works_and_pushes_may_come_at_any_time(repository, mirror):
    repository.publish({"a.yaml": "a: 0"}, "zero")
    seen = []
    with git_over_http(repository.origin.parent) as server:

        async def push():
            for n in range(1, 6):
                await anyio.to_thread.run_sync(lambda n=n: repository.publish({"a.yaml": f"a: {n}"}, str(n)))

        async with anyio.create_task_group() as group:
            group.start_soon(push)
            while not seen or seen[-1] != b"a: 5":
                revision = await mirror.fetch(f"{server.url}/origin.git", "main", ".")
                seen.append(revision.files["a.yaml"].content)
    assert seen == sorted(seen)
    assert mirror.counters.rebuilds == 0


@pytest.mark.parametrize(
    ("status", "told"),
    [(401, "did not let us in"), (403, "did not let us in"), (404, "no repository"), (500, "500")],
)
async def test_an_answer_of_the_server_is_told(repository, mirror, status, told):
    with git_over_http(repository.origin.parent) as server:
        server.status = status
        with pytest.raises(FetchError, match=told):
            await mirror.fetch(f"{server.url}/origin.git", "main", ".")


async def test_a_server_cannot_send_git_to_another_transport(repository, mirror, tmp_path):
    repository.publish({"a.yaml": "a: 0"}, "zero")
    with git_over_http(tmp_path) as server:
        server.status, server.location = 302, f"file://{repository.origin}?"
        with pytest.raises(FetchError):
            await mirror.fetch(f"{server.url}/origin.git", "main", ".")


async def test_a_server_that_never_answers_is_given_up_after_the_timeout(repository, tmp_path):
    mirror = a_mirror(tmp_path, fetch_timeout="500ms")
    with git_over_http(repository.origin.parent) as server:
        server.stuck.clear()
        started = time.monotonic()
        with pytest.raises(FetchError, match=r"still at work after 0\.5 s") as told:
            await mirror.fetch(f"{server.url}/origin.git", "main", ".")
        assert told.value.retryable
        assert time.monotonic() - started < 5
        assert git_processes(tmp_path) == []


async def test_being_cancelled_kills_git_and_its_children(repository, mirror, tmp_path):
    with git_over_http(repository.origin.parent) as server:
        server.stuck.clear()
        with anyio.move_on_after(0.5) as scope:
            await mirror.fetch(f"{server.url}/origin.git", "main", ".")
        assert scope.cancelled_caught
        assert server.requests
        assert git_processes(tmp_path) == []
        server.stuck.set()
        repository.publish({"a.yaml": "a: 1"}, "one")
        assert (await mirror.fetch(f"{server.url}/origin.git", "main", ".")).subject == "one"


async def test_as_many_are_fetched_at_once_as_is_allowed_and_what_is_here_waits_for_none(
    repository, tmp_path
):
    repository.publish({"a.yaml": "a: 1"}, "one")
    network = anyio.CapacityLimiter(1)
    first, second = (
        GitMirror(tmp_path / name, GitLimits(), allow_file_urls=True, limiter=network) for name in ("1", "2")
    )
    known = await second.fetch(repository.url, "main", ".")
    with git_over_http(repository.origin.parent) as server:
        server.stuck.clear()
        async with anyio.create_task_group() as group:
            group.start_soon(first.fetch, f"{server.url}/origin.git", "main", ".")
            with anyio.fail_after(20):
                while not server.requests:  # noqa: ASYNC110
                    await anyio.sleep(0.02)
                assert await second.read(known.commit, "main", ".") is known
                group.start_soon(second.fetch, repository.url, "main", ".")
                while not network.statistics().tasks_waiting:  # noqa: ASYNC110
                    await anyio.sleep(0.02)
            assert second.counters.fetches == 1
            server.stuck.set()
    assert second.counters.fetches == 2


async def test_a_mirror_that_nobody_needs_is_removed(repository, mirror, tmp_path):
    repository.publish({"a.yaml": "a: 1"}, "one")
    await mirror.fetch(repository.url, "main", ".")
    await mirror.discard()
    assert list((tmp_path / "data").iterdir()) == []
    assert list((await mirror.fetch(repository.url, "main", ".")).files) == ["a.yaml"]


async def test_the_git_protocol_works_on_loopback(repository, mirror):
    repository.publish({"a.yaml": "a: 1"}, "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    daemon = subprocess.Popen(  # noqa: ASYNC220 (starting it does not block)
        ["git", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={port}", "--reuseaddr",
         f"--base-path={repository.origin.parent}"],
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        with anyio.fail_after(10):
            while True:
                try:
                    revision = await mirror.fetch(f"git://127.0.0.1:{port}/origin.git", "main", ".")
                    break
                except FetchError:
                    await anyio.sleep(0.05)
    finally:
        os.killpg(daemon.pid, 9)
        daemon.wait()
    assert list(revision.files) == ["a.yaml"]


def git_processes(directory: Path) -> list[str]:
    found = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = cmdline.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"--git-dir={directory}" in text:
            found.append(text)
    return found
