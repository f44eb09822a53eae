"""The Nitro attestation document: bytes to a frozen value. It trusts nothing.

A COSE_Sign1 (RFC 9052) with a CBOR payload, as the "Nitro Security Module API" describes. All
that the signature does not cover, the shell around it, has one accepted spelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mc2.attestation.cbor import Cbor, decode_cbor, encode_cbor
from mc2.errors import EvidenceError

DOCUMENT_BYTES: Final = 16 * 1024  # the NSM device answers with at most 12 KiB
PCR_BYTES: Final = 48
SIGNATURE_BYTES: Final = 96

_TAG_18: Final = b"\xd2"  # optional: "this is a COSE_Sign1"
_PROTECTED: Final = b"\xa1\x01\x38\x22"  # {1: -35}: the algorithm is ES384
_DIGEST: Final = "SHA384"
_PCRS: Final = 32
_LARGEST_TIME: Final = 2**53 - 1  # in milliseconds
_CERTIFICATE_BYTES: Final = 1024
_CHAIN: Final = 8
_OPTIONAL: Final = {"public_key": 1024, "user_data": 512, "nonce": 512}
_REQUIRED: Final = {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"}
_WHAT: Final = "the Nitro document"


@dataclass(frozen=True, slots=True, kw_only=True)
class NitroDocument:
    """A document as it was read; its signature is not verified.

    `timestamp_ms` counts from 1970. `authorities` starts with the root. `signed` is what the
    signature covers; it names the evidence.
    """

    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    module_id: str
    timestamp_ms: int
    pcrs: Mapping[int, bytes]
    certificate: bytes = field(repr=False)
    authorities: tuple[bytes, ...] = field(repr=False)
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None


def parse_document(raw: bytes) -> NitroDocument:
    """Read a document strictly. Raises: EvidenceError."""
    if len(raw) > DOCUMENT_BYTES:
        raise EvidenceError(f"{_WHAT} is larger than {DOCUMENT_BYTES} bytes")
    shell = decode_cbor(raw.removeprefix(_TAG_18), _WHAT)
    match shell:
        case [
            bytes() as protected,
            dict() as unprotected,
            bytes() as payload,
            bytes() as signature,
        ]:
            pass
        case _:
            raise EvidenceError(f"{_WHAT} is not a COSE_Sign1")
    if protected != _PROTECTED or unprotected or len(signature) != SIGNATURE_BYTES:
        raise EvidenceError(f"{_WHAT} is not signed by ES384 and nothing else")
    fields = _fields(payload)
    return NitroDocument(
        signed=encode_cbor(["Signature1", protected, b"", payload]),
        signature=signature,
        module_id=_module_id(fields["module_id"]),
        timestamp_ms=_timestamp(fields["timestamp"]),
        pcrs=_pcrs(fields["pcrs"]),
        certificate=_certificate(fields["certificate"]),
        authorities=_authorities(fields["cabundle"]),
        public_key=_optional(fields, "public_key"),
        user_data=_optional(fields, "user_data"),
        nonce=_optional(fields, "nonce"),
    )


def _fields(payload: bytes) -> dict[int | str, Cbor]:
    fields = decode_cbor(payload, "the payload of a Nitro document")
    if not isinstance(fields, dict):
        raise EvidenceError("the payload of a Nitro document is not a map")
    if missing := sorted(_REQUIRED - fields.keys()):
        raise EvidenceError(f"{_WHAT} has no {missing[0]}")
    if fields.keys() - _REQUIRED - _OPTIONAL.keys():
        raise EvidenceError(f"{_WHAT} has a field that is not known")
    if fields["digest"] != _DIGEST:
        raise EvidenceError(f"{_WHAT} measures by another hash than SHA-384")
    return fields


def _module_id(value: Cbor) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 256 or not value.isprintable():
        raise EvidenceError(f"module_id of {_WHAT} is not a name")
    return value


def _timestamp(value: Cbor) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST_TIME:
        raise EvidenceError(f"timestamp of {_WHAT} is not a time in milliseconds")
    return value


def _pcrs(value: Cbor) -> dict[int, bytes]:
    if not isinstance(value, dict) or not value:
        raise EvidenceError(f"{_WHAT} has no PCRs")
    found: dict[int, bytes] = {}
    for index, content in value.items():
        if not isinstance(index, int) or not 0 <= index < _PCRS:
            raise EvidenceError(f"{_WHAT} has a PCR beyond {_PCRS - 1}")
        if not isinstance(content, bytes) or len(content) != PCR_BYTES:
            raise EvidenceError(f"PCR{index} of {_WHAT} does not have {PCR_BYTES} bytes")
        found[index] = content
    return found


def _certificate(value: Cbor) -> bytes:
    if not isinstance(value, bytes) or not 0 < len(value) <= _CERTIFICATE_BYTES:
        raise EvidenceError(f"a certificate of {_WHAT} has an odd size")
    return value


def _authorities(value: Cbor) -> tuple[bytes, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= _CHAIN:
        raise EvidenceError(f"cabundle of {_WHAT} is not a list of 1 to {_CHAIN} certificates")
    return tuple(_certificate(item) for item in value)


def _optional(fields: Mapping[int | str, Cbor], name: str) -> bytes | None:
    value = fields.get(name)
    if value is not None and (not isinstance(value, bytes) or len(value) > _OPTIONAL[name]):
        raise EvidenceError(f"{name} of {_WHAT} is not at most {_OPTIONAL[name]} bytes")
    return value
