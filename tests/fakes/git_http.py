"""Git's smart HTTP protocol on loopback: git's own `http-backend` behind a small CGI server, and a proxy."""

import base64
import contextlib
import os
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class GitHttpServer(ThreadingHTTPServer):
    """Serves the bare repositories below `root`. `status` other than 200 answers every request with it.

    `logins` are the values of the header Authorization that are let in; empty: everybody is. With `settings`
    of git, such as `uploadpack.allowFilter=true`, it serves as a host with those does.
    """

    daemon_threads = True

    def __init__(self, root: Path, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.scheme = "https" if tls else "http"
        self.root = root
        self.logins: set[str] = set()
        self.seen_logins: list[str] = []
        self.settings: list[str] = []
        self.said = ""  # as the body of a refused login
        self.bytes_sent = 0
        self.versions = ("2", "1", "0")  # of git's protocol that it speaks
        self.status = 200
        self.location = ""
        self.requests: list[str] = []
        self.stuck = threading.Event()
        self.stuck.set()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_):
        pass  # a client that does not trust the certificate hangs up


class _Handler(BaseHTTPRequestHandler):
    server: GitHttpServer

    def do_GET(self):
        self._answer(b"")

    def do_POST(self):
        self._answer(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, body: bytes) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        self.server.stuck.wait(30)
        if self.server.status != 200:
            self.send_response(self.server.status)
            if self.server.location:
                self.send_header("Location", self.server.location + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        login = self.headers.get("Authorization", "")
        self.server.seen_logins.append(login)
        if self.server.logins and login not in self.server.logins:
            self._ask_for_login()
            return
        head, _, content = self._backend(body).partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        self.send_response(next((int(value[:3]) for name, value in headers if name == "Status"), 200))
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.server.bytes_sent += len(content)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client was killed
            self.wfile.write(content)

    def _ask_for_login(self) -> None:
        body = self.server.said.encode()
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _backend(self, body: bytes) -> bytes:
        parts = urlsplit(self.path)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self._protocol(),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": str(len(self.server.settings)),
            "REMOTE_ADDR": "127.0.0.1",
        }
        for number, setting in enumerate(self.server.settings):
            key, _, value = setting.partition("=")
            environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=False
        ).stdout

    def _protocol(self) -> str:
        asked = self.headers.get("Git-Protocol", "")
        return asked if asked.removeprefix("version=") in self.server.versions else ""

    def log_message(self, *_):
        pass


class HttpProxy(ThreadingHTTPServer):
    """A proxy that tunnels by CONNECT. `login` is who is let through; empty: everybody is."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.login = ""
        self.tunnels: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Tunnel(BaseHTTPRequestHandler):
    server: HttpProxy
    protocol_version = "HTTP/1.1"  # who is refused may ask again by the same connection

    def do_CONNECT(self):
        given = self.headers.get("Proxy-Authorization", "")
        if self.server.login and given != basic(self.server.login):
            self.send_response(407)
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.server.tunnels.append(self.path)
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as upstream:
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            self._carry(upstream)

    def _carry(self, upstream: socket.socket) -> None:
        both = [self.connection, upstream]
        with contextlib.suppress(OSError):
            while ready := select.select(both, [], [], 10)[0]:
                for one in ready:
                    data = one.recv(65_536)
                    if not data:
                        return
                    (upstream if one is self.connection else self.connection).sendall(data)

    def log_message(self, *_):
        pass


def basic(login: str) -> str:
    """`user:password` -> the header of a basic login."""
    return f"Basic {base64.b64encode(login.encode()).decode()}"


@contextlib.contextmanager
def git_over_http(root: Path, tls: ssl.SSLContext | None = None) -> Iterator[GitHttpServer]:
    """Run the server for the time of a test."""
    with GitHttpServer(root, tls) as server, serving(server):
        try:
            yield server
        finally:
            server.stuck.set()


@contextlib.contextmanager
def http_proxy() -> Iterator[HttpProxy]:
    """Run a proxy for the time of a test."""
    with HttpProxy() as proxy, serving(proxy):
        yield proxy


@contextlib.contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """Answer requests for the time of a test."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(5)
