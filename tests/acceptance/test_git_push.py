"""Promises about the commits that GitMesh makes and pushes, on real repositories."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gitmesh.fetch.errors import FetchError, MovedError
from gitmesh.fetch.mirror import GitMirror
from gitmesh.fetch.push import Proposal
from gitmesh.model.config import GitLimits
from gitmesh.playground.repository import GitRepository, run_git
from tests.fakes.git_http import git_over_http

pytestmark = [pytest.mark.anyio, pytest.mark.real]
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AUTHOR = "Róbo <robo@example.com>"


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository.create(tmp_path / "repository")


def a_mirror(tmp_path: Path, **limits: Any) -> GitMirror:
    return GitMirror(tmp_path / "mirror", GitLimits(**limits), allow_file_urls=True)


def a_proposal(base: str, files: dict[str, bytes], **fields: Any) -> Proposal:
    told = {
        "branch": "main",
        "expected": base,
        "author": AUTHOR,
        "when": NOON,
        "message": "Put it back\n\nWhy",
    }
    return Proposal(base=base, files=files, **{**told, **fields})


def in_origin(repository: GitRepository, *arguments: str) -> str:
    return run_git(f"--git-dir={repository.origin}", *arguments)


async def test_a_commit_changes_the_named_files_and_nothing_else(repository: GitRepository, tmp_path: Path):
    odd = {"mesh/ü b\tc.yaml": "odd", "mesh/deep/er/x.yaml": "x: 1", "other.txt": "o"}
    repository.write({"mesh/routes.yaml": "a: 2\n", "run.sh": "#!/bin/sh\n", **odd})
    (repository.work / "run.sh").chmod(0o755)
    (repository.work / "link.yaml").symlink_to("mesh/routes.yaml")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib")
    base = repository.commit("before")
    repository.push()
    mirror = a_mirror(tmp_path)
    await mirror.fetch(repository.url, "main", ".")

    commit = await mirror.push(repository.url, a_proposal(base, {"mesh/routes.yaml": b"a: 1\n"}))
    assert in_origin(repository, "rev-parse", "main") == commit
    assert in_origin(repository, "diff", "--name-only", base, commit) == "mesh/routes.yaml"
    assert in_origin(repository, "show", f"{commit}:mesh/routes.yaml") == "a: 1"
    form = "--format=%P|%an <%ae>|%cn|%aI|%s|%b"
    assert in_origin(repository, "log", "-1", form, commit) == (
        f"{base}|{AUTHOR}|Róbo|2026-03-02T12:00:00+00:00|Put it back|Why"
    )
    in_origin(repository, "fsck", "--strict", "--no-dangling")
    revision = await mirror.fetch(repository.url, "main", ".")
    assert (revision.commit, revision.forced) == (commit, False)


async def test_what_somebody_else_pushed_meanwhile_is_not_lost(repository: GitRepository, tmp_path: Path):
    base = repository.publish({"a.yaml": "a: 2"}, "one")
    mirror = a_mirror(tmp_path)
    await mirror.fetch(repository.url, "main", ".")
    newer = repository.publish({"b.yaml": "b: 1"}, "two")
    with pytest.raises(MovedError, match=r"main of file://.* has moved"):
        await mirror.push(repository.url, a_proposal(base, {"a.yaml": b"a: 1"}))
    assert in_origin(repository, "rev-parse", "main") == newer


async def test_a_branch_for_review_is_made_once(repository: GitRepository, tmp_path: Path):
    base = repository.publish({"a.yaml": "a: 2"}, "one")
    mirror = a_mirror(tmp_path)
    await mirror.fetch(repository.url, "main", ".")
    review = a_proposal(base, {"a.yaml": b"a: 1"}, branch="gitmesh/revert-a-123", expected="")
    first = await mirror.push(repository.url, review)
    assert in_origin(repository, "rev-parse", "gitmesh/revert-a-123") == first
    assert in_origin(repository, "rev-parse", "main") == base
    newer = repository.publish({"b.yaml": "b: 1"}, "two")
    await mirror.fetch(repository.url, "main", ".")
    again = a_proposal(newer, {"a.yaml": b"a: 1"}, branch="gitmesh/revert-a-123", expected="")
    assert await mirror.push(repository.url, again) == first


async def test_a_server_that_declines_is_told_of_with_its_reason(repository: GitRepository, tmp_path: Path):
    base = repository.publish({"a.yaml": "a: 2"}, "one")
    mirror = a_mirror(tmp_path)
    await mirror.fetch(repository.url, "main", ".")
    hook = repository.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(
        FetchError, match=r"does not take what is pushed to main \(pre-receive hook declined\)"
    ) as caught:
        await mirror.push(repository.url, a_proposal(base, {"a.yaml": b"a: 1"}))
    assert not caught.value.retryable


async def test_a_server_that_only_lets_read_is_told_of(repository: GitRepository, tmp_path: Path):
    base = repository.publish({"a.yaml": "a: 2"}, "one")
    mirror = a_mirror(tmp_path)
    with git_over_http(repository.origin.parent) as server:
        url = f"{server.url}/origin.git"
        await mirror.fetch(url, "main", ".")
        with pytest.raises(FetchError, match=r"cannot push main to http://.*check rights"):
            await mirror.push(url, a_proposal(base, {"a.yaml": b"a: 1"}))


async def test_a_server_that_gives_no_answer_is_given_up(repository: GitRepository, tmp_path: Path):
    base = repository.publish({"a.yaml": "a: 2"}, "one")
    mirror = a_mirror(tmp_path, fetch_timeout="1s")
    await mirror.fetch(repository.url, "main", ".")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/origin.git"
        with pytest.raises(FetchError, match="git was still at work after 1 s"):
            await mirror.push(url, a_proposal(base, {"a.yaml": b"a: 1"}))


async def test_no_hook_of_the_mirror_runs(repository: GitRepository, tmp_path: Path):
    base = repository.publish({"a.yaml": "a: 2"}, "one")
    mirror = a_mirror(tmp_path)
    await mirror.fetch(repository.url, "main", ".")
    hooks = tmp_path / "mirror" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("pre-push", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        (hooks / name).chmod(0o755)
    await mirror.push(repository.url, a_proposal(base, {"a.yaml": b"a: 1"}))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("fields", "files"),
    [
        ({"author": "x <y>\ncommitter evil <e>"}, {"a.yaml": b""}),
        ({"author": "nobody"}, {"a.yaml": b""}),
        ({"branch": "--receive-pack=touch x"}, {"a.yaml": b""}),
        ({"branch": "main:refs/heads/other"}, {"a.yaml": b""}),
        ({"base": "--all", "expected": "", "branch": "new"}, {"a.yaml": b""}),
        ({}, {"../a.yaml": b""}),
        ({}, {"/etc/passwd": b""}),
        ({}, {".git/config": b""}),
        ({}, {"absent.yaml": b""}),
        ({}, {"link.yaml": b""}),
        ({}, {"a.yaml/b": b""}),
    ],
    ids=str,
)
async def test_nothing_odd_is_committed(
    repository: GitRepository, tmp_path: Path, fields: dict[str, Any], files: dict[str, bytes]
):
    repository.write({"a.yaml": "a: 2"})
    (repository.work / "link.yaml").symlink_to("a.yaml")
    base = repository.commit("one")
    repository.push()
    mirror = a_mirror(tmp_path)
    await mirror.fetch(repository.url, "main", ".")
    proposal = a_proposal(**{"base": base, "files": files, **fields})
    with pytest.raises(FetchError):
        await mirror.push(repository.url, proposal)
    assert (
        in_origin(repository, "for-each-ref", "--format=%(objectname) %(refname)")
        == f"{base} refs/heads/main"
    )


async def test_a_message_holds_no_control_characters(repository: GitRepository, tmp_path: Path):
    base = repository.publish({"a.yaml": "a: 2"}, "one")
    mirror = a_mirror(tmp_path)
    await mirror.fetch(repository.url, "main", ".")
    hostile = "Subject\x1b[31m\0tree\r\n\nBody\n"
    commit = await mirror.push(repository.url, a_proposal(base, {"a.yaml": b"a: 1"}, message=hostile))
    assert in_origin(repository, "log", "-1", "--format=%s", commit) == "Subject [31m tree"


async def test_urls_are_held_to_the_rules_of_fetching(tmp_path: Path):
    mirror = GitMirror(tmp_path / "mirror", GitLimits(), allow_file_urls=False)
    for url in ("ext::sh -c true", "file:///tmp/x", "https://u:p@example.com/x", "-oProxyCommand=x"):
        with pytest.raises(FetchError, match=r"refused|credentials"):
            await mirror.push(url, a_proposal("1" * 40, {"a.yaml": b""}))


async def test_the_past_of_a_file_is_found_newest_first(repository: GitRepository, tmp_path: Path):
    for content in ("one", "two", "three", "two", "four"):
        repository.publish({"mesh/a.yaml": content, "n.txt": content}, content)
    repository.git("switch", "--quiet", "--create", "side")
    repository.write({"mesh/a.yaml": "side"})
    repository.commit("side")
    repository.git("switch", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-ff", "-m", "merge", "side")
    repository.push()
    mirror = a_mirror(tmp_path)
    head = (await mirror.fetch(repository.url, "main", ".")).commit
    seen: list[bytes] = []

    def never(content: bytes) -> bool:
        seen.append(content)
        return False

    assert await mirror.look_back(head, "mesh/a.yaml", never) is None
    assert seen == [b"side", b"four", b"two", b"three", b"one"]
    assert await mirror.look_back(head, "mesh/a.yaml", lambda c: c == b"three") == b"three"
    assert await mirror.look_back(head, "mesh/absent.yaml", lambda _: True) is None
    with pytest.raises(FetchError):
        await mirror.look_back(head, "../etc/passwd", lambda _: True)


async def test_contents_above_the_limit_are_passed_over(repository: GitRepository, tmp_path: Path):
    for content in ("small", "x" * 2000, "now"):
        repository.publish({"a.yaml": content}, "change")
    mirror = a_mirror(tmp_path, file_bytes_max=1000)
    head = (await mirror.fetch(repository.url, "main", ".")).commit
    assert await mirror.look_back(head, "a.yaml", lambda c: c != b"now") == b"small"


async def test_a_repository_with_a_checked_out_branch_says_no(repository: GitRepository, tmp_path: Path):
    base = repository.publish({"a.yaml": "a: 2"}, "one")
    mirror = a_mirror(tmp_path)
    url = f"file://{repository.work}"
    await mirror.fetch(url, "main", ".")
    with pytest.raises(FetchError, match="branch is currently checked out"):
        await mirror.push(url, a_proposal(base, {"a.yaml": b"a: 1"}))
    assert repository.head == base
