"""The HCL report, as Azure's paravisor stores it in the vTPM (NV index 0x01400001): layout only.

It wraps a hardware report and the runtime data that the report commits to. The wrapper itself is
signed by nobody, so it is taken off here and never travels in our evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from mc2.attestation.cursor import Cursor
from mc2.errors import EvidenceError

HARDWARE_BYTES: Final = 1184
_MAGIC: Final = b"HCLA"
_VERSIONS: Final = (1, 2)
_REQUEST_TYPE: Final = 2
_DATA_HEADER_BYTES: Final = 20
_HEADER_BYTES: Final = 32
_KINDS: Final[dict[int, Literal["SNP", "TDX"]]] = {2: "SNP", 4: "TDX"}
_SHA256: Final = 1
_LARGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class HclReport:
    """What is inside: an SNP report, or a TDREPORT that only its own machine can check.

    `runtime_data` is JSON, byte for byte as the hardware report commits to it.
    """

    kind: Literal["SNP", "TDX"]
    hardware: bytes
    runtime_data: bytes


def parse_hcl_report(raw: bytes) -> HclReport:
    """Take the wrapper off. Raises: EvidenceError."""
    if len(raw) > _LARGEST:
        raise EvidenceError(f"an HCL report is no larger than {_LARGEST} bytes")
    cursor = Cursor(raw, "the HCL report", "little")
    magic, version, size = cursor.take(4), cursor.number(4), cursor.number(4)
    request, reserved = cursor.number(4), cursor.take(16)
    if magic != _MAGIC or version not in _VERSIONS or request != _REQUEST_TYPE or any(reserved):
        raise EvidenceError("this is not an HCL report of a known version")
    hardware = cursor.take(HARDWARE_BYTES)
    data_size, data_version, kind = cursor.number(4), cursor.number(4), cursor.number(4)
    hash_type, json_size = cursor.number(4), cursor.number(4)
    if data_version != 1 or kind not in _KINDS or hash_type != _SHA256:
        raise EvidenceError(
            "the runtime data of the HCL report are of a form that is not supported",
            hint="supported are SNP and TDX reports that commit to the data by SHA-256",
        )
    if (
        data_size != _DATA_HEADER_BYTES + json_size
        or size != _HEADER_BYTES + HARDWARE_BYTES + data_size
    ):
        raise EvidenceError("the sizes in the HCL report contradict one another")
    runtime_data = cursor.take(json_size)
    if any(cursor.rest()):
        raise EvidenceError("bytes that are not zero follow the HCL report")
    return HclReport(_KINDS[kind], hardware, runtime_data)
