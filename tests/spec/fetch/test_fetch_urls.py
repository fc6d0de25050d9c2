"""Promises about what a TrafficSource may name."""

import pytest

from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.urls import check_branch, check_commit, check_path, check_url, local_path, without_secrets


@pytest.mark.parametrize(
    ("url", "transport"),
    [
        ("https://example.com/team/mesh.git", "https"),
        ("https://example.com:8443/mesh", "https"),
        ("http://127.0.0.1:8080/mesh.git", "http"),
        ("http://localhost/mesh.git", "http"),
        ("http://[::1]:8080/mesh.git", "http"),
        ("git://127.0.0.1/mesh.git", "git"),
        ("ssh://git@example.com:2222/mesh.git", "ssh"),
        ("ssh://example.com/mesh.git", "ssh"),
        ("git@example.com:team/mesh.git", "ssh"),
    ],
)
def test_a_url_on_the_allow_list_passes_unchanged_and_opens_one_transport_only(url, transport):
    remote = check_url(url, allow_file_urls=False)
    assert (remote.text, remote.transport) == (url, transport)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "-x",
        "--upload-pack=touch /tmp/x",
        "ext::sh -c id",
        "ext::sh",
        "fd::17",
        "http://example.com/mesh.git",
        "git://example.com/mesh.git",
        "ftp://example.com/mesh.git",
        "file:///srv/mesh.git",
        "/srv/mesh.git",
        "./mesh.git",
        "C:\\mesh",
        "example.com/mesh",
        "https://",
        "https://example.com",
        "https://-oProxyCommand=x/mesh",
        "ssh://-oProxyCommand=x/mesh",
        "ssh://-l@example.com/mesh",
        "-oProxyCommand=x@example.com:mesh",
        "git@-oProxyCommand=x:mesh",
        "git@example.com:-x",
        "git@example.com::x",
        "https://example.com/a\nb",
        "https://example.com/a b",
        "https://example.com:99999/mesh",
        "https://example.com/mesh?private_token=abc",
        "https://example.com/" + "a" * 3000,
    ],
)
def test_any_other_url_is_refused_for_good_and_says_what_to_write_instead(url):
    with pytest.raises(FetchError, match=r"https://host/path|--allow-file-urls") as refused:
        check_url(url, allow_file_urls=False)
    assert not refused.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:s3cr3t@example.com/mesh.git",
        "https://s3cr3t@example.com/mesh.git",
        "http://ada:s3cr3t@127.0.0.1/mesh.git",
        "ssh://git:s3cr3t@example.com/mesh.git",
        "HTTPS://ada:s3cr3t@example.com/mesh.git",
        "https://example.com/mesh.git?token=s3cr3t",
        "ftp://ada:s3cr3t@example.com/x",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url):
    with pytest.raises(FetchError) as refused:
        check_url(url, allow_file_urls=True)
    assert "s3cr3t" not in str(refused.value)
    assert "s3cr3t" not in repr(refused.value.__cause__)


@pytest.mark.parametrize("url", ["/srv/mesh.git", "file:///srv/mesh.git"])
def test_a_local_repository_needs_permission_and_then_becomes_a_file_url(url):
    assert check_url(url, allow_file_urls=True).text == "file:///srv/mesh.git"
    assert str(local_path(url)) == "/srv/mesh.git"


@pytest.mark.parametrize("url", ["/srv/my mesh 100%.git", "file:///srv/my%20mesh%20100%25.git"])
def test_a_local_path_may_hold_any_letter(url):
    assert check_url(url, allow_file_urls=True).text == "file:///srv/my%20mesh%20100%25.git"
    assert str(local_path(url)) == "/srv/my mesh 100%.git"


def test_a_file_url_of_another_host_is_refused():
    with pytest.raises(FetchError, match="this machine"):
        check_url("file://fileserver/mesh.git", allow_file_urls=True)


@pytest.mark.parametrize("branch", ["main", "release/1.2", "feature/a-b_c", "ünïcode", "a@b"])
def test_names_that_git_accepts_are_branches(branch):
    assert check_branch(branch) == branch


@pytest.mark.parametrize(
    "branch",
    ["", "-x", "--all", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "[a", "a\\b", "/a", "a/", "a//b", ".a",
     "a/.b", "a.lock", "a.lock/b", "a.", "@", "a@{1}", "a\x07", "x" * 300],
)  # fmt: skip
def test_names_that_git_refuses_are_refused_before_git_sees_them(branch):
    with pytest.raises(FetchError, match=r"spec\.branch"):
        check_branch(branch)


def test_a_path_is_cleaned_and_never_leaves_the_repository():
    assert check_path("") == check_path(".") == check_path("./") == "."
    assert check_path("./a//b/") == "a/b"
    for path in ("/etc", "../x", "a/../../x", "a\0b", "~/x", ".git/config"):
        with pytest.raises(FetchError, match=r"spec\.path"):
            check_path(path)


def test_a_commit_is_its_full_id():
    assert check_commit("a" * 40) == "a" * 40
    for text in ("HEAD", "a" * 39, "A" * 40, "--all", "a" * 40 + "\n"):
        with pytest.raises(FetchError):
            check_commit(text)


def test_text_of_a_server_is_shown_without_credentials():
    shown = without_secrets("fatal: https://ada:hunter2@example.com/x: token=hunter2 password: hunter2")
    assert "hunter2" not in shown
    assert "example.com" in shown
