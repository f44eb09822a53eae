"""Two machines with a TPM each (Debian's swtpm) share a job: each activates the other's key."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.swtpm import needs_swtpm, software_tpm
from tests.support.tpm_world import GOOD, SCRIPT, but, measured, section, source, tpm_world
from tests.support.world import CODE

from mc2.attestation.tpm.policy import section_verifier
from mc2.client.downloads import fetch_proof
from mc2.client.proof import VerifiedJob
from mc2.enclave.__main__ import MEASURED_BOOT_WARNING
from mc2.enclave.peers import PeerTrust
from mc2.enclave.session import JobSession
from mc2.enclave.task_runner import Host
from mc2.errors import AttestationError, WorkerError

pytestmark = needs_swtpm


@dataclass
class Machines:
    """Lends out a session on each machine; `lie` may replace the second one's collector."""

    collectors: tuple[Any, ...]
    lie: Callable[[Any], Any] = lambda collector: collector
    lent: list[Any] = field(default_factory=list)

    def acquire(self, *, timeout_seconds: float) -> Any:
        if len(self.lent) == len(self.collectors):
            raise WorkerError("all are busy")
        collector = self.collectors[len(self.lent)]
        if self.lent:
            collector = self.lie(collector)
        session = JobSession(
            collector,
            CODE,
            (MEASURED_BOOT_WARNING,),
            secrets.token_hex(16),
            peers=PeerTrust(tpm=section_verifier),
        )
        self.lent.append(_OnMachine(session, f"machine_{len(self.lent) + 1}"))
        return self.lent[-1]

    def release(self, worker: Any) -> None:
        worker.session.close()
        self.lent.remove(worker)


@dataclass
class _OnMachine:
    """A session behind the worker's interface."""

    session: JobSession
    name: str
    usable: bool = True

    def open(self, bundle: bytes, *, timeout_seconds: float) -> Any:
        return self.session.open(bundle)

    def attest(self, challenges: Mapping[str, bytes], *, timeout_seconds: float) -> bytes:
        return self.session.attest(challenges)

    def run(self, *given: Any, timeout_seconds: float) -> Any:
        return self.session.run(*given)

    def join(self, *given: Any, timeout_seconds: float) -> bytes:
        return self.session.join(*given)

    def prove(self, probe: bytes, *, timeout_seconds: float) -> bytes:
        return self.session.prove(probe)

    def enter(self, admission: bytes, *, timeout_seconds: float) -> None:
        self.session.enter(admission)

    def task(self, task: Any, read: Any, keep: Any, *, timeout_seconds: float) -> bytes:
        return self.session.task(task, Host(read, keep, lambda _: None))

    def kill(self) -> None:
        self.session.close()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Machines, dict[str, Any]]]:
    """Two machines that measured the same code, and what members accept of both."""
    with ExitStack() as power:
        collectors, terms = [], []
        for number in range(2):
            folder = tmp_path / f"machine{number}"
            folder.mkdir()
            tpm = software_tpm(folder, number)
            found = source(tpm, power.enter_context(tpm.powered()), folder)
            collectors.append(measured(found))
            terms.append(section(found, GOOD.digest.hex()))
        both = dict(terms[0])
        for name in ("roots", "platforms"):
            both[name] = sorted(terms[0][name] + terms[1][name])
        both["resets"] = terms[0]["resets"] | terms[1]["resets"]
        yield Machines(tuple(collectors)), both


def run(folder: Path, machines: Machines, terms: dict[str, Any]) -> VerifiedJob:
    """A job, verified by the analyst from its proof alone."""
    with tpm_world(folder, machines, terms, workers_per_job=2) as world:
        job_id = world.job(SCRIPT)
        assert world.cy.results(job_id)["counted"].table.num_rows == 4
        return fetch_proof(world.cy.desk, job_id)


def test_two_machines_share_a_job(
    machines: tuple[Machines, dict[str, Any]], tmp_path: Path
) -> None:
    job = run(tmp_path, *machines)
    (roster,) = job.receipt.value.epochs
    assert len(roster) == 2
    (member,) = job.members
    assert member.appraised.tier.word == job.tier.word == "measured-boot"
    assert member.appraised.claims.platform_id != job.appraised.claims.platform_id
    assert member.evidence.value.activation is not None
    assert not any("LEFT OUT" in warning for warning in job.warnings)


def test_a_machine_that_opens_nothing_is_left_out(
    machines: tuple[Machines, dict[str, Any]], tmp_path: Path
) -> None:
    """Anybody can quote with a key of software; that no TPM holds it shows at the probe."""

    def refuse(blob: bytes, encrypted_seed: bytes) -> bytes:
        raise AttestationError("there is no such key here")

    workers, terms = machines
    workers.lie = lambda honest: but(honest, activate=refuse)
    job = run(tmp_path, workers, terms)
    assert [len(roster) for roster in job.receipt.value.epochs] == [1]
    assert job.members == ()
    assert any("LEFT OUT" in warning for warning in job.warnings)


def test_a_machine_that_the_contract_does_not_name_is_left_out(
    machines: tuple[Machines, dict[str, Any]], tmp_path: Path
) -> None:
    workers, terms = machines
    first = workers.collectors[0].machine().platform
    job = run(tmp_path, workers, terms | {"platforms": [first]})
    assert [len(roster) for roster in job.receipt.value.epochs] == [1]
    assert any("(appraisal)" in warning for warning in job.warnings)


def test_two_workers_of_one_machine_share_a_job(tmp_path: Path) -> None:
    """They quote with one key, over keys of their own; each opens what the other sealed."""
    tpm = software_tpm(tmp_path)
    with tpm.powered() as path:
        found = source(tpm, path, tmp_path)
        workers = Machines((measured(found), measured(found)))
        job = run(tmp_path / "world", workers, section(found, GOOD.digest.hex(), max_restarts=2))
    (roster,) = job.receipt.value.epochs
    (member,) = job.members
    assert len(roster) == 2
    assert member.appraised.claims.platform_id == job.appraised.claims.platform_id
