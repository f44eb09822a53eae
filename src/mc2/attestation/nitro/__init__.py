"""AWS Nitro Enclaves: the attestation document. Spec: evidence-nitro.md."""

from typing import Final

KIND: Final = "aws-nitro/v1"
"""The name of this kind of evidence."""
