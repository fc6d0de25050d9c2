"""Promises about what a Secret may hold, and about what is said when it does not."""

from __future__ import annotations

import contextlib

import pytest

from gitmesh.fetch.access import read_access, with_proxy
from gitmesh.fetch.environment import Lent, git_environment
from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.lending import lent
from gitmesh.fetch.urls import check_url
from gitmesh.model.repository import OPEN, Access

WHERE = "Secret default/git of spec.secretRef"
KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
TLS_KEY = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
HOSTS = b"git.example.com ssh-ed25519 AAAA\n"
HTTPS = check_url("https://git.example.com:8443/mesh.git", allow_file_urls=False)
SSH = check_url("ssh://git@git.example.com/mesh.git", allow_file_urls=False)


def test_a_username_and_a_password_open_https_and_a_line_break_behind_them_is_not_meant():
    access = read_access({"username": b"ada\n", "password": b"s3cr3t\n"}, "https", WHERE)
    assert (access.username, access.password) == ("ada", "s3cr3t")


def test_a_token_alone_is_a_password_or_a_bearer_token():
    assert read_access({"password": b"s3cr3t"}, "https", WHERE).username == "git"
    access = read_access({"bearerToken": b"s3cr3t"}, "https", WHERE)
    assert (access.bearer_token, access.password) == ("s3cr3t", "")


@pytest.mark.parametrize("key", ["ca.crt", "caFile"])
def test_an_authority_of_ones_own_needs_no_login(key):
    assert read_access({key: CERTIFICATE}, "https", WHERE).authorities == CERTIFICATE.decode()


@pytest.mark.parametrize("key", ["identity", "ssh-privatekey"])
def test_a_key_and_known_hosts_open_ssh(key):
    access = read_access({key: KEY, "known_hosts": HOSTS, "identity.pub": b"x"}, "ssh", WHERE)
    assert access.identity == KEY.decode() + "\n"
    assert access.known_hosts == HOSTS.decode()


def test_a_key_from_windows_is_read_as_it_is_meant():
    access = read_access({"identity": KEY.replace(b"\n", b"\r\n"), "known_hosts": HOSTS}, "ssh", WHERE)
    assert "\r" not in access.identity


def test_a_repository_of_this_machine_needs_no_secret():
    assert read_access({"password": b"x"}, "file", WHERE) == OPEN


@pytest.mark.parametrize(
    ("transport", "content", "told"),
    [
        ("https", {}, "it holds nothing, and what is looked for is username and password, bearerToken"),
        (
            "https",
            {"identity": KEY, "known_hosts": HOSTS},
            "opens a repository over https: it holds identity",
        ),
        ("https", {"username": b"ada"}, "username is there, and password is not"),
        ("https", {"password": b"s3cr3t", "bearerToken": b"s3cr3t"}, "keep one of them"),
        ("https", {"password": b"s3cr3t\nurl=https://evil.example.com"}, "line breaks or control characters"),
        ("https", {"password": b"\xff\xfe"}, "password is not text"),
        ("https", {"ca.crt": b"s3cr3t"}, "ca.crt is not in PEM form"),
        ("https", {"tls.crt": CERTIFICATE}, "tls.crt and tls.key go together"),
        ("ssh", {"identity": KEY}, "known_hosts is missing.*ssh-keyscan"),
        ("ssh", {"identity": KEY, "known_hosts": b" \n"}, "known_hosts is missing"),
        ("ssh", {"known_hosts": HOSTS}, "what is looked for is identity"),
        ("ssh", {"identity": b"s3cr3t", "known_hosts": HOSTS}, "identity is not in PEM form"),
        ("ssh", {"username": b"ada", "password": b"s3cr3t"}, "over ssh: it holds password, username"),
    ],
)
def test_what_opens_nothing_is_refused_by_secret_and_key_and_never_shown(transport, content, told):
    with pytest.raises(FetchError, match=told) as refused:
        read_access(content, transport, WHERE)
    assert str(refused.value).startswith(WHERE)
    assert "s3cr3t" not in str(refused.value)


def test_a_proxy_is_an_address_with_or_without_a_login():
    plain = with_proxy(OPEN, {"address": b"http://proxy.example.com:3128"}, "https", WHERE)
    assert plain.proxy == "http://proxy.example.com:3128"
    login = {"address": b"http://proxy.example.com:3128/", "username": b"ada", "password": b"p@ss/w:rd"}
    access = with_proxy(Access(password="x"), login, "https", WHERE)
    assert access.proxy == "http://ada:p%40ss%2Fw%3Ard@proxy.example.com:3128"
    assert (access.password, access.proxy_password) == ("x", "p@ss/w:rd")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "address is not the address of a proxy"),
        ({"address": b"proxy.example.com:3128"}, "write for example http://"),
        ({"address": b"http://ada:s3cr3t@proxy.example.com"}, "address is not"),
        ({"address": b"http://proxy.example.com", "username": b"ada"}, "go together"),
    ],
)
def test_what_is_no_proxy_is_refused(content, told):
    with pytest.raises(FetchError, match=told) as refused:
        with_proxy(OPEN, content, "https", WHERE)
    assert "s3cr3t" not in str(refused.value)


def test_a_proxy_is_for_https_and_ssh_says_so():
    with pytest.raises(FetchError, match="proxySecretRef is for repositories over https"):
        with_proxy(OPEN, {"address": b"http://proxy.example.com"}, "ssh", WHERE)


def test_access_is_never_shown():
    access = Access(username="s3cr3t", password="s3cr3t", identity="s3cr3t", proxy="s3cr3t")
    assert "s3cr3t" not in repr(access)
    assert "s3cr3t" not in repr(Lent({"http.proxy": "s3cr3t"}, {"X": "s3cr3t"}, ("s3cr3t",)))


def test_what_a_server_repeats_is_blotted_out_also_when_it_is_quoted(tmp_path):
    access = with_proxy(
        Access(password="p@ss"),
        {"address": b"http://p.example.com", "username": b"u", "password": b"a/b"},
        "https",
        WHERE,
    )
    with lent(access, HTTPS, tmp_path / "lent") as given:
        assert given.blot("bad p@ss, p%40ss, a/b and a%2Fb") == "bad ***, ***, *** and ***"


def test_files_are_for_nobody_else_and_gone_afterwards_also_after_a_failure(tmp_path):
    place = tmp_path / "mirror.lent"
    place.mkdir()
    (place / "identity").write_text("left behind by a killed daemon")
    access = Access(identity=KEY.decode(), known_hosts=HOSTS.decode(), identity_password="s3cr3t")
    with contextlib.suppress(RuntimeError), lent(access, SSH, place) as given:
        assert place.stat().st_mode & 0o777 == 0o700
        assert {f.name: f.stat().st_mode & 0o777 for f in place.iterdir()} == {
            "identity": 0o600,
            "known_hosts": 0o600,
            "askpass": 0o700,
        }
        assert "s3cr3t" not in "".join(f.read_text() for f in place.iterdir())
        assert "StrictHostKeyChecking=yes" in given.variables["GIT_SSH_COMMAND"]
        assert f'-oUserKnownHostsFile="{place}/known_hosts"' in given.variables["GIT_SSH_COMMAND"]
        raise RuntimeError
    assert not place.exists()


def test_nothing_is_lent_to_a_repository_that_is_open_and_no_file_is_made(tmp_path):
    with lent(OPEN, HTTPS, tmp_path / "lent") as given:
        assert given == Lent()
        assert list(tmp_path.iterdir()) == []


def test_a_password_is_for_one_server_alone(tmp_path):
    with lent(Access(username="ada", password="s3cr3t"), HTTPS, tmp_path / "lent") as given:
        assert list(given.config) == ["credential.https://git.example.com:8443.helper"]
        assert "s3cr3t" not in str(dict(given.config))
        environment = git_environment("https", given)
        assert environment["GITMESH_GIT_PASSWORD"] == "s3cr3t"
        keys = [v for k, v in environment.items() if k.startswith("GIT_CONFIG_KEY_")]
        assert keys.index("credential.helper") < keys.index(next(iter(given.config)))


def test_a_bearer_token_goes_along_no_redirect(tmp_path):
    with lent(Access(bearer_token="s3cr3t"), HTTPS, tmp_path / "lent") as given:
        assert given.config["http.https://git.example.com:8443/.extraHeader"].endswith("Bearer s3cr3t")
        assert given.config["http.followRedirects"] == "false"
