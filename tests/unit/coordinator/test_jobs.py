"""Rows of jobs: states move forward only, and changes are numbered."""

import itertools
import sqlite3

import pytest

from mc2.coordinator.database import Database
from mc2.coordinator.jobs import CHALLENGE, JobRecord, JobTable
from mc2.crypto.digest import digest
from mc2.errors import JobError
from mc2.formats.status import JobState

JOB = JobRecord(
    job_id="0" * 32,
    contract=digest(b"contract"),
    plan=digest(b"plan"),
    proposer="cy",
    approvers=("ada", "bo"),
    owners=("ada",),
)


@pytest.fixture
def table(tmp_path):
    database = Database(tmp_path / "db")
    found = JobTable(database)
    found.add(JOB, b"proposal", {"ada.visits": digest(b"manifest")})
    yield found
    database.close()


def test_a_job_comes_back(table):
    found = table.find(JOB.job_id)
    assert (found.approvers, found.owners, found.state) == (("ada", "bo"), ("ada",), 0)
    assert table.proposal(JOB.job_id) == b"proposal"
    assert table.find("1" * 32) is None


@pytest.mark.parametrize(("before", "after"), list(itertools.product(JobState, JobState)))
def test_states_only_move_forward(table, before, after):
    if before is not JobState.PROPOSED:
        table.set_state(JOB, before)
    if after > before and not before.final:
        table.set_state(JOB, after, "code", "why")
        found = table.find(JOB.job_id)
        assert (found.state, found.error_code, found.error) == (after, "code", "why")
    else:
        event = table.find(JOB.job_id).event
        with pytest.raises(JobError):
            table.set_state(JOB, after)
        assert table.find(JOB.job_id).state is before
        assert table.find(JOB.job_id).event == event


def test_each_change_has_a_greater_number(table):
    table.set_state(JOB, JobState.RUNNING)
    table.add_attempt(JOB.job_id, 1, 100, "begins")
    at = table.find_attempt(JOB.job_id, 1)
    seen = [table.find(JOB.job_id).event]
    for change in (
        lambda: table.put_statement(JOB.job_id, "approval", "ada", b"raw"),
        lambda: table.set_phase(JOB.job_id, 1, "challenge", 101),
        lambda: table.put_message(at, CHALLENGE, "ada", b"raw"),
        lambda: table.drop_message(at, CHALLENGE, "ada"),
        lambda: table.set_progress(JOB.job_id, 1, "x" * 10_000),
        lambda: table.end_attempt(JOB.job_id, 1, "worker", "it died"),
    ):
        change()
        seen.append(table.find(JOB.job_id).event)
    assert seen == sorted(set(seen))
    assert len(table.find_attempt(JOB.job_id, 1).progress) == 4096


def test_an_attempts_number_is_used_once(table):
    table.add_attempt(JOB.job_id, 1, 100, "begins")
    with pytest.raises(sqlite3.IntegrityError):
        table.add_attempt(JOB.job_id, 1, 100, "begins again")


def test_attempts_of_ended_jobs_are_not_open(table):
    table.set_state(JOB, JobState.RUNNING)
    table.add_attempt(JOB.job_id, 1, 100, "begins")
    assert [a.attempt for a in table.open_attempts()] == [1]
    table.set_state(JOB, JobState.CANCELLED)
    assert table.open_attempts() == []
