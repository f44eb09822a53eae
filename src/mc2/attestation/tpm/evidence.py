"""A quote with what it takes to check it, as it travels. Spec: docs/spec/evidence-tpm.md §2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from mc2.attestation.tpm.algorithms import PCRS
from mc2.errors import EvidenceError, FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields, from_base64, to_base64

TYPE: Final = "mc2/tpm-evidence/v1"
EK_CERTIFICATE: Final = "ek_certificate"
EK_CHAIN: Final = "ek_chain"
AK_CERTIFICATE: Final = "ak_certificate"
AK_CHAIN: Final = "ak_chain"
EVENT_LOG: Final = "event_log"
CODE_LOG: Final = "code_log"
ENDORSEMENTS: Final = (EK_CERTIFICATE, EK_CHAIN, AK_CERTIFICATE, AK_CHAIN, EVENT_LOG, CODE_LOG)
"""The names under which endorsements come with TPM evidence; all are optional."""

STRUCTURE_BYTES: Final = 2048
"""The largest TPM structure in evidence: a key or signature of RSA-4096 and its fields."""

_LIMIT: Final = 16 * 1024
_REGISTER: Final = 48  # bytes of a register of the larger bank


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmEvidence:
    """A quote, its signature (TPMT_SIGNATURE), the key (TPMT_PUBLIC) and the quoted registers."""

    quote: bytes
    signature: bytes
    ak_public: bytes
    pcrs: Mapping[int, bytes]

    def encode(self) -> bytes:
        """The bytes that travel."""
        return encode(
            {
                "type": TYPE,
                "quote": to_base64(self.quote),
                "signature": to_base64(self.signature),
                "ak_public": to_base64(self.ak_public),
                "pcrs": write_pcrs(self.pcrs),
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read TPM evidence. Raises: EvidenceError."""
        try:
            fields = Fields(decode(raw, _LIMIT, "TPM evidence"), "TPM evidence")
            fields.type(TYPE)
            found = cls(
                quote=fields.base64("quote", STRUCTURE_BYTES),
                signature=fields.base64("signature", STRUCTURE_BYTES),
                ak_public=fields.base64("ak_public", STRUCTURE_BYTES),
                pcrs=read_pcrs(fields.value("pcrs")),
            )
            fields.done()
        except FormatError as error:
            raise EvidenceError(str(error), hint=error.hint) from None
        return found


def write_pcrs(pcrs: Mapping[int, bytes]) -> dict[str, Json]:
    """Registers as canonical JSON has them: number as text → base64."""
    return {str(number): to_base64(value) for number, value in pcrs.items()}


def read_pcrs(value: Json) -> dict[int, bytes]:
    """Read registers. Raises: FormatError."""
    if not isinstance(value, Mapping):
        raise FormatError("the registers of a quote are not an object")
    found: dict[int, bytes] = {}
    for name, item in value.items():
        number = register_number(name)
        if not isinstance(item, str):
            raise FormatError(f"register {name} of a quote is not base64")
        found[number] = from_base64(item, f"register {name}")
        if len(found[number]) > _REGISTER:
            raise FormatError(f"register {name} of a quote is too long")
    return found


def register_number(name: str) -> int:
    """The number of a register from its one spelling, `0` to `23`. Raises: FormatError."""
    if name not in map(str, range(PCRS)):
        raise FormatError(f"a register is one of 0 to {PCRS - 1}")
    return int(name)
