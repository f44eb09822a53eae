"""An SNP report among files: `report.bin`, and AMD's certificates by name or in bundles.

The certificate of the key is `vcek`, `vlek` or `ek` (`.der` or `.pem`). Authorities are `ask`,
`asvk` and `ark`, or stand in any other `.pem` file; from there the issuer is taken by its name.
`crl.der` is optional. What is missing stays missing: it may be in a cache. Nothing is verified
here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from mc2.attestation.claims import RawEvidence
from mc2.attestation.pem import split_pem
from mc2.attestation.snp import KIND
from mc2.attestation.snp.endorsements import AUTHORITIES
from mc2.attestation.snp.report import parse_report
from mc2.attestation.x509 import parse_certificate

REPORT_FILE: Final = "report.bin"
_BUNDLE: Final = 16  # certificates in one file, at most


def read_snp_case(files: Mapping[str, bytes]) -> RawEvidence:
    """Evidence from a folder's files by name. Raises: EvidenceError."""
    signing_key = parse_report(files[REPORT_FILE]).signing_key
    key, authority = signing_key.lower(), AUTHORITIES[signing_key]
    leaf = _named(files, key) or _named(files, "ek")
    middle = _named(files, authority) or _issuer(files, leaf)
    parts = {
        key: leaf,
        authority: middle,
        "ark": _named(files, "ark") or _issuer(files, middle),
        "crl": files.get("crl.der"),
    }
    found = {name: part for name, part in parts.items() if part is not None}
    return RawEvidence(KIND, files[REPORT_FILE], found)


def _named(files: Mapping[str, bytes], name: str) -> bytes | None:
    if f"{name}.pem" in files:
        return split_pem(files[f"{name}.pem"], f"{name}.pem", most=1)[0]
    return files.get(f"{name}.der")


def _issuer(files: Mapping[str, bytes], certificate: bytes | None) -> bytes | None:
    if certificate is None:
        return None
    wanted = parse_certificate(certificate, "a certificate of the folder").issuer
    for candidate in _bundled(files):
        if parse_certificate(candidate, "a certificate of a bundle").subject == wanted:
            return candidate
    return None


def _bundled(files: Mapping[str, bytes]) -> Iterable[bytes]:
    for name, raw in files.items():
        if name.endswith(".pem"):
            yield from split_pem(raw, name, most=_BUNDLE)
