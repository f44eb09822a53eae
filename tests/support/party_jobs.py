"""A job of two owners and an analyst with real identities, and an enclave that computes nothing.

For tests of the client: what people sign is genuine, the evidence is simulated, and the enclave
releases rows of the test's choosing. Every piece can be replaced by a false one.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pyarrow as pa

from mc2.attestation.simulated.collector import WARNING, SimulatedCollector
from mc2.attestation.simulated.report import KIND, measure
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.attestation.simulated.verifier import SimulatedVerifier
from mc2.attestation.verifiers import Verifiers
from mc2.client.data_key import derive_data_key
from mc2.client.identity import Identity
from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import DataKey, ReceivingKey, SigningKey
from mc2.formats.arrow import schema_of
from mc2.formats.bundle import JobBundle, Proof
from mc2.formats.chunk import pack, pack_rows
from mc2.formats.contract import Contract, Member, sign_contract
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.job import Approval, Proposal
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
from mc2.formats.result import Result, result_associated_data, result_key_info
from mc2.plan.build import PlanBuilder
from mc2.plan.models import Matrix, Train
from mc2.plan.packages import package_versions
from mc2.plan.parameters import read_parameters
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.relations import Scan, Union
from mc2.plan.signed_job import SignedJob, verify_signed_job

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
ROOT = SimulatedRoot.make()
CODE = {"mc2.code": "00", **package_versions()}
MEASUREMENT = measure(CODE)
SCHEMA = pa.schema([("age", pa.int64()), ("ill", pa.int32())])
ROWS = pa.table({"age": [40, 50, 60], "ill": [0, 1, 1]}, schema=SCHEMA)
MODEL = b'{"learner":{}}'
ROLES = {"ada": ("owner", "recipient"), "bo": ("owner",), "cy": ("analyst", "recipient")}


@cache
def identity(name: str) -> Identity:
    """The identity of a party; the same one for all tests of a process."""
    return Identity.generate(name, name.title())


def simulation(root: SimulatedRoot = ROOT) -> Verifiers:
    """Verifiers of a process that was told to accept a simulation."""
    return Verifiers(SimulatedVerifier(root.digest))


def make_contract(**changes: Any) -> Contract:
    contract = Contract(
        name="trial",
        epoch=1,
        supersedes=None,
        not_after=NOW + 1000 * HOUR,
        min_tier="simulated",
        approvers="owners",
        max_attempts=3,
        members=tuple(Member(identity(n).card, r) for n, r in sorted(ROLES.items())),
        attestation={KIND: {"root": ROOT.digest, "measurements": [MEASUREMENT]}},
    )
    return replace(contract, **changes)


def contract_envelope(contract: Contract, signers: Iterable[str] = tuple(ROLES)) -> bytes:
    signed = [
        Envelope.parse(
            sign_contract(contract, identity(name).signing),
            PayloadType.CONTRACT,
            LIMITS.contract_bytes,
        )
        for name in sorted(signers)
    ]
    return signed[0].merge(signed[1:]).encode()


def make_manifest(name: str, version: int = 1, policy: UsagePolicy | None = None) -> Manifest:
    """A manifest with a true key; its one chunk is nowhere, since nothing here reads it."""
    owner = name.partition(".")[0]
    salt = digest(f"{name} {version}".encode()).removeprefix("sha256:")
    with derive_data_key(identity(owner).master, bytes.fromhex(salt)) as key:
        commitment = key.commitment()
    return Manifest(
        dataset=name,
        owner=owner,
        dataset_id=salt[:32],
        version=version,
        created=NOW - HOUR,
        schema=schema_of(SCHEMA),
        sizes="exact",
        compression="none",
        row_bound=10,
        rows_per_chunk=16,
        key_salt=salt,
        key_commitment=commitment,
        policy=policy or UsagePolicy(),
        chunks=(ChunkRef(digest(b"a chunk"), 7),),
    )


def make_plan(contract: Contract, manifests: Iterable[Manifest], **changes: Any) -> Plan:
    inputs = tuple(
        PlanInput(
            dataset=m.dataset,
            owner=m.owner,
            manifest=m.digest,
            schema=m.schema,
            row_bound=m.row_bound,
        )
        for m in sorted(manifests, key=lambda m: m.dataset)
    )
    builder = PlanBuilder(inputs)
    scans = [builder.add(Scan(i, ("age", "ill"))) for i in range(len(inputs))]
    rows = builder.add(Union(tuple(scans))) if len(scans) > 1 else scans[0]
    matrix = builder.add(Matrix(tuple(scans), ("age",), label="ill"))
    model = builder.add(Train(matrix, read_parameters({"objective": "binary:logistic"}), 2))
    nodes, outputs = builder.finish(
        [
            PlanOutput(name="model", node=model, kind="model", recipients=("cy",)),
            PlanOutput(name="rows", node=rows, kind="table", recipients=("ada", "cy")),
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


@dataclass(kw_only=True)
class Pieces:
    """What people sign about a job. A test replaces some and takes the rest as they are."""

    contract: Contract = field(default_factory=make_contract)
    manifests: dict[str, Manifest] = field(
        default_factory=lambda: {n: make_manifest(n) for n in ("ada.visits", "bo.visits")}
    )
    plan: Plan | None = None
    job_id: str = field(default_factory=lambda: secrets.token_hex(16))
    attempt: int = 1

    def __post_init__(self) -> None:
        if self.plan is None:
            self.plan = make_plan(self.contract, self.manifests.values())

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
    def owners(self) -> list[str]:
        return sorted({i.owner for i in self.plan.inputs})

    def proposal(self, **changes: Any) -> Proposal:
        proposal = Proposal(
            contract=self.contract.digest,
            plan=self.plan.digest,
            job_id=self.job_id,
            proposer="cy",
            created=NOW - HOUR,
            note="",
        )
        return replace(proposal, **changes)

    def approval(self, name: str, **changes: Any) -> Approval:
        approval = Approval(
            contract=self.contract.digest,
            plan=self.plan.digest,
            job_id=self.job_id,
            approver=name,
            max_attempts=3,
            not_after=NOW + 24 * HOUR,
        )
        return replace(approval, **changes)

    def bundle(self, **changes: Any) -> JobBundle:
        proposal = self.proposal()
        bundle = JobBundle(
            contract=contract_envelope(self.contract),
            plan=self.plan.encode(),
            proposal=proposal.sign(identity(proposal.proposer).signing),
            approvals={n: self.approval(n).sign(identity(n).signing) for n in self.owners},
            manifests={n: m.sign(identity(m.owner).signing) for n, m in self.manifests.items()},
            attempt=self.attempt,
        )
        return replace(bundle, **changes)

    def signed(self, **changes: Any) -> SignedJob:
        return verify_signed_job(self.bundle(**changes))

    def challenge(self, name: str, at: datetime = NOW, **changes: Any) -> bytes:
        challenge = Challenge(
            context=self.context,
            owner=name,
            nonce=secrets.token_bytes(32),
            issued=at,
            not_after=at + 60 * SECOND,
        )
        return replace(challenge, **changes).sign(identity(name).signing)


class FakeEnclave:
    """One attempt: fresh keys, evidence over them, results and a receipt. It computes nothing."""

    def __init__(self, pieces: Pieces, root: SimulatedRoot = ROOT, code: str = MEASUREMENT) -> None:
        self.pieces = pieces
        self.collector = SimulatedCollector(root, code, "test_machine")
        self.receiving = ReceivingKey.generate()
        self.signing = SigningKey.generate()
        self.blobs: dict[Digest, bytes] = {}

    def runtime_data(self, challenges: Mapping[str, bytes], **changes: Any) -> RuntimeData:
        data = RuntimeData(
            context=self.pieces.context,
            boot_id="0b" * 16,
            receiving_key=self.receiving.public,
            signing_key=self.signing.public,
            challenges={n: payload_digest(raw) for n, raw in challenges.items()},
        )
        return replace(data, **changes)

    def attest(self, challenges: Mapping[str, bytes], **changes: Any) -> bytes:
        data = self.runtime_data(challenges, **changes)
        raw = self.collector.collect(data.report_data())
        evidence = Evidence(
            kind=raw.kind,
            evidence=raw.evidence,
            endorsements=raw.endorsements,
            runtime_data=data,
        )
        return evidence.sign(self.signing)

    def open_keys(self, grant: bytes) -> dict[str, bytes]:
        """The keys in a grant, as an enclave would open them."""
        value = Grant.parse(Envelope.parse(grant, PayloadType.GRANT, Grant.LIMIT).payload)
        return {
            key.dataset: self.receiving.open(key.sealed, value.key_info(key.dataset, key.manifest))
            for key in value.keys
        }

    def results(self) -> dict[str, Result]:
        return {
            "rows": self.seal("rows", [pack_rows(b) for b in ROWS.to_batches(max_chunksize=2)]),
            "model": self.seal("model", [pack(MODEL[:5]), pack(MODEL[5:])]),
        }

    def seal(self, output: str, plain: list[bytes], **changes: Any) -> Result:
        planned = next(o for o in self.pieces.plan.outputs if o.name == output)
        context = self.pieces.context
        with DataKey.generate() as key:
            cipher = ChunkCipher(key.raw)
            sealed = [
                cipher.seal(i, p, result_associated_data(context, output, i, len(plain)))
                for i, p in enumerate(plain)
            ]
            self.blobs |= {digest(c): c for c in sealed}
            result = Result(
                context=context,
                output=output,
                kind=planned.kind,
                schema=self.pieces.plan.nodes[planned.node].schema,
                key_commitment=key.commitment(),
                keys={
                    name: identity(name).card.receiving_key.seal(
                        key.raw, result_key_info(context, output, name)
                    )
                    for name in planned.recipients
                },
                chunks=tuple(ChunkRef(digest(c), len(c)) for c in sealed),
            )
        return replace(result, **changes)

    def receipt(
        self,
        bundle: JobBundle,
        evidence: bytes,
        grants: Mapping[str, bytes],
        results: Mapping[str, Result],
        /,
        **changes: Any,
    ) -> bytes:
        receipt = Receipt(
            context=self.pieces.context,
            tier="simulated",
            mode="encrypted",
            evidence=payload_digest(evidence),
            epochs=((payload_digest(evidence),),),
            tasks=None,
            inputs={n: payload_digest(raw) for n, raw in bundle.manifests.items()},
            approvals={n: payload_digest(raw) for n, raw in bundle.approvals.items()},
            grants={n: payload_digest(raw) for n, raw in grants.items()},
            activations={},
            code=CODE,
            warnings=(WARNING,),
            outputs={n: r.digest for n, r in results.items()},
        )
        return replace(receipt, **changes).sign(self.signing)


def payload_digest(raw: bytes) -> Digest:
    """The digest of what is in an envelope of any kind."""
    return digest(base64.b64decode(json.loads(raw)["payload"]))


def make_grant(
    pieces: Pieces, owner: str, evidence: bytes, challenge: bytes, /, **changes: Any
) -> bytes:
    """A grant as an owner signs it; the sealed keys are no keys."""
    own = [i for i in pieces.plan.inputs if i.owner == owner]
    grant = Grant(
        context=pieces.context,
        owner=owner,
        evidence=payload_digest(evidence),
        challenge=payload_digest(challenge),
        sequence=7,
        lease_seconds=60,
        activation=None,
        keys=tuple(SealedKey(i.dataset, i.manifest, b"sealed") for i in own),
    )
    return replace(grant, **changes).sign(identity(owner).signing)


def make_proof(pieces: Pieces, enclave: FakeEnclave | None = None) -> tuple[Proof, FakeEnclave]:
    """A whole, true proof of a job."""
    enclave = enclave or FakeEnclave(pieces)
    bundle = pieces.bundle()
    challenges = {n: pieces.challenge(n) for n in pieces.owners}
    evidence = enclave.attest(challenges)
    grants = {n: make_grant(pieces, n, evidence, challenges[n]) for n in pieces.owners}
    results = enclave.results()
    proof = Proof(
        job=bundle,
        challenges=challenges,
        evidence=evidence,
        members={},
        grants=grants,
        receipt=enclave.receipt(bundle, evidence, grants, results),
        results={n: r.encode() for n, r in results.items()},
    )
    return proof, enclave
