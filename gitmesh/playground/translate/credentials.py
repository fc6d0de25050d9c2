"""Certificates, keys and authorities: from Secrets by their name, and from the files that a Pod has.

Stage: playground translation (pure). No text that is returned as a reason holds any part of a certificate or
key. Source: istio/istio pilot/pkg/credentials/kube, secrets.go: which keys of a Secret hold what.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.pem import authority_problem, certificate_problem

MOUNT = (
    "playground.gitmesh.dev/mount"  # on a Secret or ConfigMap: the folder where Pods have its keys as files
)
_PAIRS = (("cert", "key"), ("tls.crt", "tls.key"))  # kind generic, and kubernetes.io/tls
_AUTHORITIES = (("cacert", "crl"), ("ca.crt", "ca.crl"))
_AUTHORITY_SUFFIX = "-cacert"
_MESSAGE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why something is not there or cannot be used, in words for the object that asked for it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Credential:
    """One certificate with its key, or one authority, under the name by which listeners and clusters ask."""

    name: str
    message: Envoy = field(repr=False)  # what Envoy is given: never to be written anywhere else


class Credentials:
    """What the Secrets and ConfigMaps among `resources` have to offer."""

    def __init__(self, resources: ResourceSet) -> None:
        self._secrets: dict[tuple[str, str], Mapping[str, bytes]] = {}
        self._files: dict[tuple[str, str], bytes] = {}
        self._known: dict[tuple[str, ...], Credential | Unusable] = {}
        for key in sorted(
            key for key in resources if key.group == "" and key.kind in ("ConfigMap", "Secret")
        ):
            self._take(key, resources[key])

    def _take(self, key: ResourceKey, resource: Resource) -> None:
        content = _content(resource.body, is_secret=key.kind == "Secret")
        if key.kind == "Secret":
            self._secrets[key.namespace, key.name] = content
        folder = resource.annotations.get(MOUNT)
        for name, data in content.items() if folder else ():
            self._files.setdefault((key.namespace, posixpath.join(str(folder), name)), data)

    def certificate(self, namespace: str, name: str) -> Credential | Unusable:
        """Return the certificate and key of a Secret."""
        return self._once(("certificate", namespace, name), lambda: self._certificate(namespace, name))

    def authority(self, namespace: str, name: str) -> Credential | Unusable:
        """Return the authority that belongs to a Secret: that of `<name>-cacert`, else its own."""
        return self._once(("authority", namespace, name), lambda: self._authority(namespace, name))

    def certificate_files(self, namespace: str, chain: str, key: str) -> Credential | Unusable:
        """Return the certificate and key in two files of the Pods of a namespace."""
        return self._once(("files", namespace, chain, key), lambda: self._pair(namespace, chain, key))

    def authority_file(self, namespace: str, path: str, revoked: str = "") -> Credential | Unusable:
        """Return the authority in a file, with a list of revoked certificates in another."""
        return self._once(("file", namespace, path, revoked), lambda: self._root(namespace, path, revoked))

    def _once(
        self, what: tuple[str, ...], make: Callable[[], Credential | Unusable]
    ) -> Credential | Unusable:
        if what not in self._known:
            self._known[what] = make()
        return self._known[what]

    def _certificate(self, namespace: str, name: str) -> Credential | Unusable:
        found = self._secrets.get((namespace, name))
        if found is None:
            return Unusable(f"there is no Secret {namespace}/{name}")
        for chain, key in _PAIRS:
            if found.get(chain) and found.get(key):
                return _certificate(
                    _sds_name(namespace, name), found[chain], found[key], f"Secret {namespace}/{name}"
                )
        wanted = " or ".join(f"{chain} and {key}" for chain, key in _PAIRS)
        return Unusable(f"the Secret {namespace}/{name} has no {wanted}")

    def _authority(self, namespace: str, name: str) -> Credential | Unusable:
        base = name.removesuffix(_AUTHORITY_SUFFIX)
        named = next((n for n in (base + _AUTHORITY_SUFFIX, base) if (namespace, n) in self._secrets), None)
        if named is None:
            return Unusable(f"there is no Secret {namespace}/{base}{_AUTHORITY_SUFFIX} or {namespace}/{base}")
        found = self._secrets[namespace, named]
        for root, revoked in _AUTHORITIES:
            if found.get(root):
                name = _sds_name(namespace, base + _AUTHORITY_SUFFIX)
                return _authority(name, found[root], found.get(revoked, b""), f"Secret {namespace}/{named}")
        wanted = " or ".join(root for root, _ in _AUTHORITIES)
        return Unusable(
            f"the Secret {namespace}/{named} has no {wanted} for the certificates of the other side"
        )

    def _pair(self, namespace: str, chain: str, key: str) -> Credential | Unusable:
        missing = [path for path in (chain, key) if not self._file(namespace, path)]
        if missing:
            return _no_file(namespace, missing[0])
        name = f"file-cert:{namespace}:{chain}~{key}"
        return _certificate(name, self._file(namespace, chain), self._file(namespace, key), f"file {chain}")

    def _root(self, namespace: str, path: str, revoked: str) -> Credential | Unusable:
        missing = [text for text in (path, revoked) if text and not self._file(namespace, text)]
        if missing:
            return _no_file(namespace, missing[0])
        name = f"file-root:{namespace}:{path}" + (f"~{revoked}" if revoked else "")
        return _authority(name, self._file(namespace, path), self._file(namespace, revoked), f"file {path}")

    def _file(self, namespace: str, path: str) -> bytes:
        return self._files.get((namespace, posixpath.normpath(path)), b"") if path else b""


def _no_file(namespace: str, path: str) -> Unusable:
    return Unusable(
        f"no Pod of {namespace} has a file {path}: annotate a Secret or ConfigMap there with "
        f"{MOUNT}: {posixpath.dirname(path)}, and give it a key {posixpath.basename(path)}"
    )


def _sds_name(namespace: str, name: str) -> str:
    return f"kubernetes://{namespace}/{name}"


def _content(body: Mapping[str, object], *, is_secret: bool) -> dict[str, bytes]:
    """Return what each key holds; what cannot be read holds nothing."""
    content = {}
    encoded = ("data", "binaryData") if is_secret else ("binaryData",)
    for part, values in body.items():
        if part in encoded and isinstance(values, Mapping):
            content.update({str(name): _decoded(value) for name, value in values.items()})
    plain = body.get("stringData" if is_secret else "data")
    if isinstance(plain, Mapping):
        content.update({str(name): str(value).encode() for name, value in plain.items()})
    return content


def _decoded(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=False)
    except (binascii.Error, ValueError):
        return b""


def _certificate(name: str, chain: bytes, key: bytes, where: str) -> Credential | Unusable:
    problem = certificate_problem(chain, key)
    if problem:
        return Unusable(f"the {where} cannot be used: {problem}")
    content = {"certificate_chain": _inline(chain), "private_key": _inline(key)}
    return Credential(name, {"@type": _MESSAGE, "name": name, "tls_certificate": content})


def _authority(name: str, root: bytes, revoked: bytes, where: str) -> Credential | Unusable:
    problem = authority_problem(root, revoked)
    if problem:
        return Unusable(f"the {where} cannot be used: {problem}")
    content = {"trusted_ca": _inline(root), **({"crl": _inline(revoked)} if revoked else {})}
    return Credential(name, {"@type": _MESSAGE, "name": name, "validation_context": content})


def _inline(content: bytes) -> Envoy:
    return {"inline_bytes": base64.b64encode(content).decode()}
