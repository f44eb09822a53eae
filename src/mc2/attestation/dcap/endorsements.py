"""The collateral that comes with a quote, by name: Intel's lists and statements.

The names are those of docs/spec/evidence-dcap.md §3. What is read here is not believed yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from mc2.attestation.dcap.collateral import (
    QeIdentity,
    Signed,
    TcbInfo,
    parse_qe_identity,
    parse_tcb_info,
    split_signed,
)
from mc2.attestation.dcap.quote import Tee
from mc2.attestation.pem import split_pem
from mc2.attestation.x509 import Certificate, Crl, parse_certificate, parse_crl
from mc2.errors import EvidenceError

TCB_INFO: Final = "tcb_info"
TCB_INFO_CHAIN: Final = "tcb_info_issuer_chain"
QE_IDENTITY: Final = "qe_identity"
QE_IDENTITY_CHAIN: Final = "qe_identity_issuer_chain"
ROOT_CRL: Final = "root_ca_crl"
PCK_CRL: Final = "pck_crl"
PCK_CRL_CHAIN: Final = "pck_crl_issuer_chain"
ENDORSEMENTS: Final = (
    TCB_INFO, TCB_INFO_CHAIN, QE_IDENTITY, QE_IDENTITY_CHAIN, ROOT_CRL, PCK_CRL, PCK_CRL_CHAIN,
)  # fmt: skip
"""The names under which Intel's collateral comes with a quote; all are required."""


class KnownCertificates:
    """Reads certificates, each once: a quote and its collateral repeat the same few."""

    def __init__(self, known: Iterable[Certificate] = ()) -> None:
        self._known = {certificate.der: certificate for certificate in known}

    def read(self, der: bytes, what: str) -> Certificate:
        """The certificate, called `what` in messages. Raises: EvidenceError."""
        found = self._known.get(der)
        if found is None:
            found = self._known[der] = parse_certificate(der, what)
        return found if found.what == what else replace(found, what=what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """Intel's collateral taken apart; nothing in it is believed yet."""

    tcb_info: TcbInfo
    tcb_info_signed: Signed
    tcb_info_chain: tuple[Certificate, Certificate]
    qe_identity: QeIdentity
    qe_identity_signed: Signed
    qe_identity_chain: tuple[Certificate, Certificate]
    root_crl: Crl
    pck_crl: Crl
    pck_crl_chain: tuple[Certificate, Certificate]


def parse_collateral(endorsements: Mapping[str, bytes], tee: Tee) -> Collateral:
    """Take the collateral for a quote apart, by its names. Raises: EvidenceError."""
    missing = [name for name in ENDORSEMENTS if name not in endorsements]
    if missing:
        raise EvidenceError(
            f"the quote comes without {', '.join(missing)}",
            hint="fetch Intel's collateral for the platform: mc2 endorsements fetch",
        )
    unknown = sorted(set(endorsements) - set(ENDORSEMENTS))
    if unknown:
        raise EvidenceError(f"the quote comes with {unknown[0]!r}, which it has no use for")
    info = split_signed(endorsements[TCB_INFO], "tcbInfo")
    identity = split_signed(endorsements[QE_IDENTITY], "enclaveIdentity")
    known = KnownCertificates()
    return Collateral(
        tcb_info=parse_tcb_info(info.body, tee),
        tcb_info_signed=info,
        tcb_info_chain=_pair(endorsements[TCB_INFO_CHAIN], "the TCB info's signer", known),
        qe_identity=parse_qe_identity(identity.body, tee),
        qe_identity_signed=identity,
        qe_identity_chain=_pair(endorsements[QE_IDENTITY_CHAIN], "the QE identity's signer", known),
        root_crl=parse_crl(endorsements[ROOT_CRL], "Intel's root revocation list"),
        pck_crl=parse_crl(endorsements[PCK_CRL], "Intel's PCK revocation list"),
        pck_crl_chain=_pair(endorsements[PCK_CRL_CHAIN], "the PCK revocation list's issuer", known),
    )


def _pair(pem: bytes, what: str, known: KnownCertificates) -> tuple[Certificate, Certificate]:
    chain = split_pem(pem, f"the chain of {what}", most=2)
    if len(chain) != 2:
        raise EvidenceError(f"the chain of {what} is not one certificate and the root")
    return known.read(chain[0], what), known.read(chain[1], f"the root of {what}")
