"""Proofs: true ones verify, and each false part is named by the step that it fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.party_jobs import (
    CODE,
    HOUR,
    NOW,
    SECOND,
    FakeEnclave,
    Pieces,
    contract_envelope,
    identity,
    make_contract,
    make_grant,
    make_manifest,
    make_plan,
    make_proof,
    simulation,
)

from mc2.attestation.claims import Tier
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.attestation.verifiers import Verifiers
from mc2.client.proof import verify_proof
from mc2.crypto.digest import digest
from mc2.crypto.secret import SigningKey
from mc2.errors import ReceiptError
from mc2.formats.bundle import Proof
from mc2.formats.manifest import UsagePolicy
from mc2.formats.result import Result


def verify(proof, pieces, **changes):
    arguments: dict[str, Any] = {
        "contract": pieces.contract.digest,
        "job_id": pieces.job_id,
        "verifiers": simulation(),
    }
    raw = proof.encode() if isinstance(proof, Proof) else proof
    return verify_proof(raw, **(arguments | changes))


def refused(proof, pieces, step, match=None, **changes):
    with pytest.raises(ReceiptError, match=match) as error:
        verify(proof, pieces, **changes)
    assert str(error.value).startswith(step), str(error.value)
    assert error.value.hint


@pytest.fixture
def pieces():
    return Pieces()


def with_receipt(proof, enclave, **changes):
    results = {n: Result.parse(raw) for n, raw in proof.results.items()}
    receipt = enclave.receipt(proof.job, proof.evidence, proof.grants, results, **changes)
    return replace(proof, receipt=receipt)


def with_results(proof, enclave, **results):
    """Replaced results, and a receipt of the enclave's own that stands for them."""
    raw = {**proof.results, **{n: r.encode() for n, r in results.items()}}
    return with_receipt(replace(proof, results=raw), enclave)


# --- what should happen


def test_a_true_proof_verifies(pieces):
    proof, _ = make_proof(pieces)
    verified = verify(proof, pieces)
    assert verified.context == pieces.context
    assert verified.plan == pieces.plan
    assert verified.contract == pieces.contract
    assert verified.tier is Tier.SIMULATED
    assert set(verified.results) == {"model", "rows"}
    assert verified.at == NOW


def test_a_simulation_is_stamped_loudly(pieces):
    proof, _ = make_proof(pieces)
    warnings = verify(proof, pieces).warnings
    assert len(warnings) == 2
    assert all("SIMULATED" in warning for warning in warnings)


def test_which_job_may_be_left_open_but_only_by_saying_so(pieces):
    proof, _ = make_proof(pieces)
    assert verify(proof, pieces, job_id=None).context.job_id == pieces.job_id


def test_a_proof_verifies_years_later(pieces):
    """Nothing here reads a clock: the time is that of the owners' challenges."""
    pieces.contract = make_contract(not_after=NOW)
    pieces.plan = make_plan(pieces.contract, pieces.manifests.values())
    proof, _ = make_proof(pieces)
    verify(proof, pieces)


# --- the asker


def test_a_true_proof_of_another_job_or_contract_is_refused(pieces):
    other = Pieces()
    proof, _ = make_proof(other)
    refused(proof, pieces, "V1", "another job")
    refused(proof, other, "V1", "another contract", contract=digest(b"x"))


# --- the proof itself


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b'{"type":"mc2/proof/v1"}'])
def test_junk_is_refused(pieces, raw):
    refused(raw, pieces, "the proof")


@settings(max_examples=40)
@given(st.data())
def test_no_flipped_bit_goes_unnoticed(data):
    pieces, raw = _one_proof()
    position = data.draw(st.integers(0, len(raw) - 1))
    altered = bytearray(raw)
    altered[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ReceiptError):
        verify(bytes(altered), pieces)


_PROOF: list[tuple[Pieces, bytes]] = []


def _one_proof():
    if not _PROOF:
        pieces = Pieces()
        _PROOF.append((pieces, make_proof(pieces)[0].encode()))
    return _PROOF[0]


# --- V1: what people signed


@pytest.mark.parametrize(
    "change",
    [
        lambda p, j: replace(j, contract=contract_envelope(p.contract, ("ada", "bo"))),
        lambda _, j: replace(j, approvals={"ada": j.approvals["ada"]}),
        lambda p, j: replace(
            j, approvals=j.approvals | {"cy": p.approval("cy").sign(identity("cy").signing)}
        ),
        lambda _, j: replace(j, approvals={"ada": j.approvals["bo"], "bo": j.approvals["ada"]}),
        lambda _, j: replace(j, approvals=Pieces().bundle().approvals),
        lambda p, j: replace(
            j,
            approvals=j.approvals | {"bo": p.approval("bo").sign(identity("ada").signing)},
        ),
        lambda p, j: replace(
            j, plan=make_plan(p.contract, p.manifests.values(), title="Another").encode()
        ),
        lambda _, j: replace(j, proposal=Pieces().bundle().proposal),
        lambda p, j: replace(j, proposal=p.proposal(proposer="ada").sign(identity("ada").signing)),
        lambda _, j: replace(j, manifests={"ada.visits": j.manifests["ada.visits"]}),
        lambda _, j: replace(
            j,
            manifests=j.manifests
            | {"bo.visits": make_manifest("bo.visits", 2).sign(identity("bo").signing)},
        ),
        lambda _, j: replace(j, attempt=2),
        lambda _, j: replace(j, attempt=4),
    ],
)
def test_what_people_signed_must_agree(pieces, change):
    proof, _ = make_proof(pieces)
    refused(replace(proof, job=change(pieces, proof.job)), pieces, "V1")


@pytest.mark.parametrize(
    "change",
    [
        lambda p: {"ada": p.challenge("ada")},
        lambda p: {n: p.challenge(n) for n in ("ada", "bo", "cy")},
        lambda p: {"ada": p.challenge("bo"), "bo": p.challenge("ada")},
        lambda p: {"ada": Pieces().challenge("ada"), "bo": p.challenge("bo")},
        lambda p: {"ada": p.challenge("ada", NOW - 100 * SECOND), "bo": p.challenge("bo")},
    ],
)
def test_challenges_are_those_of_exactly_the_owners_in_this_job_at_one_time(pieces, change):
    proof, _ = make_proof(pieces)
    refused(replace(proof, challenges=change(pieces)), pieces, "V1", "challenge")


@pytest.mark.parametrize(
    ("lapsed", "match"),
    [
        (lambda: Pieces(contract=make_contract(not_after=NOW - SECOND)), "ended"),
        (
            lambda: Pieces(
                manifests={
                    n: make_manifest(n, policy=UsagePolicy(not_after=NOW - SECOND))
                    for n in ("ada.visits", "bo.visits")
                }
            ),
            "allowed the use",
        ),
    ],
)
def test_nothing_had_lapsed_when_the_job_ran(lapsed, match):
    pieces = lapsed()
    proof, _ = make_proof(pieces)
    refused(proof, pieces, "V1", match)


def test_a_usage_policy_that_forbids_a_recipient_is_seen(pieces):
    pieces.manifests["bo.visits"] = make_manifest(
        "bo.visits", policy=UsagePolicy(recipients=("ada",))
    )
    pieces.plan = make_plan(pieces.contract, pieces.manifests.values())
    proof, _ = make_proof(pieces)
    refused(proof, pieces, "V1", "does not allow cy")


# --- V2: the evidence


def test_evidence_is_signed_by_the_key_that_it_names(pieces):
    enclave = FakeEnclave(pieces)
    proof, _ = make_proof(pieces, enclave)
    enclave.signing = SigningKey.generate()
    other = enclave.attest(proof.challenges)
    refused(replace(proof, evidence=other), pieces, "V4")
    refused(replace(proof, evidence=proof.receipt), pieces, "V2")


def test_a_simulation_is_refused_where_nobody_asked_for_it(pieces):
    proof, _ = make_proof(pieces)
    refused(proof, pieces, "V2", "no verifier", verifiers=Verifiers())


def test_another_simulation_is_refused(pieces):
    root = SimulatedRoot.make()
    proof, _ = make_proof(pieces, FakeEnclave(pieces, root=root))
    refused(proof, pieces, "V2", "another simulation's root")
    refused(proof, pieces, "V2", "root", verifiers=simulation(root))


def test_other_code_is_refused(pieces):
    proof, _ = make_proof(pieces, FakeEnclave(pieces, code="00" * 48))
    refused(proof, pieces, "V2", "MEASUREMENT")


@pytest.mark.parametrize("tier", ["hardware-enclave", "hardware-cvm", "measured-boot"])
def test_a_simulation_never_proves_what_a_contract_demands_of_hardware(tier):
    pieces = Pieces(contract=make_contract(min_tier=tier))
    proof, enclave = make_proof(pieces)
    refused(proof, pieces, "V2", "tier")
    refused(with_receipt(proof, enclave, tier=tier), pieces, "V2", "tier")


# --- V3: the runtime data


def test_replayed_evidence_is_refused(pieces):
    old, _ = make_proof(pieces)
    new, _ = make_proof(pieces)
    refused(replace(new, evidence=old.evidence), pieces, "V3", "other challenges")


@pytest.mark.parametrize("other", [Pieces, None])
def test_evidence_of_another_job_or_attempt_is_refused(pieces, other):
    theirs = other() if other else replace(pieces, attempt=2)
    proof, _ = make_proof(pieces)
    evidence = FakeEnclave(theirs).attest(proof.challenges)
    refused(replace(proof, evidence=evidence), pieces, "V3", "another job")


def test_evidence_that_answers_only_some_owners_is_refused(pieces):
    proof, enclave = make_proof(pieces)
    evidence = enclave.attest({"ada": proof.challenges["ada"]})
    refused(replace(proof, evidence=evidence), pieces, "V3", "other challenges")


# --- V4: the grants


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda _, g: {"ada": g["ada"]}, "exactly"),
        (lambda _, g: g | {"cy": g["ada"]}, "exactly"),
        (lambda _, g: {"ada": g["bo"], "bo": g["ada"]}, "is by"),
        (lambda _, g: g | {"ada": make_proof(Pieces())[0].grants["ada"]}, "another job"),
    ],
)
def test_grants_are_those_of_exactly_the_owners(pieces, change, match):
    proof, _ = make_proof(pieces)
    refused(replace(proof, grants=change(pieces, dict(proof.grants))), pieces, "V4", match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"evidence": digest(b"x")}, "other evidence"),
        ({"challenge": digest(b"x")}, "another challenge"),
        ({"keys": ()}, "exactly the inputs"),
    ],
)
def test_a_grant_is_for_this_evidence_this_challenge_and_one_s_own_data(pieces, change, match):
    proof, _ = make_proof(pieces)
    grant = make_grant(pieces, "ada", proof.evidence, proof.challenges["ada"], **change)
    refused(replace(proof, grants=proof.grants | {"ada": grant}), pieces, "V4", match)


# --- V5: the receipt


def test_a_receipt_is_signed_by_the_key_in_the_evidence(pieces):
    proof, enclave = make_proof(pieces)
    enclave.signing = SigningKey.generate()
    refused(with_receipt(proof, enclave), pieces, "V5", "signature|signed")


def test_a_receipt_of_another_job_is_refused(pieces):
    proof, _ = make_proof(pieces)
    other, _ = make_proof(Pieces())
    refused(replace(proof, receipt=other.receipt), pieces, "V5")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"context": Pieces().context}, "context"),
        ({"tier": "hardware-cvm"}, "tier"),
        ({"mode": "oblivious"}, "mode"),
        ({"evidence": digest(b"x")}, "evidence"),
        ({"inputs": {}}, "inputs"),
        ({"inputs": {"ada.visits": digest(b"x"), "bo.visits": digest(b"x")}}, "inputs"),
        ({"approvals": {}}, "approvals"),
        ({"grants": {}}, "grants"),
        ({"warnings": ()}, "warn"),
        ({"code": CODE | {"duckdb": "0.0.1"}}, "duckdb"),
        ({"code": {}}, "version"),
    ],
)
def test_a_receipt_says_exactly_what_was_signed(pieces, change, match):
    proof, enclave = make_proof(pieces)
    refused(with_receipt(proof, enclave, **change), pieces, "V5", match)


@pytest.mark.parametrize("what", ["inputs", "approvals", "grants"])
def test_a_receipt_that_says_more_is_as_false_as_one_that_says_less(pieces, what):
    proof, enclave = make_proof(pieces)
    names = proof.job.manifests if what == "inputs" else proof.job.approvals
    every = {n: digest(b"x") for n in names}
    extra = {"zoe.visits" if what == "inputs" else "zoe": digest(b"x")}
    refused(with_receipt(proof, enclave, **{what: every | extra}), pieces, "V5", what)


# --- V6: the results


def test_results_are_exactly_the_plan_s_outputs(pieces):
    proof, enclave = make_proof(pieces)
    some = {"rows": proof.results["rows"]}
    more = {**proof.results, "extra": proof.results["rows"]}
    for results in (some, more, {}):
        refused(replace(proof, results=results), pieces, "V6", "exactly the outputs")
        if results:
            refused(
                with_receipt(replace(proof, results=results), enclave),
                pieces,
                "V6",
                "exactly the outputs",
            )


def test_a_receipt_with_an_output_too_many_is_refused(pieces):
    proof, enclave = make_proof(pieces)
    outputs = {n: Result.parse(raw).digest for n, raw in proof.results.items()}
    extra = outputs | {"extra": digest(b"x")}
    refused(with_receipt(proof, enclave, outputs=extra), pieces, "V6", "exactly the outputs")


def test_a_result_that_the_receipt_does_not_name_is_refused(pieces):
    proof, enclave = make_proof(pieces)
    again = enclave.results()["rows"].encode()
    refused(replace(proof, results=proof.results | {"rows": again}), pieces, "V6", "not the one")


def test_a_result_of_another_job_is_refused(pieces):
    proof, enclave = make_proof(pieces)
    other = FakeEnclave(Pieces()).results()["rows"]
    refused(with_results(proof, enclave, rows=other), pieces, "V6", "another output or job")


def test_two_results_that_changed_places_are_refused(pieces):
    proof, enclave = make_proof(pieces)
    results = enclave.results()
    swapped = with_results(proof, enclave, rows=results["model"], model=results["rows"])
    refused(swapped, pieces, "V6", "another output")


def test_a_recipient_too_few_or_too_many_is_refused(pieces):
    proof, enclave = make_proof(pieces)
    rows = enclave.results()["rows"]
    fewer = replace(rows, keys={"cy": rows.keys["cy"]})
    more = replace(rows, keys={**rows.keys, "bo": rows.keys["cy"]})
    for result in (fewer, more):
        refused(with_results(proof, enclave, rows=result), pieces, "V6", "recipients")


def test_a_result_of_another_schema_or_kind_is_refused(pieces):
    proof, enclave = make_proof(pieces)
    results = enclave.results()
    schema = replace(results["rows"].schema, columns=results["rows"].schema.columns[:1])
    other = replace(results["rows"], schema=schema)
    refused(with_results(proof, enclave, rows=other), pieces, "V6", "kind and schema")
    model = replace(results["model"], kind="table", schema=schema)
    refused(with_results(proof, enclave, model=model), pieces, "V6", "kind and schema")


def test_a_backdated_challenge_revives_nothing(pieces):
    """The latest challenge tells the time, so one owner alone cannot turn the clock back."""
    pieces.contract = make_contract(not_after=NOW - HOUR)
    pieces.plan = make_plan(pieces.contract, pieces.manifests.values())
    proof, _ = make_proof(pieces)
    dated_back = pieces.challenge("ada", NOW - 2 * HOUR, not_after=NOW + HOUR)
    challenges = proof.challenges | {"ada": dated_back}
    refused(replace(proof, challenges=challenges), pieces, "V1", "ended")
