"""When an agent looks at which job: as often as something happens to it, and not more."""

from __future__ import annotations

import pytest

from mc2.client.open_jobs import OpenJobs
from mc2.formats.status import JobChanges, JobState, JobStatus

NAME = "sha256:" + "0" * 64


def status(job_id, state=JobState.RUNNING):
    return JobStatus(
        **dict.fromkeys(("approvals", "rejections", "challenges", "grants", "missing"), ()),
        **dict.fromkeys(("progress", "error_code", "error"), ""),
        job_id=job_id,
        contract=NAME,
        plan=NAME,
        proposer="cy",
        state=state,
        attempt=1,
        phase="challenge",
    )


class Told:
    """A coordinator that tells what a test wants it to, and remembers what it was asked."""

    def __init__(self):
        self.next = JobChanges(0, ())
        self.asked = []

    def changes(self, seen, seconds):
        self.asked.append(seen)
        return self.next


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def jobs(told):
    return OpenJobs(told)


def due(jobs, told, event, *changed, approved=("a", "b")):
    told.next = JobChanges(event, changed)
    jobs.wait(5.0)
    return jobs.due(approved)


def test_what_changed_is_due_with_what_was_told(jobs, told):
    a, b = status("a"), status("b")
    assert due(jobs, told, 4, a, b) == [("a", a), ("b", b)]
    assert due(jobs, told, 5, b) == [("b", b)]
    assert due(jobs, told, 6) == []
    assert told.asked == [0, 4, 5]


def test_what_was_not_approved_here_is_never_due(jobs, told):
    assert due(jobs, told, 4, status("c")) == []
    assert due(jobs, told, 4) == []


def test_an_approval_that_came_after_the_news_makes_a_job_due(jobs, told):
    assert due(jobs, told, 4, status("a"), approved=()) == []
    assert due(jobs, told, 5, approved=("a",)) == [("a", None)]
    assert due(jobs, told, 6, approved=("a",)) == []


@pytest.mark.parametrize("state", [s for s in JobState if s.final])
def test_what_is_over_is_not_due(jobs, told, state):
    assert due(jobs, told, 4, status("a"), status("b", state)) == [("a", status("a"))]
    assert due(jobs, told, 5, status("a", state)) == []
    assert due(jobs, told, 5) == []


def test_a_quiet_time_makes_all_due_that_are_not_over(jobs, told):
    due(jobs, told, 4, status("a"), status("b", JobState.FAILED))
    assert due(jobs, told, 4) == [("a", None)]
    assert due(jobs, told, 4) == [("a", None)]


def test_what_failed_is_due_until_it_does_not(jobs, told):
    due(jobs, told, 4, status("a"), status("b"))
    jobs.look_again("a")
    assert due(jobs, told, 5) == [("a", None)]
    assert due(jobs, told, 6) == []


def test_numbers_that_begin_again_are_followed(jobs, told):
    due(jobs, told, 90, status("a"))
    assert due(jobs, told, 7) == []
    assert due(jobs, told, 7, status("a")) == [("a", status("a"))]
    assert told.asked == [0, 90, 0]
