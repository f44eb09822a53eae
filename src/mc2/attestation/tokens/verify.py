"""Verifies Confidential Space tokens: Google's service says that it verified the machine.

The hardware's own evidence is not shown, so the tier is `provider-attested` whatever the
hardware. The steps are those of docs/spec/evidence-tokens.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from mc2.attestation.certificate_path import PathRules, check_pinned, verify_path
from mc2.attestation.claims import RawEvidence, Tier, VerifiedClaims
from mc2.attestation.keys import Scheme, verify_signature
from mc2.attestation.roots import CONFIDENTIAL_SPACE_ROOTS, PinnedRoot
from mc2.attestation.tokens import CONFIDENTIAL_SPACE_KIND
from mc2.attestation.tokens.confidential_space import SpaceToken, read_space_token
from mc2.attestation.tokens.jwt import Token, parse_token
from mc2.attestation.x509 import Certificate, parse_certificate
from mc2.crypto.digest import digest
from mc2.errors import EvidenceError
from mc2.formats.canonical import Json
from mc2.formats.fields import to_time

TIER: Final = Tier.PROVIDER_ATTESTED

RULES: Final = PathRules(schemes=frozenset({Scheme.RSA_PKCS1_SHA256}))

_LOCKED: Final = "disabled-since-boot"
_NONCE: Final = re.compile(r"[0-9a-f]{64}\Z")
_INSTANCE: Final = re.compile(r"[0-9]{2,32}\Z")


class ConfidentialSpaceVerifier:
    """The verifier of Confidential Space tokens. `roots` are Google's; tests bring their own."""

    kind = CONFIDENTIAL_SPACE_KIND
    tier = TIER

    def __init__(self, roots: Iterable[PinnedRoot] = CONFIDENTIAL_SPACE_ROOTS) -> None:
        self._roots = tuple(roots)

    def verify(self, raw: RawEvidence, *, at: datetime) -> VerifiedClaims:
        """Check a token as of `at`. Raises: EvidenceError."""
        if raw.kind != CONFIDENTIAL_SPACE_KIND:
            raise EvidenceError(f"evidence of kind {raw.kind!r} is not a Confidential Space token")
        if raw.endorsements:
            raise EvidenceError("a token carries its certificates; nothing comes with it")
        return verify_space_token(parse_token(raw.evidence), roots=self._roots, at=at)


def verify_space_token(
    token: Token, *, roots: Iterable[PinnedRoot], at: datetime
) -> VerifiedClaims:
    """Check that Google's service issued the token and that it is current.

    Raises: EvidenceError.
    """
    space = read_space_token(token)
    # 1. The certificates inside end in Google's root; the path is whole and valid.
    path = _path(space)
    leaf, root = path[0], path[-1]
    check_pinned(root, roots)
    valid_until = verify_path(path, at=at, rules=RULES)
    if leaf.key_usage is not None and "digital_signature" not in leaf.key_usage:
        raise EvidenceError(f"{leaf.what} may not sign tokens")
    # 2. The leaf's key signed header and payload.
    verify_signature(
        leaf.spki, Scheme.RSA_PKCS1_SHA256, token.signature, token.signed, what="the token"
    )
    # 3. The token is current.
    if not max(space.issued_at, space.not_before) <= at.timestamp() <= space.expires:
        raise EvidenceError(
            f"the token is good from {_moment(space.not_before)} to {_moment(space.expires)}",
            hint="ask the enclave for a fresh token",
        )
    return VerifiedClaims(
        kind=CONFIDENTIAL_SPACE_KIND,
        tier=TIER,
        measurements={"IMAGE_DIGEST": space.image_digest},
        report_data=_report_data(space),
        debug=space.debug_status != _LOCKED,
        platform_id=f"instance:{space.instance}" if _INSTANCE.match(space.instance) else "",
        evidence_digest=digest(token.signed),
        valid_until=min(valid_until, datetime.fromtimestamp(space.expires, UTC)),
        details=_details(space, at),
    )


def _path(space: SpaceToken) -> tuple[Certificate, ...]:
    names = ("the certificate of the token service", *(f"its authority {i}" for i in range(1, 8)))
    return tuple(
        parse_certificate(der, name) for der, name in zip(space.certificates, names, strict=False)
    )


def _report_data(space: SpaceToken) -> bytes:
    """The nonce, if there is exactly one and it is 32 bytes in hex; any other binds nothing."""
    if len(space.nonces) != 1 or not _NONCE.match(space.nonces[0]):
        return b""
    return bytes.fromhex(space.nonces[0])


def _details(space: SpaceToken, at: datetime) -> dict[str, Json]:
    return {
        "audience": space.audience,
        "issued_at": _moment(space.issued_at),
        "expires": _moment(space.expires),
        "age_seconds": int(at.timestamp()) - space.issued_at,
        "nonces": list(space.nonces),
        "hardware": space.hardware,
        "debug_status": space.debug_status,
        "secure_boot": space.secure_boot,
        "support": list(space.support),
        "software_version": list(space.software_version),
        "image_reference": space.image_reference,
        "arguments": list(space.arguments),
        "environment": dict(space.environment),
        "restart_policy": space.restart_policy,
        "project": space.project,
        "zone": space.zone,
        "service_accounts": list(space.service_accounts),
        "tcb_status": space.tcb_status,
        "tcb_date": space.tcb_date,
    }


def _moment(seconds: int) -> str:
    return to_time(datetime.fromtimestamp(seconds, UTC))
