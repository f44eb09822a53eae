"""A cluster against a host that keeps every message and delivers any of them to anybody.

Enclaves, honest and rogue, join two leaders of one job and one of another; the host hands over
invitations, evidence and admissions of any age to whomever it likes. A model of a few lines says
who may be a member of which epoch. Whatever is delivered: nobody else ever has an epoch's key.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from tests.support.clusters import MEASUREMENT, OTHER_CODE, Leader, Worker, cluster_job

from mc2.enclave.cluster_member import Membership
from mc2.errors import Mc2Error

JOB = cluster_job()
OTHER_JOB = replace(JOB, attempt=2)
NAMES = ("a", "b", "c")
CODES = (MEASUREMENT, MEASUREMENT, OTHER_CODE)
LEADERS = st.sampled_from([0, 0, 0, 1, 2])


@dataclass(frozen=True)
class Asked:
    """An invitation, and who made it as which one."""

    raw: bytes
    leader: int
    epoch: int
    turn: int


@dataclass(eq=False)
class Enclave:
    """A worker of the host's, and what it did."""

    worker: Worker
    honest: bool
    joined: Asked | None = None
    membership: Membership | None = None


@dataclass(frozen=True)
class Proved:
    """Member evidence, and whose."""

    raw: bytes
    by: Enclave


@dataclass(frozen=True)
class Admitted:
    """An admission: by whom, to which epoch, for whom."""

    raw: bytes
    leader: int
    epoch: int
    to: Enclave


class ClusterMachine(RuleBasedStateMachine):
    enclaves = Bundle("enclaves")
    invitations = Bundle("invitations")
    proofs = Bundle("proofs")
    admissions = Bundle("admissions")

    def __init__(self):
        super().__init__()
        self.leaders = [Leader(JOB), Leader(JOB), Leader(OTHER_JOB)]
        self.open = [None, None, None]
        self.turns = 0
        self.epochs = {}  # (leader, number) -> (epoch's key, those who may have it)
        self.everybody = []

    @rule(target=enclaves, code=st.sampled_from(CODES), job=st.sampled_from([0, 0, 0, 2]))
    def start(self, code, job):
        worker = Worker(self.leaders[job].job, code=code)
        enclave = Enclave(worker, code == MEASUREMENT)
        self.everybody.append(enclave)
        return enclave

    @rule(target=invitations, leader=LEADERS)
    def invite(self, leader):
        raw = self.leaders[leader].rules.invite()
        self.turns += 1
        number = sum(1 for by, _ in self.epochs if by == leader) + 1
        self.open[leader] = Asked(raw, leader, number, self.turns)
        return self.open[leader]

    @rule(
        target=proofs,
        enclave=enclaves,
        asked=invitations,
        shown=st.sampled_from([None, None, None, 0, 1, 2]),
    )
    def join(self, enclave, asked, shown):
        """Show a worker some leader's evidence, with some leader's invitation."""
        shown = asked.leader if shown is None else shown
        may = enclave.joined is None and shown == asked.leader
        may = may and self.leaders[shown].job.context == enclave.worker.job.context
        first = enclave.joined is None and not enclave.worker.rules._used
        try:
            raw = enclave.worker.join(self.leaders[shown], asked.raw)
        except Mc2Error:
            assert not (may and first)
            return Proved(b"nothing", enclave)
        assert may
        enclave.joined = asked
        return Proved(raw, enclave)

    @rule(
        target=admissions,
        leader=LEADERS,
        joins=st.lists(proofs, max_size=3),
        pick=st.integers(0, 2),
    )
    def admit(self, leader, joins, pick):
        """Hand any evidence to any leader; it takes exactly the answers to its last invitation."""
        asked = self.open[leader]
        given = dict(zip(NAMES, joins, strict=False))
        try:
            formed = self.leaders[leader].admit({n: p.raw for n, p in given.items()})
        except Mc2Error:
            assert asked is None
            return Admitted(b"nothing", leader, 0, None)
        assert asked is not None
        self.open[leader] = None
        right = {}
        for name, proved in given.items():
            fits = proved.raw != b"nothing" and proved.by.honest and proved.by.joined == asked
            if fits and proved.by not in right.values():
                right[name] = proved.by
        assert formed.admissions.keys() == right.keys()
        assert {o.name for o in formed.left_out} == given.keys() - right.keys()
        key = bytes(formed.epoch.block_key.raw)
        assert key not in {k for k, _ in self.epochs.values()}
        self.epochs[leader, asked.epoch] = (key, list(right.values()))
        if not right:
            return Admitted(b"nothing", leader, 0, None)
        name = list(right)[pick % len(right)]
        return Admitted(formed.admissions[name], leader, asked.epoch, right[name])

    @rule(enclave=enclaves, admission=admissions)
    def enter(self, enclave, admission):
        """Hand any admission to any worker."""
        self.deliver(enclave, admission)

    @rule(admission=admissions)
    def enter_in_order(self, admission):
        """Hand an admission to whom it is for, perhaps once more."""
        if admission.to is not None:
            self.deliver(admission.to, admission)

    @rule(code=st.sampled_from(CODES), leader=LEADERS, size=st.integers(1, 3), late=st.booleans())
    def whole_epoch(self, code, leader, size, late):
        """What an honest host does, but for one worker; perhaps it was in an earlier epoch."""
        job = 2 if leader == 2 else 0
        enclaves = [self.start(MEASUREMENT, job) for _ in range(size - 1)]
        enclaves.append(self.start(code, job))
        asked = self.invite(leader)
        if late and self.everybody:
            enclaves[0] = self.everybody[0]
        proofs = [self.join(enclave, asked, None) for enclave in enclaves]
        self.enter_in_order(self.admit(leader, proofs, size))

    def deliver(self, enclave, admission):
        """A worker takes the admission that is for it, once, and no other."""
        waits = enclave.worker.rules._joined is not None
        may = waits and admission.to is enclave
        try:
            found = enclave.worker.enter(admission.raw)
        except Mc2Error:
            assert not may
            return
        assert may
        enclave.membership = found

    @invariant()
    def only_members_have_keys(self):
        for enclave in self.everybody:
            if enclave.membership is None:
                continue
            epoch = enclave.membership.epoch
            key, members = self.epochs[enclave.joined.leader, epoch.number]
            assert enclave.honest
            assert enclave in members
            assert bytes(epoch.block_key.raw) == key
            assert len(epoch.members) == len(members) + 1


TestClusterMachine = ClusterMachine.TestCase
TestClusterMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
