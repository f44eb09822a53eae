"""What Intel writes about a platform into its PCK certificate (extension 1.2.840.113741.1.13.1).

The extension is a sequence of pairs (OID, value). Certificates of the *platform* CA name the
platform instance and its configuration; those of the *processor* CA have neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from mc2.attestation.der import DerError, DerReader
from mc2.errors import EvidenceError

SGX_EXTENSION: Final = "1.2.840.113741.1.13.1"
SGX_TYPES: Final = ("Standard", "Scalable", "ScalableWithIntegrity")
COMPONENTS: Final = 16

_PCESVN, _CPUSVN = 17, 18
_ENUMERATED: Final = 0x0A

T = TypeVar("T")


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
    try:
        outer = DerReader(raw)
        fields = _Pairs(outer.inside(), SGX_EXTENSION)
        outer.done()
        return _read(fields)
    except DerError:
        raise EvidenceError("the SGX extension of the PCK certificate does not decode") from None


def _read(fields: _Pairs) -> PckExtension:
    tcb = _Pairs(fields.take(2, DerReader.inside), f"{SGX_EXTENSION}.2")
    switches = fields.optional(7, DerReader.inside)
    configuration = None if switches is None else _Pairs(switches, f"{SGX_EXTENSION}.7")
    return PckExtension(
        ppid=_exactly(fields.take(1, DerReader.octets), 16),
        components=tuple(_svn(tcb, number, 0xFF) for number in range(1, COMPONENTS + 1)),
        pcesvn=_svn(tcb, _PCESVN, 0xFFFF),
        cpusvn=_exactly(tcb.take(_CPUSVN, DerReader.octets), 16),
        pceid=_exactly(fields.take(3, DerReader.octets), 2),
        fmspc=_exactly(fields.take(4, DerReader.octets), 6),
        sgx_type=_sgx_type(fields.take(5, lambda reader: reader.contents(_ENUMERATED))),
        piid=_instance(fields.optional(6, DerReader.octets)),
        dynamic_platform=_switch(configuration, 1),
        cached_keys=_switch(configuration, 2),
        smt=_switch(configuration, 3),
    )


class _Pairs:
    """Pairs (OID, value) by the last number of the OID, which extends `prefix`."""

    def __init__(self, reader: DerReader, prefix: str) -> None:
        self._found: dict[int, DerReader] = {}
        while reader.more():
            pair = reader.inside()
            parent, _, number = pair.oid().rpartition(".")
            if parent != prefix or int(number) in self._found:
                raise DerError
            self._found[int(number)] = pair

    def take(self, number: int, read: Callable[[DerReader], T]) -> T:
        """The value of a pair that must be there, and nothing behind it. Raises: DerError."""
        pair = self._found.get(number)
        if pair is None:
            raise DerError
        value = read(pair)
        pair.done()
        return value

    def optional(self, number: int, read: Callable[[DerReader], T]) -> T | None:
        """The value of a pair that may be missing. Raises: DerError."""
        return self.take(number, read) if number in self._found else None


def _exactly(contents: bytes, size: int) -> bytes:
    if len(contents) != size:
        raise DerError
    return contents


def _instance(contents: bytes | None) -> bytes | None:
    return None if contents is None else _exactly(contents, 16)


def _svn(pairs: _Pairs, number: int, most: int) -> int:
    svn = pairs.take(number, DerReader.integer)
    if not 0 <= svn <= most:
        raise DerError
    return svn


def _sgx_type(contents: bytes) -> str:
    number = int.from_bytes(contents, "big")
    if len(contents) != 1 or number >= len(SGX_TYPES):
        raise DerError
    return SGX_TYPES[number]


def _switch(pairs: _Pairs | None, number: int) -> bool | None:
    return None if pairs is None else pairs.optional(number, DerReader.boolean)
