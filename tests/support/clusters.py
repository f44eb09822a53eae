"""A leader and members of a cluster over their pure rules; each piece may be falsified by a test."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from mc2.attestation.claims import Tier
from mc2.attestation.simulated.collector import SimulatedCollector
from mc2.attestation.simulated.report import KIND, measure
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.attestation.simulated.verifier import SimulatedVerifier
from mc2.crypto.secret import DataKey, ReceivingKey, SigningKey
from mc2.enclave.admission import admit_job
from mc2.enclave.cluster_leader import ClusterLeader, FormedEpoch
from mc2.enclave.cluster_member import ClusterMember, Membership
from mc2.enclave.freshness import check_challenges
from mc2.enclave.peers import PeerTrust
from mc2.formats.cluster import Invitation, MemberEvidence
from mc2.formats.envelope import Envelope
from mc2.formats.release import Evidence, RuntimeData
from mc2.formats.statement import Statement
from mc2.plan.packages import package_versions
from tests.support.activating import ActivatingVerifier, OnMachine, Vault
from tests.support.enclave_jobs import CODE, Job, make_job

S = TypeVar("S", bound=Statement)

ROOT = SimulatedRoot.make()
OTHER_ROOT = SimulatedRoot.make()
MEASUREMENT = measure(CODE)
OTHER_CODE = measure({**CODE, "mc2.code": "another"})
TRUST = PeerTrust(simulation=SimulatedVerifier)
LEASE_SECONDS = 600


def cluster_job(**changes: Any) -> Job:
    """A job whose contract accepts this code, in simulation."""
    attestation = {KIND: {"root": ROOT.digest, "measurements": [MEASUREMENT]}}
    return make_job(contract={"attestation": attestation} | changes.pop("contract", {}), **changes)


_ADMITTED: dict[Any, Any] = {}


def admitted(job: Job) -> Any:
    """The job, as an enclave admits it; it is frozen, so that enclaves may share it."""
    if job.context not in _ADMITTED:
        bundle = job.bundle()
        found = admit_job(bundle, packages=package_versions(), tier=Tier.SIMULATED)
        _ADMITTED[job.context] = found
    return _ADMITTED[job.context]


@dataclass
class Clock:
    """Seconds that a test sets."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Leader:
    """An attested enclave with the keys of a job."""

    def __init__(
        self,
        job: Job,
        *,
        code: str = MEASUREMENT,
        root: SimulatedRoot = ROOT,
        trust: PeerTrust = TRUST,
        vault: Vault | None = None,
        **runtime_data: Any,
    ) -> None:
        self.job = job
        self.challenges = job.challenges()
        fresh = check_challenges(admitted(job), self.challenges)
        self.signing = SigningKey.generate()
        data = RuntimeData(
            context=job.context,
            boot_id="aa" * 16,
            receiving_key=ReceivingKey.generate().public,
            signing_key=self.signing.public,
            challenges={name: c.digest for name, c in fresh.challenges.items()},
        )
        data = replace(data, **runtime_data)
        raw = SimulatedCollector(root, code, "local").collect(data.report_data())
        value = Evidence(
            kind=raw.kind,
            evidence=raw.evidence,
            endorsements=raw.endorsements,
            runtime_data=data,
        )
        self.digest = value.digest
        self.evidence = value.sign(self.signing)
        activate = None if vault is None else vault.activate
        self.rules = ClusterLeader(
            fresh, value.digest, self.signing, Tier.SIMULATED, trust, activate
        )
        self.keys = {name: DataKey(d.key) for name, d in job.datasets.items()}

    def admit(self, joins: dict[str, bytes], **tokens: bytes) -> FormedEpoch:
        """Examine and admit; `tokens` answer the probes."""
        self.probes = self.rules.examine(joins)
        return self.rules.admit(tokens, self.keys, LEASE_SECONDS)


@dataclass
class Worker:
    """An enclave that has opened the job and may join."""

    job: Job
    code: str = MEASUREMENT
    root: SimulatedRoot = ROOT
    trust: PeerTrust = TRUST
    clock: Clock = field(default_factory=Clock)
    vault: Vault | None = None

    def __post_init__(self) -> None:
        collector: Any = SimulatedCollector(self.root, self.code, "local")
        if self.vault is not None:
            collector = OnMachine(collector, self.vault)
        opened = admitted(self.job)
        self.rules = ClusterMember(opened, collector, self.trust, "bb" * 16, self.clock)

    def join(self, leader: Leader, invitation: bytes, **shown: Any) -> bytes:
        """Join; `shown` replaces what the host shows of the leader."""
        challenges = shown.get("challenges", leader.challenges)
        return self.rules.join(challenges, shown.get("evidence", leader.evidence), invitation)

    def prove(self, probe: bytes) -> bytes:
        return self.rules.prove(probe)

    def enter(self, admission: bytes) -> Membership:
        return self.rules.enter(admission)


def trust_in_machines(vault: Vault) -> PeerTrust:
    """Nobody is believed before a machine opened what was sealed to it."""
    return PeerTrust(simulation=lambda root: ActivatingVerifier(SimulatedVerifier(root), vault))


def form(leader: Leader, **workers: Worker) -> tuple[FormedEpoch, dict[str, Membership]]:
    """An epoch with honest messages: those that were admitted enter."""
    invitation = leader.rules.invite()
    formed = leader.admit({name: w.join(leader, invitation) for name, w in workers.items()})
    return formed, {n: workers[n].enter(raw) for n, raw in formed.admissions.items()}


def payload(raw: bytes, kind: type[S]) -> S:
    """What is in an envelope; its signature is not looked at."""
    return kind.parse(Envelope.parse(raw, kind.PAYLOAD_TYPE, kind.LIMIT).payload)


def invitation_of(raw: bytes) -> Invitation:
    return payload(raw, Invitation)


def join_of(raw: bytes) -> MemberEvidence:
    return payload(raw, MemberEvidence)
