"""Key release against a coordinator that drops, replays, reorders and mixes all it can.

The machine makes jobs under two contracts, lets the owner approve, reject, revoke and leave, lets
processes die and come back, and delivers any evidence to any of the owner's releases. Beside the
client runs a model of a few lines that says whether keys may leave. The two must always agree.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)
from tests.support.party_jobs import (
    MEASUREMENT,
    NOW,
    ROOT,
    SECOND,
    FakeEnclave,
    Pieces,
    identity,
    make_contract,
    payload_digest,
    simulation,
)

from mc2.attestation.simulated.root import SimulatedRoot
from mc2.client.ledger import Ledger
from mc2.client.ledger_events import (
    Approved,
    ContractAccepted,
    ContractRevoked,
    JobClosed,
    Rejected,
    Revoked,
)
from mc2.client.release import KeyRelease
from mc2.crypto.digest import digest
from mc2.errors import Mc2Error
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.release import Challenge, Grant

CONTRACTS = (make_contract(), make_contract(name="other"))
OTHER_ROOT = SimulatedRoot.make()
ENCLAVES = {
    "honest": {"root": ROOT, "code": MEASUREMENT},
    "other code": {"root": ROOT, "code": "00" * 48},
    "other root": {"root": OTHER_ROOT, "code": MEASUREMENT},
}
KEY = identity("ada").signing.public


@dataclass
class Job:
    """What the model knows of a job."""

    pieces: Pieces
    signed: dict = field(default_factory=dict)
    max_attempts: int = 0
    not_after: object = None
    ended: bool = False
    granted: set = field(default_factory=set)

    def at(self, attempt):
        """The job's signed objects as the coordinator shows them for one attempt."""
        if (attempt, self.max_attempts) not in self.signed:
            pieces = replace(self.pieces, attempt=attempt)
            approvals = dict(pieces.bundle().approvals)
            if self.max_attempts:
                approvals["ada"] = self.approval().sign(identity("ada").signing)
            self.signed[attempt, self.max_attempts] = pieces.signed(approvals=approvals)
        return self.signed[attempt, self.max_attempts]

    def approval(self):
        return self.pieces.approval("ada", max_attempts=self.max_attempts, not_after=self.not_after)


@dataclass
class Held:
    """A release of the owner's, the challenge that it waits for, and the job."""

    release: KeyRelease
    job: Job
    attempt: int
    challenge: bytes
    used: bool = False

    @property
    def not_after(self):
        raw = Envelope.parse(self.challenge, PayloadType.CHALLENGE, Challenge.LIMIT).payload
        return Challenge.parse(raw).not_after


@dataclass(frozen=True)
class Proved:
    """Evidence that some enclave made: for which context, answering what, how honestly."""

    raw: bytes
    enclave: FakeEnclave
    context: object
    answers: object
    kind: str


class ReleaseMachine(RuleBasedStateMachine):
    jobs = Bundle("jobs")
    held = Bundle("held")
    proofs = Bundle("proofs")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = Ledger(self.folder / "ledger.jsonl", KEY.key_id)
        self.now = NOW
        self.ledger.begin("ada", NOW)
        self.left = set()
        self.everything = []
        for contract in CONTRACTS:
            self.record(ContractAccepted(contract=contract.digest, name=contract.name, epoch=1))

    def teardown(self):
        shutil.rmtree(self.folder)

    def record(self, event):
        """Whether the ledger took it."""
        try:
            self.ledger.record(event, self.now)
        except Mc2Error:
            return False
        return True

    # --- what people do

    @rule(target=jobs, contract=st.sampled_from(CONTRACTS))
    def propose(self, contract):
        job = Job(Pieces(contract=contract))
        self.everything.append(job)
        return job

    @initialize(target=jobs, contract=st.sampled_from(CONTRACTS))
    def start_with_a_job(self, contract):
        return self.propose_and_approve(contract)

    @rule(target=jobs, contract=st.sampled_from(CONTRACTS))
    def propose_and_approve(self, contract):
        job = self.propose(contract)
        self.approve(job, 3, 60)
        return job

    @rule(job=jobs, attempts=st.integers(1, 3), minutes=st.integers(1, 60))
    def approve(self, job, attempts, minutes):
        before = (job.max_attempts, job.not_after)
        job.max_attempts, job.not_after = attempts, self.now + 60 * minutes * SECOND
        approval = job.approval()
        taken = self.record(
            Approved(
                contract=approval.contract,
                plan=approval.plan,
                job_id=approval.job_id,
                proposed=NOW,
                approval=approval.digest,
                max_attempts=attempts,
                not_after=approval.not_after,
            )
        )
        assert taken == (not job.ended and approval.contract not in self.left)
        if taken:
            job.signed.clear()
        else:
            job.max_attempts, job.not_after = before

    @rule(
        index=st.integers(0, 99),
        how=st.sampled_from(["reject", "revoke", "close"]),
        doubt=st.integers(0, 2),
    )
    def end(self, index, how, doubt):
        if doubt or not self.everything:
            return
        job = self.everything[index % len(self.everything)]
        job_id = job.pieces.job_id
        event = {
            "reject": Rejected(job_id=job_id, rejection=digest(b"")),
            "revoke": Revoked(job_id=job_id),
            "close": JobClosed(job_id=job_id, outcome="failed"),
        }[how]
        known = job.max_attempts > 0 or how == "reject"
        assert self.record(event) == (known and not job.ended)
        job.ended = job.ended or known

    @rule(contract=st.sampled_from(CONTRACTS), doubt=st.integers(0, 7))
    def leave(self, contract, doubt):
        if doubt == 7:
            event = ContractRevoked(contract=contract.digest)
            assert self.record(event) == (contract.digest not in self.left)
            self.left.add(contract.digest)

    @rule(seconds=st.integers(0, 90))
    def tick(self, seconds):
        self.now += seconds * SECOND

    # --- what the owner's client does when the coordinator asks

    def allowed(self, job, attempt):
        """The model: may keys leave for this attempt?"""
        return (
            job.pieces.contract.digest not in self.left
            and not job.ended
            and 1 <= attempt <= job.max_attempts
            and self.now <= job.not_after
            and attempt not in job.granted
        )

    @rule(target=held, job=jobs, attempt=st.sampled_from([1, 1, 1, 2, 3, 4]))
    def challenge(self, job, attempt):
        release = KeyRelease(job.at(attempt), identity("ada"), simulation())
        try:
            with self.ledger.open() as book:
                raw = release.make_challenge(book.state, self.now)
        except Mc2Error:
            raw = None
        assert (raw is not None) == self.allowed(job, attempt)
        return Held(release, job, attempt, raw or b"", used=raw is None)

    @initialize(target=held, contract=st.sampled_from(CONTRACTS))
    def start_with_a_challenge(self, contract):
        return self.challenge(self.propose_and_approve(contract), 1)

    @rule(target=held, one=held)
    def come_back_after_a_crash(self, one):
        """Another process takes up the same challenge; the first may still be there too."""
        release = KeyRelease(one.job.at(one.attempt), identity("ada"), simulation())
        if one.challenge:
            release.resume(one.challenge)
        return Held(release, one.job, one.attempt, one.challenge, used=not one.challenge)

    @rule(one=consumes(held))
    def drop(self, one):
        """The coordinator loses it, or the process dies and nobody comes back."""

    # --- what the coordinator and its enclaves do

    @rule(target=proofs, one=held, kind=st.sampled_from(sorted(ENCLAVES)))
    def attest(self, one, kind):
        return self.prove(one.job, one.attempt, one.challenge, kind)

    @rule(target=proofs, one=held, job=jobs, attempt=st.integers(1, 3))
    def attest_for_another(self, one, job, attempt):
        """Evidence that answers the challenge of one attempt and says it is of another."""
        return self.prove(job, attempt, one.challenge, "honest")

    @rule(target=proofs, one=held)
    def attest_and_deliver(self, one):
        """What an honest coordinator does; the evidence can be replayed later."""
        proved = self.prove(one.job, one.attempt, one.challenge, "honest")
        self.deliver(one, proved)
        return proved

    @rule(target=proofs, one=held)
    def attest_by_two_enclaves(self, one):
        """Two enclaves answer one challenge, at two processes of the owner's."""
        first = self.prove(one.job, one.attempt, one.challenge, "honest")
        second = self.prove(one.job, one.attempt, one.challenge, "honest")
        other = self.come_back_after_a_crash(one)
        self.deliver(one, first)
        self.deliver(other, second)
        return second

    @rule(target=held, job=jobs, attempt=st.sampled_from([1, 1, 2]))
    def challenge_and_answer_later(self, job, attempt):
        """A challenge whose answer is on its way when time has gone on."""
        one = self.challenge(job, attempt)
        proved = self.prove(job, attempt, one.challenge, "honest")
        self.now += 60 * SECOND
        again, third = self.challenge(job, attempt), self.challenge(job, attempt)
        self.deliver(again, proved)
        self.now += 61 * SECOND
        self.deliver(one, proved)
        return third

    @rule(one=held, job=jobs, attempt=st.integers(1, 3), kind=st.sampled_from(sorted(ENCLAVES)))
    def answer_badly_then_well(self, one, job, attempt, kind):
        """The first answer uses the nonce up, whatever it was."""
        self.deliver(one, self.prove(job, attempt, one.challenge, kind))
        self.deliver(one, self.prove(one.job, one.attempt, one.challenge, "honest"))

    def prove(self, job, attempt, challenge, kind):
        pieces = replace(job.pieces, attempt=attempt)
        challenges = {
            "ada": challenge or pieces.challenge("ada", self.now),
            "bo": pieces.challenge("bo", self.now),
        }
        enclave = FakeEnclave(pieces, **ENCLAVES[kind])
        raw = enclave.attest(challenges)
        answers = payload_digest(challenges["ada"])
        return Proved(raw, enclave, pieces.context, answers, kind)

    @rule(one=held, proved=proofs)
    def deliver(self, one, proved):
        """Any evidence to any release: a true pair, a replay, a mix."""
        expected = (
            not one.used
            and self.allowed(one.job, one.attempt)
            and proved.kind == "honest"
            and proved.context == one.release.context
            and proved.answers == payload_digest(one.challenge)
            and self.now <= one.not_after
            # What the release was made for is still what the ledger says.
            and one.release.context == one.job.at(one.attempt).context
            and self.same_approval(one)
        )
        one.used = True
        grant = self.try_answer(one, proved)
        assert (grant is not None) == expected
        if grant is not None:
            one.job.granted.add(one.attempt)
            self.check_grant(grant, one, proved)

    def same_approval(self, one):
        """A release holds the approval of its time; a renewed one needs a new release."""
        return one.release._job.approvals["ada"].digest == one.job.approval().digest

    def try_answer(self, one, proved):
        try:
            with self.ledger.open() as book:
                decision = one.release.answer(proved.raw, book.state, book.next_index, self.now)
                return decision.release(book, self.now, lambda _: None)
        except Mc2Error:
            return None

    def check_grant(self, grant, one, proved):
        payload = Envelope.parse(grant, PayloadType.GRANT, Grant.LIMIT).payload
        value = Grant.parse(payload)
        assert value.context == one.release.context == proved.context
        assert value.evidence == payload_digest(proved.raw)
        assert set(proved.enclave.open_keys(grant)) == {"ada.visits"}

    # --- what must always hold

    @invariant()
    def the_ledger_grants_each_attempt_once_and_only_what_was_approved(self):
        with self.ledger.open() as book:
            records = dict(book.state.jobs)
            indexes = [e.index for e in book.entries]
        assert indexes == list(range(len(indexes)))
        for job in self.everything:
            record = records.get(job.pieces.job_id)
            granted = set() if record is None else set(record.grants)
            assert granted == job.granted
            assert not granted or record.approved is not None


TestReleaseMachine = ReleaseMachine.TestCase
TestReleaseMachine.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
