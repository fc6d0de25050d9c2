"""Promises about Git servers that mean harm: each is given up in time and memory, and what is here stays."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fakes.git_http import git_over_http, serving

from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.mirror import GitMirror
from gitmesh.model.config import GitLimits
from gitmesh.model.repository import Access
from gitmesh.playground.repository import GitRepository

pytestmark = [pytest.mark.anyio, pytest.mark.real]
Say = Callable[[bool, bool], Iterator[bytes]]  # (asked for references?, for the first time?) -> what is sent


def line(text: bytes) -> bytes:
    return f"{len(text) + 4:04x}".encode() + text


FLUSH = b"0000"
HELLO = b"".join(
    [line(b"# service=git-upload-pack\n"), FLUSH, line(b"version 2\n"), line(b"ls-refs\n"),
     line(b"fetch=shallow filter\n"), line(b"object-format=sha1\n"), FLUSH]
)  # fmt: skip
MAIN = line(b"1" * 40 + b" refs/heads/main\n") + FLUSH
PACK = line(b"packfile\n")


def after_main(*answer: bytes, for_ever: bytes = b"") -> Say:
    """Say that there is a branch, and then something about its commit."""

    def say(greets: bool, first: bool) -> Iterator[bytes]:
        yield from [HELLO] if greets else [MAIN] if first else [PACK, *answer]
        while for_ever and not greets and not first:
            yield for_ever

    return say


def only(*answer: bytes, for_ever: Callable[[int], bytes] | None = None) -> Say:
    def say(greets: bool, first: bool) -> Iterator[bytes]:
        yield from answer
        yield from (for_ever(number) for number in itertools.count() if for_ever) if for_ever else ()

    return say


def endless_branches(greets: bool, first: bool) -> Iterator[bytes]:
    if greets:
        yield HELLO
        return
    for number in itertools.count():
        yield line(f"{number:040x} refs/heads/main{number}\n".encode())


EMPTY = b"PACK\0\0\0\2\0\0\0\0"
SAYS: dict[str, Say] = {
    "a page for people": only(b"<html>\nplease log in\n</html>\n"),
    "a greeting without end": only(for_ever=lambda number: line(b"# " + b"x" * 60_000)),
    "branches without end": endless_branches,
    "progress without end": after_main(for_ever=line(b"\x02corrupt, bad object\r") * 1_000),
    "signs of life without end": after_main(for_ever=line(b"\x01") * 1_000),
    "an error in many lines": after_main(line(b"ERR no\nfatal: bad object x\n\x1b[31m")),
    "a fatal error": after_main(line(b"\x03corrupt: not a git repository")),
    "an object of 2^64 bytes": after_main(line(b"\x01PACK\0\0\0\2\0\0\0\1\x9f" + b"\xff" * 8 + b"\x0f")),
    "two thousand million objects": after_main(line(b"\x01PACK\0\0\0\2\x7f\xff\xff\xff"), FLUSH),
    "nothing": after_main(line(b"\x01" + EMPTY + hashlib.sha1(EMPTY).digest()), FLUSH),
    "an address elsewhere": after_main(),
    "no length": after_main(b"zzzz"),
}  # fmt: skip


class HostileServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, say: Say) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.say = say
        self.posts = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/origin.git"

    def handle_error(self, *_):
        pass  # git was ended


class _Handler(BaseHTTPRequestHandler):
    server: HostileServer

    def do_GET(self):
        self._answer(True)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.posts += 1
        self._answer(False)

    def _answer(self, greets: bool) -> None:
        kind = "advertisement" if greets else "result"
        self.send_response(200)
        self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
        self.end_headers()
        for part in self.server.say(greets, self.server.posts % 2 == 1):
            self.wfile.write(part)

    def log_message(self, *_):
        pass


def children() -> list[str]:
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()


@pytest.mark.parametrize("what", SAYS)
async def test_whatever_a_server_says_it_is_given_up_and_what_is_here_stays(tmp_path, what):
    repository = GitRepository.create(tmp_path / "repository")
    repository.publish({"a.yaml": "a: 1"}, "good")
    limits = GitLimits(fetch_timeout="2s", memory_bytes_max=64_000_000, pack_bytes_max=1_000_000)
    mirror = GitMirror(tmp_path / "data" / "mirror", limits, allow_file_urls=True)
    good = await mirror.fetch(repository.url, "main", ".")
    before = children()
    with HostileServer(SAYS[what]) as server, serving(server), pytest.raises(FetchError) as refused:
        await mirror.fetch(server.url, "main", ".")
    told = str(refused.value)
    assert told.isprintable()
    assert len(told) < 600
    assert set(children()) <= set(before)
    assert (await mirror.read(good.commit, "main", ".")).files == good.files
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mirror"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_server_that_sends_us_to_another_one_does_not_take_the_password_there(tmp_path, status):
    repository = GitRepository.create(tmp_path / "repository")
    repository.publish({"a.yaml": "a: 1"}, "good")
    mirror = GitMirror(tmp_path / "data" / "mirror", GitLimits(), allow_file_urls=True)
    access = Access(username="git", password="hunter2")
    with git_over_http(repository.origin.parent) as server, git_over_http(repository.origin.parent) as other:
        other.logins = {"Basic nobody"}
        server.status, server.location = status, other.url.replace("127.0.0.1", "localhost")
        with pytest.raises(
            FetchError, match=r"sends us to http://localhost:\d+, and a login does not go along"
        ):
            await mirror.fetch(f"{server.url}/origin.git", "main", ".", access=access)
        assert set(other.seen_logins) == {""}
