"""The content of a Secret -> what opens a repository. The names of its keys are those of Flux.

Stage: fetch (pure). Every refusal names the Secret and the key, and never shows a value.
Source: fluxcd.io, GitRepositories, "Secret reference" and "Proxy secret reference".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit

from gitmesh.fetch.errors import FetchError
from gitmesh.model.repository import OPEN, Access

_CA_KEYS = ("ca.crt", "caFile")
_IDENTITY_KEYS = ("identity", "ssh-privatekey")  # the second is that of the type kubernetes.io/ssh-auth
_USERNAME = "git"  # what hosts take beside a token, where they do not ask for one in particular
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_HTTP_KEYS = "username and password, bearerToken, ca.crt, or tls.crt and tls.key"


def read_access(content: Mapping[str, bytes], transport: str, where: str) -> Access:
    """Return what a Secret holds for this transport. `where` names it. Raises FetchError."""
    if transport == "file":
        return OPEN
    texts = _Texts(content, where)
    return _for_ssh(texts) if transport == "ssh" else _for_https(texts)


def with_proxy(access: Access, content: Mapping[str, bytes], transport: str, where: str) -> Access:
    """Return the access by way of the proxy that a Secret describes. Raises FetchError."""
    if transport not in ("https", "http"):
        raise FetchError(
            "spec.proxySecretRef is for repositories over https; take it out, or use an https:// URL",
            retryable=False,
        )
    texts = _Texts(content, where)
    address, username = texts.line("address"), texts.line("username")
    password = texts.line("password")
    parts = urlsplit(address)
    if parts.scheme not in _PROXY_SCHEMES or not parts.hostname or parts.username or parts.path.strip("/"):
        raise texts.wrong(
            "address", "is not the address of a proxy; write for example http://proxy.example.com:3128"
        )
    if bool(username) != bool(password):
        raise texts.wrong("username", "and password go together; one of them is missing")
    login = f"{quote(username, safe='')}:{quote(password, safe='')}@" if username else ""
    return replace(access, proxy=f"{parts.scheme}://{login}{parts.netloc}", proxy_password=password)


def _for_https(texts: _Texts) -> Access:
    username, password = texts.line("username"), texts.line("password")
    token = texts.line("bearerToken")
    certificate, key = texts.pem("tls.crt", "CERTIFICATE"), texts.pem("tls.key", "PRIVATE KEY")
    authorities = next((pem for name in _CA_KEYS if (pem := texts.pem(name, "CERTIFICATE"))), "")
    if username and not password:
        raise texts.wrong("username", "is there, and password is not")
    if password and token:
        raise texts.wrong("bearerToken", "and password are both there; keep one of them")
    if bool(certificate) != bool(key):
        raise texts.wrong("tls.crt", "and tls.key go together; one of them is missing")
    if not (password or token or certificate or authorities):
        raise texts.lacks(_HTTP_KEYS, "https")
    return Access(
        username=(username or _USERNAME) if password else "",
        password=password,
        bearer_token=token,
        authorities=authorities,
        certificate=certificate,
        certificate_key=key,
    )


def _for_ssh(texts: _Texts) -> Access:
    identity = next((key for name in _IDENTITY_KEYS if (key := texts.pem(name, "PRIVATE KEY"))), "")
    known_hosts = texts.text("known_hosts").strip()
    if not identity:
        raise texts.lacks("identity (a private key) and known_hosts", "ssh")
    if not known_hosts:
        raise texts.wrong(
            "known_hosts",
            "is missing, and a host that nobody vouches for is not talked to; add the lines of "
            "`ssh-keyscan HOST` once you have compared them with what the host publishes",
        )
    return Access(identity=identity, identity_password=texts.line("password"), known_hosts=f"{known_hosts}\n")


class _Texts:
    """The content of one Secret, read as text."""

    def __init__(self, content: Mapping[str, bytes], where: str) -> None:
        self._content = content
        self._where = where

    def text(self, key: str) -> str:
        try:
            return self._content.get(key, b"").decode("utf-8").replace("\r\n", "\n")
        except UnicodeDecodeError:
            raise self.wrong(key, "is not text") from None

    def line(self, key: str) -> str:
        """Return one line; `echo` and editors put a line break after it, which is not meant."""
        text = self.text(key).rstrip("\n")
        if not text.isprintable():
            raise self.wrong(key, "holds line breaks or control characters")
        return text

    def pem(self, key: str, kind: str) -> str:
        text = self.text(key).strip()
        if text and not (text.startswith("-----BEGIN ") and f"{kind}-----" in text):
            raise self.wrong(key, f"is not in PEM form: it has no line -----BEGIN {kind}-----")
        return f"{text}\n" if text else ""

    def wrong(self, key: str, why: str) -> FetchError:
        return FetchError(f"{self._where}: {key} {why}", retryable=True)

    def lacks(self, keys: str, transport: str) -> FetchError:
        there = ", ".join(sorted(key[:40] for key in self._content)[:10]) or "nothing"
        return FetchError(
            f"{self._where} has nothing that opens a repository over {transport}: it holds {there}, "
            f"and what is looked for is {keys}",
            retryable=True,
        )
