"""The certificates and the revocation list that come with an SNP report, by their names.

`vcek` with `ask`, or `vlek` with `asvk`; `ark`; and `crl` if there is one. All in DER.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mc2.attestation.x509 import Certificate, Crl, parse_certificate, parse_crl
from mc2.errors import EvidenceError

AUTHORITIES: Final = {"VCEK": "ask", "VLEK": "asvk"}
"""The name of the authority behind each sort of key."""


@dataclass(frozen=True, slots=True)
class SnpEndorsements:
    """AMD's certificates for one report, and the revocation list if there is one; all unverified.

    `authority` is the ASK of a VCEK or the ASVK of a VLEK, `root` the ARK.
    """

    key: Certificate
    authority: Certificate
    root: Certificate
    crl: Crl | None


def parse_endorsements(by_name: Mapping[str, bytes], signing_key: str) -> SnpEndorsements:
    """Read the endorsements that a report by this key needs: exactly those, and perhaps `crl`.

    Raises: EvidenceError.
    """
    key, authority = signing_key.lower(), AUTHORITIES[signing_key]
    needed = {key, authority, "ark"}
    if missing := sorted(needed - by_name.keys()):
        raise EvidenceError(
            f"the SNP report comes without {', '.join(missing)}",
            hint="AMD's key distribution service has them; the host should send them along",
        )
    if excess := sorted(by_name.keys() - needed - {"crl"}):
        raise EvidenceError(f"the SNP report comes with {excess[0]!r}, which it has no use for")
    return SnpEndorsements(
        key=parse_certificate(by_name[key], f"the {signing_key} certificate"),
        authority=parse_certificate(by_name[authority], f"the {authority.upper()} certificate"),
        root=parse_certificate(by_name["ark"], "the ARK certificate"),
        crl=parse_crl(by_name["crl"], "AMD's revocation list") if "crl" in by_name else None,
    )
