"""Jobs on a machine with a TPM (Debian's swtpm): the honest one, and each lie by its name."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.swtpm import SoftwareTpm, needs_swtpm, software_tpm
from tests.support.tpm_quotes import Tpm
from tests.support.tpm_world import (
    GOOD,
    SCRIPT,
    TpmSessions,
    but,
    measured,
    section,
    source,
    tpm_world,
)

from mc2.attestation.claims import RawEvidence
from mc2.attestation.collect.tees import TpmSource
from mc2.attestation.tpm.client import TpmClient
from mc2.attestation.tpm.code_log import CodeEvent
from mc2.attestation.tpm.evidence import TpmEvidence
from mc2.attestation.tpm.transport import SocketTransport
from mc2.errors import Mc2Error, ReceiptError
from mc2.formats.bundle import Proof
from mc2.formats.canonical import decode, encode

pytestmark = needs_swtpm

OTHER = CodeEvent({"mc2": "33" * 32, "python": "22" * 32})
CODE = GOOD.digest.hex()


@pytest.fixture
def tpm(tmp_path: Path) -> SoftwareTpm:
    return software_tpm(tmp_path)


@pytest.fixture
def found(tpm: SoftwareTpm, tmp_path: Path) -> Iterator[TpmSource]:
    with tpm.powered() as path:
        yield source(tpm, path, tmp_path)


def decide(world: Any, name: str = "ada") -> None:
    """One owner's answer to the evidence, in this thread; raises what it refuses with."""
    job_id = world.propose(SCRIPT)
    world.approve(job_id)
    world.cy.desk.coordinator.start(job_id)
    agents = {n: world.parties[n].desk.agent() for n in ("ada", "bo")}
    for agent in agents.values():
        _until(world, job_id, "challenge")
        agent.answer_job(job_id)
    _until(world, job_id, "grant")
    agents[name].answer_job(job_id)


def _until(world: Any, job_id: str, phase: str) -> None:
    coordinator = world.cy.desk.coordinator
    for _ in range(4000):
        status = coordinator.job(job_id)
        if status.phase == phase or status.state.final:
            assert status.phase == phase, status.error
            return
        coordinator.news(job_id, 0, 0.05)
    raise AssertionError(f"the phase {phase} did not come")


def refusal(world: Any) -> list[str]:
    """The rules by which an owner refuses."""
    with pytest.raises(Mc2Error) as caught:
        decide(world)
    return [rule.split(":")[0] for rule in getattr(caught.value, "failures", [str(caught.value)])]


def test_a_job_runs_on_a_measured_machine_and_anybody_can_verify_it(
    found: TpmSource, tmp_path: Path
) -> None:
    terms = section(found, CODE)
    with tpm_world(tmp_path / "w", TpmSessions(measured(found)), terms) as world:
        job_id = world.job(SCRIPT)
        assert world.cy.results(job_id)["counted"].table.num_rows == 4
        job = world.cy.verify_job(job_id)
        assert job.tier.word == "measured-boot"
        assert any("MEASURED BOOT" in warning for warning in job.warnings)
        assert job.receipt.value.activations.keys() == {"ada", "bo"}
        assert all(grant.value.activation for grant in job.grants.values())
        _check_bystander(world, world.cy.home.proofs.get(job_id))


def _check_bystander(world: Any, raw: bytes) -> None:
    """Cy owns nothing: what convinces it is that the owners' secrets were opened."""
    assert world.cy.verify(raw).tier.word == "measured-boot"
    proof = Proof.parse(raw)
    grant = decode(proof.grants["ada"], 1 << 20, "a grant")
    assert isinstance(grant, dict)
    payload = decode(base64.b64decode(grant["payload"]), 1 << 20, "its payload")
    assert isinstance(payload, dict)
    unlocked = encode({**payload, "activation": None})
    forged = encode({**grant, "payload": base64.b64encode(unlocked).decode()})
    with pytest.raises(ReceiptError, match="V4"):
        world.cy.verify(replace(proof, grants={**proof.grants, "ada": forged}).encode())


def test_a_refusal_ends_the_job_without_waiting(found: TpmSource, tmp_path: Path) -> None:
    terms = section(found, CODE)
    with tpm_world(tmp_path / "w", TpmSessions(measured(found, OTHER)), terms) as world:
        job_id = world.propose(SCRIPT)
        world.approve(job_id)
        with pytest.raises(Mc2Error, match="refused the enclave's evidence"):
            world.run(job_id, seconds=60)


def test_another_environment_is_refused(found: TpmSource, tmp_path: Path) -> None:
    terms = section(found, CODE)
    with tpm_world(tmp_path / "w", TpmSessions(measured(found, OTHER)), terms) as world:
        assert refusal(world) == ["code"]


def test_one_good_worker_does_not_hide_a_bad_one(found: TpmSource, tmp_path: Path) -> None:
    terms = section(found, CODE)
    measured(found, OTHER)
    with tpm_world(tmp_path / "w", TpmSessions(measured(found)), terms) as world:
        assert refusal(world) == ["code"]


def test_a_log_without_the_bad_worker_is_a_lie(found: TpmSource, tmp_path: Path) -> None:
    terms = section(found, CODE)
    measured(found, OTHER)
    honest = measured(found)

    def collect(report_data: bytes) -> RawEvidence:
        raw = honest.collect(report_data)
        log = raw.endorsements["code_log"]
        value = decode(log, 1 << 20, "the log")
        assert isinstance(value, dict)
        shorter = encode({**value, "starts": value["starts"][1:]})
        return replace(raw, endorsements={**raw.endorsements, "code_log": shorter})

    with tpm_world(tmp_path / "w", TpmSessions(but(honest, collect=collect)), terms) as world:
        (said,) = refusal(world)
        assert "does not explain register 13" in said


def test_a_worker_that_measures_nothing_is_refused(found: TpmSource, tmp_path: Path) -> None:
    terms = section(found, CODE)
    from mc2.attestation.collect.choose import tpm_collector

    with tpm_world(tmp_path / "w", TpmSessions(tpm_collector(found)), terms) as world:
        assert refusal(world) == ["code"]


def test_another_boot_is_refused(found: TpmSource, tmp_path: Path) -> None:
    terms = section(found, CODE)
    with SocketTransport(found.path) as transport:
        TpmClient(transport).pcr_extend(7, "sha256", os.urandom(32))
    with tpm_world(tmp_path / "w", TpmSessions(measured(found)), terms) as world:
        assert refusal(world) == ["PCR7"]


def test_a_reset_machine_is_refused(tpm: SoftwareTpm, tmp_path: Path) -> None:
    with tpm.powered() as path:
        terms = section(source(tpm, path, tmp_path), CODE)
    with tpm.powered() as path:
        sessions = TpmSessions(measured(source(tpm, path, tmp_path)))
        with tpm_world(tmp_path / "w", sessions, terms) as world:
            assert refusal(world) == ["resets"]


def test_another_tpm_is_refused(found: TpmSource, tmp_path: Path) -> None:
    terms = section(found, CODE)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = software_tpm(elsewhere, 1)
    with other.powered() as path:
        sessions = TpmSessions(measured(source(other, path, elsewhere)))
        with tpm_world(tmp_path / "w", sessions, terms) as world:
            (said,) = refusal(world)
            assert "not a root that is trusted" in said


def test_a_replayed_quote_is_refused(found: TpmSource, tmp_path: Path) -> None:
    terms = section(found, CODE)
    honest = measured(found)
    old = honest.collect(b"an earlier attempt".ljust(64))
    sessions = TpmSessions(but(honest, collect=lambda _: old))
    with tpm_world(tmp_path / "w", sessions, terms) as world:
        assert refusal(world) == ["binding"]


def forging(honest: Any) -> Any:
    """A host with a genuine TPM, whose evidence is signed by a key in software.

    It shows any registers that it likes. Nothing in the evidence gives it away.
    """

    def collect(report_data: bytes) -> RawEvidence:
        from hashlib import sha256

        true = honest.collect(report_data)
        registers = TpmEvidence.parse(true.evidence).pcrs
        reset = honest.machine().reset_count
        made = Tpm(
            key="software",
            extra_data=sha256(report_data).digest(),
            pcrs=registers,
            reset_count=reset,
        )
        return replace(true, evidence=made.evidence().evidence)

    return but(honest, collect=collect)


def test_a_key_in_software_gets_a_grant_that_it_cannot_open(
    found: TpmSource, tmp_path: Path
) -> None:
    terms = section(found, CODE)
    sessions = TpmSessions(forging(measured(found)))
    with tpm_world(tmp_path / "w", sessions, terms) as world:
        job_id = world.propose(SCRIPT)
        world.approve(job_id)
        with pytest.raises(Mc2Error, match="not for this machine and its key"):
            world.run(job_id)
