"""AMD's endorsements, each checked on its own before it is kept.

Authorities lead to a pinned ARK, lists are signed by it, keys by their authority. Specification:
AMD 57230. Pure: bytes, roots and time are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mc2.attestation.certificate_path import (
    check_not_revoked,
    check_pinned,
    verify_authorities,
    verify_crl,
    verify_path,
)
from mc2.attestation.roots import PinnedRoot
from mc2.attestation.snp.endorsement_key import read_endorsement_key
from mc2.attestation.snp.endorsements import AUTHORITIES
from mc2.attestation.snp.tcb import PRODUCT_LINES
from mc2.attestation.snp.verify import AUTHORITY_NAMES, RULES
from mc2.attestation.x509 import Certificate, parse_certificate, parse_crl
from mc2.client.endorsements_index import Endorsement, crl_endorsement
from mc2.crypto.digest import digest
from mc2.errors import EvidenceError

LEAF_NAMES: Final = {"SEV-VCEK": "VCEK", "SEV-VLEK": "VLEK"}


def authority_subject(line: str, key: str) -> str:
    """Where the authorities behind a VCEK or VLEK of a product line stand in the cache."""
    return f"amd/{line}/{key.lower()}-authority"


def crl_subject(line: str, key: str) -> str:
    """Where the revocation list of such authorities stands."""
    return f"amd/{line}/{key.lower()}-crl"


def vcek_subject(line: str, chip_id: bytes, tcb: bytes) -> str:
    """Where the VCEK of a chip at a TCB version stands; `chip_id` as certificates have it."""
    return f"amd/{line}/vcek/{chip_id.hex()}/{tcb.hex()}"


def vlek_prefix(line: str, tcb: bytes) -> str:
    """How the subjects of VLEKs at a TCB version begin. A report does not say whose it is."""
    return f"amd/{line}/vlek/{tcb.hex()}/"


@dataclass(frozen=True, slots=True)
class Authorities:
    """A verified chain of one product line: ASK or ASVK, and ARK. `key` is VCEK or VLEK."""

    line: str
    key: str
    authority: Certificate
    root: Certificate
    ends: datetime

    def endorsement(self) -> Endorsement:
        """The chain as the cache keeps it."""
        return Endorsement(
            subject=authority_subject(self.line, self.key),
            contents={AUTHORITIES[self.key]: self.authority.der, "ark": self.root.der},
            ordered=False,
            number=None,
            issued=max(self.authority.not_before, self.root.not_before),
            ends=self.ends,
        )


def check_authorities(
    chain: Iterable[bytes], *, roots: Iterable[PinnedRoot], at: datetime
) -> Authorities:
    """Check ASK or ASVK and ARK, in this order. Raises: EvidenceError."""
    found = tuple(chain)
    if len(found) != 2:
        raise EvidenceError("AMD's certificate chain is not one authority and the root")
    authority = parse_certificate(found[0], "AMD's authority")
    root = parse_certificate(found[1], "AMD's root (ARK)")
    line = check_pinned(root, roots).meaning
    ends = verify_authorities((authority, root), at=at, rules=RULES)
    for key, name in AUTHORITY_NAMES.items():
        if authority.common_name == name.format(line):
            return Authorities(line, key, authority, root, ends)
    raise EvidenceError(f"{authority.what} is not one of {line}")


def check_crl(raw: bytes, above: Authorities, *, at: datetime) -> Endorsement:
    """Check a revocation list, and that it does not revoke the chain. Raises: EvidenceError."""
    crl = parse_crl(raw, "AMD's revocation list")
    verify_crl(crl, above.root, at=at, rules=RULES)
    check_not_revoked(above.authority, crl)
    check_not_revoked(above.root, crl)
    return crl_endorsement(crl_subject(above.line, above.key), {"crl": raw}, crl)


def check_key(raw: bytes, above: Authorities, *, at: datetime) -> Endorsement:
    """Check the certificate of a VCEK or VLEK. Raises: EvidenceError."""
    leaf = parse_certificate(raw, f"the {above.key} certificate")
    ends = verify_path((leaf, above.authority, above.root), at=at, rules=RULES)
    key = read_endorsement_key(leaf, PRODUCT_LINES[above.line])
    if key.kind != above.key:
        raise EvidenceError(f"{leaf.what} is that of a {key.kind}")
    if key.hardware_id is not None:
        subject = vcek_subject(above.line, key.hardware_id, key.tcb)
    else:
        subject = vlek_prefix(above.line, key.tcb) + digest(leaf.spki).partition(":")[2][:32]
    return Endorsement(
        subject=subject,
        contents={above.key.lower(): raw},
        ordered=False,
        number=None,
        issued=leaf.not_before,
        ends=ends,
    )


def check_amd_files(
    certificates: Iterable[bytes],
    lists: Iterable[bytes],
    *,
    roots: Iterable[PinnedRoot],
    at: datetime,
) -> tuple[Endorsement, ...]:
    """Sort and check what somebody brought: all must belong together and be used.

    Raises: EvidenceError.
    """
    parsed = [parse_certificate(raw, "a certificate that was brought") for raw in certificates]
    leaves = [found for found in parsed if found.common_name in LEAF_NAMES]
    pins = tuple(roots)
    chains = tuple(_chains([found for found in parsed if found not in leaves], pins, at))
    kept = [chain.endorsement() for chain in chains]
    kept += [check_key(leaf.der, _above(leaf, chains), at=at) for leaf in leaves]
    for raw in lists:
        issuer = parse_crl(raw, "AMD's revocation list").issuer
        signed = [chain for chain in chains if chain.root.subject == issuer]
        if not signed:
            raise EvidenceError(
                "a revocation list comes without the chain of its issuer",
                hint="bring AMD's certificate chain of the product line along",
            )
        kept += [check_crl(raw, chain, at=at) for chain in signed]
    return tuple(kept)


def _chains(
    found: list[Certificate], pins: tuple[PinnedRoot, ...], at: datetime
) -> Iterator[Authorities]:
    roots = {root.subject: root for root in found if root.subject == root.issuer}
    authorities = [other for other in found if other.subject != other.issuer]
    for authority in authorities:
        if authority.issuer not in roots:
            raise EvidenceError(f"the certificate of {authority.common_name!r} is without its root")
        chain = (authority.der, roots[authority.issuer].der)
        yield check_authorities(chain, roots=pins, at=at)
    unused = roots.keys() - {authority.issuer for authority in authorities}
    if unused:
        raise EvidenceError("a root comes without an authority below it")


def _above(leaf: Certificate, chains: Iterable[Authorities]) -> Authorities:
    for chain in chains:
        if chain.authority.subject == leaf.issuer:
            return chain
    raise EvidenceError(
        "the certificate of a chip's key comes without AMD's chain",
        hint="bring ASK or ASVK and ARK of the product line along",
    )
