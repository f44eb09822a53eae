"""Tokens in which a cloud's attestation service says what it verified. Spec: evidence-tokens.md."""

from typing import Final

CONFIDENTIAL_SPACE_KIND: Final = "google-confidential-space/v1"
"""Tokens of Google's service for Confidential Space, with their certificates inside."""

MAA_KIND: Final = "azure-maa/v1"
"""Tokens of Microsoft Azure Attestation: mc2 reads them and does not verify them."""
