"""What a ledger records, one event an entry. Spec: docs/spec/ledger.md.

The bytes only; what may follow what is in `mc2.client.ledger_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final, Protocol, Self

from mc2.crypto.digest import Digest, digest
from mc2.crypto.labels import Label
from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields, check_sorted_unique, to_time
from mc2.formats.job import JOB_ID_BYTES
from mc2.formats.limits import LIMITS
from mc2.formats.release import JobContext

ENTRY_TYPE: Final = "mc2/ledger-entry/v1"
ENTRY_BYTES: Final = 1024 * 1024
"""A grant over the most inputs a plan may have, and room to spare."""

OUTCOMES: Final = ("cancelled", "failed", "rejected", "succeeded")
_LARGEST_EPOCH: Final = 1 << 31
_LARGEST_INDEX: Final = 2**53 - 1


class Event(Protocol):
    """Something that a party did or decided."""

    KIND: ClassVar[str]

    def json(self) -> dict[str, Json]:
        """The event's own fields."""
        ...

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the event's own fields. Raises: FormatError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The first entry: whose ledger it is, and whether it takes the place of a lost one."""

    KIND: ClassVar[str] = "begun"

    party: str
    signing_key: Digest
    ledger_id: str
    replaces_lost: bool

    def json(self) -> dict[str, Json]:
        """The event's own fields."""
        return {
            "party": self.party,
            "signing_key": self.signing_key,
            "ledger_id": self.ledger_id,
            "replaces_lost": self.replaces_lost,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the event's own fields. Raises: FormatError."""
        return cls(
            party=fields.name("party"),
            signing_key=fields.digest("signing_key"),
            ledger_id=fields.hex("ledger_id", 16),
            replaces_lost=fields.boolean("replaces_lost"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractAccepted:
    """The party signed a contract."""

    KIND: ClassVar[str] = "contract-accepted"

    contract: Digest
    name: str
    epoch: int

    def json(self) -> dict[str, Json]:
        """The event's own fields."""
        return {"contract": self.contract, "name": self.name, "epoch": self.epoch}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the event's own fields. Raises: FormatError."""
        return cls(
            contract=fields.digest("contract"),
            name=fields.name("name"),
            epoch=fields.integer("epoch", 1, _LARGEST_EPOCH),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRevoked:
    """The party releases nothing more under a contract."""

    KIND: ClassVar[str] = "contract-revoked"

    contract: Digest

    def json(self) -> dict[str, Json]:
        """The event's own fields."""
        return {"contract": self.contract}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the event's own fields. Raises: FormatError."""
        return cls(contract=fields.digest("contract"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """The party signed an approval of one job; `approval` is that statement's digest."""

    KIND: ClassVar[str] = "approved"

    contract: Digest
    plan: Digest
    job_id: str
    proposed: datetime
    approval: Digest
    max_attempts: int
    not_after: datetime

    def json(self) -> dict[str, Json]:
        """The event's own fields."""
        return {
            "contract": self.contract,
            "plan": self.plan,
            "job_id": self.job_id,
            "proposed": to_time(self.proposed),
            "approval": self.approval,
            "max_attempts": self.max_attempts,
            "not_after": to_time(self.not_after),
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the event's own fields. Raises: FormatError."""
        return cls(
            contract=fields.digest("contract"),
            plan=fields.digest("plan"),
            job_id=fields.hex("job_id", JOB_ID_BYTES),
            proposed=fields.time("proposed"),
            approval=fields.digest("approval"),
            max_attempts=fields.integer("max_attempts", 1, LIMITS.attempts),
            not_after=fields.time("not_after"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The party signed a rejection of one job."""

    KIND: ClassVar[str] = "rejected"

    job_id: str
    rejection: Digest

    def json(self) -> dict[str, Json]:
        """The event's own fields."""
        return {"job_id": self.job_id, "rejection": self.rejection}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the event's own fields. Raises: FormatError."""
        return cls(
            job_id=fields.hex("job_id", JOB_ID_BYTES),
            rejection=fields.digest("rejection"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """The party takes its approval of a job back: no grant follows."""

    KIND: ClassVar[str] = "revoked"

    job_id: str

    def json(self) -> dict[str, Json]:
        """The event's own fields."""
        return {"job_id": self.job_id}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the event's own fields. Raises: FormatError."""
        return cls(job_id=fields.hex("job_id", JOB_ID_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The party decided to release keys: recorded before the grant leaves.

    `grant` is the digest of the signed statement, so that the very same grant can be sent again
    and no other. `tier` is what the evidence meant.
    """

    KIND: ClassVar[str] = "granted"

    context: JobContext
    evidence: Digest
    challenge: Digest
    tier: str
    datasets: tuple[str, ...]
    grant: Digest

    def json(self) -> dict[str, Json]:
        """The event's own fields."""
        return {
            **self.context.json(),
            "evidence": self.evidence,
            "challenge": self.challenge,
            "tier": self.tier,
            "datasets": list(self.datasets),
            "grant": self.grant,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the event's own fields. Raises: FormatError."""
        return cls(
            context=JobContext.read(fields),
            evidence=fields.digest("evidence"),
            challenge=fields.digest("challenge"),
            tier=fields.text("tier", 64),
            datasets=_dataset_names(fields),
            grant=fields.digest("grant"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The party refused evidence; `rules` says why, for the party alone."""

    KIND: ClassVar[str] = "refused"

    job_id: str
    attempt: int
    code: str
    rules: str

    def json(self) -> dict[str, Json]:
        """The event's own fields."""
        return {
            "job_id": self.job_id,
            "attempt": self.attempt,
            "code": self.code,
            "rules": self.rules,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the event's own fields. Raises: FormatError."""
        return cls(
            job_id=fields.hex("job_id", JOB_ID_BYTES),
            attempt=fields.integer("attempt", 1, LIMITS.attempts),
            code=fields.text("code", 64),
            rules=fields.text("rules", LIMITS.note_bytes),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobClosed:
    """The job is over for this party: it verified the outcome, or gave up."""

    KIND: ClassVar[str] = "job-closed"

    job_id: str
    outcome: str

    def json(self) -> dict[str, Json]:
        """The event's own fields."""
        return {"job_id": self.job_id, "outcome": self.outcome}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the event's own fields. Raises: FormatError."""
        return cls(
            job_id=fields.hex("job_id", JOB_ID_BYTES),
            outcome=fields.choice("outcome", OUTCOMES),
        )


def _dataset_names(fields: Fields) -> tuple[str, ...]:
    def read(value: Json) -> str:
        return Fields({"dataset": value}, "a granted dataset").dataset("dataset")

    names = fields.items("datasets", LIMITS.inputs, read)
    check_sorted_unique(names, "the datasets of a grant")
    return names


EVENTS: Final[Mapping[str, type[Event]]] = {
    kind.KIND: kind
    for kind in (
        Begun,
        ContractAccepted,
        ContractRevoked,
        Approved,
        Rejected,
        Revoked,
        Granted,
        Refused,
        JobClosed,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event, its place, its time by the party's own clock, and the entry before it."""

    index: int
    previous: Digest
    time: datetime
    event: Event

    def encode(self) -> bytes:
        """The entry as it stands on its line."""
        return encode(
            {
                "type": ENTRY_TYPE,
                "index": self.index,
                "previous": self.previous,
                "time": to_time(self.time),
                "kind": self.event.KIND,
                "event": self.event.json(),
            }
        )

    @property
    def digest(self) -> Digest:
        """The entry's name, which the next entry repeats: the chain."""
        return digest(Label.LEDGER.prefix() + self.encode())

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read one line. Raises: FormatError."""
        fields = Fields(decode(raw, ENTRY_BYTES, "a ledger entry"), "a ledger entry")
        fields.type(ENTRY_TYPE)
        kind = EVENTS.get(fields.text("kind", 64))
        if kind is None:
            raise FormatError("a ledger entry is of an unknown kind", hint="a newer mc2 wrote it")
        event = fields.fields("event")
        entry = cls(
            index=fields.integer("index", 0, _LARGEST_INDEX),
            previous=fields.digest("previous"),
            time=fields.time("time"),
            event=kind.read(event),
        )
        event.done()
        fields.done()
        return entry
