"""Rows that stay at home: the model of one enclave, no row elsewhere, and what hosts can do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.home_trainings import (
    CONTINUE,
    HOMES,
    ROUNDS,
    AtHomes,
    home_job,
    home_plan,
)

from mc2.crypto.digest import digest
from mc2.enclave import computation
from mc2.errors import DatasetError, DropoutError, JobError, Mc2Error
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.home import HomeEvidence
from mc2.formats.task import digest_of_receipts
from mc2.formats.training_receipt import TrainingReceipt
from mc2.plan.training import Dropout


@pytest.fixture(autouse=True)
def same_key(monkeypatch):
    """Jobs that draw the same numbers, whatever their plans and inputs are."""
    monkeypatch.setattr(computation, "drawing_key", lambda *_: bytes(range(32)))


def pooled(**changes):
    """The model of one enclave that has all rows."""
    return AtHomes(home_job(homes=(), **changes), homes=()).run()


def receipts_of(host):
    found = []
    for raw in host.kept.values():
        envelope = Envelope.parse(raw, PayloadType.TRAINING_RECEIPT, TrainingReceipt.LIMIT)
        found.append(TrainingReceipt.parse(envelope.payload))
    return found


@pytest.mark.parametrize("others", [(), ("w1", "w2")])
def test_the_model_is_that_of_one_enclave_over_pooled_rows(others):
    host = AtHomes(home_job(), others=others)
    model, history, receipt = host.run()
    expected, metrics, alone = pooled()
    assert (model, history) == (expected, metrics)
    assert alone.homes == {}
    assert set(receipt.homes) == set(HOMES)
    assert all(not share.dropped for share in receipt.homes.values())
    assert {s.evidence for s in receipt.homes.values()} <= set(receipt.epochs[-1])
    assert receipt.tasks == digest_of_receipts([digest(raw) for raw in host.kept.values()])


def test_a_job_of_homes_alone_has_a_leader_without_rows():
    job = home_job(homes=("ada", "bo", "dee"))
    host = AtHomes(job, ("ada", "bo", "dee"))
    assert host.run()[:2] == pooled()[:2]
    assert host.reads["leader"] == []


def test_no_row_of_a_home_is_read_elsewhere():
    host = AtHomes(home_job(), others=("w1",))
    host.run()
    kept = {d.manifest.owner: set(d.chunks) for d in host.job.datasets.values()}
    assert set(host.reads["at_ada"]) == kept["ada"]
    assert set(host.reads["at_bo"]) == kept["bo"]
    assert not (kept["ada"] | kept["bo"]) & {*host.reads["leader"], *host.reads["w1"]}


def test_a_home_gets_the_keys_of_its_own_rows_and_others_none_of_these():
    host = AtHomes(home_job(), others=("w1",))
    found = {}
    admit = host.admit

    def entering(admissions):
        names = admit(admissions)
        for name in names:
            membership = host.sessions[name]._membership
            found[name] = set(membership.ciphers)
        return names

    host.admit = entering
    host.run()
    assert found == {"at_ada": {"ada.visits"}, "at_bo": {"bo.visits"}, "w1": {"dee.visits"}}


@pytest.mark.parametrize("lost", range(1, 26, 4))
def test_a_party_that_drops_out_ends_the_job(lost):
    host = AtHomes(home_job())
    host.lose = {"at_bo": lost}
    with pytest.raises(DropoutError, match="bo dropped out") as caught:
        host.run()
    assert "mc2 home" in caught.value.hint


def steps_of(worker, **changes):
    """How many messages a party gets of a training in which nobody is lost."""
    host = AtHomes(home_job(**changes))
    host.run()
    return sum(1 for name, _ in host.steps if name == worker)


def test_training_goes_on_without_a_party_from_any_step_on():
    whole = steps_of("at_bo", dropout=CONTINUE)
    models = {}
    for lost in range(whole + 1):
        host = AtHomes(home_job(dropout=CONTINUE))
        host.lose = {"at_bo": lost}
        model, history, receipt = host.run()
        dropped = receipt.homes["bo"].dropped
        assert receipt.homes["ada"].dropped == {}
        if lost == whole:
            assert dropped == {}
            continue
        assert len(dropped) == 1
        (turn,) = dropped.values()
        # Whenever in a round it is lost: the model is one that no sum of this round is in.
        models.setdefault(turn, set()).add((model, history))
        assert any("DROPPED OUT: bo" in w and f"round {turn + 1}" in w for w in receipt.warnings)
        assert {r.dropped for r in receipts_of(host)} == {((2, turn),)}
    assert sorted(models) == list(range(ROUNDS + 1))
    assert all(len(found) == 1 for found in models.values())
    assert {m for m, _ in models[ROUNDS]} == {pooled(dropout=None)[0]}


def test_without_a_party_from_the_first_round_the_model_is_that_of_the_others():
    host = AtHomes(home_job(dropout=CONTINUE, homes=("ada", "bo")), homes=("bo",))
    model, _, receipt = host.run()
    assert receipt.homes["ada"].evidence is None
    assert set(receipt.homes["ada"].dropped.values()) == {0}
    assert model != pooled()[0]


def test_too_few_parties_left_end_the_job():
    host = AtHomes(home_job(dropout=Dropout(3)))
    host.lose = {"at_ada": 9}
    with pytest.raises(DropoutError, match="wants rows of 3 parties"):
        host.run()


def test_two_parties_may_drop_out_one_after_the_other():
    host = AtHomes(home_job(dropout=Dropout(1)))
    host.lose = {"at_ada": 9, "at_bo": 14}
    receipt = host.run()[2]
    assert all(len(share.dropped) == 1 for share in receipt.homes.values())


def test_hosted_workers_that_are_lost_catch_up_on_rounds_that_began_again():
    job = home_job(dropout=CONTINUE)
    steady = AtHomes(job, others=("w1", "w2"))
    steady.lose = {"at_ada": 9}
    expected = steady.run()[:2]
    for lost in range(10, 30, 3):
        host = AtHomes(job, others=("w1", "w2"))
        host.lose = {"at_ada": 9, "w1": lost}
        assert host.run()[:2] == expected


def test_an_enclave_that_the_host_calls_lost_refuses_to_go_on():
    """A host may claim it of a party that is there: the plan bounds that, and receipts tell."""
    host = AtHomes(home_job(dropout=CONTINUE))
    host.lose = {"at_bo": 9}
    host.run()
    told = [step for name, step in host.steps if name == "at_ada"]
    ours = [step for name, step in host.steps if name == "at_bo"]
    host.carried("at_bo", ours[9])  # it is there after all, and answers what it was not handed
    with pytest.raises(JobError, match="went on without this enclave's rows"):
        host.carried("at_bo", replace(told[10], partition=ours[9].partition))


# --- who may be a home


@pytest.mark.parametrize("signer", ["dee", "eve", "bo"])
def test_an_enclave_in_the_name_of_another_party_is_left_out(signer):
    host = AtHomes(home_job())
    host.signers = {"at_ada": signer}
    with pytest.raises(DropoutError, match="ada dropped out"):
        host.run()
    assert host.reads["at_ada"] == []


def test_a_party_whose_rows_are_hosted_has_no_enclave_at_home():
    host = AtHomes(home_job(), (*HOMES, "dee"))
    model, _, receipt = host.run()
    assert model == pooled()[0]
    assert "LEFT OUT" in receipt.warnings[-1]
    assert host.reads["at_dee"] == []


def test_a_second_enclave_of_a_party_is_left_out():
    host = AtHomes(home_job(), others=("second",))
    host.homes["second"] = "ada"
    _, _, receipt = host.run()
    assert "second of epoch 1" in receipt.warnings[-1]


def test_a_party_that_signs_for_anothers_enclave_gets_no_rows_of_that_party():
    """The enclave at ada's home passes for bo's: it has keys of bo alone, and ada is missed."""
    host = AtHomes(home_job())
    gather, keys = host.gather, {}
    admit = host.admit

    def taking_over(invitation):
        found = dict(gather(invitation))
        said = HomeEvidence.verify(found["at_ada"], host.job.contract.key_of).value
        by_bo = HomeEvidence(party="bo", evidence=said.evidence)
        return found | {"at_ada": by_bo.sign(host.job.parties["bo"].signing)}

    def entering(admissions):
        names = admit(admissions)
        keys.update({n: set(host.sessions[n]._membership.ciphers) for n in names})
        return names

    host.gather, host.admit = taking_over, entering
    with pytest.raises(DatasetError, match="does not have what bo keeps"):
        host.run()
    assert keys == {"at_ada": {"bo.visits"}}
    assert not set(host.job.datasets["ada.visits"].chunks) & {
        n for r in host.reads.values() for n in r
    }


def test_evidence_signed_for_another_job_is_left_out():
    old = AtHomes(home_job(rounds=2))
    replayed = {}
    gather = old.gather

    def remembering(invitation):
        replayed.update(gather(invitation))
        return replayed

    old.gather = remembering
    old.run()
    host = AtHomes(home_job())
    fresh = host.gather
    host.gather = lambda invitation: fresh(invitation) | {"at_bo": replayed["at_bo"]}
    with pytest.raises(Mc2Error, match="bo dropped out"):
        host.run()


def test_home_evidence_keeps_its_form():
    raw = b'{"a":1}'
    said = HomeEvidence(party="ada", evidence=raw)
    host = home_job()
    signed = said.sign(host.parties["ada"].signing)
    found = HomeEvidence.verify(signed, host.contract.key_of)
    assert found.value == said


# --- what a host may try


def test_rows_of_another_version_do_not_open():
    job = home_job()
    other = home_job(rows=41)
    host = AtHomes(job)
    read = host.reader

    def swapped(who):
        if who != "at_ada":
            return read(who)
        chunks = list(other.datasets["ada.visits"].chunks.values())
        names = list(job.datasets["ada.visits"].chunks)
        return lambda name: chunks[names.index(name)]

    host.reader = swapped
    with pytest.raises(Mc2Error) as caught:
        host.run()
    assert not isinstance(caught.value, DropoutError)


def test_histograms_of_before_are_refused():
    host = AtHomes(home_job())
    carried, old = host.carried, []

    def replaying(worker, step):
        found = carried(worker, step)
        if worker == "at_ada":
            old.append(found)
            if len(old) == 9:
                return old[7]
        return found

    host.carried = replaying
    with pytest.raises(JobError, match="another step"):
        host.run()


def test_sums_of_one_party_do_not_stand_for_those_of_another():
    host = AtHomes(home_job())
    carried = host.carried
    last = {}

    def crossing(worker, step):
        last[worker] = carried(worker, step)
        return last["at_ada"] if worker == "at_bo" and len(host.steps) > 9 else last[worker]

    host.carried = crossing
    with pytest.raises(JobError, match="there twice"):
        host.run()


def test_a_host_without_other_enclaves_gets_no_model():
    job = home_job()
    host = AtHomes(job, homes=())
    with pytest.raises(DropoutError, match="dropped out"):
        host.run()
    assert host.reads["leader"] == [] or not (
        {n for d in job.datasets.values() if d.manifest.placement == "home" for n in d.chunks}
        & set(host.reads["leader"])
    )


def test_a_plan_that_says_otherwise_than_the_manifest_is_refused():
    job = home_job()
    inputs = tuple(replace(i, placement="hosted") for i in job.plan.inputs)
    job.plan = replace(job.plan, inputs=inputs)
    with pytest.raises(Mc2Error, match="placement"):
        AtHomes(job)


def test_names_of_trainings_tell_homes_apart():
    job = home_job()
    assert home_plan(job.contract.digest, job.datasets) == job.plan
