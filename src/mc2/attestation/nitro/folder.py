"""A Nitro document among files: `document.cbor`, which carries its certificates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mc2.attestation.claims import RawEvidence
from mc2.attestation.nitro import KIND

DOCUMENT_FILE: Final = "document.cbor"


def read_nitro_case(files: Mapping[str, bytes]) -> RawEvidence:
    """Evidence from a folder's files by name; nothing is verified."""
    return RawEvidence(KIND, files[DOCUMENT_FILE])
