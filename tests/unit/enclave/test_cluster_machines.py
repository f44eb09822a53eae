"""Leader and members whose evidence is not complete before their machines open secrets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.activating import Vault
from tests.support.clusters import Leader, Worker, cluster_job, join_of, payload, trust_in_machines
from tests.support.enclave_jobs import Job

from mc2.crypto.activation import ActivationSecret
from mc2.crypto.digest import digest
from mc2.crypto.secret import SigningKey
from mc2.enclave.cluster_leader import FormedEpoch
from mc2.errors import (
    AppraisalError,
    AttestationError,
    JobError,
    Mc2Error,
    SignatureError,
)
from mc2.formats.cluster import Admission, Probe

WRONG = ActivationSecret(bytes(32)).token()


@pytest.fixture
def job() -> Job:
    return cluster_job()


@pytest.fixture
def vault() -> Vault:
    """Where all machines of a test keep what is sealed to them."""
    return Vault()


@pytest.fixture
def leader(job: Job, vault: Vault) -> Leader:
    return Leader(job, trust=trust_in_machines(vault), vault=vault)


def machine(job: Job, vault: Vault, own: Vault | None = None) -> Worker:
    """A worker on a machine; `own` is where its own secrets lie, if not where they are sealed."""
    return Worker(job, trust=trust_in_machines(vault), vault=own or vault)


def admit(leader: Leader, worker: Worker, join: bytes) -> tuple[FormedEpoch, dict[str, bytes]]:
    """The honest exchange with one worker."""
    probes = leader.rules.examine({"a": join})
    tokens = {name: worker.prove(raw) for name, raw in probes.items()}
    return leader.rules.admit(tokens, leader.keys, 600), dict(probes)


def left_out(leader: Leader, tokens: dict[str, bytes]) -> Mc2Error:
    formed = leader.rules.admit(tokens, leader.keys, 600)
    assert len(formed.epoch.members) == 1
    (out,) = formed.left_out
    assert out.name == "a"
    return out.error


def test_machines_prove_themselves_to_one_another(job: Job, leader: Leader, vault: Vault) -> None:
    worker = machine(job, vault)
    join = worker.join(leader, leader.rules.invite())
    assert join_of(join).activation is not None
    formed, probes = admit(leader, worker, join)
    assert not formed.left_out
    assert probes.keys() == {"a"}
    assert payload(formed.admissions["a"], Admission).token is not None
    found = worker.enter(formed.admissions["a"])
    assert bytes(found.epoch.block_key.raw) == bytes(formed.epoch.block_key.raw)


def test_a_member_that_opens_nothing_is_left_out(job: Job, leader: Leader, vault: Vault) -> None:
    worker = machine(job, vault, own=Vault())  # evidence by a key that is in no machine
    join = worker.join(leader, leader.rules.invite())
    (probe,) = leader.rules.examine({"a": join}).values()
    with pytest.raises(AttestationError, match="not for this machine"):
        worker.prove(probe)
    assert isinstance(left_out(leader, {}), AttestationError)


def test_a_wrong_token_is_refused(job: Job, leader: Leader, vault: Vault) -> None:
    join = machine(job, vault).join(leader, leader.rules.invite())
    leader.rules.examine({"a": join})
    assert isinstance(left_out(leader, {"a": WRONG}), AppraisalError)


def test_a_token_of_another_member_is_refused(job: Job, leader: Leader, vault: Vault) -> None:
    invitation = leader.rules.invite()
    honest, other = machine(job, vault), machine(job, vault)
    joins = {"a": honest.join(leader, invitation), "b": other.join(leader, invitation)}
    probes = leader.rules.examine(joins)
    token = honest.prove(probes["a"])
    formed = leader.rules.admit({"a": token, "b": token}, leader.keys, 600)
    assert list(formed.admissions) == ["a"]
    assert [type(out.error) for out in formed.left_out] == [AppraisalError]


def test_a_leader_whose_key_is_nowhere_is_refused(job: Job, vault: Vault) -> None:
    """It cannot open what the member sealed: nothing of its is taken."""
    rogue = Leader(job, trust=trust_in_machines(vault), vault=Vault())
    worker = machine(job, vault)
    join = worker.join(rogue, rogue.rules.invite())
    (out,) = rogue.admit({"a": join}).left_out  # by its own rules; a rogue would go on
    assert isinstance(out.error, AttestationError)


def test_an_admission_shows_that_the_leader_opened_its_secret(
    job: Job, leader: Leader, vault: Vault
) -> None:
    for token in (None, WRONG):
        worker = machine(job, vault)
        formed, _ = admit(leader, worker, worker.join(leader, leader.rules.invite()))
        said = replace(payload(formed.admissions["a"], Admission), token=token)
        with pytest.raises(AttestationError, match=r"token|anybody"):
            worker.enter(said.sign(leader.signing))


def test_a_member_asks_for_what_the_leaders_evidence_needs(
    job: Job, leader: Leader, vault: Vault
) -> None:
    signing = SigningKey.generate()
    worker = machine(job, vault)
    join = join_of(worker.join(leader, leader.rules.invite()))
    data = replace(join.member_data, signing_key=signing.public)
    (out,) = leader.admit({"a": replace(join, member_data=data).sign(signing)}).left_out
    assert isinstance(out.error, AppraisalError)  # altered data are other data
    leader.rules.invite()


def test_no_probe_where_evidence_is_complete(job: Job) -> None:
    leader = Leader(job)
    worker = Worker(job)
    join = worker.join(leader, leader.rules.invite())
    assert join_of(join).activation is None
    assert leader.rules.examine({"a": join}) == {}
    formed = leader.rules.admit({}, leader.keys, 600)
    assert payload(formed.admissions["a"], Admission).token is None
    worker.enter(formed.admissions["a"])


def test_no_token_where_the_leaders_evidence_is_complete(job: Job) -> None:
    leader = Leader(job)
    worker = Worker(job)
    formed, _ = admit(leader, worker, worker.join(leader, leader.rules.invite()))
    said = replace(payload(formed.admissions["a"], Admission), token=WRONG)
    with pytest.raises(AttestationError, match="exactly where one is needed"):
        worker.enter(said.sign(leader.signing))


def test_a_member_without_a_machine_answers_no_probe(
    job: Job, leader: Leader, vault: Vault
) -> None:
    worker = Worker(job, trust=trust_in_machines(vault))
    (probe,) = leader.rules.examine({"a": worker.join(leader, leader.rules.invite())}).values()
    with pytest.raises(AttestationError, match="without a probe"):
        worker.prove(probe)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"epoch": 2}, "epoch"),
        ({"leader": digest(b"x")}, "another leader"),
        ({"member": digest(b"x")}, "another member"),
    ],
)
def test_a_probe_is_for_one_member_of_one_epoch(
    job: Job, leader: Leader, vault: Vault, changes: dict[str, Any], match: str
) -> None:
    worker = machine(job, vault)
    (probe,) = leader.rules.examine({"a": worker.join(leader, leader.rules.invite())}).values()
    with pytest.raises(AttestationError, match=match):
        worker.prove(replace(payload(probe, Probe), **changes).sign(leader.signing))


def test_a_probe_is_signed_by_the_leader_and_answered_once(
    job: Job, leader: Leader, vault: Vault
) -> None:
    worker = machine(job, vault)
    (probe,) = leader.rules.examine({"a": worker.join(leader, leader.rules.invite())}).values()
    with pytest.raises(SignatureError):
        worker.prove(payload(probe, Probe).sign(SigningKey.generate()))
    with pytest.raises(JobError, match="once"):
        worker.prove(probe)


def test_a_probe_comes_after_joining(job: Job, leader: Leader, vault: Vault) -> None:
    with pytest.raises(JobError, match="joined"):
        machine(job, vault).prove(b"{}")


def test_members_are_examined_before_they_are_admitted(leader: Leader) -> None:
    with pytest.raises(JobError, match="invitation"):
        leader.rules.examine({})
    leader.rules.invite()
    with pytest.raises(JobError, match="examined"):
        leader.rules.admit({}, leader.keys, 600)
