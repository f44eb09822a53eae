"""Signed objects as a coordinator gets them, made by hand: two owners, an analyst, a stranger.

The chunks are noise: a coordinator cannot tell. Time is the real one, since requests are signed
with it; `Clock` can be turned.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from mc2.coordinator.service import PartyAccess, Service
from mc2.coordinator.store import Quotas, Store
from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import ReceivingKey, SigningKey
from mc2.errors import Mc2Error, WorkerError
from mc2.formats.bundle import JobBundle
from mc2.formats.card import Card, sign_card
from mc2.formats.contract import Contract, Member, sign_contract
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.job import Approval, Proposal, Rejection, new_job_id
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import ChunkRef, Manifest, UsagePolicy
from mc2.formats.receipt import Receipt
from mc2.formats.release import (
    Challenge,
    Evidence,
    Grant,
    JobContext,
    RuntimeData,
    SealedKey,
)
from mc2.formats.result import Result
from mc2.formats.schema import Schema
from mc2.formats.worker import JobOutcome, OpenedJob
from mc2.plan.plan import Node, Plan, PlanInput, PlanOutput
from mc2.plan.relations import Scan

TOKEN = "an-invitation"
SCHEMA = Schema.read([{"name": "x", "type": "int64", "nullable": True}])
HOUR = timedelta(hours=1)
ROLES = {
    "ada": ("owner", "recipient"),
    "bo": ("owner", "recipient"),
    "cy": ("analyst", "recipient"),
}


@dataclass
class Clock:
    """The time, which a test may turn."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass(frozen=True)
class Person:
    """A party with its keys."""

    name: str
    signing: SigningKey = field(default_factory=SigningKey.generate)
    receiving: ReceivingKey = field(default_factory=ReceivingKey.generate)

    @property
    def card(self) -> Card:
        return Card(self.name, self.name.title(), self.signing.public, self.receiving.public)

    @property
    def signed_card(self) -> bytes:
        return sign_card(self.card, self.signing)


@dataclass
class Sealed:
    """A sealed dataset."""

    manifest: Manifest
    envelope: bytes
    chunks: dict[Digest, bytes]


def seal(owner: Person, table: str = "visits", version: int = 1, chunks: int = 2) -> Sealed:
    """A dataset of noise."""
    raw = [secrets.token_bytes(100 + i) for i in range(chunks)]
    manifest = Manifest(
        dataset=f"{owner.name}.{table}",
        owner=owner.name,
        dataset_id="11" * 16,
        version=version,
        created=datetime.now(UTC).replace(microsecond=0),
        schema=SCHEMA,
        sizes="exact",
        compression="none",
        row_bound=4 * chunks,
        rows_per_chunk=4,
        key_salt=secrets.token_hex(32),
        key_commitment="33" * 32,
        policy=UsagePolicy(),
        chunks=tuple(ChunkRef(digest(c), len(c)) for c in raw),
    )
    return Sealed(manifest, manifest.sign(owner.signing), {digest(c): c for c in raw})


class World:
    """Three members, a stranger, and what they sign about one job."""

    def __init__(self, **contract: Any) -> None:
        self.people = {name: Person(name) for name in (*ROLES, "mallory")}
        self.contract = replace(
            Contract(
                name="study",
                epoch=1,
                supersedes=None,
                not_after=(datetime.now(UTC) + 1000 * HOUR).replace(microsecond=0),
                min_tier="simulated",
                approvers="owners",
                max_attempts=3,
                members=tuple(Member(self.people[n].card, roles) for n, roles in ROLES.items()),
                attestation={"rules": "none"},
            ),
            **contract,
        )
        self.sealed = {name: seal(self.people[name]) for name in ("ada", "bo")}
        self.job_id = new_job_id()
        self.plan = self.make_plan()

    def __getitem__(self, name: str) -> Person:
        return self.people[name]

    @property
    def cards(self) -> dict[str, bytes]:
        return {name: person.signed_card for name, person in self.people.items()}

    def signed_contract(self, *names: str, contract: Contract | None = None) -> bytes:
        """The contract with the signatures of some members, or of all."""
        envelopes = [
            Envelope.parse(
                sign_contract(contract or self.contract, self.people[name].signing),
                PayloadType.CONTRACT,
                LIMITS.contract_bytes,
            )
            for name in names or tuple(ROLES)
        ]
        return envelopes[0].merge(envelopes[1:]).encode()

    def make_plan(self, title: str = "a report") -> Plan:
        inputs = tuple(
            PlanInput(
                dataset=sealed.manifest.dataset,
                owner=name,
                manifest=sealed.manifest.digest,
                schema=SCHEMA,
                row_bound=sealed.manifest.row_bound,
            )
            for name, sealed in sorted(self.sealed.items())
        )
        return Plan(
            title=title,
            mode="encrypted",
            contract=self.contract.digest,
            script_name="job.py",
            script="# by hand",
            packages={"mc2": "0"},
            inputs=inputs,
            nodes=(Node(Scan(0, ("x",)), SCHEMA),),
            outputs=(PlanOutput(name="report", node=0, kind="table", recipients=("ada",)),),
        )

    def context(self, attempt: int = 1) -> JobContext:
        return JobContext(
            contract=self.contract.digest,
            policy=self.contract.policy_digest,
            plan=self.plan.digest,
            job_id=self.job_id,
            attempt=attempt,
        )

    def proposal(self, by: str = "cy", *, signer: str = "", **changes: Any) -> bytes:
        said = Proposal(
            contract=self.contract.digest,
            plan=self.plan.digest,
            job_id=self.job_id,
            proposer=by,
            created=datetime.now(UTC).replace(microsecond=0),
            note="",
        )
        return replace(said, **changes).sign(self.people[signer or by].signing)

    def approval(self, by: str, *, signer: str = "", **changes: Any) -> bytes:
        said = Approval(
            contract=self.contract.digest,
            plan=self.plan.digest,
            job_id=self.job_id,
            approver=by,
            max_attempts=3,
            not_after=(datetime.now(UTC) + 100 * HOUR).replace(microsecond=0),
        )
        return replace(said, **changes).sign(self.people[signer or by].signing)

    def rejection(self, by: str, **changes: Any) -> bytes:
        said = Rejection(
            contract=self.contract.digest,
            plan=self.plan.digest,
            job_id=self.job_id,
            member=by,
            reason="no",
        )
        return replace(said, **changes).sign(self.people[by].signing)

    def challenge(
        self, by: str, attempt: int = 1, *, seconds: int = 120, signer: str = "", **changes: Any
    ) -> bytes:
        issued = datetime.now(UTC).replace(microsecond=0)
        said = Challenge(
            context=self.context(attempt),
            owner=by,
            nonce=secrets.token_bytes(32),
            issued=issued,
            not_after=issued + timedelta(seconds=seconds),
        )
        return replace(said, **changes).sign(self.people[signer or by].signing)

    def grant(
        self, by: str, evidence: bytes, challenge: bytes, attempt: int = 1, /, **changes: Any
    ) -> bytes:
        manifest = self.sealed[by].manifest
        said = Grant(
            context=self.context(attempt),
            owner=by,
            evidence=name_of(evidence, PayloadType.EVIDENCE),
            challenge=name_of(challenge, PayloadType.CHALLENGE),
            sequence=1,
            lease_seconds=60,
            activation=None,
            keys=(SealedKey(manifest.dataset, manifest.digest, b"sealed"),),
        )
        return replace(said, **changes).sign(self.people[by].signing)

    # --- against a service ---

    def enrol(self, access: Callable[[str], Any], *names: str) -> None:
        for name in names or tuple(self.people):
            access(name).register(self.people[name].signed_card, TOKEN)

    def upload(self, access: Callable[[str], Any]) -> None:
        for name, sealed in self.sealed.items():
            for chunk, raw in sealed.chunks.items():
                access(name).put_blob(chunk, raw)
            access(name).put_manifest(sealed.envelope)

    def propose(self, access: Callable[[str], Any]) -> str:
        """Everything up to a proposed job."""
        self.enrol(access)
        access("cy").put_contract(self.signed_contract())
        self.upload(access)
        return access("cy").propose(self.plan.encode(), self.proposal())

    def approve(self, access: Callable[[str], Any]) -> str:
        """Everything up to an approved job."""
        job_id = self.propose(access)
        for owner in self.sealed:
            access(owner).approve(job_id, self.approval(owner))
        return job_id


def name_of(envelope: bytes, kind: str) -> Digest:
    return Envelope.parse(envelope, kind, LIMITS.receipt_bytes).payload_digest


def make_service(folder: Path, clock: Clock | None = None, quotas: Quotas | None = None) -> Service:
    return Service(Store(folder, quotas), clock=clock or Clock(), invitation=lambda: TOKEN)


class FakeWorker:
    """An enclave that believes everything and computes nothing. A test may spoil each step."""

    def __init__(self) -> None:
        self.signing = SigningKey.generate()
        self.receiving = ReceivingKey.generate()
        self.killed = threading.Event()
        self.calls: list[str] = []
        self.spoil: dict[str, Callable[[], None]] = {}
        self.bundle: JobBundle | None = None
        self.challenges: Mapping[str, bytes] = {}
        self.evidence = b""

    @classmethod
    def of(cls, world: World) -> Self:
        """A worker that has opened a bundle with little in it."""
        worker = cls()
        worker.bundle = JobBundle(
            contract=world.signed_contract(),
            plan=world.plan.encode(),
            proposal=world.proposal(),
            approvals={},
            manifests={},
            attempt=1,
        )
        return worker

    def _step(self, name: str) -> None:
        self.calls.append(name)
        if self.killed.is_set():
            raise WorkerError("the enclave worker is gone")
        self.spoil.get(name, lambda: None)()

    def until_killed(self) -> None:
        """Hang, as a worker in a long computation does."""
        assert self.killed.wait(30)
        raise WorkerError("the enclave worker was ended by signal 9")

    def open(self, bundle: bytes, *, timeout_seconds: float) -> OpenedJob:
        self.bundle = JobBundle.parse(bundle)
        self._step("open")
        return OpenedJob(tuple(sorted({i.owner for i in Plan.parse(self.bundle.plan).inputs})))

    def context(self) -> JobContext:
        assert self.bundle is not None
        contract = Envelope.parse(self.bundle.contract, PayloadType.CONTRACT, LIMITS.contract_bytes)
        proposal = Proposal.parse(
            Envelope.parse(self.bundle.proposal, PayloadType.PROPOSAL, 1 << 20).payload
        )
        return JobContext(
            contract=contract.payload_digest,
            policy=Contract.parse(contract.payload).policy_digest,
            plan=proposal.plan,
            job_id=proposal.job_id,
            attempt=self.bundle.attempt,
        )

    def attest(self, challenges: Mapping[str, bytes], *, timeout_seconds: float) -> bytes:
        self.challenges = dict(challenges)
        self._step("attest")
        self.evidence = Evidence(
            kind="test/v1",
            evidence=b"quote",
            endorsements={},
            runtime_data=RuntimeData(
                context=self.context(),
                boot_id="44" * 16,
                receiving_key=self.receiving.public,
                signing_key=self.signing.public,
                challenges={n: name_of(c, PayloadType.CHALLENGE) for n, c in challenges.items()},
            ),
        ).sign(self.signing)
        return self.evidence

    def run(
        self,
        grants: Mapping[str, bytes],
        read_chunk: Callable[[Digest], bytes],
        write_chunk: Callable[[Digest, bytes], None],
        progress: Callable[[str], None],
        others: Any = None,
        *,
        timeout_seconds: float,
    ) -> JobOutcome:
        assert self.bundle is not None
        self._step("run")
        progress("reading")
        for raw in self.bundle.manifests.values():
            manifest = Manifest.parse(
                Envelope.parse(raw, PayloadType.MANIFEST, LIMITS.manifest_bytes).payload
            )
            for chunk in manifest.chunks:
                assert digest(read_chunk(chunk.digest)) == chunk.digest
        sealed = secrets.token_bytes(64)
        if "forget" not in self.spoil:
            write_chunk(digest(sealed), sealed)
        result = Result(
            context=self.context(),
            output="report",
            kind="model",
            schema=None,
            key_commitment="55" * 32,
            keys={"ada": b"sealed"},
            chunks=(ChunkRef(digest(sealed), len(sealed)),),
        )
        receipt = Receipt(
            context=self.context(),
            tier="simulated",
            mode="encrypted",
            evidence=name_of(self.evidence, PayloadType.EVIDENCE),
            epochs=((name_of(self.evidence, PayloadType.EVIDENCE),),),
            tasks=None,
            inputs={},
            approvals={},
            grants={},
            activations={},
            code={},
            warnings=(),
            outputs={"report": result.digest},
        )
        return JobOutcome(receipt.sign(self.signing), {"report": result.encode()})

    def kill(self) -> None:
        self.killed.set()


class FakePool:
    """Lends out prepared workers, then fresh ones, a few at a time."""

    def __init__(self, *prepared: FakeWorker, size: int = 2) -> None:
        self._prepared = list(prepared)
        self._free = threading.Semaphore(size)
        self.lent: list[FakeWorker] = []

    def acquire(self, *, timeout_seconds: float) -> FakeWorker:
        if not self._free.acquire(timeout=timeout_seconds):
            raise WorkerError("all enclave workers are busy")
        worker = self._prepared.pop(0) if self._prepared else FakeWorker()
        self.lent.append(worker)
        return worker

    def release(self, worker: FakeWorker) -> None:
        self._free.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Owner(threading.Thread):
    """Answers for an owner: challenges and grants whatever is asked for, like an agent."""

    def __init__(self, world: World, access: PartyAccess, name: str) -> None:
        super().__init__(daemon=True)
        self._world = world
        self._access = access
        self._name = name
        self._done = threading.Event()
        self._said: dict[int, bytes] = {}
        self.failures: list[Mc2Error] = []
        self.silent_in: set[tuple[str, int]] = set()

    def run(self) -> None:
        seen = 0
        while not self._done.is_set():
            try:
                self._answer()
                seen = self._access.changes(seen, 0.2).event
            except Mc2Error as error:
                self.failures.append(error)
                self._done.wait(0.05)

    def _answer(self) -> None:
        for status in self._access.jobs():
            if self._name not in status.missing or (status.phase, status.attempt) in self.silent_in:
                continue
            at = (status.job_id, status.attempt)
            if status.phase == "challenge":
                challenge = self._world.challenge(self._name, status.attempt)
                self._said[status.attempt] = challenge
                self._access.put_challenge(*at, challenge)
            elif status.phase == "grant":
                evidence = self._access.evidence(*at)
                assert evidence is not None
                grant = self._world.grant(
                    self._name, evidence, self._said[status.attempt], status.attempt
                )
                self._access.put_grant(*at, grant)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()
