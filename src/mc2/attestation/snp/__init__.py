"""AMD SEV-SNP: the attestation report and the key that signs it. Spec: evidence-sev-snp.md."""

from typing import Final

KIND: Final = "amd-sev-snp/v1"
"""The name of this kind of evidence."""
