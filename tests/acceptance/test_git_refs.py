"""Promises about tags, versions, commits and rewritten history, on real repositories."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.git_http import GitHttpServer, git_over_http

from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.mirror import GitMirror
from gitmesh.model.config import GitLimits
from gitmesh.model.repository import Ref, RefKind
from gitmesh.playground.repository import GitRepository, run_git

pytestmark = [pytest.mark.anyio, pytest.mark.real]


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository.create(tmp_path / "repository")


@pytest.fixture
def mirror(tmp_path: Path) -> GitMirror:
    return a_mirror(tmp_path)


@pytest.fixture
def server(repository: GitRepository) -> Iterator[GitHttpServer]:
    with git_over_http(repository.origin.parent) as server:
        yield server


def a_mirror(tmp_path: Path) -> GitMirror:
    return GitMirror(tmp_path / "data" / "mirror", GitLimits(), allow_file_urls=True)


def release(repository: GitRepository, tag: str, content: str, *, annotated: bool = True) -> str:
    """Publish one file and tag its commit."""
    commit = repository.publish({"a.yaml": content}, tag)
    repository.git("tag", "--force", *(["--annotate", f"--message={tag}"] if annotated else []), tag)
    repository.git("push", "--quiet", "--force", "origin", f"refs/tags/{tag}")
    return commit


def tag(name: str) -> Ref:
    return Ref(RefKind.TAG, name)


def versions(range_: str) -> Ref:
    return Ref(RefKind.SEMVER, range_)


# Tags and versions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("annotated", [True, False])
async def test_a_tag_is_followed_and_gives_the_revision_its_name(repository, mirror, annotated):
    commit = release(repository, "v1.4.2", "a: 1", annotated=annotated)
    repository.publish({"a.yaml": "a: 2"}, "newer")
    revision = await mirror.fetch(repository.url, tag("v1.4.2"), ".")
    assert revision.id == f"v1.4.2@{commit}"
    assert revision.files["a.yaml"].content == b"a: 1"
    assert await mirror.fetch(repository.url, tag("v1.4.2"), ".") is revision


async def test_a_tag_that_is_not_there_is_answered_with_those_that_are_the_newest_first(repository, mirror):
    for name in ("v1.9.0", "v1.10.0", "nightly"):
        release(repository, name, name)
    with pytest.raises(
        FetchError, match=r"has no tag v2; it has: v1\.10\.0, v1\.9\.0, nightly; set spec\.tag"
    ):
        await mirror.fetch(repository.url, tag("v2"), ".")


async def test_a_tag_of_something_that_is_no_commit_is_told_and_rebuilds_nothing(repository, mirror):
    repository.publish({"a.yaml": "a: 1"}, "one")
    blob = repository.git("rev-parse", "HEAD:a.yaml")
    repository.git("tag", "blob", blob)
    repository.git("push", "--quiet", "origin", "refs/tags/blob")
    await mirror.fetch(repository.url, "main", ".")
    for _ in range(2):
        with pytest.raises(FetchError, match=r"tag blob of .* is not on a commit"):
            await mirror.fetch(repository.url, tag("blob"), ".")
    assert mirror.counters.rebuilds == 0


async def test_of_the_tags_in_a_range_the_newest_version_is_followed_also_when_it_comes_later(
    repository, mirror
):
    for name in ("v1.9.0", "v1.10.0", "v2.0.0", "v1.11.0-rc.1", "latest"):
        release(repository, name, name)
    first = await mirror.fetch(repository.url, versions("1.x"), ".")
    assert first.branch == "v1.10.0"
    assert await mirror.fetch(repository.url, versions("1.x"), ".", since=first.id) is first
    commit = release(repository, "v1.12.3", "a: 3")
    second = await mirror.fetch(repository.url, versions("1.x"), ".", since=first.id)
    assert (second.id, second.forced) == (f"v1.12.3@{commit}", False)


async def test_a_version_of_another_branch_is_no_rewritten_history(repository, mirror):
    release(repository, "v1.0.0", "a: 1")
    first = await mirror.fetch(repository.url, versions("1.x"), ".")
    release(repository, "v2.0.0", "a: 2")
    repository.git("checkout", "--quiet", "--detach", "v1.0.0")
    repository.write({"a.yaml": "a: 11"})
    commit = repository.commit("a fix for version 1")
    repository.git("tag", "v1.0.1")
    repository.git("push", "--quiet", "origin", "refs/tags/v1.0.1")
    second = await mirror.fetch(repository.url, versions("1.x"), ".", since=first.id)
    assert (second.id, second.forced) == (f"v1.0.1@{commit}", False)


async def test_a_range_without_a_version_is_answered_with_the_tags_that_there_are(repository, mirror):
    repository.publish({"a.yaml": "a: 1"}, "one")
    with pytest.raises(FetchError, match=r"it has no tags; set spec\.semver"):
        await mirror.fetch(repository.url, versions("1.x"), ".")
    release(repository, "v2.0.0", "a: 2")
    with pytest.raises(FetchError, match=r"no tag of file://.* is a version in '1\.x'; it has: v2\.0\.0"):
        await mirror.fetch(repository.url, versions("1.x"), ".")


async def test_a_moved_tag_is_told_and_counts_as_meant_only_by_its_commit(repository, mirror):
    first = release(repository, "v1.4.2", "a: 1")
    await mirror.fetch(repository.url, tag("v1.4.2"), ".")
    second = release(repository, "v1.4.2", "a: 2")
    since = f"v1.4.2@{first}"
    for ref in (tag("v1.4.2"), versions("~1.4")):
        assert (await mirror.fetch(repository.url, ref, ".", since=since)).forced
        assert not (await mirror.fetch(repository.url, ref, ".", since=since, meant=second)).forced
    assert not (await mirror.fetch(repository.url, tag("v1.4.2"), ".", since=f"v1.4.2@{second}")).forced


async def test_an_unchanged_range_costs_one_look_at_the_list_of_tags(repository, mirror, server):
    release(repository, "v1.4.2", "a: 1")
    url = f"{server.url}/origin.git"
    await mirror.fetch(url, versions("1.x"), ".")
    asked = len(server.requests)
    await mirror.fetch(url, versions("1.x"), ".")
    assert len(server.requests) - asked == 2  # what the server can do, and its tags


@pytest.mark.parametrize("name", ["-x", "a b", "a..b", "x.lock", "refs^{}"])
async def test_a_name_that_no_tag_can_have_reaches_no_git(repository, mirror, name):
    with pytest.raises(FetchError, match=r"Git tag can have; set spec\.tag"):
        await mirror.fetch(repository.url, tag(name), ".")


# One commit ----------------------------------------------------------------------------------------------


async def test_a_commit_of_a_branch_is_followed_and_once_here_costs_no_network(repository, mirror):
    old = repository.publish({"a.yaml": "a: 1"}, "one")
    repository.publish({"a.yaml": "a: 2"}, "two")
    pinned = Ref(RefKind.COMMIT, old, "main")
    revision = await mirror.fetch(repository.url, pinned, ".")
    assert (revision.id, revision.files["a.yaml"].content) == (f"main@{old}", b"a: 1")
    shutil.rmtree(repository.origin)
    assert await mirror.fetch(repository.url, pinned, ".", since=f"main@{'0' * 40}") is revision


async def test_a_commit_that_is_not_on_the_branch_is_refused_also_where_the_server_has_it(repository, mirror):
    repository.publish({"a.yaml": "a: 1"}, "one")
    repository.git("checkout", "--quiet", "-b", "fork")
    repository.write({"a.yaml": "a: evil"})
    elsewhere = repository.commit("not reviewed")
    repository.git("push", "--quiet", "origin", "HEAD:refs/heads/fork")
    for commit in (elsewhere, "0" * 40):
        with pytest.raises(FetchError, match=r"commit \w{12} is not on branch main of .*; set spec\.commit"):
            await mirror.fetch(repository.url, Ref(RefKind.COMMIT, commit, "main"), ".")
    assert (
        await mirror.fetch(repository.url, Ref(RefKind.COMMIT, elsewhere, "fork"), ".")
    ).commit == elsewhere


# Rewritten history ---------------------------------------------------------------------------------------


def rewrite(repository: GitRepository, content: str = "a: 9") -> str:
    """Put another commit in the place of the newest, by force."""
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.write({"a.yaml": content})
    commit = repository.commit("rewritten")
    repository.push(force=True)
    return commit


async def test_g17_a_rewritten_branch_is_seen_against_what_was_accepted_and_not_what_was_fetched(
    repository, mirror
):
    accepted = repository.publish({"a.yaml": "a: 1"}, "accepted")
    since = f"main@{accepted}"
    repository.publish({"a.yaml": "a: ["}, "broken, and never accepted")
    assert not (await mirror.fetch(repository.url, "main", ".", since=since)).forced
    rewrite(repository)
    revision = await mirror.fetch(repository.url, "main", ".", since=since)
    assert (revision.subject, revision.forced) == ("rewritten", False)
    assert (await mirror.fetch(repository.url, "main", ".", since=f"main@{'1' * 40}")).forced
    assert (await mirror.fetch(repository.url, "main", ".")).forced is False


async def test_g17_going_back_to_an_older_commit_or_to_other_history_is_seen(repository, mirror):
    repository.publish({"a.yaml": "a: 1"}, "older")
    accepted = f"main@{repository.publish({'a.yaml': 'a: 2'}, 'accepted')}"
    await mirror.fetch(repository.url, "main", ".")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.push(force=True)
    assert (await mirror.fetch(repository.url, "main", ".", since=accepted)).forced
    repository.git("checkout", "--quiet", "--orphan", "unrelated")
    repository.write({"a.yaml": "a: 3"})
    repository.commit("unrelated")
    repository.push(force=True)
    assert (await mirror.fetch(repository.url, "main", ".", since=accepted)).forced


async def test_g17_a_lost_mirror_and_a_commit_that_is_gone_do_no_harm(repository, mirror, tmp_path):
    repository.publish({"a.yaml": "a: 1"}, "one")
    gone = repository.publish({"a.yaml": "a: 2"}, "two")
    await mirror.fetch(repository.url, "main", ".")
    rewrite(repository)
    run_git(f"--git-dir={repository.origin}", "reflog", "expire", "--expire=now", "--all")
    run_git(f"--git-dir={repository.origin}", "gc", "--quiet", "--prune=now")
    shutil.rmtree(tmp_path / "data")
    again = a_mirror(tmp_path)
    assert (await again.fetch(repository.url, "main", ".", since=f"main@{gone}")).forced
    with pytest.raises(FetchError, match="does not have commit"):
        await again.read(gone, "main", ".", url=repository.url)


async def test_what_was_accepted_comes_back_after_a_lost_mirror_if_the_server_still_has_it(
    repository, mirror, server, tmp_path
):
    url = f"{server.url}/origin.git"
    repository.publish({"a.yaml": "a: 1"}, "one")
    accepted = repository.publish({"a.yaml": "a: 2"}, "two")
    rewrite(repository)
    revision = await mirror.fetch(url, "main", ".", since=f"main@{accepted}")
    assert revision.forced
    restored = await mirror.read(accepted, "main", ".", url=url)
    assert (restored.id, restored.files["a.yaml"].content) == (f"main@{accepted}", b"a: 2")


async def test_a_rewrite_that_was_meant_counts_once(repository, mirror):
    repository.publish({"a.yaml": "a: 1"}, "one")
    accepted = repository.publish({"a.yaml": "a: 2"}, "two")
    meant = rewrite(repository, "a: 3")
    later = repository.publish({"b.yaml": "b: 1"}, "goes on")

    async def forced(since: str, meant: str) -> bool:
        return (await mirror.fetch(repository.url, "main", ".", since=f"main@{since}", meant=meant)).forced

    assert await forced(accepted, "")
    assert not await forced(accepted, meant)
    assert not await forced(later, meant)
    rewrite(repository, "a: 4")
    assert await forced(later, meant), "the permission was for another rewrite, and is used up"
