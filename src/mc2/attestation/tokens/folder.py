"""A token among files: `token.jwt`, of Confidential Space if it carries its certificates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mc2.attestation.claims import RawEvidence
from mc2.attestation.tokens import CONFIDENTIAL_SPACE_KIND, MAA_KIND
from mc2.attestation.tokens.jwt import parse_token

CASE_FILE: Final = "token.jwt"


def read_token_case(files: Mapping[str, bytes]) -> RawEvidence:
    """Evidence from a folder's files by name; nothing is verified. Raises: EvidenceError."""
    raw = files[CASE_FILE]
    certified = "x5c" in parse_token(raw).header
    return RawEvidence(CONFIDENTIAL_SPACE_KIND if certified else MAA_KIND, raw)
