"""Promises about getting into repositories over HTTPS: real git, a real server with TLS, and a real proxy."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.git_http import GitHttpServer, basic, git_over_http, http_proxy

from gitmesh.fetch.errors import FetchError, LoginError
from gitmesh.fetch.mirror import GitMirror
from gitmesh.model.config import GitLimits
from gitmesh.model.repository import Access
from gitmesh.playground.repository import GitRepository

pytestmark = [pytest.mark.anyio, pytest.mark.real]
AUTHORITY = Authority()
SECRET = "s3cr3t-and-long"


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    repository = GitRepository.create(tmp_path / "repository")
    repository.publish({"a.yaml": "a: 1\n"}, "one")
    return repository


@pytest.fixture
def server(repository: GitRepository) -> Iterator[GitHttpServer]:
    with git_over_http(repository.origin.parent, AUTHORITY.serving(AUTHORITY.issue("127.0.0.1"))) as server:
        yield server


@pytest.fixture
def mirror(tmp_path: Path) -> GitMirror:
    return GitMirror(tmp_path / "data" / "mirror", GitLimits(), allow_file_urls=False)


def access(**fields: str) -> Access:
    return Access(**{"authorities": AUTHORITY.pem, **fields})


def left_behind(tmp_path: Path, secret: str = SECRET) -> list[str]:
    """Return the files below the data directory in which a secret stands, or which were only lent."""
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    return [
        str(path)
        for path in files
        if secret.encode() in path.read_bytes()
        or b"BEGIN CERTIFICATE" in path.read_bytes()
        or "lent" in path.parts
    ]


async def test_an_authority_of_ones_own_is_trusted_and_no_other(
    server: GitHttpServer, mirror: GitMirror, tmp_path: Path
):
    url = f"{server.url}/origin.git"
    with pytest.raises(LoginError, match=r"nobody that we trust vouches for the server.*ca\.crt"):
        await mirror.fetch(url, "main", ".")
    with pytest.raises(LoginError, match="nobody that we trust"):
        await mirror.fetch(url, "main", ".", access=access(authorities=Authority("Another").pem))
    assert list((await mirror.fetch(url, "main", ".", access=access())).files) == ["a.yaml"]
    assert left_behind(tmp_path) == []


async def test_a_username_and_a_password_let_in_for_every_call_and_are_kept_nowhere(
    server: GitHttpServer, mirror: GitMirror, repository: GitRepository, tmp_path: Path
):
    url = f"{server.url}/origin.git"
    server.logins = {basic(f"ada:{SECRET}")}
    given = access(username="ada", password=SECRET)
    for number in range(3):
        repository.publish({"a.yaml": f"a: {number}\n"}, str(number))
        revision = await mirror.fetch(url, "main", ".", access=given)
        assert revision.files["a.yaml"].content == f"a: {number}\n".encode()
    with pytest.raises(LoginError, match=r"did not let us in.*spec\.secretRef"):
        await mirror.fetch(url, "main", ".", access=access())
    assert left_behind(tmp_path) == []


async def test_a_password_with_any_letter_in_it_arrives_as_it_is(server: GitHttpServer, mirror: GitMirror):
    odd = "a b'c\"d$(touch x)`e`\\f%20;&|<>ü*"
    server.logins = {basic(f"ada:{odd}")}
    given = access(username="ada", password=odd)
    assert (await mirror.fetch(f"{server.url}/origin.git", "main", ".", access=given)).subject == "one"


async def test_a_bearer_token_lets_in(server: GitHttpServer, mirror: GitMirror, tmp_path: Path):
    server.logins = {f"Bearer {SECRET}"}
    given = access(bearer_token=SECRET)
    assert (await mirror.fetch(f"{server.url}/origin.git", "main", ".", access=given)).subject == "one"
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("wrong", [{"username": "ada", "password": SECRET}, {"bearer_token": SECRET}])
async def test_cve_2024_31216_a_secret_is_in_no_error_also_when_the_server_repeats_it(
    server: GitHttpServer, mirror: GitMirror, tmp_path: Path, wrong: dict[str, str], caplog: Any
):
    caplog.set_level(0)
    server.logins, server.said = {"nobody"}, f"{SECRET} is not the password"
    with pytest.raises(LoginError) as refused:
        await mirror.fetch(f"{server.url}/origin.git", "main", ".", access=access(**wrong))
    seen = f"{refused.value} {refused.value!r} {refused.value.__cause__!r} {refused.value.__context__!r}"
    assert SECRET not in seen + caplog.text
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("given", [{"username": "ada", "password": SECRET}, {"bearer_token": SECRET}])
async def test_a_redirect_takes_no_secret_to_another_server(
    server: GitHttpServer, mirror: GitMirror, repository: GitRepository, given: dict[str, str]
):
    tls = AUTHORITY.serving(AUTHORITY.issue("127.0.0.1"))
    with git_over_http(repository.origin.parent, tls) as other:
        other.logins = {"nobody"}
        server.status, server.location = 302, other.url
        with pytest.raises(FetchError):
            await mirror.fetch(f"{server.url}/origin.git", "main", ".", access=access(**given))
        assert set(other.seen_logins) <= {""}


async def test_a_secret_is_on_no_command_line(
    server: GitHttpServer, mirror: GitMirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # Every git that git starts comes by here and writes down how it was called.
    real, spy, log = shutil.which("git"), tmp_path / "bin", tmp_path / "calls"
    spy.mkdir()
    (spy / "git").write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {log}\nexec {real} "$@"\n')
    (spy / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy}:{os.environ['PATH']}")
    server.logins = {basic(f"ada:{SECRET}")}
    with http_proxy() as proxy:
        proxy.login = f"bob:{SECRET}-too"
        given = access(
            username="ada",
            password=SECRET,
            proxy=proxy.address.replace("//", f"//bob:{SECRET}-too@"),
            proxy_password=f"{SECRET}-too",
        )
        await mirror.fetch(f"{server.url}/origin.git", "main", ".", access=given)
    calls = log.read_text()
    assert "fetch" in calls
    assert SECRET not in calls


async def test_a_proxy_is_used_with_its_login_and_a_wrong_one_is_told(
    server: GitHttpServer, mirror: GitMirror, tmp_path: Path
):
    url = f"{server.url}/origin.git"
    with http_proxy() as proxy:
        await mirror.fetch(url, "main", ".", access=access(proxy=proxy.address))
        assert set(proxy.tunnels) == {server.url.removeprefix("https://")}
        proxy.login = f"ada:{SECRET}"
        with pytest.raises(LoginError, match=r"proxy.*spec\.proxySecretRef"):
            await mirror.fetch(url, "main", ".", access=access(proxy=proxy.address))
        right = proxy.address.replace("//", f"//ada:{SECRET}@")
        await mirror.fetch(url, "main", ".", access=access(proxy=right, proxy_password=SECRET))
        wrong = proxy.address.replace("//", f"//ada:{SECRET}x@")
        with pytest.raises(LoginError) as refused:
            await mirror.fetch(url, "main", ".", access=access(proxy=wrong, proxy_password=f"{SECRET}x"))
        assert SECRET not in str(refused.value)
    with pytest.raises(FetchError, match=re.escape(url)):
        await mirror.fetch(url, "main", ".", access=access(proxy=proxy.address))
    assert left_behind(tmp_path) == []


async def test_the_proxy_of_the_daemon_s_environment_counts_where_a_source_names_none(
    server: GitHttpServer, mirror: GitMirror, monkeypatch: pytest.MonkeyPatch
):
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with http_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        await mirror.fetch(f"{server.url}/origin.git", "main", ".", access=access())
        assert len(proxy.tunnels) > 0
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        proxy.tunnels.clear()
        await mirror.fetch(f"{server.url}/origin.git", "main", ".", access=access())
        assert proxy.tunnels == []


async def test_a_certificate_of_ones_own_lets_in_where_the_server_asks_for_one(
    repository: GitRepository, mirror: GitMirror, tmp_path: Path
):
    tls = AUTHORITY.serving(AUTHORITY.issue("127.0.0.1"), asks_clients=True)
    own = AUTHORITY.issue("gitmesh")
    with git_over_http(repository.origin.parent, tls) as server:
        url = f"{server.url}/origin.git"
        with pytest.raises(FetchError):
            await mirror.fetch(url, "main", ".", access=access())
        given = access(certificate=own.certificate, certificate_key=own.key)
        assert (await mirror.fetch(url, "main", ".", access=given)).subject == "one"
    assert left_behind(tmp_path, "PRIVATE KEY") == []


async def test_a_call_that_is_killed_leaves_nothing_behind(
    server: GitHttpServer, repository: GitRepository, tmp_path: Path
):
    mirror = GitMirror(tmp_path / "data" / "mirror", GitLimits(fetch_timeout="500ms"), allow_file_urls=False)
    server.stuck.clear()
    with pytest.raises(FetchError, match="still at work"):
        await mirror.fetch(f"{server.url}/origin.git", "main", ".", access=access(password=SECRET))
    assert left_behind(tmp_path) == []
