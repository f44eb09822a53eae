"""Jobs and their attempts, as rows. No rule is here but one: states only move forward.

Whatever changes gives the job a new event number, so that those who wait for it wake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mc2.coordinator.database import Database, Row
from mc2.crypto.digest import Digest
from mc2.formats.limits import LIMITS
from mc2.formats.result import Result
from mc2.formats.status import JobState, advance

APPROVAL: Final = "approval"
REJECTION: Final = "rejection"
CHALLENGE: Final = "challenge"
EVIDENCE: Final = "evidence"
GRANT: Final = "grant"
REFUSAL: Final = "refusal"
MEMBER: Final = "member"
RECEIPT: Final = "receipt"
RESULT: Final = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job. `approvers` must approve it; `owners` bring its data, so they challenge and grant."""

    job_id: str
    contract: Digest
    plan: Digest
    proposer: str
    approvers: tuple[str, ...]
    owners: tuple[str, ...]
    state: JobState = JobState.PROPOSED
    attempt: int = 0
    event: int = 0
    error_code: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """An attempt: where it stands, since when (seconds since 1970), and how it ended if it did."""

    job_id: str
    attempt: int
    phase: str
    ended: bool
    since: int
    progress: str
    error_code: str
    error: str
    metrics: bytes = b""


class JobTable:
    """The rows. Methods that write are called inside a transaction, or are one by themselves."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- jobs ---

    def add(self, job: JobRecord, proposal: bytes, inputs: Mapping[str, Digest]) -> None:
        """Add a job and the manifests that it reads, by dataset."""
        with self._database.transaction():
            self._database.run(
                "INSERT INTO jobs (job_id, contract, plan, proposer, proposal, approvers, owners,"
                " state, attempt, event, error_code, error)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '')",
                job.job_id,
                job.contract,
                job.plan,
                job.proposer,
                proposal,
                " ".join(job.approvers),
                " ".join(job.owners),
                job.state,
                job.attempt,
                self._database.next_event(),
            )
            self._database.run_many(
                "INSERT INTO inputs VALUES (?, ?, ?)",
                [(job.job_id, dataset, manifest) for dataset, manifest in inputs.items()],
            )

    def find(self, job_id: str) -> JobRecord | None:
        """A job by its id."""
        row = self._database.row("SELECT * FROM jobs WHERE job_id = ?", job_id)
        return None if row is None else _job(row)

    def proposal(self, job_id: str) -> bytes:
        """A job's signed proposal."""
        return bytes(self._database.value("SELECT proposal FROM jobs WHERE job_id = ?", job_id))

    def inputs(self, job_id: str) -> dict[str, bytes]:
        """The signed manifests that a job reads, by dataset."""
        rows = self._database.rows(
            "SELECT inputs.dataset, envelope FROM inputs"
            " JOIN manifests ON manifests.digest = inputs.manifest WHERE job_id = ?",
            job_id,
        )
        return {row["dataset"]: row["envelope"] for row in rows}

    def keep(self, result: Result, raw: bytes) -> None:
        """Let later jobs of its contract read a result that stays sealed."""
        owners = "" if result.kept is None else " ".join(sorted(result.kept.shares))
        self._database.run(
            "INSERT OR IGNORE INTO kept VALUES (?, ?, ?, ?, ?)",
            result.digest,
            result.dataset,
            result.context.contract,
            owners,
            raw,
        )

    def kept(self, job_id: str) -> dict[str, bytes]:
        """The kept results that a job reads, by the names it has for them."""
        rows = self._database.rows(
            "SELECT inputs.dataset, raw FROM inputs"
            " JOIN kept ON kept.digest = inputs.manifest WHERE job_id = ?",
            job_id,
        )
        return {row["dataset"]: row["raw"] for row in rows}

    def visible(self, party: str, card: Digest) -> list[JobRecord]:
        """The jobs under contracts that have this card of this party, the oldest first."""
        rows = self._database.rows(
            "SELECT jobs.* FROM jobs JOIN members ON members.contract = jobs.contract"
            " WHERE members.party = ? AND members.card = ? ORDER BY number",
            party,
            card,
        )
        return [_job(row) for row in rows]

    def changed(self, party: str, card: Digest, seen: int, most: int) -> list[JobRecord]:
        """Those of them that changed since an event, or from event 0 on are not over.

        In the order of their events, and the first ones if there are more than `most`.
        """
        rows = self._database.rows(
            "SELECT jobs.* FROM jobs JOIN members ON members.contract = jobs.contract"
            " WHERE members.party = ?1 AND members.card = ?2 AND jobs.event > ?3"
            " AND (?3 > 0 OR jobs.state < ?4) ORDER BY jobs.event LIMIT ?5",
            party,
            card,
            seen,
            JobState.SUCCEEDED,
            most,
        )
        return [_job(row) for row in rows]

    def newest_event(self, party: str, card: Digest) -> int:
        """The last change of any of these jobs or of the contracts themselves."""
        return self._database.integer(
            "SELECT MAX(event) FROM ("
            " SELECT jobs.event FROM jobs JOIN members ON members.contract = jobs.contract"
            "  WHERE members.party = ?1 AND members.card = ?2"
            " UNION ALL"
            " SELECT contracts.event FROM contracts JOIN members"
            "  ON members.contract = contracts.digest"
            "  WHERE members.party = ?1 AND members.card = ?2)",
            party,
            card,
        )

    def set_state(self, job: JobRecord, to: JobState, code: str = "", error: str = "") -> None:
        """Move a job forward. Raises: JobError for every other direction."""
        with self._database.transaction():
            now = JobState(
                self._database.integer("SELECT state FROM jobs WHERE job_id = ?", job.job_id)
            )
            self._database.run(
                "UPDATE jobs SET state = ?, error_code = ?, error = ? WHERE job_id = ?",
                advance(now, to),
                code,
                _short(error),
                job.job_id,
            )
            self.touch(job.job_id)

    def names(self, job_id: str, attempt: int) -> dict[str, tuple[str, ...]]:
        """Who approved and rejected a job, and challenged and granted an attempt, by kind."""
        rows = self._database.rows(
            "SELECT kind, member AS name FROM statements WHERE job_id = ?1"
            " UNION ALL SELECT kind, name FROM messages WHERE job_id = ?1 AND attempt = ?2"
            " ORDER BY name",
            job_id,
            attempt,
        )
        kinds = (APPROVAL, REJECTION, CHALLENGE, GRANT)
        return {k: tuple(row["name"] for row in rows if row["kind"] == k) for k in kinds}

    def touch(self, job_id: str) -> None:
        """Give a job a new event number."""
        with self._database.transaction():
            event = self._database.next_event()
            self._database.run("UPDATE jobs SET event = ? WHERE job_id = ?", event, job_id)

    # --- what members say about a job ---

    def statements(self, job_id: str, kind: str) -> dict[str, bytes]:
        """Signed approvals or rejections, by member."""
        rows = self._database.rows(
            "SELECT member, envelope FROM statements WHERE job_id = ? AND kind = ? ORDER BY member",
            job_id,
            kind,
        )
        return {row["member"]: row["envelope"] for row in rows}

    def put_statement(self, job_id: str, kind: str, member: str, envelope: bytes) -> None:
        """Keep a member's statement, in place of an earlier one of its kind."""
        with self._database.transaction():
            self._database.run(
                "INSERT OR REPLACE INTO statements VALUES (?, ?, ?, ?)",
                job_id,
                kind,
                member,
                envelope,
            )
            self.touch(job_id)

    # --- attempts ---

    def open_attempts(self) -> list[AttemptRecord]:
        """All attempts that have not ended, the one that waits longest first."""
        rows = self._database.rows(
            "SELECT attempts.* FROM attempts JOIN jobs USING (job_id)"
            " WHERE ended = 0 AND state = ? ORDER BY since, number",
            JobState.RUNNING,
        )
        return [_attempt(row) for row in rows]

    def find_attempt(self, job_id: str, attempt: int) -> AttemptRecord | None:
        """An attempt by its number."""
        row = self._database.row(
            "SELECT * FROM attempts WHERE job_id = ? AND attempt = ?", job_id, attempt
        )
        return None if row is None else _attempt(row)

    def add_attempt(self, job_id: str, attempt: int, since: int, progress: str) -> None:
        """Begin an attempt. A number is used once, whatever happens."""
        with self._database.transaction():
            self._database.run(
                "INSERT INTO attempts VALUES (?, ?, 'waiting', 0, ?, ?, '', '', x'')",
                job_id,
                attempt,
                since,
                _short(progress),
            )
            self._database.run("UPDATE jobs SET attempt = ? WHERE job_id = ?", attempt, job_id)
            self.touch(job_id)

    def set_phase(self, job_id: str, attempt: int, phase: str, since: int) -> None:
        """Move an attempt to its next phase."""
        with self._database.transaction():
            self._database.run(
                "UPDATE attempts SET phase = ?, since = ?, progress = ''"
                " WHERE job_id = ? AND attempt = ?",
                phase,
                since,
                job_id,
                attempt,
            )
            self.touch(job_id)

    def set_progress(self, job_id: str, attempt: int, text: str) -> None:
        """Say in words where an attempt stands."""
        with self._database.transaction():
            self._database.run(
                "UPDATE attempts SET progress = ? WHERE job_id = ? AND attempt = ?",
                _short(text),
                job_id,
                attempt,
            )
            self.touch(job_id)

    def set_metrics(self, job_id: str, attempt: int, raw: bytes) -> None:
        """Keep an attempt's numbers. No event of their own: nobody acts on them."""
        self._database.run(
            "UPDATE attempts SET metrics = ? WHERE job_id = ? AND attempt = ?",
            raw,
            job_id,
            attempt,
        )

    def end_attempt(self, job_id: str, attempt: int, code: str = "", error: str = "") -> None:
        """An attempt is over, with an error or without."""
        with self._database.transaction():
            self._database.run(
                "UPDATE attempts SET phase = 'done', ended = 1, error_code = ?, error = ?"
                " WHERE job_id = ? AND attempt = ?",
                code,
                _short(error),
                job_id,
                attempt,
            )
            self.touch(job_id)

    def messages(self, job_id: str, attempt: int, kind: str) -> dict[str, bytes]:
        """What was handed in for an attempt, by owner or output."""
        rows = self._database.rows(
            "SELECT name, raw FROM messages WHERE job_id = ? AND attempt = ? AND kind = ?"
            " ORDER BY name",
            job_id,
            attempt,
            kind,
        )
        return {row["name"]: row["raw"] for row in rows}

    def put_message(self, at: AttemptRecord, kind: str, name: str, raw: bytes) -> None:
        """Keep a message for an attempt, in place of an earlier one."""
        with self._database.transaction():
            self._database.run(
                "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?)",
                at.job_id,
                at.attempt,
                kind,
                name,
                raw,
            )
            self.touch(at.job_id)

    def drop_message(self, at: AttemptRecord, kind: str, name: str) -> None:
        """Forget a message that has lapsed."""
        with self._database.transaction():
            self._database.run(
                "DELETE FROM messages WHERE job_id = ? AND attempt = ? AND kind = ? AND name = ?",
                at.job_id,
                at.attempt,
                kind,
                name,
            )
            self.touch(at.job_id)


def _job(row: Row) -> JobRecord:
    return JobRecord(
        job_id=row["job_id"],
        contract=row["contract"],
        plan=row["plan"],
        proposer=row["proposer"],
        approvers=tuple(row["approvers"].split()),
        owners=tuple(row["owners"].split()),
        state=JobState(row["state"]),
        attempt=row["attempt"],
        event=row["event"],
        error_code=row["error_code"],
        error=row["error"],
    )


def _attempt(row: Row) -> AttemptRecord:
    return AttemptRecord(
        job_id=row["job_id"],
        attempt=row["attempt"],
        phase=row["phase"],
        ended=bool(row["ended"]),
        since=row["since"],
        progress=row["progress"],
        error_code=row["error_code"],
        error=row["error"],
        metrics=row["metrics"],
    )


def _short(text: str) -> str:
    return text[: LIMITS.note_bytes]
