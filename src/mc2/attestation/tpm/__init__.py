"""TPM 2.0: quotes, keys, event logs and a raw command client. Spec: docs/spec/evidence-tpm.md."""

from typing import Final

KIND: Final = "tpm2-quote/v1"
"""The name of this kind of evidence."""
