"""Azure evidence as it travels. Spec: docs/spec/evidence-azure-vtpm.md §2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from mc2.attestation.tpm.evidence import STRUCTURE_BYTES, read_pcrs, write_pcrs
from mc2.errors import EvidenceError, FormatError
from mc2.formats.canonical import decode, encode
from mc2.formats.fields import Fields, to_base64

TYPE: Final = "mc2/azure-vtpm-evidence/v1"
_LIMIT: Final = 128 * 1024
_REPORT: Final = 32 * 1024
_RUNTIME_DATA: Final = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureEvidence:
    """`report` is an SNP report or a TD quote; quote and signature are TPM structures."""

    report: bytes
    runtime_data: bytes
    quote: bytes
    signature: bytes
    pcrs: Mapping[int, bytes]

    def encode(self) -> bytes:
        """The bytes that travel."""
        return encode(
            {
                "type": TYPE,
                "report": to_base64(self.report),
                "runtime_data": to_base64(self.runtime_data),
                "quote": to_base64(self.quote),
                "signature": to_base64(self.signature),
                "pcrs": write_pcrs(self.pcrs),
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read Azure evidence. Raises: EvidenceError."""
        try:
            fields = Fields(decode(raw, _LIMIT, "Azure evidence"), "Azure evidence")
            fields.type(TYPE)
            found = cls(
                report=fields.base64("report", _REPORT),
                runtime_data=fields.base64("runtime_data", _RUNTIME_DATA),
                quote=fields.base64("quote", STRUCTURE_BYTES),
                signature=fields.base64("signature", STRUCTURE_BYTES),
                pcrs=read_pcrs(fields.value("pcrs")),
            )
            fields.done()
        except FormatError as error:
            raise EvidenceError(str(error), hint=error.hint) from None
        return found
