"""Completes evidence from the cache: what its host did not send, or sent too old.

Nothing becomes trusted here: the verifiers check every part again. What a host sends stays,
unless the cache has seen a newer list or statement by the time of verification; then the newer
one is used, and if there is none that is valid, the evidence is refused as a rollback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from mc2.attestation.azure import SNP_KIND as AZURE_SNP_KIND
from mc2.attestation.azure import TDX_KIND as AZURE_TDX_KIND
from mc2.attestation.azure.evidence import AzureEvidence
from mc2.attestation.claims import ClaimsToActivate, RawEvidence, Tier, VerifiedClaims, Verifier
from mc2.attestation.dcap.claims import SGX_KIND, TDX_KIND
from mc2.attestation.dcap.collateral import parse_qe_identity, parse_tcb_info, split_signed
from mc2.attestation.dcap.endorsements import PCK_CRL, ROOT_CRL, TCB_INFO
from mc2.attestation.dcap.pck import SGX_EXTENSION, parse_pck_extension
from mc2.attestation.dcap.quote import Quote, Tee, parse_quote
from mc2.attestation.keys import Scheme, ecdsa_signature, verify_signature
from mc2.attestation.snp import KIND as SNP_KIND
from mc2.attestation.snp.endorsements import AUTHORITIES
from mc2.attestation.snp.report import SnpReport, parse_report
from mc2.attestation.snp.tcb import PRODUCT_LINES, ProductLine
from mc2.attestation.x509 import parse_certificate, parse_crl
from mc2.client.endorsements import EndorsementCache
from mc2.client.endorsements_amd import (
    authority_subject,
    crl_subject,
    vcek_subject,
    vlek_prefix,
)
from mc2.client.endorsements_index import is_older
from mc2.client.endorsements_intel import GROUPS, Ca, authority_word, subjects
from mc2.errors import EvidenceError

_HINT: Final = "fetch the vendor's newest lists: mc2 endorsements fetch"


class CompletingVerifier:
    """A verifier that takes what evidence lacks from a cache before it verifies."""

    def __init__(self, verifier: Verifier, cache: EndorsementCache) -> None:
        self.kind: str = verifier.kind
        self.tier: Tier = verifier.tier
        self._verifier = verifier
        self._cache = cache

    def verify(self, raw: RawEvidence, *, at: datetime) -> VerifiedClaims | ClaimsToActivate:
        """Complete evidence, then verify it as of `at`. Raises: EvidenceError."""
        return self._verifier.verify(complete(raw, self._cache, at), at=at)


def complete(raw: RawEvidence, cache: EndorsementCache, at: datetime) -> RawEvidence:
    """Evidence with what the cache knows to be missing or outdated in it as of `at`.

    Kinds that need no endorsements come back as they are.

    Raises: EvidenceError for evidence that does not decode, and for lists older than some that
    were already seen; AttestationError, FormatError if the cache is damaged.
    """
    if raw.kind not in {SNP_KIND, SGX_KIND, TDX_KIND, AZURE_SNP_KIND, AZURE_TDX_KIND}:
        return raw
    hardware = raw.evidence
    if raw.kind in {AZURE_SNP_KIND, AZURE_TDX_KIND}:
        hardware = AzureEvidence.parse(raw.evidence).report
    if raw.kind in {SNP_KIND, AZURE_SNP_KIND}:
        found = _complete_snp(parse_report(hardware), raw.endorsements, cache, at)
    else:
        found = _complete_quote(parse_quote(hardware), raw.endorsements, cache, at)
    return replace(raw, endorsements=found)


# --- AMD


def _complete_snp(
    report: SnpReport, given: Mapping[str, bytes], cache: EndorsementCache, at: datetime
) -> dict[str, bytes]:
    key = report.signing_key
    found = dict(given)
    for line in PRODUCT_LINES.values():
        if key.lower() not in found:
            found |= _key(report, line, cache, at)
        chain = cache.usable(authority_subject(line.name, key), at)
        if chain is None or not _issued(found.get(key.lower()), chain[AUTHORITIES[key]]):
            continue
        for name, part in chain.items():
            found.setdefault(name, part)
        subject = crl_subject(line.name, key)
        if "crl" not in found or _outdated_crl(found["crl"], subject, cache, at):
            found |= _newest(subject, cache, at, needed="crl" in found)
    return found


def _key(
    report: SnpReport, line: ProductLine, cache: EndorsementCache, at: datetime
) -> Mapping[str, bytes]:
    """The certificate of the key that signed the report, if it is here."""
    if report.signing_key == "VCEK":
        chip = report.chip_id[: line.hardware_id_bytes]
        return cache.usable(vcek_subject(line.name, chip, report.reported_tcb), at) or {}
    index = cache.index()
    prefix = vlek_prefix(line.name, report.reported_tcb)
    for subject in index.subjects:
        entry = index.usable(subject, at) if subject.startswith(prefix) else None
        contents = cache.contents(entry) if entry else {}
        if contents and _signed_by(report, contents["vlek"]):
            return contents
    return {}


def _signed_by(report: SnpReport, certificate: bytes) -> bool:
    """Whether this key signed the report: only that tells which provider's VLEK it is."""
    try:
        verify_signature(
            parse_certificate(certificate, "a VLEK of the cache").spki,
            Scheme.ECDSA_P384_SHA384,
            ecdsa_signature(*report.signature),
            report.signed,
            what="the SNP report",
        )
    except EvidenceError:
        return False
    return True


def _issued(leaf: bytes | None, authority: bytes) -> bool:
    if leaf is None:
        return False
    issuer = parse_certificate(leaf, "the certificate of the report's key").issuer
    return parse_certificate(authority, "AMD's authority").subject == issuer


# --- Intel


def _complete_quote(
    quote: Quote, given: Mapping[str, bytes], cache: EndorsementCache, at: datetime
) -> dict[str, bytes]:
    fmspc, ca = platform_of(quote)
    found = dict(given)
    for group, subject in zip(GROUPS, subjects(quote.tee, fmspc, ca), strict=True):
        whole = all(name in found for name in group)
        if not whole or _outdated(group[0], found[group[0]], quote.tee, subject, cache, at):
            found |= _newest(subject, cache, at, needed=whole)
    return found


def platform_of(quote: Quote) -> tuple[str, Ca]:
    """What Intel's service wants to know of a quote's platform: FMSPC and the PCK's issuer.

    Raises: EvidenceError.
    """
    pck = parse_certificate(quote.pck_chain[0], "the PCK certificate")
    extension = pck.extensions.get(SGX_EXTENSION)
    if extension is None:
        raise EvidenceError("the PCK certificate does not describe a platform")
    issuer = parse_certificate(quote.pck_chain[1], "the PCK authority's certificate")
    return parse_pck_extension(extension.value).fmspc.hex(), authority_word(issuer)


def _outdated(
    name: str, part: bytes, tee: Tee, subject: str, cache: EndorsementCache, at: datetime
) -> bool:
    if name in {ROOT_CRL, PCK_CRL}:
        return _outdated_crl(part, subject, cache, at)
    seen = cache.index().seen(subject, at)
    if seen is None:
        return False
    if name == TCB_INFO:
        info = parse_tcb_info(split_signed(part, "tcbInfo").body, tee)
        return is_older(info.number, info.issued, seen)
    identity = parse_qe_identity(split_signed(part, "enclaveIdentity").body, tee)
    return is_older(identity.number, identity.issued, seen)


def _outdated_crl(part: bytes, subject: str, cache: EndorsementCache, at: datetime) -> bool:
    crl = parse_crl(part, "the host's revocation list")
    seen = cache.index().seen(subject, at)
    return seen is not None and is_older(crl.number, crl.this_update, seen)


def _newest(
    subject: str, cache: EndorsementCache, at: datetime, *, needed: bool
) -> Mapping[str, bytes]:
    found = cache.usable(subject, at)
    if found is None and needed:
        raise EvidenceError(
            f"the evidence comes with an older {subject} than was already seen", hint=_HINT
        )
    return found or {}
