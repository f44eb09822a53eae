"""A whole job of two owners and an analyst, made by hand, each piece of which a test may falsify.

Nothing here goes through `mc2.client`: what a hostile party or coordinator would send must not
have to pass our own checks first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from mc2.attestation.claims import RawEvidence, Tier
from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import DataKey, ReceivingKey, SigningKey
from mc2.enclave.code_identity import code_identity
from mc2.enclave.session import JobSession
from mc2.formats.arrow import schema_of
from mc2.formats.bundle import JobBundle
from mc2.formats.card import Card
from mc2.formats.chunk import pack_rows, unpack, unpack_rows
from mc2.formats.contract import Contract, Member, sign_contract
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.job import Approval, Proposal
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import ChunkRef, Manifest, UsagePolicy, dataset_associated_data
from mc2.formats.release import (
    Challenge,
    Evidence,
    Grant,
    JobContext,
    SealedKey,
    grant_key_info,
)
from mc2.formats.result import Result, result_key_info
from mc2.formats.worker import JobOutcome
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import ColumnRef
from mc2.plan.models import Matrix, Train
from mc2.plan.packages import package_versions
from mc2.plan.parameters import read_parameters
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.relations import Aggregate, AggregateColumn, Scan, Union

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS_PER_CHUNK = 4
CODE = code_identity()


class TestCollector:
    """Stands for hardware: its evidence is what it was asked to commit to."""

    __test__ = False
    kind = "test/v1"

    def __init__(self, tier: Tier = Tier.SIMULATED) -> None:
        self.tier = tier
        self.collected: list[bytes] = []

    def available(self) -> bool:
        return True

    def collect(self, report_data: bytes) -> RawEvidence:
        self.collected.append(report_data)
        return RawEvidence(self.kind, report_data, {"note": b"nothing"})


@dataclass(frozen=True)
class Party:
    """A member with its private keys."""

    name: str
    signing: SigningKey = field(default_factory=SigningKey.generate)
    receiving: ReceivingKey = field(default_factory=ReceivingKey.generate)

    @property
    def card(self) -> Card:
        return Card(self.name, self.name.title(), self.signing.public, self.receiving.public)


@dataclass(frozen=True)
class Sealed:
    """A sealed dataset with its key, and its chunks by digest."""

    manifest: Manifest
    key: bytes
    chunks: Mapping[Digest, bytes]

    @property
    def name(self) -> str:
        return self.manifest.dataset


def make_table(seed: int, rows: int = 10, site: str = "a") -> pa.Table:
    """Rows with a learnable label."""
    dice = random.Random(seed)
    glucose = [round(dice.uniform(60, 180), 3) for _ in range(rows)]
    return pa.table(
        {
            "site": pa.array([f"{site}{i % 2}" for i in range(rows)]),
            "age": pa.array([dice.randrange(20, 90) for _ in range(rows)], pa.int64()),
            "glucose": pa.array(glucose),
            "ill": pa.array([int(g > 120) for g in glucose], pa.int32()),
        }
    )


def seal(
    name: str,
    table: pa.Table,
    *,
    version: int = 1,
    dataset_id: str = "11" * 16,
    key: bytes = b"",
    policy: UsagePolicy | None = None,
) -> Sealed:
    """Seal a table as its owner's client would."""
    schema = schema_of(table.schema)
    raw_key = key or bytes(DataKey.generate().raw)
    cipher = ChunkCipher(raw_key)
    batches = table.combine_chunks().to_batches(max_chunksize=ROWS_PER_CHUNK)
    sealed = [
        cipher.seal(
            i,
            pack_rows(batch),
            dataset_associated_data(
                dataset_id, version, schema.digest, i, len(batches), range(len(schema))
            ),
        )
        for i, batch in enumerate(batches)
    ]
    manifest = Manifest(
        dataset=name,
        owner=name.partition(".")[0],
        dataset_id=dataset_id,
        version=version,
        created=NOW - 24 * HOUR,
        schema=schema,
        sizes="exact",
        compression="none",
        row_bound=table.num_rows,
        rows_per_chunk=ROWS_PER_CHUNK,
        key_salt="22" * 32,
        key_commitment=DataKey(raw_key).commitment(),
        policy=policy or UsagePolicy(),
        chunks=tuple(ChunkRef(digest(c), len(c)) for c in sealed),
    )
    return Sealed(manifest, raw_key, {digest(c): c for c in sealed})


def make_plan(contract: Contract, datasets: Iterable[Sealed], **changes: Any) -> Plan:
    """A report by site for everybody and a model for the analyst, over all datasets."""
    inputs = tuple(
        PlanInput(
            dataset=d.name,
            owner=d.manifest.owner,
            manifest=d.manifest.digest,
            schema=d.manifest.schema,
            row_bound=d.manifest.row_bound,
        )
        for d in sorted(datasets, key=lambda d: d.name)
    )
    builder = PlanBuilder(inputs)
    scans = [builder.add(Scan(i, ("site", "age", "glucose", "ill"))) for i in range(len(inputs))]
    rows = builder.add(Union(tuple(scans))) if len(scans) > 1 else scans[0]
    report = builder.add(
        Aggregate(
            rows,
            ("site",),
            (
                AggregateColumn("n", "count_star", ()),
                AggregateColumn("glucose", "avg", (ColumnRef("glucose"),)),
            ),
        )
    )
    matrix = builder.add(Matrix(tuple(scans), ("age", "glucose"), label="ill"))
    model = builder.add(
        Train(matrix, read_parameters({"objective": "binary:logistic", "max_depth": 2}), 4)
    )
    nodes, outputs = builder.finish(
        [
            PlanOutput(name="by_site", node=report, kind="table", recipients=("ada", "bo", "cy")),
            PlanOutput(name="model", node=model, kind="model", recipients=("cy",)),
        ]
    )
    plan = Plan(
        title="A test",
        mode="encrypted",
        contract=contract.digest,
        script_name="test.py",
        script="# by hand",
        packages=package_versions(),
        inputs=inputs,
        nodes=nodes,
        outputs=outputs,
    )
    return replace(plan, **changes)


@dataclass
class Job:
    """All pieces of a job. A test changes some, and takes the rest as they are."""

    parties: dict[str, Party]
    contract: Contract
    datasets: dict[str, Sealed]
    plan: Plan
    job_id: str = "5e" * 16
    attempt: int = 1
    tier: Tier = Tier.SIMULATED
    stored: dict[Digest, bytes] = field(default_factory=dict)

    @property
    def context(self) -> JobContext:
        return JobContext(
            contract=self.contract.digest,
            policy=self.contract.policy_digest,
            plan=self.plan.digest,
            job_id=self.job_id,
            attempt=self.attempt,
        )

    @property
    def owners(self) -> tuple[str, ...]:
        return tuple(sorted({i.owner for i in self.plan.inputs}))

    # what people sign

    def contract_envelope(self, signers: Iterable[str] | None = None) -> bytes:
        names = sorted(signers if signers is not None else (m.name for m in self.contract.members))
        signed = [
            Envelope.parse(
                sign_contract(self.contract, self.parties[n].signing),
                PayloadType.CONTRACT,
                LIMITS.contract_bytes,
            )
            for n in names
        ]
        return signed[0].merge(signed[1:]).encode()

    def proposal(self, signer: str = "cy", **changes: Any) -> bytes:
        proposal = Proposal(
            contract=self.contract.digest,
            plan=self.plan.digest,
            job_id=self.job_id,
            proposer="cy",
            created=NOW,
            note="",
        )
        return replace(proposal, **changes).sign(self.parties[signer].signing)

    def approval(self, name: str, signer: str = "", **changes: Any) -> bytes:
        approval = Approval(
            contract=self.contract.digest,
            plan=self.plan.digest,
            job_id=self.job_id,
            approver=name,
            max_attempts=3,
            not_after=NOW + HOUR,
        )
        return replace(approval, **changes).sign(self.parties[signer or name].signing)

    def approvals(self, **changed: bytes) -> dict[str, bytes]:
        return {name: self.approval(name) for name in self.owners} | changed

    def manifests(self) -> dict[str, bytes]:
        return {
            name: d.manifest.sign(self.parties[d.manifest.owner].signing)
            for name, d in self.datasets.items()
        }

    def bundle(self, **changes: Any) -> bytes:
        parts: dict[str, Any] = {
            "contract": self.contract_envelope(),
            "plan": self.plan.encode(),
            "proposal": self.proposal(),
            "approvals": self.approvals(),
            "manifests": self.manifests(),
            "attempt": self.attempt,
        }
        return JobBundle(**(parts | changes)).encode()

    def challenge(self, name: str, signer: str = "", **changes: Any) -> bytes:
        challenge = Challenge(
            context=self.context,
            owner=name,
            nonce=digest(name.encode()).encode()[:32],
            issued=NOW,
            not_after=NOW + timedelta(minutes=2),
        )
        return replace(challenge, **changes).sign(self.parties[signer or name].signing)

    def challenges(self, **changed: bytes) -> dict[str, bytes]:
        return {name: self.challenge(name) for name in self.owners} | changed

    def grant(
        self,
        name: str,
        evidence: bytes,
        challenge: bytes,
        /,
        *,
        signer: str = "",
        keys: Mapping[str, bytes] | None = None,
        sealed_for: Evidence | None = None,
        sealed_in: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> bytes:
        """A grant; `keys` overrides data keys, `sealed_for` and `sealed_in` how they are sealed."""
        spoken = read_evidence(evidence)
        bound: dict[str, Any] = {
            "context": self.context,
            "owner": name,
            "evidence": spoken.digest,
            "challenge": payload_digest(challenge, PayloadType.CHALLENGE),
        }
        target = (sealed_for or spoken).runtime_data.receiving_key
        sealed = []
        for dataset in sorted(d for d in self.datasets if d.startswith(f"{name}.")):
            manifest = self.datasets[dataset].manifest.digest
            info = grant_key_info(
                **(bound | {"dataset": dataset, "manifest": manifest} | dict(sealed_in or {}))
            )
            key = (keys or {}).get(dataset, self.datasets[dataset].key)
            sealed.append(SealedKey(dataset, manifest, target.seal(key, info)))
        grant = Grant(**bound, sequence=1, lease_seconds=600, activation=None, keys=tuple(sealed))
        return replace(grant, **changes).sign(self.parties[signer or name].signing)

    # the flow

    def session(self, **changes: Any) -> JobSession:
        collector = changes.pop("collector", None) or TestCollector(self.tier)
        code = changes.pop("code", CODE)
        return JobSession(collector, code, ("TEST",), "77" * 16, **changes)

    def attested(self, **changes: Any) -> Attested:
        """Open and attest a good job."""
        session = self.session(**changes)
        session.open(self.bundle())
        challenges = self.challenges()
        return Attested(self, session, challenges, session.attest(challenges))

    def read(self, name: Digest) -> bytes:
        for dataset in self.datasets.values():
            if name in dataset.chunks:
                return dataset.chunks[name]
        raise KeyError(name)

    def write(self, name: Digest, raw: bytes) -> None:
        assert digest(raw) == name
        self.stored[name] = raw


@dataclass
class Attested:
    """A job whose enclave has proved itself."""

    job: Job
    session: JobSession
    challenges: dict[str, bytes]
    evidence: bytes
    said: list[str] = field(default_factory=list)

    def grant(self, name: str, **changes: Any) -> bytes:
        return self.job.grant(name, self.evidence, self.challenges[name], **changes)

    def grants(self, **changed: bytes) -> dict[str, bytes]:
        return {name: self.grant(name) for name in self.job.owners} | changed

    def run(
        self,
        grants: Mapping[str, bytes] | None = None,
        read: Callable[[Digest], bytes] | None = None,
        write: Callable[[Digest, bytes], None] | None = None,
    ) -> JobOutcome:
        return self.session.run(
            self.grants() if grants is None else grants,
            read or self.job.read,
            write or self.job.write,
            self.said.append,
        )


def make_job(**changes: Any) -> Job:
    """Owners ada and bo, analyst cy, and dee who only watches."""
    parties = {name: Party(name) for name in ("ada", "bo", "cy", "dee", "eve")}
    roles = {
        "ada": ("owner", "recipient"),
        "bo": ("owner", "recipient"),
        "cy": ("analyst", "recipient"),
        "dee": ("recipient",),
    }
    contract = Contract(
        name="test",
        epoch=1,
        supersedes=None,
        not_after=NOW + 1000 * HOUR,
        min_tier="simulated",
        approvers="owners",
        max_attempts=2,
        members=tuple(Member(parties[n].card, r) for n, r in sorted(roles.items())),
        attestation={"anything": "goes"},
    )
    contract = replace(contract, **changes.pop("contract", {}))
    datasets = changes.pop("datasets", None) or {
        "ada.visits": seal("ada.visits", make_table(1)),
        "bo.visits": seal("bo.visits", make_table(2, 7, "b"), dataset_id="33" * 16),
    }
    plan = make_plan(contract, datasets.values(), **changes.pop("plan", {}))
    return Job(parties, contract, datasets, plan, **changes)


def read_evidence(raw: bytes) -> Evidence:
    """What an enclave said, unverified."""
    return Evidence.parse(Envelope.parse(raw, PayloadType.EVIDENCE, LIMITS.evidence_bytes).payload)


def payload_digest(raw: bytes, kind: str) -> Digest:
    """The name of a signed object."""
    return Envelope.parse(raw, kind, LIMITS.bundle_bytes).payload_digest


def open_key(result: Result, party: Party) -> bytes:
    """The key of a result, as its recipient gets it."""
    info = result_key_info(result.context, result.output, party.name)
    return party.receiving.open(result.keys[party.name], info)


def open_table(result: Result, party: Party, stored: Mapping[Digest, bytes]) -> pa.Table:
    """The rows of a table result."""
    assert result.schema is not None
    cipher = ChunkCipher(open_key(result, party))
    batches = [
        unpack_rows(cipher.open(i, stored[c.digest], result.associated_data(i)), result.schema)
        for i, c in enumerate(result.chunks)
    ]
    return pa.Table.from_batches(batches)


def open_model(result: Result, party: Party, stored: Mapping[Digest, bytes]) -> bytes:
    """The bytes of a model result."""
    cipher = ChunkCipher(open_key(result, party))
    return b"".join(
        bytes(unpack(cipher.open(i, stored[c.digest], result.associated_data(i))).payload)
        for i, c in enumerate(result.chunks)
    )
