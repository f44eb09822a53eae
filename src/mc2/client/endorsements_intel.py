"""Intel's collateral, checked on its own before it is kept.

The chains lead to the pinned root, the lists are current, and what Intel states is signed over
its exact bytes by a signer that is not revoked. Pure: bytes, roots and time are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, Literal

from mc2.attestation.certificate_path import (
    check_not_revoked,
    check_pinned,
    verify_authorities,
    verify_crl,
    verify_path,
)
from mc2.attestation.dcap.collateral import Signed
from mc2.attestation.dcap.endorsements import (
    PCK_CRL,
    PCK_CRL_CHAIN,
    QE_IDENTITY,
    QE_IDENTITY_CHAIN,
    ROOT_CRL,
    TCB_INFO,
    TCB_INFO_CHAIN,
    Collateral,
    parse_collateral,
)
from mc2.attestation.dcap.quote import Tee
from mc2.attestation.dcap.verify import CA_NAMES, RULES, SIGNER_NAME
from mc2.attestation.keys import Scheme, ecdsa_signature, verify_signature
from mc2.attestation.roots import PinnedRoot
from mc2.attestation.x509 import Certificate
from mc2.client.endorsements_index import Endorsement, crl_endorsement
from mc2.errors import EvidenceError
from mc2.formats.fields import to_time

Ca = Literal["platform", "processor"]

AUTHORITY_OF: Final[Mapping[str, Ca]] = {CA_NAMES[0]: "platform", CA_NAMES[1]: "processor"}
"""What Intel's service calls an issuer of PCK certificates, by its common name."""

ROOT_CRL_SUBJECT: Final = "intel/root-crl"
GROUPS: Final = (
    (TCB_INFO, TCB_INFO_CHAIN),
    (QE_IDENTITY, QE_IDENTITY_CHAIN),
    (ROOT_CRL,),
    (PCK_CRL, PCK_CRL_CHAIN),
)
"""The parts of collateral that are kept together: each statement or list with its chain."""


def tcb_subject(tee: Tee, fmspc: str) -> str:
    """Where the TCB info of a kind of platform stands in the cache."""
    return f"intel/{tee.lower()}/tcb/{fmspc}"


def qe_subject(tee: Tee) -> str:
    """Where the identity of the quoting enclave stands."""
    return f"intel/{tee.lower()}/qe"


def pck_crl_subject(ca: Ca) -> str:
    """Where the revocation list of an issuer of PCK certificates stands."""
    return f"intel/pck-crl/{ca}"


def subjects(tee: Tee, fmspc: str, ca: Ca) -> tuple[str, ...]:
    """The subjects of a platform's collateral, in the order of `GROUPS`."""
    return tcb_subject(tee, fmspc), qe_subject(tee), ROOT_CRL_SUBJECT, pck_crl_subject(ca)


def check_collateral(
    parts: Mapping[str, bytes], tee: Tee, *, roots: Iterable[PinnedRoot], at: datetime
) -> tuple[Endorsement, ...]:
    """Check all collateral for a kind of platform. Raises: EvidenceError."""
    found = parse_collateral(parts, tee)
    issuer, root = found.pck_crl_chain
    check_pinned(root, roots)
    verify_authorities((issuer, root), at=at, rules=RULES)
    ca = authority_word(issuer)
    verify_crl(found.root_crl, root, at=at, rules=RULES)
    verify_crl(found.pck_crl, issuer, at=at, rules=RULES)
    for certificate in (root, issuer):
        check_not_revoked(certificate, found.root_crl)
    _check_statements(found, root, at)
    return _endorsements(parts, found, tee, ca)


def authority_word(issuer: Certificate) -> Ca:
    """Which issuer of PCK certificates this is. Raises: EvidenceError."""
    if issuer.common_name not in AUTHORITY_OF:
        raise EvidenceError(f"{issuer.what} is not an issuer of PCK certificates")
    return AUTHORITY_OF[issuer.common_name]


def _check_statements(found: Collateral, root: Certificate, at: datetime) -> None:
    info, identity = found.tcb_info, found.qe_identity
    for what, issued, next_update, signed, chain in (
        ("TCB info", info.issued, info.next_update, found.tcb_info_signed, found.tcb_info_chain),
        (
            "QE identity",
            identity.issued,
            identity.next_update,
            found.qe_identity_signed,
            found.qe_identity_chain,
        ),
    ):
        if chain[1].der != root.der:
            raise EvidenceError(f"the chain of Intel's {what} ends in another root")
        _check_signed(signed, chain, found, at, what)
        if not issued <= at <= next_update:
            raise EvidenceError(
                f"Intel's {what} is valid from {to_time(issued)} to {to_time(next_update)} only",
                hint="is this machine's clock right? then fetch current collateral",
            )


def _check_signed(
    signed: Signed,
    chain: tuple[Certificate, Certificate],
    found: Collateral,
    at: datetime,
    what: str,
) -> None:
    signer = chain[0]
    if signer.common_name != SIGNER_NAME:
        raise EvidenceError(f"{signer.what} is not Intel's signer of TCB information")
    verify_path(chain, at=at, rules=RULES)
    check_not_revoked(signer, found.root_crl)
    r, s = signed.signature[:32], signed.signature[32:]
    verify_signature(
        signer.spki,
        Scheme.ECDSA_P256_SHA256,
        ecdsa_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big")),
        signed.body,
        what=f"Intel's {what}",
    )


def _endorsements(
    parts: Mapping[str, bytes], found: Collateral, tee: Tee, ca: Ca
) -> tuple[Endorsement, ...]:
    info, identity = found.tcb_info, found.qe_identity
    names = subjects(tee, info.fmspc.hex(), ca)
    contents = [{name: parts[name] for name in group} for group in GROUPS]
    return (
        Endorsement(
            subject=names[0],
            contents=contents[0],
            ordered=True,
            number=info.number,
            issued=info.issued,
            ends=info.next_update,
        ),
        Endorsement(
            subject=names[1],
            contents=contents[1],
            ordered=True,
            number=identity.number,
            issued=identity.issued,
            ends=identity.next_update,
        ),
        crl_endorsement(names[2], contents[2], found.root_crl),
        crl_endorsement(names[3], contents[3], found.pck_crl),
    )
