"""Challenges and grants: the right ones, at the right time, once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.coordinator_world import Clock, FakeWorker, World, make_service

from mc2.coordinator.refusals import NotFoundError
from mc2.coordinator.running import LateError, RefusedError
from mc2.errors import FormatError, GrantError, JobError, SignatureError, WorkerError
from mc2.formats.status import JobState


class Started:
    """A job whose first attempt has begun; the test plays the scheduler."""

    def __init__(self, folder, **contract):
        self.world = World(**contract)
        self.clock = Clock()
        self.service = make_service(folder, self.clock)
        self.access = self.service.for_party
        self.job_id = self.world.approve(self.access)
        self.access("cy").start(self.job_id)
        self.rules = self.service.running
        self.worker = FakeWorker()

    @property
    def at(self):
        return self.service.jobs.table.find_attempt(self.job_id, self.status.attempt)

    @property
    def status(self):
        return self.access("cy").job(self.job_id)

    def challenge(self, *names, **changes):
        said = {}
        for name in names or ("ada", "bo"):
            said[name] = self.world.challenge(name, self.status.attempt, **changes)
            self.access(name).put_challenge(self.job_id, self.status.attempt, said[name])
        return said

    def attest(self):
        """Everything up to published evidence."""
        self.rules.enter(self.at, "challenge")
        self.worker.open(self.rules.bundle(self.at), timeout_seconds=1)
        said = self.challenge()
        there = self.rules.collect_challenges(self.at)
        assert there == said
        self.rules.put_evidence(self.at, self.worker.attest(there, timeout_seconds=1))
        return said

    def grant(self, name, challenge, /, **changes):
        raw = self.world.grant(
            name, self.worker.evidence, challenge, self.status.attempt, **changes
        )
        self.access(name).put_grant(self.job_id, self.status.attempt, raw)
        return raw


@pytest.fixture
def job(tmp_path):
    started = Started(tmp_path)
    yield started
    started.service.store.close()


def test_a_whole_attempt(job):
    assert job.access("ada").evidence(job.job_id, 1) is None
    said = job.attest()
    assert job.access("bo").evidence(job.job_id, 1) == job.worker.evidence
    assert job.access("bo").challenges(job.job_id, 1) == said
    assert (job.status.phase, job.status.missing) == ("grant", ("ada", "bo"))
    assert job.rules.collect_grants(job.at) is None
    grants = {name: job.grant(name, said[name]) for name in ("ada", "bo")}
    assert job.rules.collect_grants(job.at) == grants
    assert job.status.phase == "compute"
    with pytest.raises(JobError, match="only one that succeeded"):
        job.access("ada").proof(job.job_id)


def test_a_challenge_comes_when_it_is_asked_for(job):
    with pytest.raises(JobError, match="does not wait for a challenge now, but for waiting"):
        job.challenge("ada")
    job.rules.enter(job.at, "challenge")
    job.challenge("ada")
    newer = job.challenge("ada")["ada"]
    assert job.access("ada").challenges(job.job_id, 1) == {"ada": newer}
    job.challenge("bo")
    assert job.rules.collect_challenges(job.at) is not None
    job.access("ada").put_challenge(job.job_id, 1, newer)  # a repetition is no error
    with pytest.raises(JobError, match="but for attest"):
        job.challenge("ada")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"owner": "bo"}, SignatureError),
        ({"signer": "mallory"}, SignatureError),
        ({"attempt": 2}, JobError),
    ],
)
def test_other_challenges_are_refused(job, changes, error):
    job.rules.enter(job.at, "challenge")
    with pytest.raises(error):
        job.access("ada").put_challenge(job.job_id, 1, job.world.challenge("ada", **changes))
    assert job.status.challenges == ()


def test_challenges_of_others_are_refused(job):
    job.rules.enter(job.at, "challenge")
    with pytest.raises(JobError, match="another party"):
        job.access("bo").put_challenge(job.job_id, 1, job.world.challenge("ada"))
    with pytest.raises(JobError, match="brings no data"):
        job.access("cy").put_challenge(job.job_id, 1, job.world.challenge("cy"))
    for context in (
        replace(job.world.context(), job_id="00" * 16),
        replace(job.world.context(), plan="sha256:" + "0" * 64),
        replace(job.world.context(), policy="sha256:" + "0" * 64),
        replace(job.world.context(), contract="sha256:" + "0" * 64),
    ):
        with pytest.raises(JobError, match="something else"):
            job.access("ada").put_challenge(
                job.job_id, 1, job.world.challenge("ada", context=context)
            )
    with pytest.raises(JobError, match="attempt 2 is not under way"):
        job.access("ada").put_challenge(job.job_id, 2, job.world.challenge("ada", 2))


def test_a_lapsed_challenge_is_asked_for_again(job):
    job.rules.enter(job.at, "challenge")
    job.challenge("ada", seconds=30)
    job.clock.ahead = timedelta(seconds=60)
    assert job.rules.collect_challenges(job.at) is None
    assert job.status.missing == ("ada", "bo")
    job.challenge()
    assert job.rules.collect_challenges(job.at) is not None


def test_a_challenge_that_lapsed_by_another_owners_clock_is_asked_for_again(job):
    """The enclave takes the latest time that any owner states; so must we, or it refuses."""
    job.rules.enter(job.at, "challenge")
    job.challenge("ada", seconds=30)
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=50)
    ahead = job.world.challenge("bo", issued=later, not_after=later + timedelta(seconds=60))
    job.access("bo").put_challenge(job.job_id, 1, ahead)
    assert job.rules.collect_challenges(job.at) is None
    assert job.status.missing == ("ada",)


def test_grants_come_once_and_for_this_evidence(job):
    said = job.attest()
    good = job.grant("ada", said["ada"])
    job.access("ada").put_grant(job.job_id, 1, good)
    with pytest.raises(GrantError, match="granted attempt 1 already"):
        job.grant("ada", said["ada"], sequence=2)
    assert job.status.grants == ("ada",)
    for changes in (
        {"evidence": "sha256:" + "0" * 64},
        {"challenge": "sha256:" + "0" * 64},
        {"context": replace(job.world.context(), plan="sha256:" + "0" * 64)},
        {"context": job.world.context(2)},
    ):
        with pytest.raises(GrantError):
            job.grant("bo", said["bo"], **changes)
    with pytest.raises(SignatureError):
        job.grant("bo", said["bo"], owner="ada")
    raw = job.world.grant("bo", job.worker.evidence, said["bo"])
    with pytest.raises(GrantError, match="another party"):
        job.access("ada").put_grant(job.job_id, 1, raw)
    assert job.rules.collect_grants(job.at) is None


def test_a_refused_evidence_ends_the_wait_at_once(job):
    said = job.attest()
    job.grant("ada", said["ada"])
    job.access("bo").refuse(job.job_id, 1, "appraisal")
    with pytest.raises(RefusedError, match=r"bo refused the enclave's evidence \(appraisal\)"):
        job.rules.collect_grants(job.at)
    with pytest.raises(JobError, match="ada has granted"):
        job.access("ada").refuse(job.job_id, 1, "appraisal")
    assert job.status.grants == ("ada",)


def test_only_owners_refuse_evidence_and_only_while_grants_are_waited_for(job):
    with pytest.raises(JobError, match="does not wait for a grant"):
        job.access("ada").refuse(job.job_id, 1, "appraisal")
    job.attest()
    with pytest.raises(JobError, match="brings no data"):
        job.access("cy").refuse(job.job_id, 1, "appraisal")
    with pytest.raises(JobError, match="not under way"):
        job.access("ada").refuse(job.job_id, 2, "appraisal")
    assert job.rules.collect_grants(job.at) is None


def test_a_grant_before_the_evidence_is_refused(job):
    job.rules.enter(job.at, "challenge")
    said = job.challenge()
    job.worker.open(job.rules.bundle(job.at), timeout_seconds=1)
    job.worker.attest(said, timeout_seconds=1)
    with pytest.raises(JobError, match="does not wait for a grant"):
        job.grant("ada", said["ada"])


def test_waiting_for_grants_ends_when_a_challenge_has_lapsed(job):
    said = job.attest()
    job.grant("ada", said["ada"])
    job.clock.ahead = timedelta(seconds=170)
    assert job.rules.collect_grants(job.at) is None
    job.clock.ahead = timedelta(seconds=200)
    with pytest.raises(LateError, match="bo did not grant"):
        job.rules.collect_grants(job.at)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"\x00", b'{"payload":"","payloadType":"x","signatures":[]}']
)
def test_junk_is_a_typed_error(job, raw):
    with pytest.raises(FormatError):
        job.access("ada").put_challenge(job.job_id, 1, raw)
    with pytest.raises(FormatError):
        job.access("ada").put_grant(job.job_id, 1, raw)
    with pytest.raises(FormatError):
        job.access("ada").approve(job.job_id, raw)
    with pytest.raises(FormatError):
        job.access("ada").reject(job.job_id, raw)
    with pytest.raises(FormatError):
        job.access("cy").propose(job.world.plan.encode(), raw)


def test_there_are_no_attempts_but_those_begun(job):
    for attempt in (0, 2, 16):
        with pytest.raises(NotFoundError):
            job.access("ada").evidence(job.job_id, attempt)
        with pytest.raises(NotFoundError):
            job.access("ada").challenges(job.job_id, attempt)


def test_a_lost_attempt_is_followed_by_the_next_until_none_is_allowed(job):
    for attempt in (1, 2):
        at = job.at
        assert at.attempt == attempt
        job.rules.lost(at, WorkerError("it died"))
        job.rules.lost(at, WorkerError("it died"))  # twice is once
        assert (job.status.state, job.status.attempt) == (JobState.RUNNING, attempt + 1)
        assert f"attempt {attempt} was lost: it died" in job.status.progress
        assert job.status.phase == "waiting"
    last, evidence = job.at, FakeWorker.of(job.world).attest({}, timeout_seconds=1)
    job.rules.lost(last, WorkerError("it died"))
    assert job.status.state is JobState.FAILED
    assert (job.status.error_code, job.status.attempt) == ("worker", 3)
    assert "attempt 3 of 3" in job.status.error
    for step in (
        lambda: job.rules.enter(last, "challenge"),
        lambda: job.rules.bundle(last),
        lambda: job.rules.collect_challenges(last),
        lambda: job.rules.collect_grants(last),
        lambda: job.rules.put_evidence(last, evidence),
        lambda: job.access("cy").start(job.job_id),
    ):
        with pytest.raises(JobError):
            step()


def test_the_fewest_attempts_that_anybody_allows_count(tmp_path):
    job = Started(tmp_path, max_attempts=1)
    job.rules.lost(job.at, WorkerError("it died"))
    assert job.status.state is JobState.FAILED
    job.service.store.close()


def test_late_messages_of_a_lost_attempt_are_refused(job):
    said = job.attest()
    raw = job.world.grant("ada", job.worker.evidence, said["ada"])
    lost = job.at
    job.rules.lost(lost, WorkerError("it died"))
    with pytest.raises(JobError, match="attempt 1 is not under way"):
        job.access("ada").put_grant(job.job_id, 1, raw)
    with pytest.raises(JobError):
        job.rules.put_evidence(lost, job.worker.evidence)
    job.rules.enter(job.at, "challenge")
    with pytest.raises(JobError, match="something else"):  # a challenge to the first one
        job.access("ada").put_challenge(job.job_id, 2, said["ada"])


def test_malformed_words_of_an_enclave_are_the_workers_fault(job):
    job.rules.enter(job.at, "challenge")
    with pytest.raises(WorkerError, match="malformed"):
        job.rules.put_evidence(job.at, b"{}")
    with pytest.raises(WorkerError, match="malformed"):
        job.rules.succeed(job.at, b"{}", {})
    assert job.status.state is JobState.RUNNING


def test_recovery_loses_what_had_a_worker_and_keeps_what_waits(tmp_path):
    job = Started(tmp_path)
    waiting = job.status
    job.rules.recover()
    assert job.status == waiting
    job.attest()
    job.service.store.close()
    again = make_service(tmp_path)
    again.running.recover()
    status = again.for_party("cy").job(job.job_id)
    assert (status.state, status.attempt, status.phase) == (JobState.RUNNING, 2, "waiting")
    assert "restarted" in status.progress
    assert (status.challenges, status.grants) == ((), ())
    assert again.for_party("cy").evidence(job.job_id, 1) == job.worker.evidence
    again.store.close()
