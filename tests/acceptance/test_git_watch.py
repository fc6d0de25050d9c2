"""Promises about noticing a push to a local repository."""

import threading

import anyio
import pytest

from gitmesh.fetch.mirror import GitMirror
from gitmesh.fetch.watch import RepositoryWatch
from gitmesh.model.config import GitLimits
from gitmesh.playground.repository import GitRepository

pytestmark = [pytest.mark.anyio, pytest.mark.real]


@pytest.fixture
def repository(tmp_path):
    repository = GitRepository.create(tmp_path / "repository")
    repository.publish({"a.yaml": "a: 1"}, "one")
    return repository


@pytest.fixture
def changed():
    return threading.Event()


@pytest.fixture
def watch(changed):
    watch = RepositoryWatch(changed.set)
    yield watch
    watch.close()


def was_seen(changed) -> bool:
    seen = changed.wait(5)
    changed.clear()
    return seen


def test_a_push_to_a_bare_repository_is_seen(repository, watch, changed):
    assert watch.add(repository.url)
    repository.publish({"a.yaml": "a: 2"}, "two")
    assert was_seen(changed)


def test_a_push_of_a_branch_in_a_new_folder_is_seen(repository, watch, changed):
    assert watch.add(str(repository.origin))
    repository.git("push", "--quiet", "origin", "HEAD:refs/heads/release/1")
    assert was_seen(changed)


def test_a_commit_in_a_clone_is_seen(repository, watch, changed):
    assert watch.add(str(repository.work))
    repository.write({"a.yaml": "a: 3"})
    repository.commit("three")
    assert was_seen(changed)


def test_a_push_that_lands_in_packed_refs_is_seen(repository, watch, changed):
    assert watch.add(repository.url)
    repository.git("--git-dir", str(repository.origin), "pack-refs", "--all")
    assert was_seen(changed)


async def test_our_own_fetch_is_no_change(repository, watch, changed, tmp_path):
    assert watch.add(repository.url)
    mirror = GitMirror(tmp_path / "mirror", GitLimits(), allow_file_urls=True)
    await mirror.fetch(repository.url, "main", ".")
    await mirror.fetch(repository.url, "main", ".")
    await anyio.sleep(0.3)
    assert not changed.is_set()


def test_what_is_not_a_local_repository_is_left_to_the_poll(watch, tmp_path):
    assert not watch.add("https://example.com/mesh.git")
    assert not watch.add(str(tmp_path))
    assert not watch.add(str(tmp_path / "absent"))
    watch.remove("https://example.com/mesh.git")


def test_a_repository_is_watched_until_the_last_who_asked_has_left(repository, watch, changed):
    assert watch.add(repository.url)
    assert watch.add(str(repository.origin))
    watch.remove(repository.url)
    repository.publish({"a.yaml": "a: 4"}, "four")
    assert was_seen(changed)
    watch.remove(repository.url)
    changed.clear()
    repository.publish({"a.yaml": "a: 5"}, "five")
    assert not changed.wait(0.3)
