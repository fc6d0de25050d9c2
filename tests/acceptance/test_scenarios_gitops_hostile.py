"""What has gone wrong with hostile repositories elsewhere: one test for each class, on real git."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.examined import parsed
from fakes.git_http import git_over_http

from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.mirror import GitMirror
from gitmesh.model.config import GitLimits, ParseLimits
from gitmesh.model.diagnostic import Severity
from gitmesh.playground.repository import GitRepository

pytestmark = [pytest.mark.anyio, pytest.mark.real]
MEGABYTE = 1_000_000


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository.create(tmp_path / "repository")


def a_mirror(tmp_path: Path, **limits: object) -> GitMirror:
    return GitMirror(tmp_path / "mirror", GitLimits.model_validate(limits), allow_file_urls=True)


def plumbing(repository: GitRepository, *arguments: str, stdin: bytes = b"") -> str:
    command = ["git", f"--git-dir={repository.work}/.git", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout.decode().strip()


def commit_tree(repository: GitRepository, *entries: tuple[str, str, str]) -> None:
    """Push a commit of entries (mode, id, name) that no work tree could hold."""
    kinds = {"40000": "tree", "160000": "commit"}
    lines = "".join(f"{mode} {kinds.get(mode, 'blob')} {oid}\t{name}\0" for mode, oid, name in entries)
    tree = plumbing(repository, "mktree", "-z", "--missing", stdin=lines.encode())
    commit = repository.git("commit-tree", "-m", "hostile", tree)
    repository.git("push", "--quiet", "--force", "origin", f"{commit}:refs/heads/main")


def a_blob(repository: GitRepository, content: str) -> str:
    return plumbing(repository, "hash-object", "-w", "--stdin", stdin=content.encode())


# Paths and links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["../other", "a/../../other", "/etc", "~/x", "..", "a/..", ".git", "mesh/.git/config", "a\0b", "a\nb"],
)
async def test_cve_2022_24348_a_path_that_leads_out_of_the_repository_is_refused(repository, tmp_path, path):
    repository.publish({"mesh/a.yaml": "a: 1\n"}, "one")
    with pytest.raises(FetchError, match=r"not a path inside a repository; set spec\.path"):
        await a_mirror(tmp_path).fetch(repository.url, "main", path)


async def test_cve_2022_24731_a_path_that_is_a_url_or_a_prefix_of_another_reads_nothing_else(
    repository, tmp_path
):
    repository.publish({"mesh/a.yaml": "a: 1\n", "mesh-private/b.yaml": "b: 1\n"}, "one")
    mirror = a_mirror(tmp_path)
    assert list((await mirror.fetch(repository.url, "main", "mesh")).files) == ["mesh/a.yaml"]
    for path in ("file:///etc/passwd", "https://example.com/x.yaml", "mes"):
        with pytest.raises(FetchError, match="there is no path"):
            await mirror.fetch(repository.url, "main", path)


LINKS = {
    "passwd.yaml": "/etc/passwd", "up.yaml": "../../../../etc/passwd", "loop.yaml": "loop.yaml",
    "a.yaml": "b.yaml", "b.yaml": "a.yaml", "inside.yaml": "good/good.yaml", "etc": "/etc", "dir": "good",
}  # fmt: skip


async def test_g31_symbolic_links_of_every_kind_are_named_and_not_followed(repository, tmp_path):
    repository.write({"good/good.yaml": "a: 1\n"})
    for name, target in LINKS.items():
        (repository.work / name).symlink_to(target)
    repository.commit("links")
    repository.push()
    revision = await a_mirror(tmp_path).fetch(repository.url, "main", ".")
    assert list(revision.files) == ["good/good.yaml"]
    assert {d.at.file for d in revision.diagnostics if d.at and d.code == "GM001"} == set(LINKS)


@pytest.mark.parametrize("path", ["etc", "dir", "dir/good.yaml", "passwd.yaml"])
async def test_cve_2022_31036_a_source_whose_path_is_or_leads_through_a_link_reads_nothing(
    repository, tmp_path, path
):
    repository.write({"good/good.yaml": "a: 1\n"})
    for name, target in LINKS.items():
        (repository.work / name).symlink_to(target)
    repository.commit("links")
    repository.push()
    try:
        files = (await a_mirror(tmp_path).fetch(repository.url, "main", path)).files
    except FetchError as refused:
        assert "no path" in str(refused)  # noqa: PT017 (either is right, and nothing is read by both)
        files = {}
    assert files == {}


# What a repository may do to git ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", ".git ", ".git."])
async def test_cve_2026_47680_a_repository_cannot_bring_a_git_directory_of_its_own(
    repository, tmp_path, name
):
    marker = tmp_path / "ran"
    config = a_blob(repository, f"[core]\nfsmonitor = touch {marker}\nsshCommand = touch {marker}\n")
    inner = plumbing(repository, "mktree", stdin=f"100644 blob {config}\tconfig\n".encode())
    commit_tree(repository, ("40000", inner, name))
    with pytest.raises(FetchError, match="git's own check refuses"):
        await a_mirror(tmp_path).fetch(repository.url, "main", ".")
    assert not marker.exists()
    assert not list(tmp_path.glob("mirror*"))


async def test_cve_2026_45571_a_repository_writes_nothing_into_the_mirror_but_objects(repository, tmp_path):
    names = [
        "config",
        "HEAD",
        "hooks/post-update",
        "objects/info/alternates",
        "packed-refs",
        "config.worktree",
    ]
    repository.publish({**dict.fromkeys(names, "[core]\n"), "a.yaml": "a: 1\n"}, "names of a mirror")
    mirror = a_mirror(tmp_path)
    await mirror.fetch(repository.url, "main", ".")
    config = (tmp_path / "mirror" / "config").read_text()
    repository.publish({"a.yaml": "a: 2\n", "objects/info/alternates": "/etc\n"}, "again")
    await mirror.fetch(repository.url, "main", ".")
    assert (tmp_path / "mirror" / "config").read_text() == config
    assert not (tmp_path / "mirror" / "hooks").exists()
    assert not (tmp_path / "mirror" / "objects" / "info" / "alternates").exists()


async def test_cve_2018_17456_a_submodule_is_reported_and_its_url_reaches_nobody(repository, tmp_path):
    marker = tmp_path / "ran"
    url = f"-u./x --upload-pack='touch {marker}'"
    modules = a_blob(repository, f'[submodule "x"]\n\tpath = x\n\turl = {url}\n')
    commit_tree(repository, ("100644", modules, ".gitmodules"), ("160000", "1" * 40, "x"))
    try:
        revision = await a_mirror(tmp_path).fetch(repository.url, "main", ".")
    except FetchError as refused:
        assert "git's own check refuses" in str(refused)  # noqa: PT017 (git knows this one)
    else:
        assert [d.code for d in revision.diagnostics] == ["GM002"]
    assert not marker.exists()


# What a URL or a name may do ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["ext::sh -c 'touch ran'", "ext::sh -c touch% ran", "fd::7", "--upload-pack=touch ran", "-u./x",
     "ssh://-oProxyCommand=touch${IFS}ran/x", "git@-oProxyCommand=touch:x", "file::/etc", "transport::x"],
)  # fmt: skip
async def test_cve_2022_24439_a_url_that_would_run_a_command_is_refused_before_git_sees_it(
    tmp_path, url, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    mirror = a_mirror(tmp_path)
    with pytest.raises(FetchError, match=r"spec\.url is refused"):
        await mirror.fetch(url, "main", ".")
    assert list(tmp_path.iterdir()) == []
    assert mirror.counters.fetches == 0


@pytest.mark.parametrize(
    "name", ["--upload-pack=touch ran", "-x", "a:b", "+main", "main:refs/heads/x", "$(touch ran)"]
)
async def test_cve_2023_40267_a_branch_that_is_an_option_or_a_refspec_is_none(repository, tmp_path, name):
    repository.publish({"a.yaml": "a: 1\n"}, "one")
    with pytest.raises(FetchError, match=r"not a name that a Git branch can have|has no branch"):
        await a_mirror(tmp_path).fetch(repository.url, name, ".")
    assert not (tmp_path / "ran").exists()


# What the host may do -------------------------------------------------------------------------------------


async def test_the_configuration_and_the_hooks_of_the_host_are_not_git_s(repository, tmp_path, monkeypatch):
    marker, home = tmp_path / "ran", tmp_path / "home"
    home.mkdir()
    run = f"touch {marker}"
    (home / "hooks").mkdir()
    for name in ("reference-transaction", "post-checkout", "pre-push"):
        (home / "hooks" / name).write_text(f"#!/bin/sh\n{run}\n")
        (home / "hooks" / name).chmod(0o755)
    (home / ".gitconfig").write_text(
        f'[core]\n\tfsmonitor = {run}\n\tsshCommand = {run}\n\thooksPath = {home}/hooks\n'
        f'[url "ext::sh -c {run}"]\n\tinsteadOf = file://\n[protocol]\n\tallow = always\n'
        f'[credential]\n\thelper = "!{run}"\n[alias]\n\tfetch = "!{run}"\n[init]\n\ttemplateDir = {home}\n'
    )  # fmt: skip
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    for name in ("GIT_SSH_COMMAND", "GIT_PROXY_COMMAND", "GIT_ASKPASS", "GIT_EXTERNAL_DIFF", "GIT_PAGER"):
        monkeypatch.setenv(name, run)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(home))
    repository.publish({"a.yaml": "a: 1\n"}, "one")
    mirror = a_mirror(tmp_path)
    assert list((await mirror.fetch(repository.url, "main", ".")).files) == ["a.yaml"]
    repository.publish({"a.yaml": "a: 2\n"}, "two")
    assert (await mirror.fetch(repository.url, "main", ".")).subject == "two"
    assert not marker.exists()


# Too much of everything -----------------------------------------------------------------------------------


async def test_cve_2022_31016_manifests_that_are_too_much_together_are_refused_and_none_is_read(
    repository, tmp_path
):
    repository.publish({f"{n}.yaml": f"# {n}\n" + "x: 1\n" * 20_000 for n in range(12)}, "much")
    mirror = a_mirror(tmp_path, totalBytesMax=MEGABYTE)
    with pytest.raises(FetchError, match=r"larger than 1000000 bytes together; set spec\.path") as refused:
        await mirror.fetch(repository.url, "main", ".")
    assert not refused.value.retryable
    assert mirror.counters.blobs_read == 0


async def test_g32_more_files_than_the_limit_are_an_error_that_says_what_to_set(repository, tmp_path):
    content = a_blob(repository, "a: 1\n")
    lines = "".join(f"100644 blob {content}\t{n}.yaml\n" for n in range(100_001)).encode()
    inner = plumbing(repository, "mktree", stdin=lines)
    commit_tree(repository, ("40000", inner, "many"), ("100644", content, "few.yaml"))
    mirror = a_mirror(tmp_path)
    with pytest.raises(FetchError, match=r"more than 100000 files; set spec\.path"):
        await mirror.fetch(repository.url, "main", ".")
    assert list((await mirror.fetch(repository.url, "main", "few.yaml")).files) == ["few.yaml"]


async def test_g32_more_than_the_disk_is_meant_for_is_refused_and_leaves_nothing_behind(repository, tmp_path):
    repository.publish({"a.yaml": "a: 1\n"}, "small")
    mirror = a_mirror(tmp_path, packBytesMax=MEGABYTE)
    small = await mirror.fetch(repository.url, "main", ".")
    noise = random.Random(1).randbytes(5 * MEGABYTE)
    repository.publish({"b.bin": noise, "a.yaml": "a: 2\n"}, "large")
    for _ in range(2):
        with pytest.raises(FetchError, match=r"more at once than git\.packBytesMax allows"):
            await mirror.fetch(repository.url, "main", ".")
    assert mirror.counters.rebuilds == 0
    assert (await mirror.read(small.commit, "main", ".")).files == small.files
    on_disk = sum(file.stat().st_size for file in tmp_path.rglob("mirror*/**/*") if file.is_file())
    assert on_disk < MEGABYTE
    larger = a_mirror(tmp_path, packBytesMax=10 * MEGABYTE)
    assert (await larger.fetch(repository.url, "main", ".")).subject == "large"


USED = """
import resource, sys, anyio
from pathlib import Path
from gitmesh.fetch.mirror import GitMirror
from gitmesh.model.config import GitLimits
mirror = GitMirror(Path(sys.argv[2]), GitLimits(), allow_file_urls=True)
revision = anyio.run(mirror.fetch, sys.argv[1], "main", ".")
git = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
# What getrusage says of ourselves counts the process that started us, before it became this one.
own = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM"))
print(len(revision.files), *sorted({d.code for d in revision.diagnostics}), own // 1000, git // 1000)
"""


def test_g32_a_huge_file_is_an_error_and_costs_neither_us_nor_git_memory(repository, tmp_path):
    size = 200 * MEGABYTE
    writing = subprocess.Popen(
        ["git", "-c", "core.bigFileThreshold=1m", "-c", "core.compression=1",
         f"--git-dir={repository.work}/.git", "hash-object", "-w", "--stdin"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert writing.stdin is not None
    for _ in range(size // MEGABYTE):
        writing.stdin.write(bytes(MEGABYTE))
    blob = writing.communicate()[0].decode().strip()
    good = a_blob(repository, "a: 1\n")
    commit_tree(repository, ("100644", good, "good.yaml"), ("100644", blob, "huge.yaml"))
    with git_over_http(repository.origin.parent) as server:  # whose memory is not ours
        command = [sys.executable, "-c", USED, f"{server.url}/origin.git", str(tmp_path / "mirror")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    told = done.stdout.split()
    assert told[:2] == ["1", "GM003"]
    assert all(int(megabytes) < 180 for megabytes in told[2:]), told


def test_g32_a_million_documents_and_a_yaml_bomb_are_errors_of_their_files():
    million = "---\na\n" * 1_000_000
    bomb = "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)
    ])  # fmt: skip
    result = parsed({"bomb.yaml": bomb, "million.yaml": million}, limits=ParseLimits())
    errors = {(d.at.file, d.code) for d in result.diagnostics if d.at and d.severity is Severity.ERROR}
    assert ("bomb.yaml", "GM014") in errors
    assert "million.yaml" in {file for file, _ in errors}
    assert len(result.diagnostics) <= 10_001
    assert not result.resources
