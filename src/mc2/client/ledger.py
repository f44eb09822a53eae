"""The party's own durable record of what it decided and released. Spec: docs/spec/ledger.md.

The ledger is what makes "at most one grant for an attempt" true across crashes, restarts and two
agents at once: an entry is on the disk before what it permits leaves this machine. Entries form a
hash chain; a small second file says how many of them were ever acknowledged, so that an entry cut
off is told from an entry that was never finished.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from mc2.client.durable import create_file, locked, read_file, replace_file, sync_folder
from mc2.client.ledger_events import Begun, Entry, Event
from mc2.client.ledger_rules import LedgerState
from mc2.crypto.digest import Digest, digest
from mc2.errors import FormatError, LedgerError, Mc2Error
from mc2.formats.canonical import decode, encode
from mc2.formats.fields import Fields, to_time

BEGINNING: Final = digest(b"")
"""What the first entry names as the one before it."""

_HEAD_TYPE: Final = "mc2/ledger-head/v1"
_HEAD_BYTES: Final = 1024
_LEDGER_BYTES: Final = 1 << 30
_LOST_HINT: Final = (
    "restore it from a backup made since its last entry; if there is none: mc2 init --new-ledger, "
    "after which older jobs must be proposed again"
)


@dataclass(frozen=True, slots=True)
class _Head:
    """How many entries were acknowledged, and the digest of the last of them."""

    entries: int
    last: Digest

    def encode(self) -> bytes:
        return encode({"type": _HEAD_TYPE, "entries": self.entries, "last": self.last})

    @classmethod
    def parse(cls, raw: bytes) -> _Head:
        fields = Fields(decode(raw, _HEAD_BYTES, "a ledger's head"), "a ledger's head")
        fields.type(_HEAD_TYPE)
        head = cls(fields.integer("entries", 1, 2**53 - 1), fields.digest("last"))
        fields.done()
        return head


class Book:
    """The ledger while its lock is held: read `state`, decide, `record`, then act."""

    def __init__(self, entries: list[Entry], append: Callable[[Entry], None]) -> None:
        self._entries = entries
        self._append = append
        self._whole = True
        self.state = LedgerState()
        for entry in entries:
            self.state.apply(entry.event, entry.time)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, the oldest first."""
        return tuple(self._entries)

    @property
    def next_index(self) -> int:
        """The place of the next entry."""
        return len(self._entries)

    def record(self, event: Event, at: datetime) -> Entry:
        """Check and write an event; when this returns, it is on the disk.

        Raises: LedgerError, ApprovalError, ContractError: then it does not count as written.
        """
        if not self._whole:
            raise LedgerError("a write to the ledger failed before", hint="open it again")
        self.state.check(event, at)
        previous = self._entries[-1].digest
        entry = Entry(index=self.next_index, previous=previous, time=at, event=event)
        try:
            self._append(entry)
        except OSError as error:
            self._whole = False  # how much of it is on the disk, only reading it again can tell
            raise LedgerError(
                f"the ledger could not be written: {error.strerror}",
                hint="nothing was released; make room on the disk and try again",
            ) from None
        self.state.apply(event, at)
        self._entries.append(entry)
        return entry


class Ledger:
    """A ledger in a file."""

    def __init__(self, path: Path, signing_key: Digest) -> None:
        self._path = path
        self._head_path = path.with_suffix(".head")
        self._lock_path = path.with_suffix(".lock")
        self._signing_key = signing_key
        self._lines: list[bytes] = []
        self._entries: list[Entry] = []

    def begin(self, party: str, at: datetime, *, replaces_lost: bool = False) -> None:
        """Write the first entry of a new ledger; a lost or damaged one is moved aside.

        Raises: LedgerError if there is a ledger and `replaces_lost` was not asked for.
        """
        event = Begun(
            party=party,
            signing_key=self._signing_key,
            ledger_id=secrets.token_hex(16),
            replaces_lost=replaces_lost,
        )
        entry = Entry(index=0, previous=BEGINNING, time=at, event=event)
        with locked(self._lock_path):
            if replaces_lost:
                self._move_aside(at)
            try:
                create_file(self._path, entry.encode() + b"\n")
            except FileExistsError:
                raise LedgerError(
                    f"there is a ledger at {self._path}",
                    hint="it is never overwritten; if it is damaged: mc2 init --new-ledger",
                ) from None
            self._acknowledge(entry)

    @contextmanager
    def open(self) -> Iterator[Book]:
        """Hold the ledger: what is read stays true until the block ends.

        Raises: LedgerError if it is missing, damaged, cut off or another party's.
        """
        with locked(self._lock_path):
            book = self._read()
            if book.state.begun.signing_key != self._signing_key:
                raise LedgerError("this ledger is another party's", hint=_LOST_HINT)
            yield book

    def record(self, event: Event, at: datetime) -> Entry:
        """Check and write one event; when this returns, it is on the disk. Raises: LedgerError."""
        with self.open() as book:
            return book.record(event, at)

    # --- the file

    def _read(self) -> Book:
        try:
            raw = read_file(self._path, _LEDGER_BYTES)
            head = _Head.parse(read_file(self._head_path, _HEAD_BYTES))
        except FileNotFoundError as error:
            raise LedgerError(
                f"the ledger is lost: {error.filename} is missing, so no key can be released",
                hint=_LOST_HINT,
            ) from None
        except FormatError as error:
            raise LedgerError(f"the ledger is damaged: {error}", hint=_LOST_HINT) from None
        *lines, unfinished = raw.split(b"\n")
        entries = self._chain(lines[: head.entries])
        if len(entries) < head.entries or entries[-1].digest != head.last:
            raise LedgerError(
                f"the ledger has lost entries: {head.entries} were written", hint=_LOST_HINT
            )
        found = self._read_rest(entries, lines[head.entries :], unfinished)
        try:
            return Book(found, self._append)
        except Mc2Error as error:
            raise LedgerError(f"the ledger contradicts itself: {error}", hint=_LOST_HINT) from None

    def _chain(self, lines: list[bytes]) -> list[Entry]:
        """The entries of these lines. Those that are what was read before are not parsed again."""
        known = len(self._lines) if lines[: len(self._lines)] == self._lines else 0
        entries = self._entries[:known]
        entries += _read_chain(lines[known:], entries[-1] if entries else None)
        self._lines, self._entries = lines, entries
        return list(entries)

    def _read_rest(
        self, entries: list[Entry], lines: list[bytes], unfinished: bytes
    ) -> list[Entry]:
        """What follows the acknowledged entries: at most the one that a crash interrupted.

        Whole, it counts: what was recorded is the safer belief. Torn, it goes: nobody was told
        that it was written, so nothing was released on it.
        """
        if len(lines) + bool(unfinished) > 1:
            raise LedgerError(
                "the ledger has entries that were never acknowledged", hint=_LOST_HINT
            )
        if lines:
            try:
                (entry,) = _read_chain(lines, entries[-1])
            except LedgerError:
                unfinished = lines[0]
            else:
                self._acknowledge(entry)
                return [*entries, entry]
        if unfinished:
            self._cut(sum(len(e.encode()) + 1 for e in entries))
        return entries

    def _append(self, entry: Entry) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        with os.fdopen(handle, "wb") as file:
            file.write(entry.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._acknowledge(entry)

    def _acknowledge(self, entry: Entry) -> None:
        replace_file(self._head_path, _Head(entry.index + 1, entry.digest).encode())

    def _cut(self, length: int) -> None:
        handle = os.open(self._path, os.O_WRONLY)
        try:
            os.ftruncate(handle, length)
            os.fsync(handle)
        finally:
            os.close(handle)

    def _move_aside(self, at: datetime) -> None:
        suffix = f".lost-{to_time(at).replace(':', '')}-{secrets.token_hex(4)}"
        for path in (self._path, self._head_path):
            if path.exists():
                path.rename(path.with_name(path.name + suffix))
        sync_folder(self._path.parent)


def _read_chain(lines: list[bytes], before: Entry | None = None) -> list[Entry]:
    """Read entries that follow `before`, each naming the one before it. Raises: LedgerError."""
    entries: list[Entry] = []
    for line in lines:
        last = entries[-1] if entries else before
        try:
            entry = Entry.parse(line)
        except FormatError as error:
            raise LedgerError(f"the ledger is damaged: {error}", hint=_LOST_HINT) from None
        index, previous = (0, BEGINNING) if last is None else (last.index + 1, last.digest)
        if (entry.index, entry.previous) != (index, previous):
            raise LedgerError(
                f"the ledger is damaged: entry {index} does not follow the one before it",
                hint=_LOST_HINT,
            )
        entries.append(entry)
    return entries
