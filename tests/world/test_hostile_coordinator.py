"""What a coordinator could do to a job of honest parties: each ends in an error that names it.

The rules themselves are tested one by one in tests/unit/enclave and tests/unit/client. Here the
whole is real, and only the coordinator lies: to the enclave (`world.lie`) or to a party
(`world.mailboxes`).
"""

import base64
from dataclasses import replace

import pytest
from tests.support.world import ALONE_AND_SHARED, SCRIPT, VISITS_A
from tests.support.world import world as make_world

from mc2.attestation.simulated.root import SimulatedRoot
from mc2.cli.demo.hostile import Lie
from mc2.client.desk import Trust
from mc2.crypto.digest import digest
from mc2.errors import (
    ApprovalError,
    ContractError,
    CoordinatorError,
    CryptoError,
    DatasetError,
    EvidenceError,
    FormatError,
    GrantError,
    JobError,
    Mc2Error,
    PlanError,
    ReceiptError,
    SignatureError,
    UsageError,
)
from mc2.formats.bundle import JobBundle, Proof
from mc2.formats.canonical import decode, encode
from mc2.formats.limits import LIMITS


def edited(raw, edit):
    value = decode(raw, LIMITS.bundle_bytes, "test")
    edit(value)
    return encode(value)


def run_under(world, lie, *, earlier=None):
    """A job under a lie; the error that it ends in for the analyst."""
    world.lie = lie(earlier) if earlier is not None else lie
    job_id = world.propose()
    world.approve(job_id)
    with pytest.raises(Mc2Error) as caught:
        world.run(job_id)
    # Nobody can fetch a result of a job that failed.
    with pytest.raises(Mc2Error):
        world.cy.results(job_id)
    return caught.value


def flip(raw, at=-1):
    changed = bytearray(raw)
    changed[at] ^= 1
    return bytes(changed)


def chunk_lies():
    def other(pick):
        held = {}

        def lie(name, read):
            raw = read(name)
            held.setdefault("first", raw)
            return pick(raw, held)

        return Lie(chunk=lie)

    return {
        "altered": other(lambda raw, _: flip(raw, len(raw) // 2)),
        "truncated": other(lambda raw, _: raw[:-1]),
        "extended": other(lambda raw, _: raw + b"\x00"),
        "emptied": other(lambda _raw, _held: b""),
        "swapped": other(lambda raw, held: held["first"] if raw != held["first"] else raw),
    }


@ALONE_AND_SHARED
@pytest.mark.parametrize("name", sorted(chunk_lies()))
def test_chunks(world, name):
    assert isinstance(run_under(world, chunk_lies()[name]), DatasetError | CryptoError)


def drop(*path):
    def edit(value):
        for key in path[:-1]:
            value = value[key]
        del value[path[-1]]

    return edit


def set_to(new, *path):
    def edit(value):
        for key in path[:-1]:
            value = value[key]
        value[path[-1]] = new

    return edit


BUNDLES = {
    "an approval withheld": (drop("approvals", "bo"), ApprovalError),
    "an approval filed twice": (
        lambda v: v["approvals"].update(bo=v["approvals"]["ada"]),
        ApprovalError,
    ),
    "an approval by one with no say": (
        lambda v: v["approvals"].update(cy=v["approvals"]["ada"]),
        ApprovalError,
    ),
    "a manifest withheld": (drop("manifests", "bo.visits"), DatasetError),
    "manifests swapped": (
        lambda v: v["manifests"].update({"ada.visits": v["manifests"]["bo.visits"]}),
        DatasetError,
    ),
    "another recipient": (
        lambda v: v["plan"]["outputs"][0].update(recipients=["cy"]),
        ContractError,
    ),
    "another title": (set_to("Harmless", "plan", "title"), ContractError),
    "other packages": (set_to("9.9.9", "plan", "packages", "duckdb"), ContractError),
    "a later attempt than allowed": (set_to(4, "attempt"), ApprovalError),
    "a field too many": (set_to(1, "note"), FormatError),
    "a false signature": (
        lambda v: v["proposal"]["signatures"][0].update(sig=base64.b64encode(bytes(64)).decode()),
        SignatureError,
    ),
}


@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_bundles(world, name):
    edit, error = BUNDLES[name]
    assert isinstance(run_under(world, Lie(bundle=lambda raw: edited(raw, edit))), error)


def test_a_bundle_that_is_not_canonical(world):
    assert isinstance(run_under(world, Lie(bundle=lambda raw: raw + b" ")), FormatError)


OLD = {
    "an old approval": lambda old: Lie(
        bundle=lambda raw: edited(
            raw,
            set_to(decode(old.job.approvals["ada"], 1 << 20, "old"), "approvals", "ada"),
        )
    ),
    "an old proposal": lambda old: Lie(
        bundle=lambda raw: edited(raw, set_to(decode(old.job.proposal, 1 << 20, "old"), "proposal"))
    ),
    "a whole old job": lambda old: Lie(bundle=lambda _raw: old.job.encode()),
    "an old grant": lambda old: Lie(grants=lambda new: {**new, "ada": old.grants["ada"]}),
    "all old grants": lambda old: Lie(grants=lambda _new: dict(old.grants)),
    "a grant under another's name": lambda _old: Lie(
        grants=lambda new: {"ada": new["bo"], "bo": new["ada"]}
    ),
    "a grant withheld": lambda _old: Lie(grants=lambda new: {"ada": new["ada"]}),
}


@ALONE_AND_SHARED
@pytest.mark.parametrize("name", sorted(OLD))
def test_what_an_earlier_job_left(world, name):
    earlier = Proof.parse(
        world.cy.verify_job(world.job()) and world.cy.coordinator.proof(world.cy.status()[0].job_id)
    )
    error = run_under(world, OLD[name], earlier=earlier)
    if name == "a whole old job":
        # The enclave would take it; the owners' challenges are for the job they approved.
        assert isinstance(error, Mc2Error)
    else:
        assert isinstance(error, ApprovalError | ContractError | GrantError | SignatureError)


def test_an_older_version_of_a_dataset(world):
    old = world.service.for_party("ada").manifest(world.cy.datasets()["ada.visits"].digest)
    world.ada.upload(VISITS_A.slice(0, 1), "visits")
    lie = Lie(
        bundle=lambda raw: edited(
            raw, set_to(decode(old, 1 << 20, "old"), "manifests", "ada.visits")
        )
    )
    assert isinstance(run_under(world, lie), DatasetError)


@ALONE_AND_SHARED
def test_a_second_enclave_for_the_same_attempt_gets_no_grant(world):
    """Two sessions answer one challenge: the owner's ledger gives one grant, to one of them."""
    job_id = world.propose()
    world.approve(job_id)
    twin = {}

    def bundle(raw):
        from tests.support.world import SessionWorker

        twin["worker"] = SessionWorker(world)
        twin["worker"].open(raw, timeout_seconds=1)
        return raw

    def grants(found):
        twin["grants"] = dict(found)
        return found

    world.lie = Lie(bundle=bundle, grants=grants)
    world.run(job_id)
    proof = Proof.parse(world.cy.coordinator.proof(job_id))
    worker = twin["worker"]
    worker.attest(dict(proof.challenges), timeout_seconds=1)
    with pytest.raises(GrantError, match="evidence"):
        worker.run(twin["grants"], world.store.read_blob, lambda *_: None, print, timeout_seconds=1)


@ALONE_AND_SHARED
def test_evidence_of_another_enclave_shown_to_an_owner(world):
    """The coordinator shows Ada the evidence of an earlier job: she grants nothing."""
    earlier = Proof.parse(world.cy.coordinator.proof(world.job()))
    world.mailboxes["ada"].lies["evidence"] = lambda _real, *_args: earlier.evidence
    job_id = world.propose()
    world.approve(job_id)
    with pytest.raises(Mc2Error):
        world.run(job_id, seconds=3)
    entries = [e.event.json() | {"kind": e.event.KIND} for e in world.ada.log()]
    of_job = [e["kind"] for e in entries if str(e).find(job_id) >= 0]
    assert "granted" not in of_job
    assert "refused" in of_job


def test_an_agent_without_the_flag_releases_nothing_to_a_simulation(tmp_path):
    with make_world(tmp_path) as world:
        world.agree()
        world.bring()
        job_id = world.propose()
        world.approve(job_id)
        world.ada._trust = Trust()
        vars(world.ada).pop("desk", None)
        with pytest.raises(Mc2Error):
            world.run(job_id, seconds=3)
        # It does not even ask for evidence: refusing it would cost the attempt.
        assert not {e.event.KIND for e in world.ada.log()} & {"granted", "refused"}
        with pytest.raises(UsageError, match="nothing here verifies") as refused:
            world.ada.desk.agent().answer_job(job_id)
        assert "--unsafe-simulation" in refused.value.hint


def test_simulated_evidence_under_a_contract_for_hardware(tmp_path):
    with make_world(tmp_path, min_tier="hardware-cvm") as world:
        world.agree()
        world.bring()
        job_id = world.propose()
        world.approve(job_id)
        with pytest.raises(Mc2Error, match="hardware-cvm"):
            world.run(job_id)


def test_another_root_of_simulation(world):
    world.root = SimulatedRoot.make()
    job_id = world.propose()
    world.approve(job_id)
    with pytest.raises(Mc2Error):
        world.run(job_id, seconds=3)
    assert any(e.event.KIND == "refused" for e in world.ada.log())


def test_another_plan_shown_to_the_approver(world):
    """Cy's plan is stored; the approver is shown a plan with one constant changed."""
    job_id = world.propose()

    def lie(real, *args):
        return edited(real(*args), set_to("Harmless", "plan", "title"))

    world.mailboxes["ada"].lies["job_bundle"] = lie
    with pytest.raises(ContractError, match="another plan"):
        world.ada.review(job_id)


def test_a_plan_whose_script_says_something_else(world):
    """The proposer signs a plan that was changed by hand: recompiling gives it away."""
    from mc2.client.party import utc_now
    from mc2.formats.job import Proposal, new_job_id

    honest = world.cy.review(world.propose()).job.plan
    changed = replace(honest, script=SCRIPT.replace("count(*)", "count(site)"))
    proposal = Proposal(
        contract=honest.contract,
        plan=changed.digest,
        job_id=new_job_id(),
        proposer="cy",
        created=utc_now(),
        note="",
    )
    world.cy.coordinator.propose(changed.encode(), proposal.sign(world.cy.identity.signing))
    with pytest.raises(PlanError, match="another plan"):
        world.ada.approve(proposal.job_id, plan=changed.digest)
    with pytest.raises(PlanError, match="another script"):
        world.ada.approve(proposal.job_id, plan=changed.digest, script=SCRIPT)


def test_an_approver_names_the_plan_that_was_read(world):
    job_id = world.propose()
    with pytest.raises(ApprovalError, match="not the one that was reviewed"):
        world.ada.approve(job_id, plan=digest(b"what was on the screen"))


PROOFS = {
    "another receipt": lambda p, o: replace(p, receipt=o.receipt),
    "other evidence": lambda p, o: replace(p, evidence=o.evidence),
    "another grant": lambda p, o: replace(p, grants={**p.grants, "ada": o.grants["ada"]}),
    "a grant left out": lambda p, _o: replace(p, grants={"bo": p.grants["bo"]}),
    "another challenge": lambda p, o: replace(
        p, challenges={**p.challenges, "ada": o.challenges["ada"]}
    ),
    "another result": lambda p, o: replace(p, results={**p.results, "visits": o.results["visits"]}),
    "a result left out": lambda p, _o: replace(p, results={"visits": p.results["visits"]}),
    "results exchanged": lambda p, _o: replace(
        p, results={"visits": p.results["model"], "model": p.results["visits"]}
    ),
    "an approval left out": lambda p, _o: replace(
        p, job=replace(p.job, approvals={"ada": p.job.approvals["ada"]})
    ),
    "another attempt": lambda p, _o: replace(p, job=replace(p.job, attempt=2)),
    "another job altogether": lambda _p, o: o,
}


@pytest.fixture(scope="module")
def two_jobs(tmp_path_factory):
    with make_world(tmp_path_factory.mktemp("world")) as world:
        world.agree()
        world.bring()
        first, second = world.job(), world.job()
        yield world, first, second


@pytest.mark.parametrize("name", sorted(PROOFS))
def test_proofs(two_jobs, name):
    world, first, second = two_jobs
    box = world.mailboxes["cy"]
    own, other = (Proof.parse(box.honest.proof(j)) for j in (first, second))
    box.lies["proof"] = lambda _real, _job: PROOFS[name](own, other).encode()
    try:
        with pytest.raises(ReceiptError):
            world.cy.results(first)
    finally:
        box.lies.clear()


def test_every_byte_of_a_proof_counts(two_jobs):
    world, first, _ = two_jobs
    raw = world.mailboxes["cy"].honest.proof(first)
    for at in range(0, len(raw), max(1, len(raw) // 60)):
        with pytest.raises(Mc2Error):
            world.cy.verify(flip(raw, at))


@pytest.mark.parametrize("change", ["altered", "swapped", "truncated"])
def test_sealed_results(two_jobs, change):
    world, first, second = two_jobs
    box = world.mailboxes["cy"]
    other = Proof.parse(box.honest.proof(second))
    stolen = decode(other.results["visits"], 1 << 20, "result")["chunks"][0]["digest"]
    lies = {
        "altered": lambda real, name: flip(real(name), 20),
        "swapped": lambda real, _name: real(stolen),
        "truncated": lambda real, name: real(name)[:-1],
    }
    box.lies["get_blob"] = lies[change]
    try:
        with pytest.raises((ReceiptError, CoordinatorError, DatasetError, CryptoError)):
            world.cy.results(first)
    finally:
        box.lies.clear()


def test_a_proof_needs_no_coordinator_and_no_party(two_jobs):
    from mc2.attestation.simulated.verifier import SimulatedVerifier
    from mc2.client.downloads import verify_file

    world, first, _ = two_jobs
    raw = world.mailboxes["cy"].honest.proof(first)
    trust = Trust(simulation=SimulatedVerifier)
    assert verify_file(raw, world.contract.digest, trust).context.job_id == first
    with pytest.raises(ReceiptError):
        verify_file(raw, digest(b"another contract"), trust)
    with pytest.raises(ReceiptError, match="no verifier"):
        verify_file(raw, world.contract.digest, Trust())


def test_rejected_jobs_release_nothing_even_if_the_coordinator_hides_it(world):
    job_id = world.propose()
    world.approve(job_id)
    world.mailboxes["ada"].lies["reject"] = lambda _real, *_args: None
    world.ada.reject(job_id, "second thoughts")
    with pytest.raises(Mc2Error):
        world.run(job_id, seconds=3)
    assert not any(e.event.KIND == "granted" for e in world.ada.log())


def test_a_cancelled_job_ends(world):
    job_id = world.propose()
    world.cy.cancel(job_id)
    with pytest.raises(JobError, match="cancelled"):
        world.run(job_id, seconds=3)


def test_a_bundle_of_a_proof_is_the_job_that_was_signed(two_jobs):
    world, first, _ = two_jobs
    proof = Proof.parse(world.mailboxes["cy"].honest.proof(first))
    assert JobBundle.parse(proof.job.encode()) == proof.job
    assert Proof.parse(proof.encode()) == proof


def test_evidence_errors_are_attestation_errors():
    assert issubclass(EvidenceError, Mc2Error)
    assert EvidenceError("x").exit_code == 8
    assert UsageError("x").exit_code == 2
