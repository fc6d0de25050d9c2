"""Promises about repositories that mean harm."""

import hashlib
import random
import shutil
import subprocess
import zlib

import pytest
from fakes.git_http import git_over_http

from gitmesh.fetch.disk import bytes_of
from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.mirror import GitMirror
from gitmesh.model.config import GitLimits
from gitmesh.playground.repository import GitRepository, run_git

pytestmark = [pytest.mark.anyio, pytest.mark.real]


@pytest.fixture
def repository(tmp_path):
    return GitRepository.create(tmp_path / "repository")


def a_mirror(tmp_path, **limits) -> GitMirror:
    return GitMirror(tmp_path / "mirror", GitLimits(**limits), allow_file_urls=True)


def commit_tree(repository: GitRepository, entries: list[tuple[str, str, bytes]]) -> str:
    """Commit a tree entry by entry, with names that no work tree could hold; push it."""
    git_dir = repository.work / ".git"
    lines = b"".join(
        f"{mode} {'tree' if mode == '40000' else 'commit' if mode == '160000' else 'blob'} {oid}\t".encode()
        + name + b"\0"
        for mode, oid, name in entries
    )  # fmt: skip
    tree = plumbing(git_dir, ["mktree", "-z", "--missing"], lines)
    commit = repository.git("commit-tree", "-m", "hostile", tree)
    repository.git("push", "--quiet", "--force", "origin", f"{commit}:refs/heads/main")
    return tree


def plumbing(git_dir, arguments, stdin: bytes) -> str:
    done = subprocess.run(
        ["git", f"--git-dir={git_dir}", *arguments], input=stdin, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def blob(repository, content: bytes) -> str:
    return plumbing(repository.work / ".git", ["hash-object", "-w", "--stdin"], content)


async def test_cve_2022_24904_a_symbolic_link_out_of_the_repository_is_not_followed(repository, tmp_path):
    repository.write({"good.yaml": "a: 1"})
    (repository.work / "passwd.yaml").symlink_to("/etc/passwd")
    (repository.work / "etc").symlink_to("/etc")
    repository.commit("links")
    repository.push()
    revision = await a_mirror(tmp_path).fetch(repository.url, "main", ".")
    assert list(revision.files) == ["good.yaml"]
    assert [(d.code, d.at.file) for d in revision.diagnostics] == [("GM001", "etc"), ("GM001", "passwd.yaml")]


async def test_a_path_that_is_a_symbolic_link_or_leads_through_one_is_not_followed(repository, tmp_path):
    repository.write({"real/a.yaml": "a: 1"})
    (repository.work / "link").symlink_to("real")
    repository.commit("links")
    repository.push()
    mirror = a_mirror(tmp_path)
    assert (await mirror.fetch(repository.url, "main", "link")).files == {}
    with pytest.raises(FetchError, match="no path"):
        await mirror.fetch(repository.url, "main", "link/a.yaml")


async def test_a_submodule_is_left_out_with_a_warning(repository, tmp_path):
    commit_tree(repository, [("100644", blob(repository, b"a: 1"), b"a.yaml"), ("160000", "1" * 40, b"lib")])
    revision = await a_mirror(tmp_path).fetch(repository.url, "main", ".")
    assert list(revision.files) == ["a.yaml"]
    assert [d.code for d in revision.diagnostics] == ["GM002"]


async def test_a_tree_with_a_git_directory_in_it_does_not_get_in(repository, tmp_path):
    content = blob(repository, b"[core]\nfsmonitor = touch /tmp/x\n")
    inner = plumbing(repository.work / ".git", ["mktree"], f"100644 blob {content}\tconfig\n".encode())
    commit_tree(repository, [("40000", inner, b".git")])
    with pytest.raises(FetchError, match=r"git's own check refuses.*git fsck"):
        await a_mirror(tmp_path).fetch(repository.url, "main", ".")


async def test_names_with_line_breaks_quotes_and_other_bytes_do_no_harm(repository, tmp_path):
    content = blob(repository, b"a: 1")
    names = [b'"quoted".yaml', b"\xff\xfe.yaml", b"a\nb.yaml", b"tab\there.yaml", "größe.yaml".encode()]
    commit_tree(repository, [("100644", content, name) for name in sorted(names)])
    revision = await a_mirror(tmp_path).fetch(repository.url, "main", ".")
    assert set(revision.files) == {'"quoted".yaml', "größe.yaml"}
    assert [d.code for d in revision.diagnostics] == ["GM005"] * 3
    assert all(str(d).isprintable() for d in revision.diagnostics)


async def test_a_name_that_looks_like_an_option_or_a_pattern_is_a_name(repository, tmp_path):
    repository.publish({"--output=x/a.yaml": "a: 1", "*/b.yaml": "b: 1", ":(top)c/c.yaml": "c: 1"}, "names")
    mirror = a_mirror(tmp_path)
    assert list((await mirror.fetch(repository.url, "main", "--output=x")).files) == ["--output=x/a.yaml"]
    assert list((await mirror.fetch(repository.url, "main", "*")).files) == ["*/b.yaml"]
    assert list((await mirror.fetch(repository.url, "main", ":(top)c")).files) == [":(top)c/c.yaml"]


async def test_a_huge_file_and_a_deep_path_are_reported_and_not_read(repository, tmp_path):
    deep = "/".join(["d"] * 40) + "/deep.yaml"
    repository.publish(
        {"huge.yaml": b"x" * 200_000, deep: "a: 1", "fine.yaml": "a: 1", "x.bin": b"\0" * 300_000}, "size"
    )
    mirror = a_mirror(tmp_path, file_bytes_max=100_000)
    revision = await mirror.fetch(repository.url, "main", ".")
    assert list(revision.files) == ["fine.yaml"]
    assert {d.code for d in revision.diagnostics} == {"GM003", "GM004"}
    assert mirror.counters.blobs_read == 1


async def test_cve_2022_24878_a_tree_that_unfolds_without_end_is_stopped_at_the_limit(repository, tmp_path):
    git_dir = repository.work / ".git"
    content = blob(repository, b"a: 1")
    entry = f"100644 blob {content}\t"
    tree = plumbing(git_dir, ["mktree"], "".join(f"{entry}{n}.yaml\n" for n in range(10)).encode())
    for _ in range(11):
        tree = plumbing(git_dir, ["mktree"], "".join(f"40000 tree {tree}\t{n}\n" for n in range(10)).encode())
    commit_tree(repository, [("40000", tree, b"bomb")])
    with pytest.raises(FetchError, match=f"more than {GitLimits().files_max} files"):
        await a_mirror(tmp_path, fetch_timeout="20s").fetch(repository.url, "main", ".")


async def test_a_hook_and_a_filter_in_the_repository_do_not_run(repository, tmp_path):
    marker = tmp_path / "ran"
    repository.publish({"a.yaml": "a: 1", ".gitattributes": "*.yaml filter=evil diff=evil\n"}, "attributes")
    for name in ("post-checkout", "reference-transaction", "post-merge"):
        hook = tmp_path / "mirror" / "hooks" / name
        await a_mirror(tmp_path).fetch(repository.url, "main", ".")
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
        hook.chmod(0o755)
    repository.publish({"a.yaml": "a: 2"}, "again")
    revision = await a_mirror(tmp_path).fetch(repository.url, "main", ".")
    assert revision.files["a.yaml"].content == b"a: 2"
    assert not marker.exists()


async def test_the_text_of_a_commit_reaches_nobody_with_control_characters(repository, tmp_path):
    repository.publish({"a.yaml": "a: 1"}, "red \x1b[31malert\x07 " + "x" * 5000)
    revision = await a_mirror(tmp_path).fetch(repository.url, "main", ".")
    assert revision.subject.startswith("red  [31malert")
    assert revision.subject.isprintable()
    assert len(revision.subject) <= 200


async def test_a_repository_with_other_object_names_is_refused_and_says_so(tmp_path):
    origin, work = tmp_path / "o.git", tmp_path / "w"
    for path, options in ((origin, ["--bare"]), (work, [])):
        run_git("init", "--quiet", "--object-format=sha256", "--initial-branch=main", *options, str(path))
    run_git("-C", str(work), "commit", "--quiet", "--allow-empty", "--message=one")
    run_git("-C", str(work), "push", "--quiet", str(origin), "main")
    with pytest.raises(FetchError, match="SHA-256") as refused:
        await a_mirror(tmp_path).fetch(str(origin), "main", ".")
    assert not refused.value.retryable


@pytest.mark.parametrize("transport", ["file", "http"])
async def test_a_repository_that_is_or_becomes_shallow_is_refused_and_says_so(
    repository, tmp_path, transport
):
    """Where files are left out, git looks for what is cut off, again and again, with `file` on both sides."""
    for number in range(3):
        repository.publish({"a.yaml": f"a: {number}"}, str(number))
    served = tmp_path / "served" / "x.git"
    mirror = a_mirror(tmp_path, fetch_timeout="20s")
    with git_over_http(tmp_path / "served") as server:
        url = f"file://{served}" if transport == "file" else f"{server.url}/x.git"
        for before in ("nothing", "a whole one"):
            if before == "a whole one":
                run_git("clone", "--quiet", "--bare", repository.url, str(served))
                good = await mirror.fetch(url, "main", ".")
                repository.publish({"a.yaml": "a: 3"}, "3")
                shutil.rmtree(served)
            run_git("clone", "--quiet", "--bare", "--depth=1", repository.url, str(served))
            with pytest.raises(FetchError, match=r"is shallow.* with `git fetch --unshallow`"):
                await mirror.fetch(url, "main", ".")
            shutil.rmtree(served)
    assert (await mirror.read(good.commit, "main", ".")).files == good.files


@pytest.mark.parametrize("wrong", ["a tree as a file", "a file as a tree"])
async def test_what_is_wrong_with_a_repository_does_not_cost_a_clone_each_time(repository, tmp_path, wrong):
    content = blob(repository, b"a: 1")
    tree = plumbing(repository.work / ".git", ["mktree"], f"100644 blob {content}\ta.yaml\n".encode())
    entry = ("100644", tree) if wrong == "a tree as a file" else ("40000", content)
    repository.publish({"a.yaml": "a: 0"}, "good")
    raw = f"{entry[0]} a.yaml\0".encode() + bytes.fromhex(entry[1])
    lying = plumbing(
        repository.work / ".git", ["hash-object", "-t", "tree", "-w", "--stdin", "--literally"], raw
    )
    commit = repository.git("commit-tree", "-m", "lying", "-p", "HEAD", lying)
    for found in (lying, tree, content, commit):  # past the checks of git push
        name = f"objects/{found[:2]}/{found[2:]}"
        (repository.origin / name).parent.mkdir(exist_ok=True)
        (repository.origin / name).write_bytes((repository.work / ".git" / name).read_bytes())
    with git_over_http(repository.origin.parent) as server:
        mirror, url = a_mirror(tmp_path), f"{server.url}/origin.git"
        good = await mirror.fetch(url, "main", ".")
        (repository.origin / "refs/heads/main").write_text(f"{commit}\n")
        for _ in range(9):
            with pytest.raises(FetchError) as refused:
                await mirror.fetch(url, "main", ".")
        if wrong == "a tree as a file":
            assert f"names {tree} as a file, and that is a tree; run `git fsck` in it" in str(refused.value)
        assert mirror.counters.rebuilds <= 4
        assert (await mirror.read(good.commit, "main", ".")).files == good.files


def a_large_commit(repository: GitRepository, megabytes: int) -> str:
    """Push a commit whose message is long and compresses well, piece by piece."""
    tree, piece = repository.git("rev-parse", "HEAD^{tree}"), b"x" * 1_000_000
    who = "Eve <eve@example.com> 1700000000 +0000"
    head = f"tree {tree}\nauthor {who}\ncommitter {who}\n\n".encode()
    pieces = [f"commit {len(head) + megabytes * len(piece)}\0".encode(), head, *[piece] * megabytes]
    digest, packer, packed = hashlib.sha1(usedforsecurity=False), zlib.compressobj(1), b""
    for part in pieces:
        digest.update(part)
        packed += packer.compress(part)
    name = digest.hexdigest()
    target = repository.origin / "objects" / name[:2] / name[2:]
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(packed + packer.flush())
    (repository.origin / "refs/heads/main").write_text(f"{name}\n")
    return name


async def test_cve_2023_40584_a_few_bytes_that_stand_for_gigabytes_do_not_take_our_memory(
    repository, tmp_path
):
    repository.publish({"a.yaml": "a: 1"}, "good")
    mirror = a_mirror(tmp_path, memory_bytes_max=50_000_000)
    with git_over_http(repository.origin.parent) as server:
        url = f"{server.url}/origin.git"
        good = await mirror.fetch(url, "main", ".")
        a_large_commit(repository, 100)
        with pytest.raises(FetchError, match=r"needs more memory than git\.memoryBytesMax allows") as refused:
            await mirror.fetch(url, "main", ".")
        assert refused.value.retryable
        assert (await mirror.read(good.commit, "main", ".")).files == good.files


async def test_replacements_and_grafts_of_a_repository_change_nothing(repository, tmp_path):
    old, mirror = repository.publish({"a.yaml": "a: old"}, "old"), a_mirror(tmp_path)
    new = repository.publish({"a.yaml": "a: new"}, "new")
    repository.git("replace", new, old)
    repository.git("push", "--quiet", "origin", "refs/replace/*:refs/replace/*")
    (repository.origin / "info").mkdir(exist_ok=True)
    (repository.origin / "info" / "grafts").write_text(f"{old} {new}\n")
    revision = await mirror.fetch(repository.url, "main", ".")
    assert (revision.commit, revision.files["a.yaml"].content) == (new, b"a: new")
    repository.git("replace", "-d", new)
    newest = repository.publish({"a.yaml": "a: newest"}, "newest")
    again = await mirror.fetch(repository.url, "main", ".", since=f"main@{new}")
    assert (again.commit, again.forced) == (newest, False)


async def test_a_commit_that_says_too_much_is_refused_and_says_so(repository, tmp_path):
    repository.publish({"a.yaml": "a: 1"}, "good")
    a_large_commit(repository, 2)
    with pytest.raises(FetchError, match="answers with more than 1048576 bytes"):
        await a_mirror(tmp_path).fetch(repository.url, "main", ".")


async def test_a_branch_that_is_rewritten_again_and_again_does_not_fill_the_disk(repository, tmp_path):
    accepted = repository.publish({"a.yaml": "a: 1"}, "good")
    mirror = a_mirror(tmp_path, mirror_bytes_max=1_500_000)
    sizes = []
    for number in range(8):
        repository.git("reset", "--quiet", "--hard", accepted)
        noise = random.Random(number).randbytes(500_000)
        repository.write({"noise.bin": noise, "a.yaml": f"a: {number}"})
        repository.commit(str(number))
        repository.push(force=True)
        revision = await mirror.fetch(repository.url, "main", ".", since=f"main@{accepted}")
        assert revision.files["a.yaml"].content == f"a: {number}".encode()
        sizes.append(bytes_of(tmp_path / "mirror"))
    assert max(sizes) < 2_500_000
    assert mirror.counters.rebuilds == 0, "nothing was damaged"
    assert (await mirror.read(accepted, "main", ".")).files["a.yaml"].content == b"a: 1"


async def test_a_repository_that_is_larger_than_that_is_not_cloned_each_time(repository, tmp_path):
    repository.publish({"noise.bin": random.Random(1).randbytes(500_000), "a.yaml": "a: 1"}, "large")
    with git_over_http(repository.origin.parent) as server:
        mirror, url = a_mirror(tmp_path, mirror_bytes_max=100_000), f"{server.url}/origin.git"
        await mirror.fetch(url, "main", ".")
        before = server.bytes_sent
        for _ in range(3):
            await mirror.fetch(url, "main", ".")
        assert server.bytes_sent - before < 100_000


async def test_what_was_accepted_is_not_lost_where_the_server_gives_it_no_more(repository, tmp_path):
    accepted = repository.publish({"a.yaml": "a: accepted"}, "good")
    mirror = a_mirror(tmp_path, mirror_bytes_max=100_000)
    await mirror.fetch(repository.url, "main", ".")
    for number in range(3):
        repository.git("checkout", "--quiet", "--orphan", f"other{number}")
        noise = random.Random(number).randbytes(300_000)
        repository.write({"noise.bin": noise, "a.yaml": f"a: {number}"})
        repository.commit(str(number))
        repository.git("push", "--quiet", "--force", "origin", "HEAD:main")
        repository.git("-C", str(repository.origin), "gc", "--quiet", "--prune=now")
        revision = await mirror.fetch(repository.url, "main", ".", since=f"main@{accepted}")
        assert (revision.subject, revision.forced) == (str(number), True)
    assert (await mirror.read(accepted, "main", ".")).files["a.yaml"].content == b"a: accepted"
