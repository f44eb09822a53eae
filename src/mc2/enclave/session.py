"""Every rule about a job, and no socket and no file. Spec: docs/spec/key-release.md.

The steps E1 to E21 of that page are numbered in the comments, here and in the modules that this
one puts together: `admission` (E1-E8), `freshness` (E9-E11), `release` (E13-E16), `tables` (E17),
`computation` (E18) and `outputs` (E19). A session serves one job. Its states only move forward, and
whatever fails ends it: a host that could try twice inside one attempt could pick.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum

from mc2.attestation.activation import activate_of
from mc2.attestation.claims import Collector
from mc2.crypto.digest import Digest
from mc2.crypto.secret import ReceivingKey, SigningKey
from mc2.enclave.admission import AdmittedJob, admit_job
from mc2.enclave.cluster import Cluster
from mc2.enclave.cluster_leader import ClusterLeader
from mc2.enclave.cluster_member import ClusterMember, Membership
from mc2.enclave.collective_member import MemberCollectives
from mc2.enclave.computation import Computation, ReadChunk, WriteChunk
from mc2.enclave.freshness import FreshJob, check_challenges
from mc2.enclave.peers import PeerTrust
from mc2.enclave.release import Lease, ReleasedKeys, open_grants
from mc2.enclave.spread import MemberTasks, Spread, layout_for
from mc2.enclave.task_runner import Host
from mc2.enclave.trainings import (
    LedTrainings,
    MemberTrainings,
    dropout_warnings,
    home_shares,
)
from mc2.engine.collective.apart import Trainer
from mc2.engine.database import DatabaseAhead
from mc2.engine.limits import EngineLimits
from mc2.engine.outputs import Output
from mc2.errors import DropoutError, JobError
from mc2.formats.other_workers import NoWorkers, OtherWorkers
from mc2.formats.receipt import HomeShare, Receipt
from mc2.formats.release import Evidence, RuntimeData
from mc2.formats.result import Result
from mc2.formats.worker import JobOutcome, OpenedJob
from mc2.formats.worker_tasks import Task, TrainStep
from mc2.plan.home import home_parties
from mc2.plan.packages import PACKAGES


class SessionState(IntEnum):
    """Where a session stands. It only moves forward; FAILED is the end from everywhere."""

    NEW = 0
    OPENING = 1
    OPEN = 2
    ATTESTING = 3
    ATTESTED = 4
    RUNNING = 5
    DONE = 6
    FAILED = 7


class JobSession:
    """One job in one enclave: opened once, attested once, run once.

    Or, as a member of a cluster: opened once, joined once, entered once (docs/spec/cluster.md).

    `code` says what runs here and stands in the receipt; `warnings` too. `clock` must only run
    forward, in seconds; it measures the lease of the granted keys and nothing else. `peers` says
    which evidence of other enclaves is believed. `trainer` is the process for trainings of stock
    XGBoost that several enclaves share; without one the leader trains alone.
    """

    def __init__(  # noqa: PLR0913  # the process has these, and a session needs them all
        self,
        collector: Collector,
        code: Mapping[str, str],
        warnings: tuple[str, ...],
        boot_id: str,
        *,
        limits: EngineLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        peers: PeerTrust | None = None,
        trainer: Trainer | None = None,
    ) -> None:
        self._collector = collector
        self._code = dict(code)
        self._warnings = warnings
        self._boot_id = boot_id
        self._limits = limits or EngineLimits()
        self._clock = clock
        self._peers = peers or PeerTrust()
        self._trainer = trainer
        self._collectives: MemberCollectives | None = None
        self._state = SessionState.NEW
        self._job: AdmittedJob | None = None
        self._attempt: _Attempt | None = None
        self._member: ClusterMember | None = None
        self._membership: Membership | None = None
        self._tasks: MemberTasks | None = None
        self._trainings: MemberTrainings | None = None
        self._homes: Mapping[str, HomeShare] = {}
        self._ahead: DatabaseAhead | None = None

    @property
    def state(self) -> SessionState:
        """Where the session stands."""
        return self._state

    @property
    def ended(self) -> bool:
        """Whether the job is done or has failed: no further step is possible."""
        return self._state >= SessionState.DONE

    def open(self, bundle: bytes) -> OpenedJob:
        """Check all that people signed about a job; who must challenge. Steps E1 to E8.

        Raises: FormatError, SignatureError, ContractError, PlanError, ApprovalError,
        DatasetError, PolicyError, AttestationError; JobError out of order.
        """
        with self._step(SessionState.OPENING):
            running = {name: self._code.get(name, "none") for name in PACKAGES}
            self._job = admit_job(bundle, packages=running, tier=self._collector.tier)
            return OpenedJob(self._job.owners)

    def attest(self, challenges: Mapping[str, bytes]) -> bytes:
        """Prove to the owners what this is; signed evidence. Steps E9 to E12.

        Raises: FormatError, SignatureError, ContractError, AttestationError, ApprovalError,
        PolicyError; JobError out of order.
        """
        with self._step(SessionState.ATTESTING):
            if self._job is None:
                raise RuntimeError("an open session has a job")
            fresh = check_challenges(self._job, challenges)
            # E12. Keys that did not exist before the challenges, for this attempt alone.
            receiving_key, signing_key = ReceivingKey.generate(), SigningKey.generate()
            runtime_data = RuntimeData(
                context=fresh.job.context,
                boot_id=self._boot_id,
                receiving_key=receiving_key.public,
                signing_key=signing_key.public,
                challenges={name: c.digest for name, c in fresh.challenges.items()},
            )
            raw = self._collector.collect(runtime_data.report_data())
            evidence = Evidence(
                kind=raw.kind,
                evidence=raw.evidence,
                endorsements=raw.endorsements,
                runtime_data=runtime_data,
            )
            self._attempt = _Attempt(fresh, receiving_key, signing_key, evidence.digest)
            if fresh.job.plan.mode == "encrypted":  # empty, while the owners decide
                self._ahead = DatabaseAhead(self._limits)
            return evidence.sign(signing_key)

    def run(
        self,
        grants: Mapping[str, bytes],
        read_chunk: ReadChunk,
        write_chunk: WriteChunk,
        progress: Callable[[str], None],
        workers: OtherWorkers | None = None,
    ) -> JobOutcome:
        """Compute the plan with the owners' keys; sealed results and the receipt. E13 to E21.

        `read_chunk` fetches a sealed chunk by its digest, `write_chunk` keeps one; `progress` is
        told in words where the job stands; `workers` are enclaves that may join in.

        Raises: FormatError, SignatureError, ContractError, GrantError, DatasetError, CryptoError,
        EngineError; JobError out of order; what the callbacks raise.
        """
        with self._step(SessionState.RUNNING):
            if self._attempt is None:
                raise JobError(
                    "the enclave joined a cluster: its leader runs the job", hint="enter it"
                )
            attempt = self._attempt
            keys = open_grants(
                attempt.fresh,
                grants,
                attempt.evidence,
                attempt.receiving_key,
                activate_of(self._collector),
            )
            lease = Lease(keys.lease_seconds, self._clock)
            if attempt.fresh.job.kept:
                workers = None  # what is kept is read by the enclave that joined its key alone
            cluster = self._cluster(attempt, keys, lease, workers or NoWorkers(), progress)
            job, threads = attempt.fresh.job, self._limits.threads
            work = Computation(job, keys.ciphers, lease, read_chunk, progress, threads=threads)
            try:
                member = Membership(cluster.form(), keys.ciphers, lease)
                host = Host(read_chunk, (workers or NoWorkers()).keep, progress)
                outputs, tasks = self._compute(work, member, host, workers, cluster.names)
            finally:
                cluster.wipe()
                keys.wipe()
            progress("sealing results")
            results = {name: work.seal(name, out, write_chunk) for name, out in outputs.items()}
            receipt = self._receipt(attempt, keys, cluster, results, tasks)
            # Nothing is handed out after the lease, however long the last step took.
            lease.check()
            raw = {name: result.encode() for name, result in results.items()}
            return JobOutcome(receipt.sign(attempt.signing_key), raw)

    def _compute(
        self,
        work: Computation,
        member: Membership,
        host: Host,
        workers: OtherWorkers | None,
        members: Mapping[int, str],
    ) -> tuple[Mapping[str, Output], Digest | None]:
        """E18, by this enclave or by all of its epoch; what names the receipts of the others."""
        job, at_home = work.job, member.epoch.homes
        names = [name for number, name in members.items() if number not in at_home.values()]
        layout = layout_for(job, 1 + len(names), self._limits)
        if workers is not None and job.plan.mode == "oblivious":
            homes = {party: members[number] for party, number in at_home.items()}
            led = LedTrainings(job, member, self._limits, host, workers, names, homes)
            if led.nodes or (led.any and (layout is None or layout.partitions == 1)):
                outputs = work.compute(self._limits, led)
                self._homes = home_shares(job, member.epoch, led)
                return outputs, led.digest
        if home_parties(job.plan):
            raise DropoutError(
                "rows of this job stay at home, and no enclave there can be asked",
                hint="run the job with a coordinator, and let each party at home run mc2 home",
            )
        if layout is None or layout.partitions == 1 or workers is None:
            return work.compute(self._limits, ahead=self._ahead), None
        spread = Spread(job, layout, member.epoch, member.ciphers, self._limits)
        finished = spread.run(host, member, workers, names, self._trainer)
        work.forget()
        return finished.outputs, finished.tasks

    def join(
        self, challenges: Mapping[str, bytes], leader_evidence: bytes, invitation: bytes
    ) -> bytes:
        """Prove to another enclave, which the owners challenged, what this is. Steps C2 to C6.

        Raises: FormatError, SignatureError, ContractError, AttestationError, ApprovalError,
        PolicyError; JobError out of order.
        """
        with self._step(SessionState.ATTESTING):
            if self._job is None:
                raise RuntimeError("an open session has a job")
            self._member = ClusterMember(
                self._job, self._collector, self._peers, self._boot_id, self._clock
            )
            return self._member.join(challenges, leader_evidence, invitation)

    def prove(self, probe: bytes) -> bytes:
        """Open what the leader sealed to this machine; the token. C10.

        Whatever fails ends the session.

        Raises: FormatError, SignatureError, AttestationError; JobError out of order.
        """
        try:
            return self._joined_member().prove(probe)
        except BaseException:
            self.close()
            raise

    def enter(self, admission: bytes) -> Membership:
        """Take the leader's keys; from here on this is a member of its epoch. C14 to C16.

        It stays one until the session is closed.

        Raises: FormatError, SignatureError, AttestationError, GrantError; JobError out of order.
        """
        with self._step(SessionState.RUNNING, lasts=True):
            if self._member is None:
                raise JobError("the enclave leads: no other admits it", hint="run the job")
            self._membership = self._member.enter(admission)
            return self._membership

    def task(self, task: Task, host: Host) -> bytes:
        """Run one task as a member of a cluster; the signed receipt.

        Whatever fails ends the session.

        Raises: as `MemberTasks.run`; JobError if this is no member.
        """
        try:
            return self._member_tasks().run(task, host)
        except BaseException:
            self.close()
            raise

    def train(self, step: TrainStep, host: Host) -> bytes:
        """Take a step of a training as a member of a cluster; the answer.

        Whatever fails ends the session.

        Raises: as `MemberTrainings.answer`; JobError if this is no member.
        """
        try:
            return self._member_part().answer(step, host)
        except BaseException:
            self.close()
            raise

    def _joined_member(self) -> ClusterMember:
        if self._state is not SessionState.ATTESTED or self._member is None:
            raise JobError("a probe is for an enclave that has joined", hint="join first")
        return self._member

    def _member_part(self) -> MemberTrainings | MemberCollectives:
        """What answers steps of trainings: by the plan's mode, and never by the other one."""
        if self._job is None or self._membership is None:
            raise JobError("steps are for members of a cluster", hint="enter one first")
        if self._job.plan.mode != "oblivious":
            return self._member_collectives(self._membership)
        if self._trainings is None:
            self._trainings = MemberTrainings(self._job, self._membership, self._limits)
        return self._trainings

    def _member_collectives(self, member: Membership) -> MemberCollectives:
        if self._trainer is None:
            raise JobError("this enclave has no process for trainings")
        if self._collectives is None:
            self._collectives = MemberCollectives(
                member, self._limits, self._trainer, self._member_tasks().runner
            )
        return self._collectives

    def _member_tasks(self) -> MemberTasks:
        if self._job is None or self._membership is None:
            raise JobError("tasks are for members of a cluster", hint="enter one first")
        if self._tasks is None:
            self._tasks = MemberTasks(self._job, self._membership, self._limits)
        return self._tasks

    def close(self) -> None:
        """End the session and forget its keys, whatever its state."""
        if self._membership is not None:
            self._membership.wipe()
        if self._collectives is not None:
            self._collectives.close()
        self._attempt = self._member = self._membership = self._tasks = self._trainings = None
        self._collectives = None
        self._job = None
        self._close_ahead()
        self._state = SessionState.FAILED if self._state < SessionState.DONE else self._state

    def _cluster(
        self,
        attempt: _Attempt,
        keys: ReleasedKeys,
        lease: Lease,
        workers: OtherWorkers,
        progress: Callable[[str], None],
    ) -> Cluster:
        leader = ClusterLeader(
            attempt.fresh,
            attempt.evidence,
            attempt.signing_key,
            self._collector.tier,
            self._peers,
            activate_of(self._collector),
        )
        return Cluster(leader, workers, keys.keys, lease, progress)

    def _receipt(
        self,
        attempt: _Attempt,
        keys: ReleasedKeys,
        cluster: Cluster,
        results: Mapping[str, Result],
        tasks: Digest | None,
    ) -> Receipt:
        # E20. What ran, for anybody to check offline; equality with the plan, nothing left out.
        job = attempt.fresh.job
        return Receipt(
            context=job.context,
            tier=cluster.tier.word,
            mode=job.plan.mode,
            evidence=attempt.evidence,
            epochs=cluster.rosters,
            tasks=tasks,
            inputs=job.inputs,
            approvals={name: a.digest for name, a in job.approvals.items()},
            grants={name: g.digest for name, g in keys.grants.items()},
            activations=keys.tokens,
            code=self._code,
            homes=self._homes,
            warnings=(*self._warnings, *cluster.warnings, *dropout_warnings(self._homes)),
            outputs={name: result.digest for name, result in results.items()},
        )

    @contextmanager
    def _step(self, during: SessionState, *, lasts: bool = False) -> Iterator[None]:
        """Take one step from the state before `during` to the one after it, or end the session.

        A step that `lasts` leaves the session in `during`, until it is closed.
        """
        if self._state != during - 1:
            was = self._state.name.lower()
            self.close()
            raise JobError(
                f"the session was {was}, which does not allow this; now it is over",
                hint="propose the job again",
            )
        self._state = during
        try:
            yield
        except BaseException:
            self.close()  # E21
            raise
        if lasts:
            return
        self._state = SessionState(during + 1)
        if self._state is SessionState.DONE:
            self._job = self._attempt = None  # E21
            self._close_ahead()

    def _close_ahead(self) -> None:
        """Close the database that was opened for a job which did not need it."""
        if self._ahead is not None:
            self._ahead.close()


class _Attempt:
    """The fresh keys of an attempt, and the evidence that names them."""

    __slots__ = ("evidence", "fresh", "receiving_key", "signing_key")

    def __init__(
        self, fresh: FreshJob, receiving_key: ReceivingKey, signing_key: SigningKey, name: Digest
    ) -> None:
        self.fresh = fresh
        self.receiving_key = receiving_key
        self.signing_key = signing_key
        self.evidence = name
