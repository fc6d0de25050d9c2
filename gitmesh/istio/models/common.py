"""Parts that several Istio kinds share: matches, destinations, selectors, listener TLS.

Stage: validate (pure). Source: the CRDs of Istio 1.30.3.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gitmesh.istio.models.base import ExclusiveModel, IstioModel, excluded, malformed
from gitmesh.istio.models.scalars import Items, Map, Port, PortOrZero, UInt32


def _no_wildcard(value: str) -> str:
    if "*" in value:
        raise malformed("a wildcard is not supported in a selector")
    return value


SelectorValue = Annotated[str, Field(max_length=63), AfterValidator(_no_wildcard)]


class StringMatch(ExclusiveModel):
    """How one text is compared; none set means that it only has to be there."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("exact", "prefix", "regex"),)

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class Percentage(IstioModel):
    """A share in percent, with fractions."""

    value: Annotated[
        float | None, Field(ge=0, le=100, allow_inf_nan=False, json_schema_extra={"format": "double"})
    ] = None


class PortSelector(IstioModel):
    """A port by its number."""

    number: Port | None = None


class Destination(IstioModel):
    """A service, one of its subsets, one of its ports."""

    host: str
    subset: str | None = None
    port: PortSelector | None = None


class LabelSelector(IstioModel):
    """Workloads by the labels of their Pods."""

    labels: Annotated[Map[SelectorValue], Field(max_length=256)] = Field(default_factory=dict)


class ListenerPort(IstioModel):
    """A port on which a Gateway listens."""

    number: PortOrZero
    protocol: str
    name: str
    target_port: UInt32 | None = None


class SidecarPort(IstioModel):
    """A port on which a sidecar listens; number 0 goes with a Unix domain socket."""

    number: PortOrZero | None = None
    protocol: str | None = None
    name: str | None = None
    target_port: UInt32 | None = None


class TLSCertificate(IstioModel):
    """The files of one certificate."""

    server_certificate: str | None = None
    private_key: str | None = None
    ca_certificates: str | None = None


TLSVersion = Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]
_TwoAtMost = Field(min_length=1, max_length=2)


class ServerTLS(IstioModel):
    """TLS of a listener."""

    https_redirect: bool | None = None
    mode: (
        Literal["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"]
        | None
    ) = None
    server_certificate: str | None = None
    private_key: str | None = None
    ca_certificates: str | None = None
    ca_crl: str | None = None
    credential_name: str | None = None
    credential_names: Annotated[tuple[str, ...] | None, _TwoAtMost] = Field(default=None, strict=False)
    ca_cert_credential_name: str | None = None
    tls_certificates: Annotated[tuple[TLSCertificate, ...] | None, _TwoAtMost] = Field(
        default=None, strict=False
    )
    subject_alt_names: Items[str] = ()
    verify_certificate_spki: Items[str] = ()
    verify_certificate_hash: Items[str] = ()
    min_protocol_version: TLSVersion | None = None
    max_protocol_version: TLSVersion | None = None
    cipher_suites: Items[str] = ()

    @model_validator(mode="after")
    def _one_source_of_certificates(self) -> Self:
        sources = {
            "credentialName": self.credential_name,
            "credentialNames": self.credential_names,
            "tlsCertificates": self.tls_certificates,
            "serverCertificate": self.server_certificate and self.private_key,
        }
        written = [name for name, value in sources.items() if value]
        if len(written) > 1:
            raise excluded(written)
        return self
