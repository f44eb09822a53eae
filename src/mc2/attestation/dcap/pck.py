"""What Intel writes about a platform into its PCK certificate (extension 1.2.840.113741.1.13.1).

The extension is a sequence of pairs (OID, value). Certificates of the *platform* CA name the
platform instance and its configuration; those of the *processor* CA have neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mc2.attestation.cursor import Cursor
from mc2.errors import EvidenceError

SGX_EXTENSION: Final = "1.2.840.113741.1.13.1"
COMPONENTS: Final = 16

_PREFIX: Final = bytes.fromhex("2a864886f84d010d01")  # the OID's body; children append to it
_BOOLEAN, _INTEGER, _OCTETS, _OID, _ENUMERATED, _SEQUENCE = 0x01, 0x02, 0x04, 0x06, 0x0A, 0x30
_PCESVN, _CPUSVN = 17, 18
SGX_TYPES: Final = ("Standard", "Scalable", "ScalableWithIntegrity")


@dataclass(frozen=True, slots=True, kw_only=True)
class PckExtension:
    """A platform as its certificate describes it.

    `components` are the 16 SVNs of its microcode and firmware, `pcesvn` that of the enclave that
    certified it. `piid` names the platform instance; it changes when the owner resets SGX.
    `sgx_type` tells how memory is protected: `Scalable` means without integrity.
    """

    ppid: bytes
    components: tuple[int, ...]
    pcesvn: int
    cpusvn: bytes
    pceid: bytes
    fmspc: bytes
    sgx_type: str
    piid: bytes | None
    dynamic_platform: bool | None
    cached_keys: bool | None
    smt: bool | None

    @property
    def platform_id(self) -> str:
        """The machine's name in allowlists: `piid:…`, or `ppid:…` where there is no PIID."""
        return f"piid:{self.piid.hex()}" if self.piid else f"ppid:{self.ppid.hex()}"


def parse_pck_extension(raw: bytes) -> PckExtension:
    """Read the extension's value. Raises: EvidenceError."""
    fields = _pairs(_inside(raw, _SEQUENCE), _PREFIX)
    tcb = _pairs(_inside(_only(fields, 2, _SEQUENCE), None), _PREFIX + b"\x02")
    svns = [_integer(_only(tcb, n, _INTEGER)) for n in range(1, _PCESVN + 1)]
    if any(svn > 0xFF for svn in svns[:COMPONENTS]) or svns[-1] > 0xFFFF:
        raise EvidenceError("an SVN in the PCK certificate is out of range")
    sgx_type = _integer(_only(fields, 5, _ENUMERATED))
    if sgx_type >= len(SGX_TYPES):
        raise EvidenceError(f"the PCK certificate states SGX type {sgx_type}, which is not known")
    switches: dict[int, tuple[int, bytes]] = {}
    if 7 in fields:
        switches = _pairs(_inside(_only(fields, 7, _SEQUENCE), None), _PREFIX + b"\x07")
    return PckExtension(
        ppid=_exactly(_only(fields, 1, _OCTETS), 16),
        components=tuple(svns[:COMPONENTS]),
        pcesvn=svns[-1],
        cpusvn=_exactly(_only(tcb, _CPUSVN, _OCTETS), 16),
        pceid=_exactly(_only(fields, 3, _OCTETS), 2),
        fmspc=_exactly(_only(fields, 4, _OCTETS), 6),
        sgx_type=SGX_TYPES[sgx_type],
        piid=_exactly(_only(fields, 6, _OCTETS), 16) if 6 in fields else None,
        dynamic_platform=_switch(switches, 1),
        cached_keys=_switch(switches, 2),
        smt=_switch(switches, 3),
    )


def _values(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The DER values that stand one after another in `raw`: (tag, contents)."""
    cursor = Cursor(raw, "the SGX extension of the PCK certificate", "big")
    while cursor.left:
        tag, size = cursor.number(1), cursor.number(1)
        if size in {0x81, 0x82}:
            width = size - 0x80
            size = cursor.number(width)
            if size < (0x80 if width == 1 else 0x100):  # DER: the shortest form only
                raise EvidenceError("the SGX extension of the PCK certificate is not DER")
        elif size >= 0x80:
            raise EvidenceError("the SGX extension of the PCK certificate is not DER")
        yield tag, cursor.take(size)


def _inside(raw: bytes, tag: int | None) -> list[tuple[int, bytes]]:
    """The values in `raw`, which is one value of type `tag`, or already its contents."""
    values = list(_values(raw))
    if tag is None:
        return values
    if len(values) != 1 or values[0][0] != tag:
        raise EvidenceError("the SGX extension of the PCK certificate is not one sequence")
    return list(_values(values[0][1]))


def _pairs(values: list[tuple[int, bytes]], prefix: bytes) -> dict[int, tuple[int, bytes]]:
    """Pairs (OID, value) by the last part of the OID, which must extend `prefix`."""
    found: dict[int, tuple[int, bytes]] = {}
    for tag, contents in values:
        pair = list(_values(contents)) if tag == _SEQUENCE else []
        if len(pair) != 2 or pair[0][0] != _OID:
            raise EvidenceError("the SGX extension of the PCK certificate is not a list of pairs")
        oid = pair[0][1]
        if oid[:-1] != prefix or oid[-1] >= 0x80 or oid[-1] in found:
            raise EvidenceError("the SGX extension of the PCK certificate has an odd or double OID")
        found[oid[-1]] = pair[1]
    return found


def _only(fields: dict[int, tuple[int, bytes]], number: int, tag: int) -> bytes:
    found = fields.get(number)
    if found is None or found[0] != tag:
        raise EvidenceError(f"field {number} of the PCK certificate's SGX extension is missing")
    return found[1]


def _integer(contents: bytes) -> int:
    if not contents or contents[0] >= 0x80:
        raise EvidenceError("an SVN in the PCK certificate is negative")
    return int.from_bytes(contents, "big")


def _exactly(contents: bytes, size: int) -> bytes:
    if len(contents) != size:
        raise EvidenceError("a field of the PCK certificate's SGX extension has another size")
    return contents


def _switch(fields: dict[int, tuple[int, bytes]], number: int) -> bool | None:
    if number not in fields:
        return None
    contents = _only(fields, number, _BOOLEAN)
    if contents not in (b"\x00", b"\xff"):
        raise EvidenceError("a switch in the PCK certificate is neither true nor false")
    return contents == b"\xff"
