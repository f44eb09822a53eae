"""A whole job with itself, before a worker serves anybody: all rules, all engines, one answer.

It does two things. A worker that cannot do a job right does not start. And whatever Python or an
engine loads on first use is loaded while the process may still open files: once confined, it
cannot even import a module.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from mc2.attestation.claims import RawEvidence
from mc2.attestation.tpm import KIND as TPM_KIND
from mc2.attestation.tpm.verify import own_key
from mc2.crypto.activation import ActivationSecret, token_digest
from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import DataKey, ReceivingKey, SigningKey
from mc2.enclave.kept import KeptTable, join_key
from mc2.enclave.made_up import DATASET, ROWS, made_up_plan, made_up_rows, oblivious_plan
from mc2.enclave.session import JobSession
from mc2.engine import linear, trees
from mc2.engine.opened_models import opened_numbers, opened_trees
from mc2.errors import EngineError
from mc2.formats.arrow import schema_of
from mc2.formats.bundle import JobBundle
from mc2.formats.card import Card
from mc2.formats.chunk import pack_rows
from mc2.formats.contract import APPROVERS, ROLES, TIERS, Contract, Member, sign_contract
from mc2.formats.facts import TableFacts
from mc2.formats.fixed import fixed_places, pack_fixed
from mc2.formats.job import Approval, Proposal, new_job_id
from mc2.formats.manifest import (
    COMPRESSIONS,
    ChunkRef,
    Manifest,
    UsagePolicy,
    dataset_associated_data,
)
from mc2.formats.receipt import Receipt
from mc2.formats.release import (
    Activation,
    Challenge,
    Evidence,
    Grant,
    JobContext,
    SealedKey,
    verify_evidence,
)
from mc2.formats.result import Result, result_key_info, result_share_info
from mc2.formats.result_rows import result_rows
from mc2.formats.schema import Schema
from mc2.formats.worker import JobOutcome
from mc2.operators.chunks import read_chunks
from mc2.operators.run import Run
from mc2.plan.kept_models import ModelFacts
from mc2.plan.plan import Plan
from mc2.plan.shapes import ModelShape

_SELF: Final = DATASET.partition(".")[0]
_THEN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_MINUTE: Final = timedelta(minutes=1)


def self_test(make_session: Callable[[], JobSession]) -> None:
    """Run a job of one made-up party, once for each compression of its data, and once obliviously.

    Raises: Mc2Error of whatever kind failed.
    """
    for compression in COMPRESSIONS:
        _Job(compression).run(make_session())
    _Job("none", "oblivious").run(make_session())


class _Job:
    """One party that is owner, analyst and recipient, its one dataset, and a plan over it."""

    def __init__(self, compression: str, mode: str = "encrypted") -> None:
        self._signing = SigningKey.generate()
        self._receiving = ReceivingKey.generate()
        self._contract = self._agree()
        self._store: dict[Digest, bytes] = {}
        self._key = DataKey.generate()
        if mode == "oblivious":
            self._manifest = self._seal_padded()
            self._plan: Plan = oblivious_plan(self._contract.digest, self._manifest)
        else:
            self._manifest = self._seal(compression)
            self._plan = made_up_plan(self._contract.digest, self._manifest)
        self._context = JobContext(
            contract=self._contract.digest,
            policy=self._contract.policy_digest,
            plan=self._plan.digest,
            job_id=new_job_id(),
            attempt=1,
        )

    def run(self, session: JobSession) -> None:
        """Go the whole way, and open what comes out."""
        session.open(self._bundle())
        challenge = self._challenge()
        raw = session.attest({_SELF: challenge.sign(self._signing)})
        grant = self._grant(raw, challenge)
        outcome = session.run(
            {_SELF: grant}, self._store.__getitem__, self._store.__setitem__, lambda _: None
        )
        self._check(raw, outcome)
        self._key.close()

    def _agree(self) -> Contract:
        card = Card(_SELF, "", self._signing.public, self._receiving.public)
        return Contract(
            name="self",
            epoch=1,
            supersedes=None,
            not_after=_THEN + _MINUTE,
            min_tier=TIERS[-1],
            approvers=APPROVERS[0],
            max_attempts=1,
            members=(Member(card, ROLES),),
            attestation={},
        )

    def _seal(self, compression: str) -> Manifest:
        (batch,) = made_up_rows().to_batches()
        plain = pack_rows(batch, compression)
        return self._sealed(schema_of(batch.schema), plain, compression, TableFacts())

    def _seal_padded(self) -> Manifest:
        (batch,) = made_up_rows().to_batches()
        schema, facts = schema_of(batch.schema), TableFacts({"name": 8}, (("n",),))
        places = fixed_places(schema, facts.widths, ROWS)
        chunk = bytearray(places.size)
        pack_fixed(batch, places, chunk)
        return self._sealed(schema, bytes(chunk), "none", facts)

    def _sealed(
        self, schema: Schema, plain: bytes, compression: str, facts: TableFacts
    ) -> Manifest:
        dataset_id = secrets.token_hex(16)
        bound = dataset_associated_data(dataset_id, 1, schema.digest, 0, 1, range(len(schema)))
        sealed = ChunkCipher(self._key.raw).seal(0, plain, bound)
        self._store[digest(sealed)] = sealed
        return Manifest(
            dataset=DATASET,
            owner=_SELF,
            dataset_id=dataset_id,
            version=1,
            created=_THEN,
            schema=schema,
            sizes="padded" if facts.widths else "exact",
            compression=compression,
            row_bound=ROWS,
            rows_per_chunk=ROWS,
            key_salt=secrets.token_hex(32),
            key_commitment=self._key.commitment(),
            policy=UsagePolicy(),
            chunks=(ChunkRef(digest(sealed), len(sealed)),),
            facts=facts,
        )

    def _bundle(self) -> bytes:
        context = self._context
        proposal = Proposal(
            contract=context.contract,
            plan=context.plan,
            job_id=context.job_id,
            proposer=_SELF,
            created=_THEN,
            note="",
        )
        approval = Approval(
            contract=context.contract,
            plan=context.plan,
            job_id=context.job_id,
            approver=_SELF,
            max_attempts=1,
            not_after=_THEN + _MINUTE,
        )
        return JobBundle(
            contract=sign_contract(self._contract, self._signing),
            plan=self._plan.encode(),
            proposal=proposal.sign(self._signing),
            approvals={_SELF: approval.sign(self._signing)},
            manifests={DATASET: self._manifest.sign(self._signing)},
            attempt=1,
        ).encode()

    def _challenge(self) -> Challenge:
        return Challenge(
            context=self._context,
            owner=_SELF,
            nonce=secrets.token_bytes(32),
            issued=_THEN,
            not_after=_THEN + _MINUTE,
        )

    def _grant(self, evidence: bytes, challenge: Challenge) -> bytes:
        answer = verify_evidence(evidence)
        empty = Grant(
            context=self._context,
            owner=_SELF,
            evidence=answer.digest,
            challenge=challenge.digest,
            sequence=1,
            lease_seconds=600,
            activation=None,
            keys=(),
        )
        info = empty.key_info(DATASET, self._manifest.digest)
        locked, activation = self._lock(answer.value, info)
        sealed = answer.value.runtime_data.receiving_key.seal(locked, info)
        key = SealedKey(DATASET, self._manifest.digest, sealed)
        return replace(empty, activation=activation, keys=(key,)).sign(self._signing)

    def _lock(self, evidence: Evidence, info: bytes) -> tuple[bytes, Activation | None]:
        """The key, locked by an activation where this machine's evidence needs one."""
        if evidence.kind != TPM_KIND:
            return bytes(self._key.raw), None
        raw = RawEvidence(evidence.kind, evidence.evidence, evidence.endorsements)
        secret = ActivationSecret.generate()
        blob, seed = own_key(raw).credential(secret.raw, secrets.token_bytes(32))
        activation = Activation(blob=blob, encrypted_seed=seed, token=token_digest(secret.token()))
        return secret.lock(self._key.raw, info), activation

    def _check(self, evidence: bytes, outcome: JobOutcome) -> None:
        signer = verify_evidence(evidence).value.runtime_data.signing_key
        receipt = Receipt.verify(outcome.receipt, lambda _: signer).value
        result = Result.parse(outcome.results["said"])
        key = self._receiving.open(
            result.keys[_SELF], result_key_info(self._context, "said", _SELF)
        )
        self._recall(outcome)
        (chunk,) = result.chunks
        plain = ChunkCipher(key).open(0, self._store[chunk.digest], result.associated_data(0))
        if sum(batch.num_rows for batch in result_rows(result, [plain])) != ROWS:
            raise EngineError("the self-test gave another answer than it must")
        if receipt.outputs["said"] != result.digest:
            raise EngineError("the self-test gave another receipt than it must")

    def _recall(self, outcome: JobOutcome) -> None:
        """Load what was kept, as a later job would."""
        for raw in outcome.results.values():
            result = Result.parse(raw)
            if result.kept is None:
                continue
            info = result_share_info(self._context, result.output, _SELF)
            with DataKey(self._receiving.open(result.keys[_SELF], info)) as share:
                key, cipher = join_key(result, {_SELF: share})
            key.close()
            table = KeptTable(result, cipher, self._store.__getitem__)
            if result.kept.model is not None:
                _load(ModelFacts.read(result.kept.model), table.file())
            elif result.sizes == "padded":
                read_chunks(Run(), table.form, list(table.plains()), table.schema.names)


def _load(facts: ModelFacts, file: bytes) -> None:
    """Load a kept model, by either mode."""
    shape, secret = facts.shape, facts.mode == "oblivious"
    if isinstance(shape, ModelShape):
        raw = opened_trees(shape, facts.matrix, file) if secret else file
        trees.recalled(shape, raw, threads=1)
    elif secret:
        opened_numbers(shape, file)
    else:
        linear.recalled(shape, file)
