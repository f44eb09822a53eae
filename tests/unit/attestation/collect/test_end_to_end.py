"""From a fake SNP device to keys and results: the real verifier, policy, session and worker."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.amd_hierarchy import NOW, WINDOW, Amd
from tests.support.enclave_jobs import Attested, Job, make_job, open_table, read_evidence
from tests.support.fake_tee import FakeMachine, FakeSevGuest, certificate_table, snp_machine

from mc2.attestation.appraisal import Appraised, appraise
from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.collect.choose import choose
from mc2.attestation.defaults import proposed
from mc2.attestation.policy import AttestationPolicy
from mc2.attestation.roots import PinnedRoot
from mc2.attestation.snp import KIND
from mc2.attestation.snp.defaults import SNP_DEFAULTS
from mc2.attestation.snp.verify import SnpVerifier
from mc2.coordinator.worker_pool import WorkerPool, worker_commands
from mc2.errors import AppraisalError, EvidenceError
from mc2.formats.receipt import Receipt
from mc2.formats.release import Evidence
from mc2.formats.result import Result

AMD = Amd(revoked=())
SECTION = proposed(SNP_DEFAULTS, measurements=[(b"m" * 48).hex()])
MACHINES = {
    "configfs-tsm": lambda: snp_machine(AMD),
    "guest device": lambda: FakeSevGuest(AMD, certificate_table(AMD)),
}


def hardware_job(**changes) -> Job:
    """A job whose contract accepts nothing less than SEV-SNP, by the proposed policy."""
    policy = {KIND: SECTION | changes}
    tier = Tier.HARDWARE_CVM
    return make_job(contract={"min_tier": tier.word, "attestation": policy}, tier=tier)


def judged(job: Job, spoken: Evidence, roots: tuple[PinnedRoot, ...]) -> Appraised:
    """What an owner's client does with evidence."""
    raw = RawEvidence(spoken.kind, spoken.evidence, spoken.endorsements)
    claims = SnpVerifier(roots).verify(raw, at=NOW)
    policy = AttestationPolicy.read(job.contract.attestation)
    return appraise(claims, policy, Tier.HARDWARE_CVM, spoken.runtime_data.report_data())


def attested(job: Job, machine: FakeMachine) -> Attested:
    return job.attested(collector=choose("sev-snp", machine))


@pytest.mark.parametrize("source", MACHINES)
def test_owners_accept_what_was_collected_and_the_job_runs(source: str) -> None:
    job = hardware_job()
    found = attested(job, MACHINES[source]())
    spoken = read_evidence(found.evidence)
    assert judged(job, spoken, AMD.pins()).tier == Tier.HARDWARE_CVM
    outcome = found.run()
    receipt = Receipt.verify(outcome.receipt, lambda _: spoken.runtime_data.signing_key).value
    assert receipt.tier == "hardware-cvm"
    assert receipt.evidence == spoken.digest


def test_owners_refuse_another_machine_code_or_binding() -> None:
    job = hardware_job()
    spoken = read_evidence(attested(job, snp_machine(AMD)).evidence)
    other = read_evidence(attested(job, snp_machine(AMD)).evidence)
    with pytest.raises(EvidenceError):
        judged(job, spoken, SnpVerifier()._roots)
    for changes in ({"measurements": ["00" * 48]}, {"platforms": ["chip:" + "00" * 64]}):
        with pytest.raises(AppraisalError):
            judged(hardware_job(**changes), spoken, AMD.pins())
    swapped = Evidence(
        kind=spoken.kind,
        evidence=other.evidence,
        endorsements=spoken.endorsements,
        runtime_data=spoken.runtime_data,
    )
    with pytest.raises(AppraisalError) as caught:
        judged(job, swapped, AMD.pins())
    assert [f.partition(":")[0] for f in caught.value.failures] == ["binding"]
    debug = AMD.guest_but(policy=0x30000 | 1 << 19)
    said = read_evidence(attested(job, snp_machine(debug)).evidence)
    with pytest.raises(AppraisalError):
        judged(job, said, AMD.pins())


WORKER = r"""
import sys
from tests.support.amd_hierarchy import Amd
from tests.support.fake_tee import snp_machine, snp_report
from mc2.attestation.collect import choose
from mc2.enclave.__main__ import main

amd = Amd(revoked=())
machine = snp_machine(amd)
snp_report(amd, bytes(64))
class Machine:
    "It opens a real file at each step: a confined process cannot."
    def __getattr__(self, name):
        def act(*arguments):
            open("/etc/passwd").close()
            return getattr(machine, name)(*arguments)
        return act
choose.LocalMachine = Machine
sys.exit(main(sys.argv[1:]))
"""


def root_in(spoken: Evidence) -> tuple[PinnedRoot, ...]:
    """The pin of the worker's own synthetic AMD: its keys are new in each process."""
    key = x509.load_der_x509_certificate(spoken.endorsements["ark"]).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    sha256 = hashlib.sha256(spki).hexdigest()
    pin = PinnedRoot(vendor="AMD", meaning="Genoa", of="key", sha256=sha256, not_after=WINDOW[1])
    return (pin,)


@pytest.mark.skipif(sys.platform != "linux", reason="confinement is for Linux")
def test_the_confined_worker_attests_and_computes(tmp_path: Path) -> None:
    command = (sys.executable, "-c", WORKER, "--tee", "auto", "--threads", "1")
    with WorkerPool(worker_commands(1, command, tmp_path)) as pool:
        worker = pool.acquire(timeout_seconds=120)
        assert (worker.ready.kind, worker.ready.tier) == (KIND, "hardware-cvm")
        assert worker.ready.warnings == ()
        status = Path(f"/proc/{worker.process_id}/status").read_text()
        assert "Seccomp:\t2" in status
        for attempt in (1, 2):
            job = hardware_job()
            job.attempt = attempt
            worker.open(job.bundle())
            challenges = job.challenges()
            evidence = worker.attest(challenges)
            spoken = read_evidence(evidence)
            assert judged(job, spoken, root_in(spoken)).tier == Tier.HARDWARE_CVM
            grants = {n: job.grant(n, evidence, challenges[n]) for n in job.owners}
            outcome = worker.run(grants, job.read, job.write, lambda _: None, timeout_seconds=120)
            result = Result.parse(outcome.results["by_site"])
            assert open_table(result, job.parties["bo"], job.stored).num_rows == 4
        pool.release(worker)
    log = (tmp_path / "worker-1.log").read_text()
    assert "tier hardware-cvm" in log
