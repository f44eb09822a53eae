"""The table of certificates that a host hands to its guest along with a report.

Guest-Hypervisor Communication Block (AMD 56421), §4.1.8.1; configfs calls it `auxblob`. Entries of
24 bytes, a GUID with its digits in the order they are written, u32 offset, u32 length (both
little-endian), until one of zeros; then the certificates. The host makes it, so it proves
nothing: what comes out are endorsements, which verification checks.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from mc2.attestation.cursor import Cursor
from mc2.attestation.pem import split_pem
from mc2.attestation.snp.endorsements import AUTHORITIES
from mc2.errors import EvidenceError

TABLE_BYTES: Final = 64 * 1024  # a chain with its list has 10 KiB; hosts round up to pages
_ENTRIES: Final = 16
_END: Final = bytes(16)
_PEM: Final = b"-----BEGIN"
_VCEK: Final = UUID("63da758d-e664-4564-adc5-f4b93be8accd")
_VLEK: Final = UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1")
_AUTHORITY: Final = UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782")  # the ASK or the ASVK
_ARK: Final = UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae")
_CRL: Final = UUID("92f81bc3-5811-4d3d-97ff-d19f88dc67ea")


def read_certificate_table(raw: bytes, signing_key: str) -> dict[str, bytes]:
    """The endorsements, by name and in DER, for a report that `signing_key` signed.

    Entries that such a report has no use for are left out; a host without certificates gives
    an empty table or none.

    Raises: EvidenceError.
    """
    if len(raw) > TABLE_BYTES:
        raise EvidenceError(f"the certificate table is larger than {TABLE_BYTES} bytes")
    names = {
        {"VCEK": _VCEK, "VLEK": _VLEK}[signing_key]: signing_key.lower(),
        _AUTHORITY: AUTHORITIES[signing_key],
        _ARK: "ark",
        _CRL: "crl",
    }
    entries = _read_entries(raw)
    return {names[guid]: _der(found) for guid, found in entries.items() if guid in names}


def _read_entries(raw: bytes) -> dict[UUID, bytes]:
    cursor = Cursor(raw, "the certificate table", "little")
    entries: list[tuple[UUID, int, int]] = []
    while cursor.left:
        name, offset, size = cursor.take(len(_END)), cursor.number(4), cursor.number(4)
        if name == _END:
            break
        entries.append((UUID(bytes=name), offset, size))
        if len(entries) > _ENTRIES:
            raise EvidenceError(f"the certificate table has more than {_ENTRIES} entries")
    found: dict[UUID, bytes] = {}
    for guid, offset, size in entries:
        if guid in found or offset < cursor.position or offset + size > len(raw):
            raise EvidenceError("an entry of the certificate table is odd or stands twice")
        found[guid] = raw[offset : offset + size]
    return found


def _der(found: bytes) -> bytes:
    """Some hosts store PEM: one certificate of it, as DER."""
    if not found.startswith(_PEM):
        return found
    return split_pem(found, "a certificate of the table", most=1)[0]
