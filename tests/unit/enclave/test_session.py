"""Every way in which a job may be falsified, each refused with its own error."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.enclave_jobs import (
    CODE,
    HOUR,
    NOW,
    Attested,
    Job,
    TestCollector,
    make_job,
    make_table,
    open_key,
    open_model,
    open_table,
    payload_digest,
    read_evidence,
    seal,
)

from mc2.attestation.claims import Tier
from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import DataKey
from mc2.enclave.session import SessionState
from mc2.engine.database import Database
from mc2.engine.limits import EngineLimits
from mc2.errors import (
    ApprovalError,
    AttestationError,
    ContractError,
    CryptoError,
    DatasetError,
    EngineError,
    FormatError,
    GrantError,
    JobError,
    Mc2Error,
    PlanError,
    PolicyError,
    SignatureError,
)
from mc2.formats.contract import Contract
from mc2.formats.envelope import PayloadType
from mc2.formats.manifest import UsagePolicy
from mc2.formats.receipt import Receipt
from mc2.formats.release import Grant, SealedKey
from mc2.formats.result import Result


@pytest.fixture
def job() -> Job:
    return make_job()


@pytest.fixture
def attested(job: Job) -> Attested:
    return job.attested()


def leads_on(refusal: Mc2Error) -> None:
    """A refusal ends the job: there is no attempt after it, and hints must not promise one."""
    assert "attempt" not in refusal.hint


def refuses_to_open(job: Job, error: type[Mc2Error], match: str, **changes: Any) -> None:
    session = job.session()
    with pytest.raises(error, match=match) as caught:
        session.open(job.bundle(**changes))
    assert type(caught.value) is error
    assert session.state is SessionState.FAILED
    with pytest.raises(JobError):
        session.attest(job.challenges())


def refuses_to_attest(
    job: Job, error: type[Mc2Error], match: str, challenges: dict[str, bytes] | None = None
) -> None:
    collector = TestCollector()
    session = job.session(collector=collector)
    session.open(job.bundle())
    with pytest.raises(error, match=match) as caught:
        session.attest(job.challenges() if challenges is None else challenges)
    assert type(caught.value) is error
    leads_on(caught.value)
    assert session.state is SessionState.FAILED
    assert collector.collected == []
    with pytest.raises(JobError):
        session.run({}, job.read, job.write, lambda _: None)


def refuses_to_run(
    attested: Attested, error: type[Mc2Error], match: str, *args: Any, **kwargs: Any
) -> None:
    with pytest.raises(error, match=match) as caught:
        attested.run(*args, **kwargs)
    assert type(caught.value) is error
    leads_on(caught.value)
    assert attested.session.state is SessionState.FAILED
    assert attested.job.stored == {}
    with pytest.raises(JobError):
        attested.run()


# --- the whole, as it should be ---


def test_the_database_that_was_opened_ahead_serves_the_job_and_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened, closed = [], []
    init, close = Database.__init__, Database.close

    def count(self: Database, limits: EngineLimits) -> None:
        opened.append(self)
        init(self, limits)

    def forget(self: Database) -> None:
        closed.append(self)
        close(self)

    monkeypatch.setattr(Database, "__init__", count)
    monkeypatch.setattr(Database, "close", forget)
    make_job().attested().run()
    assert len(opened) == len(closed) == 1
    make_job().attested().session.close()
    assert opened == closed
    assert len(closed) == 2


def test_an_honest_job_gives_its_recipients_what_the_plan_says(attested: Attested) -> None:
    job = attested.job
    outcome = attested.run()
    result = Result.parse(outcome.results["by_site"])
    for name in ("ada", "bo", "cy"):
        rows = open_table(result, job.parties[name], job.stored).sort_by("site").to_pylist()
        assert [r["site"] for r in rows] == ["a0", "a1", "b0", "b1"]
        assert [r["n"] for r in rows] == [5, 5, 4, 3]
    whole = pa.concat_tables([make_table(1), make_table(2, 7, "b")])
    a0 = pc.mean(whole.filter(pc.equal(whole["site"], "a0"))["glucose"]).as_py()
    assert rows[0]["glucose"] == pytest.approx(a0)
    assert attested.session.state is SessionState.DONE
    assert attested.said[-1] == "sealing results"


def test_the_model_is_the_one_that_stock_xgboost_trains_on_the_pooled_rows(
    attested: Attested,
) -> None:
    outcome = attested.run()
    result = Result.parse(outcome.results["model"])
    found = xgboost.Booster()
    raw = open_model(result, attested.job.parties["cy"], attested.job.stored)
    found.load_model(bytearray(raw))
    pooled = pa.concat_tables([make_table(1), make_table(2, 7, "b")]).to_pydict()
    features = np.array([pooled["age"], pooled["glucose"]], dtype=np.float32).T
    rows = xgboost.DMatrix(
        features, label=np.array(pooled["ill"]), feature_names=["age", "glucose"]
    )
    stock = xgboost.train({"objective": "binary:logistic", "max_depth": 2}, rows, 4)
    assert found.num_boosted_rounds() == 4
    assert found.predict(rows) == pytest.approx(stock.predict(rows), abs=1e-6)


def test_only_the_recipients_of_an_output_hold_its_key(attested: Attested) -> None:
    outcome = attested.run()
    parties = attested.job.parties
    model = Result.parse(outcome.results["model"])
    assert set(model.keys) == {"cy"}
    assert json.loads(open_model(model, parties["cy"], attested.job.stored))
    report = Result.parse(outcome.results["by_site"])
    assert set(report.keys) == {"ada", "bo", "cy"}
    assert open_key(report, parties["ada"]) != open_key(model, parties["cy"])
    assert DataKey(open_key(report, parties["bo"])).commitment() == report.key_commitment
    swapped = replace(report, keys={"ada": report.keys["bo"]})
    with pytest.raises(CryptoError):
        open_key(swapped, parties["ada"])


def test_evidence_commits_to_fresh_keys_the_context_and_all_challenges(job: Job) -> None:
    collector = TestCollector()
    attested = job.attested(collector=collector)
    evidence = read_evidence(attested.evidence)
    data = evidence.runtime_data
    assert data.context == job.context
    assert data.challenges == {
        name: payload_digest(raw, PayloadType.CHALLENGE)
        for name, raw in attested.challenges.items()
    }
    assert collector.collected == [data.report_data()] == [evidence.evidence]
    # It is signed by the key that it names.
    type(evidence).verify(attested.evidence, lambda _: data.signing_key)
    again = read_evidence(job.attested().evidence).runtime_data
    assert again.receiving_key != data.receiving_key
    assert again.signing_key != data.signing_key


def test_the_receipt_says_exactly_what_was_signed(attested: Attested) -> None:
    job = attested.job
    grants = attested.grants()
    outcome = attested.run(grants)
    evidence = read_evidence(attested.evidence)
    key = evidence.runtime_data.signing_key
    receipt = Receipt.verify(outcome.receipt, lambda _: key).value
    assert receipt == Receipt(
        context=job.context,
        tier="simulated",
        mode="encrypted",
        evidence=evidence.digest,
        epochs=((evidence.digest,),),
        tasks=None,
        inputs={name: d.manifest.digest for name, d in job.datasets.items()},
        approvals={
            name: payload_digest(raw, PayloadType.APPROVAL) for name, raw in job.approvals().items()
        },
        grants={name: payload_digest(raw, PayloadType.GRANT) for name, raw in grants.items()},
        activations={},
        code=CODE,
        warnings=("TEST",),
        outputs={name: digest(raw) for name, raw in outcome.results.items()},
    )
    for raw in outcome.results.values():
        assert Result.parse(raw).context == job.context


def test_with_approvers_members_all_members_approve() -> None:
    job = make_job(contract={"approvers": "members"})
    everybody = {name: job.approval(name) for name in ("ada", "bo", "cy", "dee")}
    assert job.session().open(job.bundle(approvals=everybody)).owners == ("ada", "bo")
    refuses_to_open(job, ApprovalError, "not approved by cy, dee")


def test_one_owner_alone_has_jobs_too() -> None:
    job = make_job(datasets={"ada.visits": seal("ada.visits", make_table(1))})
    attested = job.attested()
    assert job.owners == ("ada",)
    assert attested.run().results


def test_leaves_no_keys_behind(job: Job) -> None:
    for session in (job.attested().session, job.session()):
        session.close()
        assert (session._job, session._attempt) == (None, None)
    done = job.attested()
    done.run()
    assert (done.session._job, done.session._attempt) == (None, None)


# --- calls out of order ---


@pytest.mark.parametrize("calls", [
    ["attest"], ["run"], ["open", "run"], ["open", "open"],
    ["open", "attest", "attest"], ["open", "attest", "open"],
    ["open", "attest", "run", "run"], ["open", "attest", "run", "attest"],
    ["open", "attest", "run", "open"],
])  # fmt: skip
def test_calls_out_of_order_end_the_session(job: Job, calls: list[str]) -> None:
    session = job.session()
    state: dict[str, Any] = {}

    def take(call: str) -> None:
        if call == "open":
            session.open(job.bundle())
        elif call == "attest":
            state["challenges"] = job.challenges()
            state["evidence"] = session.attest(state["challenges"])
        else:
            grants = Attested(job, session, **state).grants() if state else {}
            session.run(grants, job.read, job.write, lambda _: None)

    for call in calls[:-1]:
        take(call)
    with pytest.raises(JobError, match="session was"):
        take(calls[-1])
    assert session.ended
    assert (session._job, session._attempt) == (None, None)


# --- E1: the bundle ---


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_any_bytes_are_refused(job: Job, raw: bytes) -> None:
    with pytest.raises(FormatError):
        job.session().open(raw)


GOOD = make_job()
GOOD_BUNDLE = GOOD.bundle()


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, len(GOOD_BUNDLE) - 1), flip=st.integers(1, 255))
def test_no_altered_byte_of_a_bundle_passes(at: int, flip: int) -> None:
    altered = bytearray(GOOD_BUNDLE)
    altered[at] ^= flip
    with pytest.raises(Mc2Error):
        GOOD.session().open(bytes(altered))


def test_refuses_a_bundle_with_something_else_in_it(job: Job) -> None:
    parts = json.loads(job.bundle())
    for changed in ({**parts, "more": 1}, {k: v for k, v in parts.items() if k != "proposal"}):
        with pytest.raises(FormatError):
            job.session().open(json.dumps(changed, separators=(",", ":"), sort_keys=True).encode())


@pytest.mark.parametrize("attempt", [0, 17])
def test_refuses_an_attempt_out_of_range(job: Job, attempt: int) -> None:
    refuses_to_open(job, FormatError, "attempt", attempt=attempt)


# --- E2: the contract ---


def test_refuses_a_contract_that_a_member_did_not_sign(job: Job) -> None:
    envelope = job.contract_envelope(["ada", "bo", "cy"])
    refuses_to_open(job, SignatureError, "dee has not signed", contract=envelope)


def test_refuses_a_contract_with_a_signature_too_many(job: Job) -> None:
    envelope = job.contract_envelope(["ada", "bo", "cy", "dee", "eve"])
    refuses_to_open(job, SignatureError, "no say", contract=envelope)


def test_refuses_a_contract_with_a_false_signature(job: Job) -> None:
    parts = json.loads(job.contract_envelope())
    parts["signatures"][0]["sig"], parts["signatures"][1]["sig"] = (
        parts["signatures"][1]["sig"],
        parts["signatures"][0]["sig"],
    )
    raw = json.dumps(parts, separators=(",", ":"), sort_keys=True).encode()
    refuses_to_open(job, SignatureError, "false", contract=raw)


def test_refuses_another_contract_of_the_same_members(job: Job) -> None:
    other = replace(job, contract=replace(job.contract, epoch=2))
    refuses_to_open(job, ContractError, "another contract", contract=other.contract_envelope())


# --- E3: the plan ---


def test_refuses_a_plan_for_other_packages() -> None:
    job = make_job(plan={"packages": {**CODE_PACKAGES, "duckdb": "1.0.0"}})
    refuses_to_open(job, PlanError, r"duckdb 1\.0\.0 in the plan, 2\.0\.0 here")


CODE_PACKAGES = {name: CODE[name] for name in ("duckdb", "mc2", "numpy", "pyarrow", "xgboost")}


def test_refuses_to_run_where_the_code_is_unknown(job: Job) -> None:
    with pytest.raises(PlanError, match="other packages"):
        job.session(code={}).open(job.bundle())


def test_refuses_a_plan_whose_schema_lies() -> None:
    job = make_job()
    nodes = list(job.plan.nodes)
    index = next(i for i, n in enumerate(nodes) if n.schema is not None and i > 0)
    lying = nodes[index].schema
    assert lying is not None
    renamed = replace(lying, columns=(replace(lying.columns[0], name="other"), *lying.columns[1:]))
    nodes[index] = replace(nodes[index], schema=renamed)
    job.plan = replace(job.plan, nodes=tuple(nodes))
    refuses_to_open(job, PlanError, "states a schema it does not have")


def test_refuses_a_plan_that_nobody_approved(job: Job) -> None:
    changed = replace(job.plan, title="Another title")
    refuses_to_open(job, ContractError, "for another plan", plan=changed.encode())


def test_refuses_a_plan_with_another_recipient_than_was_approved(job: Job) -> None:
    outputs = tuple(replace(o, recipients=("ada", "bo", "cy", "dee")) for o in job.plan.outputs)
    changed = replace(job.plan, outputs=outputs)
    refuses_to_open(job, ContractError, "for another plan", plan=changed.encode())
    refuses_to_open(
        job,
        ApprovalError,
        "ada is for another plan",
        plan=changed.encode(),
        proposal=job.proposal(plan=changed.digest),
    )


# --- E4: the proposal ---


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"contract": digest(b"other")}, ContractError, "for another contract"),
        ({"plan": digest(b"other")}, ContractError, "for another plan"),
        ({"proposer": "ada", "signer": "ada"}, ContractError, "no analyst"),
        ({"proposer": "eve", "signer": "eve"}, ContractError, "not a member"),
        ({"proposer": "ada"}, SignatureError, "ada has not signed"),
        ({"signer": "eve"}, SignatureError, "cy has not signed"),
    ],
)
def test_refuses_a_false_proposal(
    job: Job, change: dict[str, Any], error: type[Mc2Error], match: str
) -> None:
    refuses_to_open(job, error, match, proposal=job.proposal(**change))


def test_refuses_a_proposal_of_another_job_than_was_approved(job: Job) -> None:
    refuses_to_open(
        job, ApprovalError, "ada is for another job", proposal=job.proposal(job_id="00" * 16)
    )


# --- E5: the approvals ---


def test_refuses_a_missing_approval(job: Job) -> None:
    refuses_to_open(
        job, ApprovalError, "not approved by bo", approvals={"ada": job.approval("ada")}
    )
    refuses_to_open(job, ApprovalError, "not approved by ada, bo", approvals={})


@pytest.mark.parametrize("name", ["cy", "dee", "eve"])
def test_refuses_an_approval_too_many(job: Job, name: str) -> None:
    refuses_to_open(
        job,
        ApprovalError,
        f"approval by {name}",
        approvals=job.approvals(**{name: job.approval(name)}),
    )


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"plan": digest(b"other")}, ApprovalError, "for another plan"),
        ({"contract": digest(b"other")}, ApprovalError, "for another contract"),
        ({"job_id": "00" * 16}, ApprovalError, "for another job"),
        ({"signer": "eve"}, SignatureError, "bo has not signed"),
        ({"signer": "ada"}, SignatureError, "bo has not signed"),
        ({"approver": "ada", "signer": "ada"}, ApprovalError, "of bo is by ada"),
        ({"approver": "eve", "signer": "eve"}, ContractError, "not a member"),
    ],
    ids=["plan", "contract", "replayed", "forged", "forged by ada", "twice ada", "stranger"],
)
def test_refuses_a_false_approval(
    job: Job, change: dict[str, Any], error: type[Mc2Error], match: str
) -> None:
    approvals = job.approvals(bo=job.approval("bo", **change))
    refuses_to_open(job, error, match, approvals=approvals)


def test_refuses_a_signature_over_something_else_as_an_approval(job: Job) -> None:
    refuses_to_open(
        job, FormatError, "not a signed", approvals=job.approvals(bo=job.challenge("bo"))
    )


@pytest.mark.parametrize(
    ("attempt", "allowed"), [(1, True), (2, True), (3, False)], ids=["first", "second", "third"]
)
def test_attempts_are_bounded_by_the_contract(attempt: int, allowed: bool) -> None:
    job = make_job(attempt=attempt)  # the contract allows 2, approvals 3
    if allowed:
        job.attested()
    else:
        refuses_to_open(job, ApprovalError, "attempt 3 of the job, and only 2")


def test_attempts_are_bounded_by_every_approval() -> None:
    job = make_job(attempt=2)
    approvals = job.approvals(bo=job.approval("bo", max_attempts=1))
    refuses_to_open(job, ApprovalError, "attempt 2 of the job, and only 1", approvals=approvals)


# --- E6: the manifests ---


def test_refuses_missing_and_superfluous_manifests(job: Job) -> None:
    manifests = job.manifests()
    ada = manifests["ada.visits"]
    for wrong in ({"ada.visits": ada}, {}, {**manifests, "ada.other": ada}):
        refuses_to_open(job, DatasetError, "not exactly", manifests=wrong)


def test_refuses_swapped_manifests(job: Job) -> None:
    manifests = job.manifests()
    swapped = {
        "ada.visits": manifests["bo.visits"],
        "bo.visits": manifests["ada.visits"],
    }
    refuses_to_open(job, DatasetError, "another version", manifests=swapped)


def test_refuses_an_older_or_newer_version_of_a_dataset(job: Job) -> None:
    for version in (2, 3):
        other = seal("ada.visits", make_table(1), version=version)
        envelope = other.manifest.sign(job.parties["ada"].signing)
        refuses_to_open(
            job,
            DatasetError,
            "another version than the plan names",
            manifests={**job.manifests(), "ada.visits": envelope},
        )


def test_refuses_a_manifest_that_its_owner_did_not_sign(job: Job) -> None:
    forged = job.datasets["ada.visits"].manifest.sign(job.parties["bo"].signing)
    refuses_to_open(
        job, SignatureError, "ada has not", manifests={**job.manifests(), "ada.visits": forged}
    )


def test_refuses_an_altered_schema(job: Job) -> None:
    manifest = job.datasets["ada.visits"].manifest
    columns = manifest.schema.columns
    altered = replace(
        manifest, schema=replace(manifest.schema, columns=(columns[0], *reversed(columns[1:])))
    )
    envelope = altered.sign(job.parties["ada"].signing)
    refuses_to_open(
        job,
        DatasetError,
        "another version",
        manifests={**job.manifests(), "ada.visits": envelope},
    )


@pytest.mark.parametrize(
    "change", [{"row_bound": 11}, {"row_bound": 9}], ids=["more rows", "fewer rows"]
)
def test_refuses_a_plan_that_tells_a_dataset_otherwise(job: Job, change: dict[str, Any]) -> None:
    first = replace(job.plan.inputs[0], **change)
    job.plan = replace(job.plan, inputs=(first, *job.plan.inputs[1:]))
    refuses_to_open(job, DatasetError, "another row bound")


# --- E7: contract and policies ---


def with_policy(**policy: Any) -> Job:
    sealed = seal("ada.visits", make_table(1), policy=UsagePolicy(**policy))
    other = seal("bo.visits", make_table(2, 7, "b"), dataset_id="33" * 16)
    return make_job(datasets={"ada.visits": sealed, "bo.visits": other})


def test_usage_policies_bind() -> None:
    refuses_to_open(with_policy(columns=("age", "site")), PolicyError, "does not allow column")
    refuses_to_open(with_policy(recipients=("bo",)), PolicyError, "does not allow cy")


def test_a_usage_policy_lapses_by_the_owners_time() -> None:
    refuses_to_attest(with_policy(not_after=NOW - HOUR), PolicyError, "allowed the use")
    with_policy(not_after=NOW + HOUR).attested()


def test_only_members_with_the_role_receive(job: Job) -> None:
    members = tuple(
        replace(m, roles=("owner",)) if m.name == "bo" else m for m in job.contract.members
    )
    contract: Contract = replace(job.contract, members=members)
    plan = replace(job.plan, contract=contract.digest)
    changed = replace(job, contract=contract, plan=plan)
    refuses_to_open(changed, ContractError, "not the role recipient")


# --- E8: the tier ---


def test_a_simulated_enclave_refuses_a_contract_for_hardware() -> None:
    job = make_job(contract={"min_tier": "hardware-cvm"})
    refuses_to_open(job, AttestationError, "demands hardware-cvm; this enclave is simulated")
    job.tier = Tier.HARDWARE_CVM
    job.session().open(job.bundle())
    job.tier = Tier.HARDWARE_ENCLAVE
    job.session().open(job.bundle())


# --- E9 to E11: the challenges ---


@pytest.mark.parametrize("names", [[], ["ada"], ["ada", "bo", "cy"], ["ada", "cy"]])
def test_challenges_are_by_exactly_the_owners(job: Job, names: list[str]) -> None:
    challenges = {name: job.challenge(name) for name in names}
    refuses_to_attest(job, AttestationError, "needed from exactly ada, bo", challenges)


OTHER = digest(b"other")


@pytest.mark.parametrize(
    "field",
    [
        {"contract": OTHER},
        {"policy": OTHER},
        {"plan": OTHER},
        {"job_id": "00" * 16},
        {"attempt": 2},
    ],
    ids=lambda f: next(iter(f)),
)
def test_refuses_a_challenge_to_another_job(job: Job, field: dict[str, Any]) -> None:
    challenge = job.challenge("bo", context=replace(job.context, **field))
    refuses_to_attest(job, AttestationError, "bo is for another", job.challenges(bo=challenge))


def test_refuses_a_forged_or_misfiled_challenge(job: Job) -> None:
    forged = job.challenge("bo", signer="eve")
    refuses_to_attest(job, SignatureError, "bo has not signed", job.challenges(bo=forged))
    misfiled = job.challenge("ada")
    refuses_to_attest(job, AttestationError, "of bo is by ada", job.challenges(bo=misfiled))


def test_refuses_two_challenges_with_one_nonce(job: Job) -> None:
    challenges = {name: job.challenge(name, nonce=bytes(32)) for name in ("ada", "bo")}
    refuses_to_attest(job, AttestationError, "one nonce", challenges)


@pytest.mark.parametrize("seconds", [-1, 901, 24 * 3600])
def test_refuses_a_challenge_that_holds_too_long(job: Job, seconds: int) -> None:
    challenge = job.challenge("bo", not_after=NOW + timedelta(seconds=seconds))
    refuses_to_attest(job, AttestationError, "does not hold", job.challenges(bo=challenge))


def test_the_latest_challenge_tells_the_time(job: Job) -> None:
    late = job.challenge("bo", issued=NOW + HOUR / 30, not_after=NOW + HOUR / 20)
    job.session()
    session = job.session()
    session.open(job.bundle())
    session.attest(job.challenges(bo=late))
    later = job.challenge("bo", issued=NOW + HOUR / 29, not_after=NOW + HOUR / 20)
    refuses_to_attest(job, AttestationError, "by ada has lapsed", job.challenges(bo=later))


def test_an_approval_lapses_by_the_latest_clock_of_an_owner(job: Job) -> None:
    moment = NOW + HOUR + timedelta(seconds=1)
    end = moment + timedelta(seconds=60)
    both = {
        "ada": job.challenge("ada", issued=moment - timedelta(seconds=60), not_after=end),
        "bo": job.challenge("bo", issued=moment, not_after=end),
    }
    refuses_to_attest(job, ApprovalError, "approval by ada has lapsed", both)


def test_the_contract_lapses_by_the_owners_time() -> None:
    job = make_job(contract={"not_after": NOW - timedelta(seconds=1)})
    refuses_to_attest(job, ContractError, "ended on")


def test_a_collector_that_fails_ends_the_session(job: Job) -> None:
    class Broken(TestCollector):
        def collect(self, report_data: bytes) -> Any:
            raise AttestationError("the device is gone")

    session = job.session(collector=Broken())
    session.open(job.bundle())
    with pytest.raises(AttestationError, match="the device is gone"):
        session.attest(job.challenges())
    assert session.state is SessionState.FAILED


# --- E13 to E15: the grants ---


@pytest.mark.parametrize("names", [[], ["ada"], ["ada", "bo", "cy"], ["ada", "cy"]])
def test_grants_are_by_exactly_the_owners(attested: Attested, names: list[str]) -> None:
    attested.challenges["cy"] = attested.job.challenge("cy")
    grants = {name: attested.grant(name) for name in names}
    refuses_to_run(attested, GrantError, "needed from exactly ada, bo", grants)


@pytest.mark.parametrize(
    "field",
    [
        {"contract": OTHER},
        {"policy": OTHER},
        {"plan": OTHER},
        {"job_id": "00" * 16},
        {"attempt": 2},
    ],
    ids=lambda f: next(iter(f)),
)
def test_refuses_a_grant_for_another_job(attested: Attested, field: dict[str, Any]) -> None:
    context = replace(attested.job.context, **field)
    grant = attested.grant("bo", context=context, sealed_in={"context": context})
    refuses_to_run(attested, GrantError, "bo is for another", attested.grants(bo=grant))


def test_refuses_a_grant_for_other_evidence(attested: Attested) -> None:
    grant = attested.grant("bo", evidence=OTHER, sealed_in={"evidence": OTHER})
    refuses_to_run(attested, GrantError, "other evidence", attested.grants(bo=grant))


def test_refuses_a_grant_to_another_enclave_of_the_same_attempt(attested: Attested) -> None:
    other = attested.job.attested()
    refuses_to_run(attested, GrantError, "other evidence|another challenge", other.grants())


def test_refuses_a_grant_for_another_challenge(attested: Attested) -> None:
    grant = attested.grant("bo", challenge=OTHER, sealed_in={"challenge": OTHER})
    refuses_to_run(attested, GrantError, "another challenge", attested.grants(bo=grant))


def test_refuses_a_grant_that_repeats_another_owners_challenge(attested: Attested) -> None:
    of_ada = payload_digest(attested.challenges["ada"], PayloadType.CHALLENGE)
    grant = attested.grant("bo", challenge=of_ada, sealed_in={"challenge": of_ada})
    refuses_to_run(attested, GrantError, "another challenge", attested.grants(bo=grant))


def test_refuses_a_forged_grant(attested: Attested) -> None:
    grant = attested.grant("bo", signer="eve")
    refuses_to_run(attested, SignatureError, "bo has not signed", attested.grants(bo=grant))


def test_refuses_one_owners_grant_twice(attested: Attested) -> None:
    grant = attested.grant("ada")
    refuses_to_run(attested, GrantError, "of bo is by ada", attested.grants(bo=grant))


def test_refuses_a_key_sealed_to_another_enclave(attested: Attested) -> None:
    other = read_evidence(attested.job.attested().evidence)
    grant = attested.grant("bo", sealed_for=other)
    refuses_to_run(attested, GrantError, "not sealed for this grant", attested.grants(bo=grant))


@pytest.mark.parametrize(
    "info",
    [
        {"owner": "ada"},
        {"evidence": OTHER},
        {"challenge": OTHER},
        {"dataset": "bo.other"},
        {"manifest": OTHER},
        {"context": replace(GOOD.context, attempt=2)},
    ],
    ids=lambda f: next(iter(f)),
)
def test_refuses_a_key_sealed_for_another_grant(attested: Attested, info: dict[str, Any]) -> None:
    grant = attested.grant("bo", sealed_in=info)
    refuses_to_run(attested, GrantError, "not sealed for this grant", attested.grants(bo=grant))


def test_refuses_a_wrong_key(attested: Attested) -> None:
    other = bytes(DataKey.generate().raw)
    grant = attested.grant("bo", keys={"bo.visits": other})
    refuses_to_run(attested, GrantError, "not the key of bo.visits", attested.grants(bo=grant))


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_refuses_a_key_of_another_length(attested: Attested, length: int) -> None:
    grant = attested.grant("bo", keys={"bo.visits": bytes(length)})
    refuses_to_run(attested, GrantError, "not the key of bo.visits", attested.grants(bo=grant))


def altered_keys(grant_keys: tuple[SealedKey, ...], kind: str) -> tuple[SealedKey, ...]:
    (key,) = grant_keys
    return {
        "none": (),
        "other dataset": (replace(key, dataset="bo.other"),),
        "ada's dataset": (replace(key, dataset="ada.visits"),),
        "one too many": (replace(key, dataset="bo.more"), key),
        "other version": (replace(key, manifest=OTHER),),
    }[kind]


@pytest.mark.parametrize(
    "kind", ["none", "other dataset", "ada's dataset", "one too many", "other version"]
)
def test_a_grant_covers_exactly_its_owners_inputs(attested: Attested, kind: str) -> None:
    good = Grant.verify(attested.grant("bo"), attested.job.contract.key_of).value
    grant = replace(good, keys=altered_keys(good.keys, kind))
    raw = grant.sign(attested.job.parties["bo"].signing)
    refuses_to_run(attested, GrantError, "not for exactly the datasets", attested.grants(bo=raw))


def test_opens_no_key_before_all_grants_are_in_order(
    attested: Attested, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bytes] = []
    monkeypatch.setattr("mc2.enclave.release._open_key", lambda *_: opened.append(b""))
    grant = attested.grant("bo", evidence=OTHER)
    refuses_to_run(attested, GrantError, "other evidence", attested.grants(bo=grant))
    assert opened == []


def test_refuses_something_else_signed_as_a_grant(attested: Attested) -> None:
    raw = attested.challenges["bo"]
    refuses_to_run(attested, FormatError, "not a signed", attested.grants(bo=raw))


# --- E16: the lease ---


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_shortest_lease_ends_the_reading(job: Job) -> None:
    clock = Clock()
    attested = job.attested(clock=clock)

    def slow(name: Digest) -> bytes:
        clock.now += 31.0
        return job.read(name)

    grants = attested.grants(bo=attested.grant("bo", lease_seconds=60))
    refuses_to_run(attested, GrantError, "lease", grants, slow)


def test_a_lease_starts_when_its_keys_are_opened(job: Job) -> None:
    clock = Clock()
    attested = job.attested(clock=clock)
    grants = attested.grants(bo=attested.grant("bo", lease_seconds=60))
    clock.now += 3600
    attested.run(grants)


def test_no_receipt_is_signed_after_the_lease(job: Job) -> None:
    clock = Clock()
    attested = job.attested(clock=clock)

    def slow(name: Digest, raw: bytes) -> None:
        job.write(name, raw)
        clock.now += 1000.0

    with pytest.raises(GrantError, match="lease"):
        attested.run(write=slow)
    assert attested.session.state is SessionState.FAILED


# --- E17: the chunks ---


def reading(job: Job, swap: Callable[[Digest, bytes], bytes]) -> Callable[[Digest], bytes]:
    return lambda name: swap(name, job.read(name))


def test_refuses_swapped_chunks(attested: Attested) -> None:
    chunks = list(attested.job.datasets["ada.visits"].chunks.values())
    read = reading(attested.job, lambda _, raw: chunks[1] if raw == chunks[0] else raw)
    refuses_to_run(attested, DatasetError, "not the one that its manifest names", None, read)


def test_refuses_another_owners_chunk(attested: Attested) -> None:
    mine = attested.job.datasets["ada.visits"].chunks
    other = next(iter(attested.job.datasets["bo.visits"].chunks.values()))
    read = reading(attested.job, lambda name, raw: other if name in mine else raw)
    refuses_to_run(attested, DatasetError, "not the one that its manifest names", None, read)


def test_refuses_a_chunk_of_another_version(attested: Attested) -> None:
    old = seal("ada.visits", make_table(1), version=2, key=attested.job.datasets["ada.visits"].key)
    first = next(iter(old.chunks.values()))
    mine = list(attested.job.datasets["ada.visits"].chunks)
    read = reading(attested.job, lambda name, raw: first if name == mine[0] else raw)
    refuses_to_run(attested, DatasetError, "not the one that its manifest names", None, read)


@pytest.mark.parametrize(
    "change",
    [lambda c: c[:-1], lambda c: c + b"\0", lambda c: b"", lambda c: bytes([c[0] ^ 1]) + c[1:]],
    ids=["truncated", "longer", "empty", "flipped"],
)
def test_refuses_a_damaged_chunk(attested: Attested, change: Callable[[bytes], bytes]) -> None:
    read = reading(attested.job, lambda _, raw: change(raw))
    refuses_to_run(attested, DatasetError, "not the one that its manifest names", None, read)


def test_refuses_a_missing_chunk(attested: Attested) -> None:
    last = list(attested.job.datasets["bo.visits"].chunks)[-1]

    def read(name: Digest) -> bytes:
        if name == last:
            raise KeyError(name)
        return attested.job.read(name)

    refuses_to_run(attested, DatasetError, "did not give the chunk", None, read)


def rearranged(job: Job, order: list[int], **changes: Any) -> Job:
    """A job whose owner ada signed a manifest with her own chunks in another order."""
    sealed = job.datasets["ada.visits"]
    refs = [sealed.manifest.chunks[i] for i in order]
    manifest = replace(sealed.manifest, chunks=tuple(refs), **changes)
    return make_job(
        datasets={**job.datasets, "ada.visits": replace(sealed, manifest=manifest)},
    )


@pytest.mark.parametrize(
    ("order", "changes"),
    [
        ([1, 0, 2], {}),
        ([0, 0, 2], {}),
        ([0, 1], {"row_bound": 8}),
        ([0, 1, 2, 2], {"row_bound": 16}),
    ],
    ids=["reordered", "repeated", "cut off", "continued"],
)
def test_even_an_owner_cannot_rearrange_sealed_chunks(
    job: Job, order: list[int], changes: dict[str, Any]
) -> None:
    attested = rearranged(job, order, **changes).attested()
    refuses_to_run(attested, CryptoError, "does not open")


def test_refuses_chunks_whose_number_of_rows_is_another(job: Job) -> None:
    sealed = job.datasets["ada.visits"]
    manifest = replace(sealed.manifest, row_bound=11)
    changed = make_job(datasets={**job.datasets, "ada.visits": replace(sealed, manifest=manifest)})
    refuses_to_run(changed.attested(), DatasetError, "wrong number of rows")


# --- E18 to E21 ---


def test_an_engine_that_fails_says_nothing_of_the_data(
    attested: Attested, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ValueError("could not convert 'Smith, John' to a number")

    monkeypatch.setattr("mc2.enclave.computation.execute", fail)
    with pytest.raises(EngineError, match="ValueError") as caught:
        attested.run()
    assert "Smith" not in str(caught.value) + caught.value.hint
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert attested.session.state is SessionState.FAILED


def test_an_engine_that_runs_out_of_memory_says_so(
    attested: Attested, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("mc2.enclave.computation.execute", fail)
    refuses_to_run(attested, EngineError, "memory")


@pytest.mark.parametrize("drop", ["by_site", "model", None])
def test_an_engine_gives_exactly_the_planned_outputs(
    attested: Attested, monkeypatch: pytest.MonkeyPatch, drop: str | None
) -> None:
    from mc2.enclave import computation

    real = computation.execute

    def other(*args: Any) -> Any:
        found = dict(real(*args))
        if drop is None:
            found["more"] = found["model"]
        else:
            del found[drop]
        return found

    monkeypatch.setattr(computation, "execute", other)
    refuses_to_run(attested, EngineError, "other outputs")


def test_what_the_store_cannot_keep_ends_the_job(attested: Attested) -> None:
    def full(name: Digest, raw: bytes) -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        attested.run(write=full)
    assert attested.session.state is SessionState.FAILED


def test_nothing_handed_to_the_host_holds_plaintext_or_keys(attested: Attested) -> None:
    outcome = attested.run()
    job = attested.job
    seen = [attested.evidence, outcome.receipt, *outcome.results.values(), *job.stored.values()]
    seen += [s.encode() for s in attested.said]
    secrets = [d.key for d in job.datasets.values()]
    secrets += [str(v).encode() for v in make_table(1)["glucose"].to_pylist()]
    joined = b"\n".join(seen)
    assert not [s for s in secrets if s in joined]
    assert b"MC2C" not in joined
