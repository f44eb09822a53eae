"""Key release: an owner's steps O1 to O10, and every way around them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.activating import ActivatingVerifier, Vault
from tests.support.party_jobs import (
    HOUR,
    KIND,
    NOW,
    ROOT,
    SECOND,
    FakeEnclave,
    Pieces,
    identity,
    make_contract,
    make_manifest,
    make_plan,
    payload_digest,
    simulation,
)

from mc2.attestation.claims import Tier
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.attestation.simulated.verifier import SimulatedVerifier
from mc2.attestation.verifiers import Verifiers
from mc2.client.data_key import derive_data_key
from mc2.client.identity import Identity
from mc2.client.ledger import Ledger
from mc2.client.ledger_events import (
    Approved,
    ContractAccepted,
    ContractRevoked,
    Rejected,
    Revoked,
)
from mc2.client.release import LEASE, WINDOW, KeyRelease, ReleaseState, same_grant
from mc2.crypto.activation import ActivationSecret, check_token
from mc2.crypto.digest import digest
from mc2.crypto.secret import SigningKey
from mc2.errors import (
    AppraisalError,
    ApprovalError,
    AttestationError,
    ContractError,
    DatasetError,
    EvidenceError,
    FormatError,
    JobError,
    LedgerError,
    PolicyError,
    SignatureError,
    UsageError,
)
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.manifest import UsagePolicy
from mc2.formats.release import Challenge, Evidence, Grant


def approved_event(pieces, name="ada"):
    approval = pieces.approval(name)
    return Approved(
        contract=pieces.contract.digest,
        plan=pieces.plan.digest,
        job_id=pieces.job_id,
        proposed=NOW - HOUR,
        approval=approval.digest,
        max_attempts=approval.max_attempts,
        not_after=approval.not_after,
    )


def accepted_event(pieces):
    contract = pieces.contract
    return ContractAccepted(contract=contract.digest, name=contract.name, epoch=contract.epoch)


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl", identity("ada").signing.public.key_id)
    ledger.begin("ada", NOW - 24 * HOUR)
    return ledger


class Attempt:
    """Ada's side of one attempt, and what the coordinator could bring her."""

    def __init__(self, ledger, pieces=None, *, approved=True, verifiers=None, **bundle):
        self.ledger = ledger
        self.pieces = pieces or Pieces()
        if approved:
            with ledger.open() as book:
                if self.pieces.contract.digest not in book.state.contracts:
                    book.record(accepted_event(self.pieces), NOW)
                if self.pieces.job_id not in book.state.jobs:
                    book.record(approved_event(self.pieces), NOW)
        job = self.pieces.signed(**bundle)
        self.release = KeyRelease(job, identity("ada"), verifiers or simulation())
        self.enclave = FakeEnclave(self.pieces)

    def challenge(self, at=NOW):
        with self.ledger.open() as book:
            return self.release.make_challenge(book.state, at)

    def challenges(self, at=NOW):
        return {"ada": self.challenge(at), "bo": self.pieces.challenge("bo")}

    def answer(self, evidence, at=NOW + SECOND):
        kept = []
        with self.ledger.open() as book:
            decision = self.release.answer(evidence, book.state, book.next_index, at)
            raw = decision.release(book, at, kept.append)
        assert kept == [raw]
        return raw

    def granted(self):
        with self.ledger.open() as book:
            job = book.state.jobs.get(self.pieces.job_id)
            return {} if job is None else dict(job.grants)


def value(grant):
    return Grant.parse(Envelope.parse(grant, PayloadType.GRANT, Grant.LIMIT).payload)


# --- what should happen


def test_a_grant_opens_in_the_enclave_and_has_exactly_the_owner_s_keys(ledger):
    attempt = Attempt(ledger)
    evidence = attempt.enclave.attest(attempt.challenges())
    grant = attempt.answer(evidence)
    manifest = attempt.pieces.manifests["ada.visits"]
    with derive_data_key(identity("ada").master, bytes.fromhex(manifest.key_salt)) as key:
        assert attempt.enclave.open_keys(grant) == {"ada.visits": bytes(key.raw)}
    Grant.verify(grant, attempt.pieces.contract.key_of)
    assert value(grant).evidence == payload_digest(evidence)
    assert value(grant).context == attempt.pieces.context


def test_a_machine_that_is_not_proven_yet_must_open_the_grant_with_its_secret(ledger):
    vault = Vault()
    verifiers = Verifiers(ActivatingVerifier(SimulatedVerifier(ROOT.digest), vault))
    attempt = Attempt(ledger, verifiers=verifiers)
    grant = value(attempt.answer(attempt.enclave.attest(attempt.challenges())))
    given = grant.activation
    secret = ActivationSecret(vault.activate(given.blob, given.encrypted_seed))
    check_token(secret.token(), given.token)
    manifest = attempt.pieces.manifests["ada.visits"]
    (sealed,) = grant.keys
    info = grant.key_info(sealed.dataset, sealed.manifest)
    # The enclave's receiving key alone gets no further than the lock.
    locked = attempt.enclave.receiving.open(sealed.sealed, info)
    with derive_data_key(identity("ada").master, bytes.fromhex(manifest.key_salt)) as key:
        assert bytes(key.raw) not in locked
        assert secret.unlock(locked, info) == bytes(key.raw)


def test_each_grant_has_a_secret_of_its_own(ledger):
    vault = Vault()
    verifiers = Verifiers(ActivatingVerifier(SimulatedVerifier(ROOT.digest), vault))
    tokens = set()
    for number in (1, 2):
        pieces = Pieces()
        pieces.attempt = number
        attempt = Attempt(ledger, pieces, verifiers=verifiers)
        evidence = attempt.enclave.attest(attempt.challenges())
        tokens.add(value(attempt.answer(evidence)).activation.token)
    assert len(tokens) == 2


def test_the_grant_is_in_the_ledger_before_it_leaves(ledger):
    attempt = Attempt(ledger)
    evidence = attempt.enclave.attest(attempt.challenges())
    at = NOW + SECOND
    with ledger.open() as book:
        decision = attempt.release.answer(evidence, book.state, book.next_index, at)
        assert not book.state.jobs[attempt.pieces.job_id].grants
        place = book.next_index
        grant = decision.release(book, at, lambda _: None)
        assert book.entries[place].event == decision.event
    assert value(grant).sequence == place
    assert same_grant(grant, attempt.granted()[1])
    assert attempt.granted()[1].tier == "simulated"


def test_nothing_leaves_if_the_ledger_refuses(ledger):
    attempt = Attempt(ledger)
    evidence = attempt.enclave.attest(attempt.challenges())
    with ledger.open() as book:
        decision = attempt.release.answer(evidence, book.state, book.next_index, NOW)
    ledger.record(Revoked(job_id=attempt.pieces.job_id), NOW)
    with ledger.open() as book, pytest.raises(ApprovalError):
        decision.release(book, NOW, lambda _: None)


def test_nothing_leaves_if_it_cannot_be_kept(ledger):
    attempt = Attempt(ledger)
    evidence = attempt.enclave.attest(attempt.challenges())

    def fail(_):
        raise OSError

    with ledger.open() as book:
        decision = attempt.release.answer(evidence, book.state, book.next_index, NOW)
        with pytest.raises(OSError):
            decision.release(book, NOW, fail)
    assert attempt.granted() == {}


def test_a_challenge_is_fresh_short_and_for_one_attempt(ledger):
    raws = [Attempt(ledger, Pieces(job_id="5e" * 16)).challenge() for _ in range(3)]
    found = [Challenge.verify(r, make_contract().key_of).value for r in raws]
    assert len({c.nonce for c in found}) == 3
    for challenge in found:
        assert challenge.not_after - challenge.issued == WINDOW <= timedelta(seconds=120)
        assert challenge.owner == "ada"
        assert challenge.context.job_id == "5e" * 16


def test_a_challenge_survives_the_process_that_made_it(ledger):
    before = Attempt(ledger)
    challenges = before.challenges()
    after = Attempt(ledger, before.pieces)
    after.release.resume(challenges["ada"])
    after.answer(before.enclave.attest(challenges))
    assert after.granted()


def test_the_next_attempt_gets_its_own_grant(ledger):
    first = Attempt(ledger)
    first.answer(first.enclave.attest(first.challenges()))
    second = Attempt(ledger, replace(first.pieces, attempt=2))
    second.answer(second.enclave.attest(second.challenges()))
    assert set(second.granted()) == {1, 2}


@pytest.mark.parametrize(
    ("contract", "policy", "expected"),
    [
        ({}, UsagePolicy(), LEASE),
        ({"not_after": NOW + HOUR}, UsagePolicy(), HOUR),
        ({}, UsagePolicy(not_after=NOW + 2 * HOUR), 2 * HOUR),
        ({"not_after": NOW + SECOND}, UsagePolicy(), SECOND),
    ],
)
def test_the_lease_ends_with_whatever_lapses_first(ledger, contract, policy, expected):
    manifests = {
        "ada.visits": make_manifest("ada.visits"),
        "bo.visits": make_manifest("bo.visits", policy=policy),
    }
    attempt = Attempt(ledger, Pieces(contract=make_contract(**contract), manifests=manifests))
    grant = attempt.answer(attempt.enclave.attest(attempt.challenges()), NOW)
    assert value(grant).lease_seconds == expected.total_seconds()


# --- O1: only what was approved, by all, in force


def test_no_challenge_without_an_approval_here(ledger):
    attempt = Attempt(ledger, approved=False)
    ledger.record(accepted_event(attempt.pieces), NOW)
    with pytest.raises(ApprovalError, match="not approved here"):
        attempt.challenge()


def test_no_challenge_for_another_plan_in_an_approved_job(ledger):
    first = Attempt(ledger)
    other = make_plan(first.pieces.contract, first.pieces.manifests.values(), title="Another")
    second = Attempt(ledger, Pieces(job_id=first.pieces.job_id, plan=other))
    with pytest.raises(ApprovalError, match="another plan"):
        second.challenge()


def test_no_challenge_before_all_have_approved(ledger):
    pieces = Pieces()
    approvals = {"ada": pieces.bundle().approvals["ada"]}
    with pytest.raises(ApprovalError, match="not approved by bo"):
        Attempt(ledger, pieces, approvals=approvals).challenge()


def test_the_coordinator_cannot_show_an_older_approval_of_one_s_own(ledger):
    pieces = Pieces()
    approvals = dict(pieces.bundle().approvals)
    older = pieces.approval("ada", max_attempts=9)
    approvals["ada"] = older.sign(identity("ada").signing)
    with pytest.raises(ContractError, match="another approval"):
        Attempt(ledger, pieces, approvals=approvals).challenge()


@pytest.mark.parametrize("end", [Revoked, Rejected, ContractRevoked])
def test_nothing_after_an_end(ledger, end):
    attempt = Attempt(ledger)
    job_id = attempt.pieces.job_id
    evidence = attempt.enclave.attest(attempt.challenges())
    event = {
        Revoked: lambda: Revoked(job_id=job_id),
        Rejected: lambda: Rejected(job_id=job_id, rejection=digest(b"")),
        ContractRevoked: lambda: ContractRevoked(contract=attempt.pieces.contract.digest),
    }[end]()
    ledger.record(event, NOW)
    with pytest.raises((ApprovalError, ContractError)):
        attempt.answer(evidence)
    with pytest.raises((ApprovalError, ContractError)):
        Attempt(ledger, attempt.pieces).challenge()
    assert not attempt.granted()


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        (lambda: Pieces(contract=make_contract(not_after=NOW - SECOND)), ContractError),
        (
            lambda: Pieces(
                manifests={
                    n: make_manifest(n, policy=UsagePolicy(not_after=NOW - SECOND))
                    for n in ("ada.visits", "bo.visits")
                }
            ),
            PolicyError,
        ),
    ],
)
def test_nothing_that_has_lapsed(ledger, pieces, error):
    with pytest.raises(error):
        Attempt(ledger, pieces()).challenge()


def test_what_lapses_between_challenge_and_answer_counts(ledger):
    pieces = Pieces(contract=make_contract(not_after=NOW + 5 * SECOND))
    attempt = Attempt(ledger, pieces)
    evidence = attempt.enclave.attest(attempt.challenges())
    with pytest.raises(ContractError, match="ended"):
        attempt.answer(evidence, NOW + 6 * SECOND)
    assert not attempt.granted()


def test_not_more_attempts_than_anybody_allowed(ledger):
    pieces = Pieces(attempt=4)
    with pytest.raises(ApprovalError, match="only 3"):
        Attempt(ledger, pieces).challenge()


def test_a_party_without_data_in_the_job_has_nothing_to_release():
    with pytest.raises(ContractError, match="brings no data"):
        KeyRelease(Pieces().signed(), identity("cy"), simulation())


def test_another_identity_of_the_same_name_has_nothing_to_release():
    with pytest.raises(ContractError, match="another card"):
        KeyRelease(Pieces().signed(), Identity.generate("ada", "Ada"), simulation())


# --- O2: once for an attempt


def test_no_second_grant_for_an_attempt(ledger):
    attempt = Attempt(ledger)
    attempt.answer(attempt.enclave.attest(attempt.challenges()))
    with pytest.raises(LedgerError, match="has had its grant"):
        Attempt(ledger, attempt.pieces).challenge()


def test_no_second_grant_for_a_second_enclave(ledger):
    one, two = Attempt(ledger), None
    two = Attempt(ledger, one.pieces)
    one_evidence = one.enclave.attest(one.challenges())
    two_evidence = two.enclave.attest(two.challenges())
    one.answer(one_evidence)
    with pytest.raises(LedgerError, match="has had its grant"):
        two.answer(two_evidence)
    assert len(one.granted()) == 1


# --- O4: evidence signed by the key that it names


def test_refuses_evidence_signed_by_another_key(ledger):
    attempt = Attempt(ledger)
    raw = attempt.enclave.attest(attempt.challenges())
    evidence = Evidence.parse(Envelope.parse(raw, PayloadType.EVIDENCE, Evidence.LIMIT).payload)
    with pytest.raises(SignatureError):
        attempt.answer(evidence.sign(SigningKey.generate()))


@pytest.mark.parametrize("junk", [b"", b"{}", b"[]", b"\xff" * 100])
def test_refuses_junk(ledger, junk):
    attempt = Attempt(ledger)
    attempt.challenge()
    with pytest.raises(FormatError):
        attempt.answer(junk)


def test_refuses_another_kind_of_object(ledger):
    attempt = Attempt(ledger)
    challenge = attempt.challenge()
    with pytest.raises(FormatError):
        attempt.answer(challenge)


# --- O5: this attempt, this challenge, in time


def test_refuses_evidence_replayed_from_another_attempt(ledger):
    first = Attempt(ledger)
    old = first.enclave.attest(first.challenges())
    first.answer(old)
    second = Attempt(ledger, replace(first.pieces, attempt=2))
    second.challenge()
    with pytest.raises(AttestationError, match="another job, attempt"):
        second.answer(old)


def test_refuses_evidence_of_another_job(ledger):
    other = Pieces()
    theirs = FakeEnclave(other).attest({n: other.challenge(n) for n in other.owners})
    attempt = Attempt(ledger)
    attempt.challenge()
    with pytest.raises(AttestationError, match="another job"):
        attempt.answer(theirs)


@pytest.mark.parametrize(
    "change",
    [
        {"contract": digest(b"x")},
        {"policy": digest(b"x")},
        {"plan": digest(b"x")},
        {"job_id": "00" * 16},
        {"attempt": 2},
    ],
)
def test_refuses_runtime_data_of_another_context(ledger, change):
    attempt = Attempt(ledger)
    context = replace(attempt.pieces.context, **change)
    with pytest.raises(AttestationError, match="another job"):
        attempt.answer(attempt.enclave.attest(attempt.challenges(), context=context))


def test_refuses_an_answer_to_an_older_challenge(ledger):
    old = Attempt(ledger)
    answer = old.enclave.attest(old.challenges())
    new = Attempt(ledger, old.pieces)
    new.challenge()
    with pytest.raises(AttestationError, match="another challenge"):
        new.answer(answer)


@pytest.mark.parametrize("names", [["ada"], ["bo"], [], ["ada", "bo", "cy"]])
def test_refuses_other_challengers_than_the_owners(ledger, names):
    attempt = Attempt(ledger)
    challenges = attempt.challenges() | {"cy": attempt.pieces.challenge("cy")}
    with pytest.raises(AttestationError, match="other challengers"):
        attempt.answer(attempt.enclave.attest({n: challenges[n] for n in names}))


@pytest.mark.parametrize("late", [WINDOW + SECOND, -SECOND])
def test_refuses_an_answer_outside_of_the_window(ledger, late):
    attempt = Attempt(ledger)
    evidence = attempt.enclave.attest(attempt.challenges())
    with pytest.raises(AttestationError, match="too late"):
        attempt.answer(evidence, NOW + late)
    assert not attempt.granted()


def test_a_nonce_is_used_once_even_if_the_answer_was_bad(ledger):
    attempt = Attempt(ledger)
    challenges = attempt.challenges()
    bad = attempt.enclave.attest(challenges, boot_id="00" * 16, context=Pieces().context)
    with pytest.raises(AttestationError):
        attempt.answer(bad)
    assert attempt.release.state is ReleaseState.OVER
    with pytest.raises(JobError):
        attempt.answer(attempt.enclave.attest(challenges))
    with pytest.raises(JobError):
        attempt.challenge()


def test_an_answer_to_nothing_is_an_error(ledger):
    attempt = Attempt(ledger)
    with pytest.raises(JobError):
        attempt.answer(attempt.enclave.attest({}))


@pytest.mark.parametrize(
    "make",
    [
        lambda p: p.challenge("bo"),
        lambda p: replace(p, attempt=2).challenge("ada"),
        lambda _: Pieces().challenge("ada"),
    ],
)
def test_does_not_resume_what_is_not_its_own_challenge(ledger, make):
    attempt = Attempt(ledger)
    with pytest.raises(AttestationError, match="another attempt"):
        attempt.release.resume(make(attempt.pieces))


def test_does_not_resume_a_forged_challenge(ledger):
    attempt = Attempt(ledger)
    challenge = Challenge(
        context=attempt.pieces.context,
        owner="ada",
        nonce=bytes(32),
        issued=NOW,
        not_after=NOW + HOUR,
    )
    with pytest.raises(SignatureError):
        attempt.release.resume(challenge.sign(identity("bo").signing))


# --- O6: genuine evidence


def test_refuses_a_simulation_unless_asked_for(ledger):
    # Before the challenge: a forgotten flag must not cost an attempt.
    with pytest.raises(UsageError, match="nothing here verifies") as refused:
        Attempt(ledger, verifiers=Verifiers())
    assert "--unsafe-simulation" in refused.value.hint


def test_refuses_another_root(ledger):
    attempt = Attempt(ledger)
    attempt.enclave = FakeEnclave(attempt.pieces, root=SimulatedRoot.make())
    with pytest.raises(EvidenceError, match="another simulation's root"):
        attempt.answer(attempt.enclave.attest(attempt.challenges()))


def test_refuses_a_root_that_the_process_trusts_and_the_contract_does_not(ledger):
    other = SimulatedRoot.make()
    attempt = Attempt(ledger, verifiers=simulation(other))
    attempt.enclave = FakeEnclave(attempt.pieces, root=other)
    with pytest.raises(AppraisalError, match="root"):
        attempt.answer(attempt.enclave.attest(attempt.challenges()))


# --- O7: acceptable evidence


@pytest.mark.parametrize("tier", [t.word for t in Tier if t > Tier.SIMULATED])
def test_refuses_a_simulation_under_a_contract_that_demands_more(ledger, tier):
    attempt = Attempt(ledger, Pieces(contract=make_contract(min_tier=tier)))
    with pytest.raises(AppraisalError, match="tier"):
        attempt.answer(attempt.enclave.attest(attempt.challenges()))
    assert not attempt.granted()


def test_refuses_other_code(ledger):
    attempt = Attempt(ledger)
    attempt.enclave = FakeEnclave(attempt.pieces, code="00" * 48)
    with pytest.raises(AppraisalError, match="MEASUREMENT"):
        attempt.answer(attempt.enclave.attest(attempt.challenges()))


def test_refuses_a_kind_that_the_policy_does_not_speak_of(ledger):
    policy = {KIND: {"root": digest(b"other"), "measurements": ["00" * 48]}}
    attempt = Attempt(ledger, Pieces(contract=make_contract(attestation=policy)))
    with pytest.raises(AppraisalError) as refused:
        attempt.answer(attempt.enclave.attest(attempt.challenges()))
    assert len(refused.value.failures) == 2


@pytest.mark.parametrize("change", ["receiving_key", "signing_key", "boot_id"])
def test_refuses_altered_runtime_data(ledger, change):
    """Genuine evidence over other keys: the host puts its own into the enclave's place."""
    attempt = Attempt(ledger)
    challenges = attempt.challenges()
    host = FakeEnclave(attempt.pieces)
    genuine = attempt.enclave.attest(challenges)
    evidence = Evidence.parse(Envelope.parse(genuine, PayloadType.EVIDENCE, Evidence.LIMIT).payload)
    altered = {
        "receiving_key": {"receiving_key": host.receiving.public},
        "signing_key": {"signing_key": host.signing.public},
        "boot_id": {"boot_id": "ff" * 16},
    }[change]
    signer = host.signing if change == "signing_key" else attempt.enclave.signing
    false = replace(evidence, runtime_data=replace(evidence.runtime_data, **altered))
    with pytest.raises(AppraisalError, match="binding"):
        attempt.answer(false.sign(signer))
    assert not attempt.granted()


# --- O8: exactly one's own keys


def test_refuses_a_dataset_that_this_identity_did_not_seal(ledger):
    foreign = replace(make_manifest("ada.visits"), key_commitment="00" * 32)
    manifests = {"ada.visits": foreign, "bo.visits": make_manifest("bo.visits")}
    attempt = Attempt(ledger, Pieces(manifests=manifests))
    with pytest.raises(DatasetError, match="not sealed by this identity"):
        attempt.answer(attempt.enclave.attest(attempt.challenges()))
    assert not attempt.granted()


def test_grants_all_of_one_s_own_inputs_and_nobody_else_s(ledger):
    names = ("ada.drugs", "ada.visits", "bo.visits")
    attempt = Attempt(ledger, Pieces(manifests={n: make_manifest(n) for n in names}))
    grant = attempt.answer(attempt.enclave.attest(attempt.challenges()))
    assert [k.dataset for k in value(grant).keys] == ["ada.drugs", "ada.visits"]
    assert attempt.granted()[1].datasets == ("ada.drugs", "ada.visits")
