"""Tokens of Microsoft Azure Attestation: read, never verified.

Their keys come from a web address that the token itself names, and no pinned root stands behind
them; no genuine key set was at hand to test against. So mc2 shows what such a token says and
refuses to call it evidence. Azure's machines are verified by their hardware's own evidence.
"""

from __future__ import annotations

from datetime import datetime

from mc2.attestation.claims import RawEvidence, Tier, VerifiedClaims
from mc2.attestation.tokens import MAA_KIND
from mc2.attestation.tokens.jwt import Token, parse_token
from mc2.errors import EvidenceError


def parse_maa_token(raw: bytes) -> Token:
    """Read a token strictly and see that it is of this service; trust nothing in it.

    Raises: EvidenceError.
    """
    token = parse_token(raw)
    if "x-ms-attestation-type" not in token.claims or "jku" not in token.header:
        raise EvidenceError("the token is not one of Microsoft Azure Attestation")
    return token


class MaaVerifier:
    """Refuses all tokens of Azure Attestation, and says why."""

    kind = MAA_KIND
    tier = Tier.PROVIDER_ATTESTED

    def verify(self, raw: RawEvidence, *, at: datetime) -> VerifiedClaims:  # noqa: ARG002 - the interface of all verifiers
        """Refuse. Raises: EvidenceError, always."""
        parse_maa_token(raw.evidence)
        raise EvidenceError(
            "tokens of Azure Attestation are not verified by mc2",
            hint="send the machine's own SEV-SNP or TDX evidence instead",
        )
