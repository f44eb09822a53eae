"""The index of a party's endorsement cache: what was kept, when, and how new it is.

Spec: docs/spec/endorsement-cache.md. Pure: bytes and moments in, values out. An index keeps the
past of each subject, because evidence of an old job is verified as of its own time, and because
what was seen once must never be followed by something older.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from mc2.attestation.x509 import Crl
from mc2.crypto.digest import Digest, digest
from mc2.errors import AttestationError, FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields, to_time

TYPE: Final = "mc2/endorsements/v1"
INDEX_BYTES: Final = 16 * 1024 * 1024
_PAST: Final = 64
"""The most entries of one subject; the oldest go first. Lists change about monthly."""
_SUBJECTS: Final = 65_536
_NAME: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsement:
    """Something that a vendor signed and that was verified just now; only checks make one.

    `contents` are its parts by the names that verifiers know. Where it is `ordered`, a later one
    replaces it and an earlier one is a rollback: `number` counts them if the vendor does, and
    `issued` is never earlier. `ends` is the end of its validity.
    """

    subject: str
    contents: Mapping[str, bytes] = field(repr=False)
    ordered: bool
    number: int | None
    issued: datetime
    ends: datetime


def crl_endorsement(subject: str, contents: Mapping[str, bytes], crl: Crl) -> Endorsement:
    """A verified revocation list as the cache keeps it."""
    return Endorsement(
        subject=subject,
        contents=contents,
        ordered=True,
        number=crl.number,
        issued=crl.this_update,
        ends=crl.next_update,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An endorsement in the index: the digests of its parts, since when it is here, from where."""

    subject: str
    files: Mapping[str, Digest]
    ordered: bool
    number: int | None
    issued: datetime
    ends: datetime
    kept: datetime
    source: str

    def json(self) -> Json:
        """The entry as canonical JSON has it; numbers of lists can be beyond its integers."""
        return {
            "files": dict(self.files),
            "ordered": self.ordered,
            "number": None if self.number is None else str(self.number),
            "issued": to_time(self.issued),
            "ends": to_time(self.ends),
            "kept": to_time(self.kept),
            "source": self.source,
        }

    @classmethod
    def read(cls, value: Json, subject: str) -> Self:
        """Read an entry. Raises: FormatError."""
        fields = Fields(value, f"the entry of {subject}")
        files = fields.value("files")
        if not isinstance(files, Mapping) or not files:
            raise FormatError(f"the entry of {subject} names no files")
        named = Fields(files, "files")
        number = fields.value("number")
        entry = cls(
            subject=subject,
            files={name: named.digest(name) for name in files},
            ordered=fields.boolean("ordered"),
            number=None if number is None else _number(number),
            issued=fields.time("issued"),
            ends=fields.time("ends"),
            kept=fields.time("kept"),
            source=fields.text("source", 4 * _NAME),
        )
        fields.done()
        return entry

    def older_than(self, other: Entry) -> bool:
        """Whether accepting this after `other` would be a step back."""
        return is_older(self.number, self.issued, other)


def is_older(number: int | None, issued: datetime, than: Entry) -> bool:
    """Whether something with this number and moment of issue comes before `than`."""
    fewer = number is not None and than.number is not None and number < than.number
    return fewer or issued < than.issued


@dataclass(frozen=True, slots=True)
class Index:
    """All entries by subject, each subject's in the order in which they were kept."""

    subjects: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read an index. Raises: FormatError."""
        fields = Fields(decode(raw, INDEX_BYTES, "the endorsement index"), "the endorsement index")
        fields.type(TYPE)
        found = fields.value("subjects")
        fields.done()
        if not isinstance(found, Mapping) or len(found) > _SUBJECTS:
            raise FormatError("the endorsement index has no subjects, or too many")
        named = Fields(found, "the endorsement index")
        return cls({name: _entries(named, name) for name in found})

    def encode(self) -> bytes:
        """The canonical encoding."""
        subjects: dict[str, Json] = {
            name: [entry.json() for entry in entries] for name, entries in self.subjects.items()
        }
        return encode({"type": TYPE, "subjects": subjects})

    def seen(self, subject: str, at: datetime) -> Entry | None:
        """The newest that was here at `at`: what comes with evidence must not be older.

        The past counts as it was, so that the proof of an old job can be verified for ever.
        """
        known = [e for e in self.subjects.get(subject, ()) if e.ordered and e.kept <= at]
        return max(known, key=lambda e: (e.number or 0, e.issued), default=None)

    def usable(self, subject: str, at: datetime) -> Entry | None:
        """The newest that is valid at `at`, unless a newer one than that was already seen."""
        floor = self.seen(subject, at)
        for entry in reversed(self.subjects.get(subject, ())):
            if entry.issued <= at <= entry.ends:
                stale = floor is not None and entry.ordered and entry.older_than(floor)
                return None if stale else entry
        return None

    def with_kept(self, found: Iterable[Endorsement], *, now: datetime, source: str) -> Index:
        """The index with more in it. Raises: AttestationError for a rollback."""
        subjects = dict(self.subjects)
        for endorsement in found:
            entry = _entry(endorsement, now, source)
            past = subjects.get(entry.subject, ())
            _check_not_rolled_back(entry, past)
            if not past or past[-1].files != entry.files:
                subjects[entry.subject] = (*past, entry)[-_PAST:]
        return Index(subjects)


def _entry(found: Endorsement, now: datetime, source: str) -> Entry:
    return Entry(
        subject=found.subject,
        files={name: digest(raw) for name, raw in found.contents.items()},
        ordered=found.ordered,
        number=found.number,
        issued=found.issued.replace(microsecond=0),
        ends=found.ends.replace(microsecond=0),
        kept=now.replace(microsecond=0),
        source=source,
    )


def _check_not_rolled_back(entry: Entry, past: tuple[Entry, ...]) -> None:
    for earlier in past:
        if entry.ordered and earlier.ordered and entry.older_than(earlier):
            raise AttestationError(
                f"{entry.subject} {_version(entry)} is older than {_version(earlier)}, "
                f"which was kept on {to_time(earlier.kept)}",
                hint="whoever gave it hides what the vendor learnt since; fetch the newest list",
            )


def _version(entry: Entry) -> str:
    number = "" if entry.number is None else f"number {entry.number} "
    return f"{number}of {to_time(entry.issued)}"


def _entries(named: Fields, subject: str) -> tuple[Entry, ...]:
    if not 0 < len(subject) <= _NAME:
        raise FormatError("a subject in the endorsement index has no usual name")
    entries = named.items(subject, _PAST, lambda value: Entry.read(value, subject))
    if not entries:
        raise FormatError(f"the endorsement index has nothing of {subject}")
    return entries


def _number(value: Json) -> int:
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 48:
        raise FormatError("the number of an endorsement is not a number")
    if str(int(value)) != value:
        raise FormatError("the number of an endorsement is not in its one spelling")
    return int(value)
