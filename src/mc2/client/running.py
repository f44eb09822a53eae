"""Sees a job through: starts it, answers for this party, waits, and says how it ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from mc2.client.agent import Answer
from mc2.client.desk import Desk
from mc2.errors import JobError, Mc2Error, error_types
from mc2.formats.status import JobState, JobStatus

Watch = Callable[[JobStatus], None]
"""Hears each new status. It is the coordinator's word: for people, not for decisions."""

_POLL_SECONDS: Final = 20.0
_WAIT_HINT: Final = (
    "mc2 run again goes on where the job is; who is missing answers by mc2 approve, or, once "
    "the job runs, by mc2 agent"
)


def watch_nothing(_: JobStatus) -> None:
    """Tell nobody."""


def run(desk: Desk, job_id: str, *, timeout: timedelta, watch: Watch = watch_nothing) -> JobStatus:
    """Start an approved job and answer for this party until the job is over.

    Waits for whoever is missing. What was approved here is answered here, by the same rules as
    `mc2 agent`. The status that is returned says `succeeded`; the proof is what shows it.

    Raises: JobError if time runs out, or the job ended otherwise; what the key agent raises.
    """
    agent = desk.agent()
    deadline = desk.clock() + timeout
    seen, patience = 0, 0.0
    told: JobStatus | None = None
    while True:
        news = desk.coordinator.news(job_id, seen, patience)
        seen, status = news.event, news.status
        mine = job_id in agent.approved_jobs()
        if mine and agent.answer_job(job_id, status) is Answer.REFUSED:
            raise JobError(
                f"this attempt of job {job_id} was refused here before",
                hint="see why: mc2 log; the next attempt begins by itself when this one is given "
                "up, and mc2 reject ends the job now",
            )
        if status != told:
            watch(status)
            told = status
        if status.state is JobState.APPROVED:
            desk.coordinator.start(job_id)
        if status.state.final:
            return _ended(status)
        left = (deadline - desk.clock()).total_seconds()
        if left <= 0:
            # Asked once more: what this party just answered is not waited for any more.
            raise JobError(_waiting(desk.coordinator.job(job_id)), hint=_WAIT_HINT)
        patience = min(left, _POLL_SECONDS)


def _ended(status: JobStatus) -> JobStatus:
    if status.state is JobState.SUCCEEDED:
        return status
    words = f"job {status.job_id} {_END_WORDS[status.state]}"
    if status.rejections:
        words += f" by {', '.join(status.rejections)}"
    if status.error:
        words += f": {status.error}"
    kind = error_types().get(status.error_code, JobError)
    hint = "see who said what: mc2 status; then propose it again"
    # Only the plainest errors can be made from a code and a text alone.
    raise (kind if kind.__init__ is Mc2Error.__init__ else JobError)(words, hint=hint)


_END_WORDS: Final = {
    JobState.FAILED: "failed",
    JobState.REJECTED: "was rejected",
    JobState.CANCELLED: "was cancelled",
}


def _waiting(status: JobStatus) -> str:
    words = f"job {status.job_id} is {status.state.word}"
    if status.missing:
        return f"{words} and still waits for {', '.join(status.missing)}"
    return f"{words}, and did not end in time"
