"""Three workers, one job: attested mutually, named in the receipt, verified by every party."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.world import World, world

from mc2.attestation.simulated.report import measure
from mc2.client.downloads import fetch_proof, open_outputs
from mc2.client.proof import VerifiedJob, verify_proof
from mc2.client.results import OpenedTable
from mc2.crypto.digest import Digest, digest
from mc2.errors import ReceiptError
from mc2.formats.bundle import Proof
from mc2.formats.cluster import MemberEvidence
from mc2.formats.envelope import Envelope
from mc2.formats.receipt import Receipt

ROGUE = measure({"mc2": "another code"})


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with three workers for each job; tests only read what is there."""
    with world(tmp_path_factory.mktemp("three"), workers_per_job=3) as found:
        found.agree()
        found.bring()
        yield found


@pytest.fixture(scope="module")
def job_id(three: World) -> str:
    """A job that three workers shared."""
    return three.job()


def verified(found: World, job_id: str) -> VerifiedJob:
    return fetch_proof(found.cy.desk, job_id)


def proof_of(found: World, job_id: str) -> Proof:
    return Proof.parse(found.service.for_party("cy").proof(job_id))


def refused(found: World, proof: Proof, match: str) -> None:
    assert found.contract is not None
    with pytest.raises(ReceiptError, match=match):
        verify_proof(
            proof.encode(),
            contract=found.contract.digest,
            job_id=None,
            verifiers=found.cy.desk.trust.verifiers_for(found.contract),
        )


def test_three_workers_share_a_job(three: World, job_id: str) -> None:
    job = verified(three, job_id)
    (roster,) = job.receipt.value.epochs
    assert len(roster) == 3
    assert roster[0] == job.receipt.value.evidence
    assert {m.evidence.digest for m in job.members} == set(roster[1:])
    assert all(m.epoch == 1 for m in job.members)
    assert not any("LEFT OUT" in w for w in job.warnings)


def test_a_single_worker_is_a_cluster_of_one(tmp_path: Path) -> None:
    with world(tmp_path) as found:
        found.agree()
        found.bring()
        job = verified(found, found.job())
    assert job.receipt.value.epochs == ((job.receipt.value.evidence,),)
    assert job.members == ()


def test_the_status_tells_in_numbers_what_the_host_saw(three: World, job_id: str) -> None:
    (status,) = three.cy.status(job_id)
    (stage,) = status.metrics.stages
    assert (stage.done, stage.head.tasks, stage.lost) == (1, 1, 0)
    assert "aggregate" in stage.head.operations
    assert stage.blocks_in > 0
    assert min(stage.bytes_in, stage.bytes_out) > 0
    (training,) = status.metrics.trainings
    assert training.done == training.of
    assert len(status.metrics.workers) == 3
    assert not any(s.metrics.stages for s in three.cy.status())


def test_a_rogue_is_left_out_and_named(tmp_path: Path) -> None:
    with world(tmp_path, workers_per_job=3, worker_code={2: ROGUE}) as found:
        found.agree()
        found.bring()
        job = verified(found, found.job())
    assert len(job.receipt.value.epochs[0]) == 2
    (warning,) = (w for w in job.warnings if "LEFT OUT" in w)
    assert "worker_2 of epoch 1 (appraisal)" in warning


def test_a_worker_that_dies_between_evidence_and_admission_costs_an_epoch(tmp_path: Path) -> None:
    died: list[str] = []

    with world(tmp_path, workers_per_job=3) as found:
        found.agree()
        found.bring()
        found.on_enter = lambda worker: die_once(worker, died)
        job = verified(found, found.job())
    assert died
    assert [len(roster) for roster in job.receipt.value.epochs] == [3, 3]
    assert len(job.members) == 4


def die_once(worker: Any, died: list[str]) -> None:
    if not died:
        died.append(worker.name)
        worker.session.close()


def test_a_proof_names_exactly_the_enclaves_that_had_a_key(three: World, job_id: str) -> None:
    proof = proof_of(three, job_id)
    assert len(proof.members) == 2
    hidden = dict(proof.members)
    hidden.popitem()
    refused(three, replace(proof, members=hidden), "V5, the receipt.*other enclaves")
    refused(three, replace(proof, members={}), "V5, the receipt.*other enclaves")
    (one, two) = proof.members.items()
    swapped = {one[0]: two[1], two[0]: one[1]}
    refused(three, replace(proof, members=swapped), "V2, the evidence.*another name")


def test_members_of_another_job_prove_nothing(three: World, job_id: str) -> None:
    first, second = (proof_of(three, one) for one in (job_id, three.job()))
    both = {**first.members, **second.members}
    refused(three, replace(first, members=both), "another job")
    refused(three, replace(first, members=second.members), "another job")


def test_a_receipt_with_another_roster_is_not_the_enclaves(three: World, job_id: str) -> None:
    proof = proof_of(three, job_id)
    envelope = Envelope.parse(proof.receipt, Receipt.PAYLOAD_TYPE, Receipt.LIMIT)
    receipt = Receipt.parse(envelope.payload)
    (roster,) = receipt.epochs
    forged = replace(receipt, epochs=(roster[:2],))
    payload = forged.sign(three.ada.identity.signing)
    refused(three, replace(proof, receipt=payload), "V5, the receipt")


def test_a_member_whose_code_the_policy_refuses_is_seen_by_verifiers(
    three: World, job_id: str
) -> None:
    """A leader that lied about its members would be found out by who reads the proof."""
    proof = proof_of(three, job_id)

    def falsify(name: Digest, raw: bytes, change: Callable[[MemberEvidence], Any]) -> bytes:
        kind = MemberEvidence
        value = kind.parse(Envelope.parse(raw, kind.PAYLOAD_TYPE, kind.LIMIT).payload)
        assert value.digest == name
        return change(value).sign(three.ada.identity.signing)

    (name, raw), *_ = proof.members.items()
    key = three.ada.identity.signing.public
    forged = falsify(
        name, raw, lambda v: replace(v, member_data=replace(v.member_data, signing_key=key))
    )
    members = {n: r for n, r in proof.members.items() if n != name}
    payload = Envelope.parse(forged, MemberEvidence.PAYLOAD_TYPE, MemberEvidence.LIMIT).payload
    refused(three, replace(proof, members={**members, digest(payload): forged}), "binding")


def test_results_are_those_of_a_single_worker(three: World, job_id: str) -> None:
    opened = open_outputs(three.ada.desk, fetch_proof(three.ada.desk, job_id))["visits"]
    assert isinstance(opened, OpenedTable)
    found = opened.table.to_pydict()
    assert dict(zip(found["site"], found["n"], strict=True)) == {
        None: 1,
        "north": 2,
        "south": 3,
        "west": 2,
    }
