"""Promises about repositories over SSH: real git, the real client, and OpenSSH's own server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from fakes.ssh_server import Key, SshServer, a_key, known_host, ssh_server

from gitmesh.fetch.errors import FetchError, LoginError
from gitmesh.fetch.mirror import GitMirror
from gitmesh.fetch.push import Proposal
from gitmesh.model.config import GitLimits
from gitmesh.model.repository import Access
from gitmesh.playground.repository import GitRepository

pytestmark = [pytest.mark.anyio, pytest.mark.real]


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    with ssh_server() as server:
        yield server


@pytest.fixture
def key(server: SshServer, tmp_path: Path) -> Key:
    """A key that is let in."""
    key = a_key(tmp_path)
    server.let_in(key.public)
    return key


@pytest.fixture
def url(server: SshServer, tmp_path: Path) -> str:
    """The URL of a repository with one commit, `one`."""
    repository = GitRepository.create(tmp_path / "repository")
    repository.publish({"a.yaml": "a: 1\n"}, "one")
    return server.serve(repository.origin)


@pytest.fixture
def mirror(tmp_path: Path) -> GitMirror:
    return GitMirror(tmp_path / "data" / "mirror", GitLimits(), allow_file_urls=False)


def left_behind(tmp_path: Path) -> list[Path]:
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    return [path for path in files if b"PRIVATE KEY" in path.read_bytes() or "lent" in str(path)]


async def test_a_key_and_known_hosts_open_a_repository_and_are_kept_nowhere(
    server, key, url, mirror, tmp_path
):
    access = Access(identity=key.private, known_hosts=server.known_hosts)
    revision = await mirror.fetch(url, "main", ".", access=access)
    assert (revision.subject, list(revision.files)) == ("one", ["a.yaml"])
    assert await mirror.fetch(url, "main", ".", access=access) is revision
    assert left_behind(tmp_path) == []


async def test_a_key_with_a_password_opens_too_and_a_wrong_password_does_not(server, url, mirror, tmp_path):
    key = a_key(tmp_path, "locked", "s3cr3t and 'odd\"")
    server.let_in(key.public)
    right = Access(
        identity=key.private, identity_password="s3cr3t and 'odd\"", known_hosts=server.known_hosts
    )
    assert (await mirror.fetch(url, "main", ".", access=right)).subject == "one"
    for password in ("s3cr3t-wrong", ""):
        wrong = Access(identity=key.private, identity_password=password, known_hosts=server.known_hosts)
        with pytest.raises(LoginError, match="did not let us in") as refused:
            await mirror.fetch(url, "main", ".", access=wrong)
        assert "s3cr3t" not in str(refused.value)
    assert left_behind(tmp_path) == []


async def test_another_key_is_told_with_what_to_look_at(server, key, url, mirror, tmp_path):
    other = a_key(tmp_path, "other")
    with pytest.raises(LoginError, match=r"did not let us in \(git@127.*Permission denied.*spec\.secretRef"):
        await mirror.fetch(
            url, "main", ".", access=Access(identity=other.private, known_hosts=server.known_hosts)
        )


async def test_cve_2025_23390_a_host_that_nobody_vouches_for_is_not_talked_to(
    server, key, url, mirror, tmp_path
):
    a_key(tmp_path, "elsewhere")
    unknown = (
        "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBhwbMAFNYSoq8HmkCDAxP8rQYqL1nXEHpUOG1MfHvNU\n"
    )
    changed = known_host(server.port, tmp_path / "elsewhere.pub")
    for known_hosts in (unknown, changed):
        with pytest.raises(LoginError, match="the host's key is not the one in known_hosts, or not in it"):
            await mirror.fetch(url, "main", ".", access=Access(identity=key.private, known_hosts=known_hosts))
    with pytest.raises(LoginError, match="known_hosts"):
        await mirror.fetch(url, "main", ".")
    assert "Accepted" not in server.log.rpartition("Server listening")[2].rpartition("Connection from")[2]


async def test_no_key_of_the_machine_or_its_agent_is_offered(
    server, url, mirror, tmp_path, monkeypatch, request
):
    own, socket = a_key(tmp_path, "id_ed25519"), str(tmp_path / "agent")
    server.let_in(own.public)
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)  # noqa: ASYNC220
    request.addfinalizer(agent.wait)
    request.addfinalizer(agent.kill)
    monkeypatch.setenv("SSH_AUTH_SOCK", socket)
    with anyio.fail_after(10):
        while (await anyio.run_process(["ssh-add", str(tmp_path / "id_ed25519")], check=False)).returncode:  # noqa: ASYNC110
            await anyio.sleep(0.05)
    lent = a_key(tmp_path, "lent-key")
    before = len(server.log)
    with pytest.raises(LoginError):
        await mirror.fetch(
            url, "main", ".", access=Access(identity=lent.private, known_hosts=server.known_hosts)
        )
    assert "Accepted" not in server.log[before:]


async def test_cve_2026_45570_a_path_with_quotes_and_commands_in_it_is_a_path(server, key, mirror, tmp_path):
    repository = GitRepository.create(tmp_path / "repository")
    repository.publish({"a.yaml": "a: 1\n"}, "quoted")
    access = Access(identity=key.private, known_hosts=server.known_hosts)
    for name in (
        "it's.git",
        "a'$(touch${IFS}pwned)'b.git",
        "`touch${IFS}pwned`.git",
        "x;touch${IFS}pwned;.git",
    ):
        url = server.serve(repository.origin, name)
        assert (await mirror.fetch(url, "main", ".", access=access)).subject == "quoted"
    assert not list(server.directory.rglob("pwned"))


async def test_a_commit_is_pushed_with_the_same_key(server, key, url, mirror):
    access = Access(identity=key.private, known_hosts=server.known_hosts)
    base = await mirror.fetch(url, "main", ".", access=access)
    proposal = Proposal(
        base=base.commit, branch="main", expected=base.commit, files={"a.yaml": b"a: 0\n"},
        author="Ada <ada@example.com>", when=datetime(2026, 3, 2, 12, 0, tzinfo=UTC), message="back",
    )  # fmt: skip
    commit = await mirror.push(url, proposal, access=access)
    assert (await mirror.fetch(url, "main", ".", access=access)).commit == commit
    with pytest.raises(FetchError):
        await mirror.push(url, proposal)


async def test_a_call_that_is_killed_leaves_no_key_behind(server, key, url, tmp_path):
    limits = GitLimits(fetch_timeout="1ms")
    mirror = GitMirror(tmp_path / "data" / "mirror", limits, allow_file_urls=False)
    with pytest.raises(FetchError, match="still at work"):
        await mirror.fetch(
            url, "main", ".", access=Access(identity=key.private, known_hosts=server.known_hosts)
        )
    assert left_behind(tmp_path) == []
