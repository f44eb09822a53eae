"""Whatever parties, workers and crashes do, in whatever order, a job only moves forward."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from tests.support.coordinator_world import FakeWorker, World, make_service

from mc2.errors import Mc2Error, WorkerError
from mc2.formats.bundle import Proof
from mc2.formats.status import PHASES, JobState

NAMES = st.sampled_from(["ada", "bo", "ada", "bo", "cy", "mallory"])
OFF = st.sampled_from([0, 0, 0, 0, -1, 1])  # how far from the present attempt


class Coordinator(RuleBasedStateMachine):
    """One job, its members, a stranger, and a scheduler that the machine plays."""

    @initialize(approved=st.sampled_from([True, True, True, False]))
    def begin(self, approved) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.world = World()
        self.service = make_service(self.folder)
        begin = self.world.approve if approved else self.world.propose
        self.job_id = begin(self.access)
        self.worker = FakeWorker()
        self.challenges: dict[str, bytes] = {}
        self.seen = [self.status]
        self.runs: set[int] = set()

    def access(self, name: str):
        return self.service.for_party(name)

    @property
    def status(self):
        return self.access("cy").job(self.job_id)

    @property
    def at(self):
        return self.service.jobs.table.find_attempt(self.job_id, self.status.attempt)

    def tried(self, act) -> None:
        """Do something that may be refused, but only with an error of ours, changing nothing."""
        before = self.status
        try:
            act()
        except Mc2Error:
            assert self.status == before

    # what people do

    @precondition(lambda self: self.status.state < JobState.RUNNING)
    @rule(name=NAMES, says=NAMES, honest=st.sampled_from([True, False]))
    def approve(self, name, says, honest) -> None:
        raw = self.world.approval(name if honest else says)
        self.tried(lambda: self.access(name).approve(self.job_id, raw))

    @precondition(lambda self: self.status.state < JobState.RUNNING)
    @rule(name=NAMES)
    def start(self, name) -> None:
        self.tried(lambda: self.access(name).start(self.job_id))

    @precondition(lambda self: self.at is not None)
    @rule(name=NAMES, off=OFF)
    def challenge(self, name, off) -> None:
        attempt = min(16, max(1, self.status.attempt + off))
        raw = self.world.challenge(name, attempt)

        def put() -> None:  # `tried` catches it if it is refused
            self.access(name).put_challenge(self.job_id, attempt, raw)
            self.challenges[name] = raw

        self.tried(put)

    @precondition(lambda self: self.worker.evidence)
    @rule(name=st.sampled_from(["ada", "bo"]), off=OFF)
    def grant(self, name, off) -> None:
        attempt = min(16, max(1, self.status.attempt + off))
        challenge = self.challenges.get(name) or self.world.challenge(name, attempt)
        raw = self.world.grant(name, self.worker.evidence, challenge, attempt)
        self.tried(lambda: self.access(name).put_grant(self.job_id, attempt, raw))

    @rule(name=NAMES, what=st.sampled_from(["reject", "cancel", *["nothing"] * 10]))
    def end(self, name, what) -> None:
        if what == "reject":
            raw = self.world.rejection(name)
            self.tried(lambda: self.access(name).reject(self.job_id, raw))
        elif what == "cancel":
            self.tried(lambda: self.access(name).cancel(self.job_id))

    # what the scheduler does

    @precondition(lambda self: self.at is not None and self.at.phase == "waiting")
    @rule()
    def take_a_worker(self) -> None:
        def take() -> None:
            bundle = self.service.running.bundle(self.at)
            self.service.running.enter(self.at, "challenge")
            assert self.status.attempt not in self.runs
            self.runs.add(self.status.attempt)
            self.worker.open(bundle, timeout_seconds=1)

        self.tried(take)

    @precondition(lambda self: self.at is not None and self.at.phase == "challenge")
    @rule()
    def attest(self) -> None:
        def go_on() -> None:
            there = self.service.running.collect_challenges(self.at)
            if there is not None:
                raw = self.worker.attest(there, timeout_seconds=1)
                self.service.running.put_evidence(self.at, raw)

        self.tried(go_on)

    @precondition(lambda self: self.at is not None and self.at.phase == "grant")
    @rule()
    def compute(self) -> None:
        def go_on() -> None:
            grants = self.service.running.collect_grants(self.at)
            if grants is not None:
                store = self.service.store
                outcome = self.worker.run(
                    grants,
                    store.read_blob,
                    lambda name, raw: store.put_blob("cy", name, raw, self.service.clock()),
                    lambda text: self.service.running.say(self.at, text),
                    timeout_seconds=1,
                )
                self.service.running.succeed(self.at, outcome.receipt, outcome.results)

        self.tried(go_on)

    @rule(what=st.sampled_from(["death", "restart", *["nothing"] * 10]))
    def trouble(self, what) -> None:
        if what == "death" and self.at is not None:
            self.service.running.lost(self.at, WorkerError("it died"))
        elif what == "restart":
            self.service.store.close()
            self.service = make_service(self.folder)
            self.service.running.recover()

    # what must hold

    @invariant()
    def nothing_goes_backwards(self) -> None:
        if not hasattr(self, "seen"):
            return
        before, now = self.seen[-1], self.status
        self.seen.append(now)
        if before.state.final:
            assert now == before
            return
        assert now.state >= before.state
        assert now.attempt >= before.attempt
        if now.state is JobState.RUNNING and now.attempt == before.attempt:
            assert PHASES.index(now.phase) >= PHASES.index(before.phase)
        assert set(before.approvals) <= set(now.approvals) <= {"ada", "bo"}
        assert (now.state >= JobState.APPROVED) <= (
            now.approvals == ("ada", "bo") or now.state > JobState.FAILED
        )
        assert now.attempt <= 3

    @invariant()
    def success_has_a_whole_proof(self) -> None:
        if hasattr(self, "seen") and self.status.state is JobState.SUCCEEDED:
            proof = Proof.parse(self.access("ada").proof(self.job_id))
            assert sorted(proof.grants) == sorted(proof.challenges) == ["ada", "bo"]
            assert proof.job.attempt == self.status.attempt

    def teardown(self) -> None:
        if hasattr(self, "service"):
            self.service.store.close()
            shutil.rmtree(self.folder)


TestCoordinator = Coordinator.TestCase
TestCoordinator.settings = settings(
    max_examples=25,
    stateful_step_count=80,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
