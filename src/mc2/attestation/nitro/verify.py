"""Verifies Nitro documents: AWS's hypervisor says what the enclave is.

There is no hardware root under it that the provider could not imitate, hence the tier
`provider-attested`. The steps are those of docs/spec/evidence-nitro.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from mc2.attestation.certificate_path import PathRules, check_pinned, verify_path
from mc2.attestation.claims import RawEvidence, Tier, VerifiedClaims
from mc2.attestation.keys import Scheme, ecdsa_signature, verify_signature
from mc2.attestation.nitro import KIND
from mc2.attestation.nitro.document import NitroDocument, parse_document
from mc2.attestation.roots import NITRO_ROOTS, PinnedRoot
from mc2.attestation.x509 import Certificate, parse_certificate
from mc2.crypto.digest import digest
from mc2.errors import EvidenceError
from mc2.formats.canonical import Json

TIER: Final = Tier.PROVIDER_ATTESTED

RULES: Final = PathRules(schemes=frozenset({Scheme.ECDSA_P384_SHA384}))

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MODULE_ID: Final = re.compile(r"i-([0-9a-f]{8,17})-enc[0-9a-f]{1,32}\Z")
_CODE_PCRS: Final = (0, 1, 2)  # image, kernel and boot ramdisk, application


class NitroVerifier:
    """The verifier of Nitro documents. `roots` are AWS's; tests bring their own."""

    kind = KIND
    tier = TIER

    def __init__(self, roots: Iterable[PinnedRoot] = NITRO_ROOTS) -> None:
        self._roots = tuple(roots)

    def verify(self, raw: RawEvidence, *, at: datetime) -> VerifiedClaims:
        """Check a document as of `at`. Raises: EvidenceError."""
        if raw.kind != KIND:
            raise EvidenceError(f"evidence of kind {raw.kind!r} is not a Nitro document")
        if raw.endorsements:
            raise EvidenceError("a Nitro document carries its certificates; nothing comes with it")
        return verify_document(parse_document(raw.evidence), roots=self._roots, at=at)


def verify_document(
    document: NitroDocument, *, roots: Iterable[PinnedRoot], at: datetime
) -> VerifiedClaims:
    """Check that AWS's security module signed the document. Raises: EvidenceError."""
    # 1. The bundle starts with AWS's root; from the leaf to it the path is whole and valid.
    path = _path(document)
    leaf, root = path[0], path[-1]
    check_pinned(root, roots)
    valid_until = verify_path(path, at=at, rules=RULES)
    if leaf.key_usage is None or "digital_signature" not in leaf.key_usage:
        raise EvidenceError(f"{leaf.what} may not sign documents")
    # 2. The leaf's key signed the document.
    half = len(document.signature) // 2
    numbers = document.signature[:half], document.signature[half:]
    verify_signature(
        leaf.spki,
        Scheme.ECDSA_P384_SHA384,
        ecdsa_signature(*(int.from_bytes(number, "big") for number in numbers)),
        document.signed,
        what="the Nitro document",
    )
    # 3. It was made while that key was good.
    made = _EPOCH + timedelta(milliseconds=document.timestamp_ms)
    if not leaf.not_before <= made <= leaf.not_after:
        raise EvidenceError("the Nitro document is dated outside its certificate's validity")
    return VerifiedClaims(
        kind=KIND,
        tier=TIER,
        measurements={f"PCR{index}": pcr.hex() for index, pcr in sorted(document.pcrs.items())},
        report_data=document.user_data or b"",
        debug=_debug(document.pcrs),
        platform_id=_platform(document.module_id),
        evidence_digest=digest(document.signed),
        valid_until=valid_until,
        details=_details(document, made, at),
    )


def _path(document: NitroDocument) -> tuple[Certificate, ...]:
    leaf = parse_certificate(document.certificate, "the certificate of the security module")
    names = ("the Nitro root", *(f"Nitro authority {i}" for i in range(1, 8)))
    authorities = [
        parse_certificate(der, name) for der, name in zip(document.authorities, names, strict=False)
    ]
    return (leaf, *reversed(authorities))


def _debug(pcrs: Mapping[int, bytes]) -> bool:
    """An enclave in debug mode has zeros where its code's measurements should be."""
    return any(not any(pcrs.get(index, b"")) for index in _CODE_PCRS)


def _platform(module_id: str) -> str:
    match = _MODULE_ID.match(module_id)
    return f"instance:{match[1]}" if match else ""


def _details(document: NitroDocument, made: datetime, at: datetime) -> dict[str, Json]:
    return {
        "module_id": document.module_id,
        "timestamp_ms": document.timestamp_ms,
        "age_seconds": (at - made) // timedelta(seconds=1),
        "public_key": _hex(document.public_key),
        "user_data": _hex(document.user_data),
        "nonce": _hex(document.nonce),
    }


def _hex(raw: bytes | None) -> str | None:
    return None if raw is None else raw.hex()
