"""Jobs and datasets as the coordinator tells them: for people and scheduling, never for trust.

Nothing here is signed. Whatever a decision rests on, a client takes from signed objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from mc2.crypto.digest import Digest
from mc2.errors import JobError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields, check_name, text_item
from mc2.formats.job import JOB_ID_BYTES
from mc2.formats.job_metrics import NO_METRICS, JobMetrics
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import LARGEST_VERSION


class JobState(IntEnum):
    """States only grow; those from SUCCEEDED on are final."""

    PROPOSED = 0
    APPROVED = 1
    RUNNING = 2
    SUCCEEDED = 3
    FAILED = 4
    REJECTED = 5
    CANCELLED = 6

    @property
    def final(self) -> bool:
        """Whether nothing more happens to the job."""
        return self >= JobState.SUCCEEDED

    @property
    def word(self) -> str:
        """The state as people read it."""
        return self.name.lower()


def advance(now: JobState, to: JobState) -> JobState:
    """Move a job's state forward. Raises: JobError for every other direction."""
    if now.final or to <= now:
        raise JobError(f"a {now.word} job cannot become {to.word}")
    return to


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """A dataset version in the coordinator's list."""

    dataset: str
    version: int
    manifest: Digest

    def json(self) -> dict[str, Json]:
        """The entry as canonical JSON has it."""
        return {"dataset": self.dataset, "version": self.version, "manifest": self.manifest}

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read a decoded entry. Raises: FormatError."""
        fields = Fields(value, "a dataset's entry")
        entry = cls(
            fields.dataset("dataset"),
            fields.integer("version", 1, LARGEST_VERSION),
            fields.digest("manifest"),
        )
        fields.done()
        return entry


@dataclass(frozen=True, slots=True)
class JobNews:
    """Where a job stands, and the number of an event up to which that is so.

    The status is at least as new as the event: who waits for a later one misses nothing.
    """

    event: int
    status: JobStatus


@dataclass(frozen=True, slots=True)
class JobChanges:
    """Jobs that changed, as they stand now, and the number of an event up to which that is all.

    At most `STATUSES_AT_ONCE` jobs at once: whoever asks again from `event` on misses none.
    """

    event: int
    jobs: tuple[JobStatus, ...]


STATUSES_AT_ONCE: Final = 64

PHASES: Final = ("waiting", "challenge", "attest", "grant", "compute", "done")
"""Where an attempt stands: waiting for a worker, then for the owners' challenges, for evidence,
for the owners' grants, for the computation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job at a glance. `missing` names the members whom the present phase waits for.

    `metrics` are those of the newest attempt; lists of jobs come without.
    """

    job_id: str
    contract: Digest
    plan: Digest
    proposer: str
    state: JobState
    attempt: int
    phase: str
    approvals: tuple[str, ...]
    rejections: tuple[str, ...]
    challenges: tuple[str, ...]
    grants: tuple[str, ...]
    missing: tuple[str, ...]
    progress: str
    error_code: str
    error: str
    metrics: JobMetrics = NO_METRICS

    def json(self) -> dict[str, Json]:
        """The status as canonical JSON has it."""
        return {
            "job_id": self.job_id,
            "contract": self.contract,
            "plan": self.plan,
            "proposer": self.proposer,
            "state": self.state.word,
            "attempt": self.attempt,
            "phase": self.phase,
            "approvals": list(self.approvals),
            "rejections": list(self.rejections),
            "challenges": list(self.challenges),
            "grants": list(self.grants),
            "missing": list(self.missing),
            "progress": self.progress,
            "error_code": self.error_code,
            "error": self.error,
            "metrics": self.metrics.json(),
        }

    @classmethod
    def read(cls, value: Json | Mapping[str, Json]) -> Self:
        """Read a decoded status. Raises: FormatError."""
        fields = Fields(value, "a job status")
        words = tuple(s.word for s in JobState)

        def names(name: str) -> tuple[str, ...]:
            return fields.items(name, LIMITS.members, text_item("a member", check_name))

        status = cls(
            job_id=fields.hex("job_id", JOB_ID_BYTES),
            contract=fields.digest("contract"),
            plan=fields.digest("plan"),
            proposer=fields.name("proposer"),
            state=JobState[fields.choice("state", words).upper()],
            attempt=fields.integer("attempt", 0, LIMITS.attempts),
            phase=fields.choice("phase", PHASES),
            approvals=names("approvals"),
            rejections=names("rejections"),
            challenges=names("challenges"),
            grants=names("grants"),
            missing=names("missing"),
            progress=fields.text("progress", LIMITS.note_bytes),
            error_code=fields.text("error_code", 64),
            error=fields.text("error", LIMITS.note_bytes),
            metrics=JobMetrics.read(fields.value("metrics")),
        )
        fields.done()
        return status
