"""Whether a fetched revision is signed as its source demands: reads who is trusted, and asks the mirror.

Stage: fetch (called by the fetcher and by reverts). What is not trusted is withheld: it changes nothing, and
the last good revision stays desired, healed and guarded.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from gitmesh.engine.memory import SignedRevision, SourceMemory, Withheld
from gitmesh.engine.ports import Git, Ports
from gitmesh.engine.report import Source
from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.signing import SIGNING_KEY
from gitmesh.fetch.trust import Trust, TrustError, read_trust
from gitmesh.fetch.verifying import Demand, Unverified, Verified
from gitmesh.kube.errors import ClusterError, NotFoundError
from gitmesh.kube.protocol import Body
from gitmesh.model.kinds import CONFIG_MAP, SECRET
from gitmesh.model.revision import Revision
from gitmesh.model.verify import SignersRef

VERIFICATION_FAILED = "VerificationFailed"


class Verifier:
    """Judges revisions by their signatures. Who is trusted is read anew for each that was not judged yet."""

    def __init__(self, ports: Ports) -> None:
        self._client = ports.cluster
        self._clock = ports.clock

    async def check(
        self, source: Source, memory: SourceMemory, revision: Revision, base: str, git: Git
    ) -> Withheld | None:
        """Say why a revision is not taken over; None when it is, and `memory` knows by whom it is signed.

        `base` is the accepted commit, or empty. Raises FetchError where it may work later.
        """
        wanted = source.spec.verify
        if wanted is None:
            memory.signed = None
            return None
        if revision.id in (source.status.verified_revision, memory.signed.revision if memory.signed else ""):
            return None  # it was judged when it came; a key that is taken away later takes back nothing
        try:
            trust = await self._trust(source, wanted.signers)
            tag = revision.branch if wanted.mode == "tag" else ""
            demand = Demand(trust, self._clock.now(), wanted.mode == "each", wanted.paths, tag)
            judged = await git.verify(revision.commit, base, demand)
        except TrustError as error:
            judged = Unverified(f"the list of signers cannot be used: {error}")
        except FetchError as error:
            if error.retryable:
                raise
            judged = Unverified(str(error))
        match judged:
            case Verified(by):
                memory.signed = SignedRevision(revision.id, by)
                return None
            case Unverified(why):
                kept = memory.desired.revision.short if memory.desired else ""
                stays = f"{kept} stays" if kept else "nothing is applied"
                return Withheld(
                    VERIFICATION_FAILED, f"{revision.short} is not accepted: {why}; {stays}", revision.id
                )

    async def signing_key(self, source: Source) -> str:
        """Return the key that GitMesh signs its own commits with, if there is one. Raises FetchError."""
        wanted = source.spec.signing_key_ref
        if wanted is None:
            return ""
        where = f"Secret {source.resource.key.namespace}/{wanted.name} of spec.signingKeyRef"
        try:
            data = _secret(await self._client.get(SECRET, source.resource.key.namespace, wanted.name))
            key = data.get(SIGNING_KEY, b"").decode()
        except ClusterError as error:
            raise FetchError(f"cannot read {where}: {error}", retryable=True) from None
        except UnicodeDecodeError:
            key = ""
        if not key.strip():
            raise FetchError(f"{where} has no {SIGNING_KEY}; put a private SSH key there", retryable=True)
        return key

    async def _trust(self, source: Source, signers: SignersRef) -> Trust:
        namespace, where = source.resource.key.namespace, ""
        try:
            if signers.secret_ref is not None:
                where = f"Secret {namespace}/{signers.secret_ref.name}"
                data = _secret(await self._client.get(SECRET, namespace, signers.secret_ref.name))
            else:
                assert signers.config_map_ref is not None, "a reference names one of the two"
                where = f"ConfigMap {namespace}/{signers.config_map_ref.name}"
                data = _config_map(await self._client.get(CONFIG_MAP, namespace, signers.config_map_ref.name))
        except NotFoundError:
            raise TrustError(f"there is no {where}; create it") from None
        except ClusterError as error:
            if error.retryable:
                raise FetchError(f"cannot read {where}: {error}", retryable=True) from None
            raise TrustError(f"GitMesh may not read {where}: {error}") from None
        return read_trust(data, where)


def can_push(source: Source) -> bool:
    """Say whether what GitMesh would commit could be taken over by itself."""
    return source.spec.verify is None or source.spec.signing_key_ref is not None


def _secret(body: Body) -> Mapping[str, bytes]:
    return _decoded(body.get("data"))


def _config_map(body: Body) -> Mapping[str, bytes]:
    data = body.get("data")
    plain = {name: str(text).encode() for name, text in data.items()} if isinstance(data, Mapping) else {}
    return {**plain, **_decoded(body.get("binaryData"))}


def _decoded(data: object) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for name, text in data.items() if isinstance(data, Mapping) else ():
        try:
            found[str(name)] = base64.b64decode(str(text), validate=True)
        except (binascii.Error, ValueError):  # an API server keeps no such thing
            continue
    return found
