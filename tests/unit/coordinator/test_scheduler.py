"""Jobs run to their end, whatever workers and people do."""

import time
from contextlib import ExitStack, contextmanager

import pytest
from tests.support.coordinator_world import FakePool, FakeWorker, Owner, World, make_service

from mc2.coordinator.scheduler import Scheduler, Timeouts
from mc2.crypto.digest import digest
from mc2.errors import DatasetError, EngineError, WorkerError
from mc2.formats.bundle import Proof
from mc2.formats.result import Result
from mc2.formats.status import JobState

QUICK = Timeouts(waiting=30, challenge=30, attest=30, grant=30, compute=30)


def fail(error):
    def raise_it():
        raise error

    return raise_it


class Run:
    """A service with a scheduler on fake workers, owners who answer, and one approved job."""

    def __init__(self, folder, *workers, size=2, timeouts=QUICK, world=None):
        self.folder = folder
        self.world = world or World()
        self.service = make_service(folder)
        self.access = self.service.for_party
        self.job_id = self.world.approve(self.access) if world is None else self.world.job_id
        self.pool = FakePool(*workers, size=size)
        self.scheduler = Scheduler(self.service, self.pool, timeouts)

    @contextmanager
    def going(self, *owners):
        with ExitStack() as stack:
            self.scheduler.start()
            stack.callback(self.scheduler.stop)
            self.owners = {
                name: stack.enter_context(Owner(self.world, self.access(name), name))
                for name in owners
            }
            yield self
        self.service.store.close()

    def until(self, happened, seconds=20):
        """Wait until the status is as wanted."""
        deadline, seen = time.monotonic() + seconds, 0
        while not happened(status := self.access("cy").job(self.job_id)):
            assert time.monotonic() < deadline, status
            seen = self.access("cy").wait(self.job_id, seen, 0.2)
        return status

    def finish(self):
        self.access("cy").start(self.job_id)
        return self.until(lambda s: s.state.final)


def test_a_job_runs_and_leaves_a_proof(tmp_path):
    with Run(tmp_path).going("ada", "bo") as run:
        status = run.finish()
        assert (status.state, status.attempt, status.phase) == (JobState.SUCCEEDED, 1, "done")
        proof = Proof.parse(run.access("ada").proof(run.job_id))
        worker = run.pool.lent[0]
        assert proof.evidence == worker.evidence
        assert proof.challenges == worker.challenges
        assert sorted(proof.grants) == ["ada", "bo"]
        assert proof.job.attempt == 1
        result = Result.parse(proof.results["report"])
        for chunk in result.chunks:
            assert digest(run.access("ada").get_blob(chunk.digest)) == chunk.digest
        assert worker.calls == ["open", "attest", "run"]
        assert not worker.killed.is_set()


def test_result_chunks_are_not_swept(tmp_path):
    with Run(tmp_path).going("ada", "bo") as run:
        run.finish()
        held = {r["blob"] for r in run.service.store.database.rows("SELECT blob FROM holds")}
        proof = Proof.parse(run.access("ada").proof(run.job_id))
        assert {c.digest for c in Result.parse(proof.results["report"]).chunks} <= held


@pytest.mark.parametrize("step", ["open", "attest", "run"])
def test_a_dead_worker_costs_one_attempt(tmp_path, step):
    worker = FakeWorker()
    worker.spoil[step] = fail(WorkerError("it was ended by signal 9"))
    with Run(tmp_path, worker).going("ada", "bo") as run:
        status = run.finish()
        assert (status.state, status.attempt) == (JobState.SUCCEEDED, 2)
        assert len(run.pool.lent) == 2
        first = run.service.jobs.table.find_attempt(run.job_id, 1)
        assert (first.ended, first.error_code) == (True, "worker")


def test_dying_workers_end_the_job_when_attempts_are_used_up(tmp_path):
    workers = [FakeWorker() for _ in range(3)]
    for worker in workers:
        worker.spoil["run"] = fail(WorkerError("it was ended by signal 9"))
    with Run(tmp_path, *workers).going("ada", "bo") as run:
        status = run.finish()
        assert (status.state, status.attempt) == (JobState.FAILED, 3)
        assert status.error_code == "worker"
        assert "signal 9" in status.error


@pytest.mark.parametrize("step", ["open", "attest", "run"])
def test_a_refusal_by_the_enclave_ends_the_job(tmp_path, step):
    worker = FakeWorker()
    worker.spoil[step] = fail(EngineError("a sum overflowed", hint="cast to a wider type"))
    with Run(tmp_path, worker).going("ada", "bo") as run:
        status = run.finish()
        assert (status.state, status.attempt) == (JobState.FAILED, 1)
        said = "a sum overflowed (next: cast to a wider type)"
        assert (status.error_code, status.error) == ("engine", said)


def test_an_unexpected_error_costs_the_attempt_and_says_nothing_more(tmp_path):
    worker = FakeWorker()
    worker.spoil["run"] = fail(ZeroDivisionError("42"))
    with Run(tmp_path, worker).going("ada", "bo") as run:
        status = run.finish()
        assert (status.state, status.attempt) == (JobState.SUCCEEDED, 2)
        assert "42" not in run.service.jobs.table.find_attempt(run.job_id, 1).error


def test_a_result_without_its_chunks_is_no_result(tmp_path):
    worker = FakeWorker()
    worker.spoil["forget"] = lambda: None
    with Run(tmp_path, worker).going("ada", "bo") as run:
        status = run.finish()
        assert (status.state, status.attempt) == (JobState.SUCCEEDED, 2)
        assert "all chunks" in run.service.jobs.table.find_attempt(run.job_id, 1).error


def test_a_missing_chunk_ends_the_job(tmp_path):
    with Run(tmp_path).going("ada", "bo") as run:
        chunk = next(iter(run.world.sealed["ada"].chunks))
        run.service.store.blobs.path(chunk).write_bytes(b"?")
        status = run.finish()
        assert (status.state, status.error_code) == (JobState.FAILED, DatasetError.code)


def test_who_does_not_challenge_is_named_and_the_next_attempt_asks_again(tmp_path):
    slow = Timeouts(waiting=30, challenge=0.3, attest=30, grant=30, compute=30)
    with Run(tmp_path, timeouts=slow).going("ada") as run:
        run.access("cy").start(run.job_id)
        status = run.until(lambda s: s.missing == ("bo",))
        assert status.phase == "challenge"
        status = run.until(lambda s: s.attempt == 2)
        assert (
            "no challenge came from bo" in run.service.jobs.table.find_attempt(run.job_id, 1).error
        )
        status = run.until(lambda s: s.state.final)
        assert (status.state, status.error_code) == (JobState.FAILED, "job")
        assert "bo" in status.error


def test_who_does_not_grant_costs_an_attempt(tmp_path):
    slow = Timeouts(waiting=30, challenge=30, attest=30, grant=0.5, compute=30)
    with Run(tmp_path, timeouts=slow).going("ada", "bo") as run:
        run.owners["bo"].silent_in.add(("grant", 1))
        status = run.finish()
        assert (status.state, status.attempt) == (JobState.SUCCEEDED, 2)
        assert "no grant came from bo" in run.service.jobs.table.find_attempt(run.job_id, 1).error


def test_without_a_free_worker_the_job_waits_and_then_ends(tmp_path):
    short = Timeouts(waiting=2, challenge=30, attest=30, grant=30, compute=30)
    with Run(tmp_path, size=0, timeouts=short).going() as run:
        run.access("cy").start(run.job_id)
        status = run.until(lambda s: "busy" in s.progress)
        assert status.phase == "waiting"
        status = run.until(lambda s: s.state.final)
        assert (status.state, status.error) == (JobState.FAILED, "no enclave worker came free")


def test_a_cancelled_job_lets_go_of_its_worker(tmp_path):
    worker = FakeWorker()
    worker.spoil["run"] = worker.until_killed
    with Run(tmp_path, worker, size=1).going("ada", "bo") as run:
        run.access("cy").start(run.job_id)
        run.until(lambda s: s.phase == "compute")
        run.access("cy").cancel(run.job_id)
        assert worker.killed.wait(10)
        status = run.access("cy").job(run.job_id)
        assert (status.state, status.attempt) == (JobState.CANCELLED, 1)
        deadline = time.monotonic() + 10
        while not run.service.jobs.table.find_attempt(run.job_id, 1).ended:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_rejection_while_people_are_asked_ends_the_attempt(tmp_path):
    with Run(tmp_path, size=1).going("ada") as run:
        run.access("cy").start(run.job_id)
        run.until(lambda s: s.missing == ("bo",))
        run.access("bo").reject(run.job_id, run.world.rejection("bo"))
        run.pool._free.acquire(timeout=10)  # the worker came back
        assert run.access("cy").job(run.job_id).state is JobState.REJECTED
        assert not run.pool.lent[0].killed.is_set()  # it was idle, and needs no replacement


def test_jobs_run_side_by_side_and_in_turn(tmp_path):
    worlds = [World() for _ in range(4)]
    service = make_service(tmp_path)
    for i, world in enumerate(worlds):
        world.people, world.contract, world.sealed = (
            worlds[0].people,
            worlds[0].contract,
            worlds[0].sealed,
        )
        world.plan = world.make_plan(f"job {i}")
        if i == 0:
            world.approve(service.for_party)
            continue
        service.for_party("cy").propose(world.plan.encode(), world.proposal())
        for owner in ("ada", "bo"):
            service.for_party(owner).approve(world.job_id, world.approval(owner))
    pool = FakePool(size=2)
    scheduler = Scheduler(service, pool, QUICK)
    scheduler.start()
    with ExitStack() as stack:
        stack.callback(service.store.close)
        stack.callback(scheduler.stop)
        for world in worlds:
            for name in ("ada", "bo"):
                owner = Owner(world, OneJob(service.for_party(name), world.job_id), name)
                stack.enter_context(owner)
            service.for_party("cy").start(world.job_id)
        deadline = time.monotonic() + 30
        while not all(s.state is JobState.SUCCEEDED for s in service.for_party("cy").jobs()):
            assert time.monotonic() < deadline, service.for_party("cy").jobs()
            time.sleep(0.05)
        assert len(pool.lent) == 4


class OneJob:
    """A party's access that shows one job only."""

    def __init__(self, access, job_id):
        self._access, self._job_id = access, job_id

    def jobs(self):
        return [self._access.job(self._job_id)]

    def __getattr__(self, name):
        return getattr(self._access, name)


def test_a_restart_begins_the_next_attempt_and_never_the_same_again(tmp_path):
    worker = FakeWorker()
    worker.spoil["run"] = worker.until_killed
    with Run(tmp_path, worker).going("ada", "bo") as run:
        run.access("cy").start(run.job_id)
        run.until(lambda s: s.phase == "compute")
    assert worker.killed.is_set()  # stopping does not wait for a computation
    with Run(tmp_path, world=run.world).going("ada", "bo") as again:
        status = again.until(lambda s: s.state.final)
        assert (status.state, status.attempt) == (JobState.SUCCEEDED, 2)
        first = again.service.jobs.table.find_attempt(run.job_id, 1)
        assert "restarted" in first.error


def test_a_started_job_that_never_got_a_worker_resumes_after_a_restart(tmp_path):
    with Run(tmp_path, size=0).going() as run:
        run.access("cy").start(run.job_id)
        run.until(lambda s: "busy" in s.progress)
    with Run(tmp_path, world=run.world).going("ada", "bo") as again:
        status = again.until(lambda s: s.state.final)
        assert (status.state, status.attempt) == (JobState.SUCCEEDED, 1)


def test_an_attempt_whose_thread_was_lost_is_noticed(tmp_path):
    with Run(tmp_path, size=0).going() as run:
        run.access("cy").start(run.job_id)
        at = run.service.jobs.table.find_attempt(run.job_id, 1)
        run.service.running.enter(at, "grant")
        status = run.until(lambda s: s.attempt == 2)
        assert "lost track" in status.progress
