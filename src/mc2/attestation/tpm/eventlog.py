"""TCG event logs: what was measured into which register, in order (PC Client PFP §10, CCEL).

A log proves nothing by itself; replayed, it must give the quoted registers. The same format,
with SHA-384 and registers 1 to 4 for RTMR0 to RTMR3, comes from TDX guests (CCEL).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mc2.attestation.cursor import Cursor
from mc2.attestation.tpm.algorithms import BANKS, DIGEST_BYTES, HASH_NAMES
from mc2.errors import EvidenceError

NO_ACTION: Final = 0x00000003
"""EV_NO_ACTION: a remark in the log; no register was extended."""

_LARGEST_LOG: Final = 1024 * 1024
_LARGEST_EVENT: Final = 512 * 1024  # lists of keys and revocations (PK, KEK, db, dbx)
_EVENTS: Final = 8192
_REGISTERS: Final = 24
_SPEC_ID: Final = b"Spec ID Event03\0"
_LOCALITY: Final = b"StartupLocality\0"
_SHA1_BYTES: Final = 20
_WIDTHS: Final = {0x0004: 20, 0x000B: 32, 0x000C: 48, 0x000D: 64, 0x0012: 32}
"""Digest sizes in bytes by algorithm; SHA-1 and SM3 are skipped over, never used."""


@dataclass(frozen=True, slots=True)
class Event:
    """One entry: the register, what kind of thing was measured, its digest in each bank."""

    register: int
    kind: int
    digests: Mapping[int, bytes]
    data: bytes


@dataclass(frozen=True, slots=True)
class EventLog:
    """A log in its order, without its header. `algorithms` are the banks that it covers."""

    algorithms: tuple[int, ...]
    events: tuple[Event, ...]

    def digests(self, bank: str) -> dict[int, tuple[bytes, ...]]:
        """For each register that was extended, the digests in order. Raises: EvidenceError."""
        algorithm = self._algorithm(bank)
        found: dict[int, list[bytes]] = {}
        for event in self.events:
            if event.kind != NO_ACTION:
                found.setdefault(event.register, []).append(event.digests[algorithm])
        return {register: tuple(digests) for register, digests in found.items()}

    def replay(self, bank: str) -> dict[int, bytes]:
        """What the registers must be after this log, for each one that it extends.

        Raises: EvidenceError.
        """
        return {
            register: replay(digests, bank, start=self._start(register, bank))
            for register, digests in self.digests(bank).items()
        }

    def _algorithm(self, bank: str) -> int:
        algorithm = BANKS[bank]
        if algorithm not in self.algorithms:
            raise EvidenceError(f"the event log does not cover the bank {bank}")
        return algorithm

    def _start(self, register: int, bank: str) -> bytes:
        # PFP §10.4.5.3: a TPM that was started from another locality begins PCR 0 with it.
        size = DIGEST_BYTES[BANKS[bank]]
        if register == 0:
            for event in self.events:
                if event.register == 0 and event.kind == NO_ACTION:
                    tag, locality = event.data[:-1], event.data[-1:]
                    if tag == _LOCALITY and locality in (b"\3", b"\4"):
                        return locality.rjust(size, b"\0")
        return bytes(size)


def replay(digests: Iterable[bytes], bank: str, *, start: bytes | None = None) -> bytes:
    """Extend a register with digests in order; it starts at zero, unless `start` says otherwise."""
    algorithm = BANKS[bank]
    value = bytes(DIGEST_BYTES[algorithm]) if start is None else start
    for digest in digests:
        value = hashlib.new(HASH_NAMES[algorithm], value + digest).digest()
    return value


def parse_event_log(raw: bytes) -> EventLog:
    """Read a crypto-agile log. Padding of zeros or of ones may follow. Raises: EvidenceError."""
    if len(raw) > _LARGEST_LOG:
        raise EvidenceError(f"an event log is no larger than {_LARGEST_LOG} bytes")
    cursor = Cursor(raw, "the event log", "little")
    widths = _read_header(cursor)
    events: list[Event] = []
    while cursor.left and not _is_padding(raw[cursor.position :]):
        if len(events) == _EVENTS:
            raise EvidenceError(f"an event log has at most {_EVENTS} events")
        events.append(_read_event(cursor, widths))
    return EventLog(tuple(widths), tuple(events))


def _read_header(cursor: Cursor) -> dict[int, int]:
    """The first event, in the old form, names the banks: algorithm → digest size in bytes."""
    register, kind = cursor.number(4), cursor.number(4)
    digest, data = cursor.take(_SHA1_BYTES), cursor.sized(4, _LARGEST_EVENT)
    if register > 1 or kind != NO_ACTION or any(digest):  # 1 in the logs of TDX guests
        raise EvidenceError("the event log does not begin with its specification")
    header = Cursor(data, "the event log's specification", "little")
    if header.take(16) != _SPEC_ID:
        raise EvidenceError("the event log is not of the crypto-agile format")
    header.take(8)  # platform class, version and errata of the specification, word size
    widths: dict[int, int] = {}
    for _ in range(header.number(4)):
        algorithm, size = header.number(2), header.number(2)
        if _WIDTHS.get(algorithm) != size or algorithm in widths:
            raise EvidenceError(f"the event log names the algorithm {algorithm:#06x} wrongly")
        widths[algorithm] = size
    header.sized(1, 255)  # the vendor's remark
    header.done()
    return widths


def _read_event(cursor: Cursor, widths: Mapping[int, int]) -> Event:
    register, kind, count = cursor.number(4), cursor.number(4), cursor.number(4)
    if register >= _REGISTERS or count != len(widths):
        raise EvidenceError("an entry of the event log is not for its registers or its banks")
    digests: dict[int, bytes] = {}
    for _ in range(count):
        algorithm = cursor.number(2)
        if algorithm not in widths or algorithm in digests:
            raise EvidenceError("an entry of the event log does not have each bank once")
        digests[algorithm] = cursor.take(widths[algorithm])
    return Event(register, kind, digests, cursor.sized(4, _LARGEST_EVENT))


def _is_padding(rest: bytes) -> bool:
    return rest[0] in (0, 0xFF) and rest == rest[:1] * len(rest)
