"""Ports of listeners and services: their protocols and names, and the addresses that they are bound to.

Stage: validate (pure). Source: istio/istio pkg/config/protocol, Parse; pkg/config/validation.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.hosts import is_ip
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.spelling import closest
from gitmesh.validate.names import UNIX, is_label, is_socket_path
from gitmesh.validate.subject import Path, Subject

PLAIN_HTTP = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY")
TLS = ("HTTPS", "TLS")
ON_TCP = (*TLS, "TCP", "MONGO", "REDIS", "MYSQL")
PROTOCOLS = (*PLAIN_HTTP, *ON_TCP, "UDP")


def check_protocol(subject: Subject, written: str, path: Path) -> Iterator[Diagnostic]:
    """Yield a finding when the name is not one of a protocol; `path` leads to the port."""
    if written.upper() not in PROTOCOLS:
        near = closest(written.upper(), PROTOCOLS)
        hint = f"did you mean {near}?" if near else f"one of: {', '.join(PROTOCOLS)}"
        message = f"{written[:40]!r} is not a protocol"
        yield subject.finding("GM104", message, (*path, "protocol"), hint=hint)


def check_port_name(subject: Subject, name: str, path: Path) -> Iterator[Diagnostic]:
    """Yield a finding when a port cannot have this name."""
    if not is_label(name):
        hint = "letters, digits and -, at most 63"
        yield subject.finding("GM108", f"{name[:80]!r} is not a name for a port", path, hint=hint)


def check_socket(subject: Subject, address: str, path: Path) -> Iterator[Diagnostic]:
    """Yield a finding when `unix://` is not followed by a file; other addresses are not looked at."""
    if address.startswith(UNIX) and not is_socket_path(address.removeprefix(UNIX)):
        message = f"{address[:80]!r} is not an absolute path to a file"
        yield subject.finding("GM108", message, path, hint="write unix:///path/to/file, or unix://@name")


def check_bind(subject: Subject, bind: str, path: Path) -> Iterator[Diagnostic]:
    """Yield a finding when the text is neither an address nor a Unix domain socket."""
    if bind.startswith(UNIX):
        yield from check_socket(subject, bind, path)
    elif bind and not is_ip(bind):
        hint = "write an address such as 0.0.0.0, or unix:///path/to/file"
        yield subject.finding("GM108", f"{bind[:80]!r} is not an address", path, hint=hint)


def check_target_port(subject: Subject, target: int | None, path: Path) -> Iterator[Diagnostic]:
    """Yield a finding about a targetPort on a listener; `path` leads to the port."""
    if target:
        message = "targetPort has no effect on a listener, and Istio refuses it"
        where = (*path, "targetPort")
        yield subject.finding("GM109", message, where, hint="remove it", wants_key=True)
