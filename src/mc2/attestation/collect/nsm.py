"""Nitro documents through /dev/nsm: one CBOR message to the security module, and one back.

The document's `user_data` are the report data, as evidence-nitro.md §4 has it; `nonce` and
`public_key` stay empty, since the report data commit to the challenges and the keys already.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Final

from mc2.attestation.cbor import Cbor, decode_cbor, encode_cbor
from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.collect.device import Device
from mc2.attestation.collect.machine import (
    Machine,
    OpenFile,
    check_is_about,
    check_report_data,
    patiently,
)
from mc2.attestation.nitro import KIND
from mc2.attestation.nitro.document import parse_document
from mc2.errors import AttestationError

DEVICE: Final = "/dev/nsm"
SEND: Final = 0xC0200A00
MESSAGE: Final = struct.Struct("<QQQQ")  # address and size of the request, then of the response
RESPONSE_BYTES: Final = 0x3000

_LONGEST_CODE: Final = 64


class NsmCollector:
    """Documents of the Nitro security module."""

    kind = KIND
    tier = Tier.PROVIDER_ATTESTED
    source = "security module"

    def __init__(self, machine: Machine) -> None:
        self._device = Device(machine, DEVICE)

    def available(self) -> bool:
        """Whether the module is there and opens."""
        return not self.why_not()

    def why_not(self) -> str:
        """What is missing."""
        return self._device.why_not()

    def collect(self, report_data: bytes) -> RawEvidence:
        """A document over 64 bytes. Raises: AttestationError."""
        check_report_data(report_data)
        with self._device.opened() as device:
            answer = self._send(device, attestation_request(report_data))
        document = read_answer(answer)
        found = parse_document(document).user_data
        check_is_about(found or b"", report_data, "the Nitro document")
        return RawEvidence(KIND, document)

    def _send(self, device: OpenFile, request: bytes) -> bytes:
        asked = ctypes.create_string_buffer(request, len(request))
        answer = ctypes.create_string_buffer(RESPONSE_BYTES)

        def send() -> bytes:
            message = bytearray(
                MESSAGE.pack(
                    ctypes.addressof(asked), len(request), ctypes.addressof(answer), RESPONSE_BYTES
                )
            )
            device.ioctl(SEND, message)
            size: int = MESSAGE.unpack(message)[3]
            if size > RESPONSE_BYTES:
                raise AttestationError("the Nitro security module answered with too much")
            return answer.raw[:size]

        return patiently(self._device.machine, "the Nitro security module does not answer", send)


def attestation_request(report_data: bytes) -> bytes:
    """What the module is asked."""
    fields: dict[int | str, Cbor] = {"user_data": report_data, "nonce": None, "public_key": None}
    return encode_cbor({"Attestation": fields})


def read_answer(raw: bytes) -> bytes:
    """The document in the module's answer. Raises: AttestationError."""
    match decode_cbor(raw, "the answer of the Nitro security module"):
        case {"Attestation": {"document": bytes() as document, **others}, **rest} if not (
            others or rest
        ):
            return document
        case {"Error": str() as code, **rest} if (
            not rest and code.isalnum() and len(code) <= _LONGEST_CODE
        ):
            raise AttestationError(f"the Nitro security module refused: {code}")
        case _:
            raise AttestationError("the Nitro security module answered with something else")
