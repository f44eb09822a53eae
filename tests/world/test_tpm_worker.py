"""The real worker process on a machine with a TPM: it measures itself, confined, over HTTP or not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.environment import Environment
from tests.support.swtpm import needs_swtpm, software_tpm
from tests.support.tpm_world import SCRIPT, section, source, tpm_world

from mc2.attestation.collect.tees import TPM, TpmSource
from mc2.cli.start import worker_command
from mc2.coordinator.worker_pool import WorkerPool, worker_commands
from mc2.enclave.measured_code import measure_in_fresh_process
from mc2.errors import Mc2Error

pytestmark = needs_swtpm


@pytest.fixture
def found(tmp_path: Path) -> Iterator[TpmSource]:
    tpm = software_tpm(tmp_path)
    with tpm.powered() as path:
        yield source(tpm, path, tmp_path)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment.make(tmp_path / "environment")


def pool(environment: Environment, found: TpmSource, folder: Path) -> WorkerPool:
    words = worker_command(folder, TPM, found, unconfined=False)
    return WorkerPool(worker_commands(1, [str(environment.python), *words[1:]], folder))


def test_a_worker_proves_its_files_and_a_changed_one_is_refused(
    environment: Environment, found: TpmSource, tmp_path: Path
) -> None:
    code = measure_in_fresh_process(str(environment.python)).event()
    terms = section(found, code.digest.hex())
    with (
        pool(environment, found, tmp_path) as workers,
        tpm_world(tmp_path / "w", workers, terms) as world,
    ):
        worker = workers.acquire(timeout_seconds=120)
        assert worker.ready.tier == "measured-boot"
        assert "Seccomp:\t2" in Path(f"/proc/{worker.process_id}/status").read_text()
        workers.release(worker)
        job_id = world.propose(SCRIPT)
        world.approve(job_id)
        world.run(job_id, seconds=120)
        assert world.cy.results(job_id)["counted"].table.num_rows == 4
        assert world.cy.verify_job(job_id).tier.word == "measured-boot"
    with environment.file("version.py").open("a") as file:
        file.write("# not what was reviewed\n")
    changed = measure_in_fresh_process(str(environment.python)).event()
    assert {n for n in code.parts if code.parts[n] != changed.parts[n]} == {"mc2"}
    with (
        pool(environment, found, tmp_path) as workers,
        tpm_world(tmp_path / "w2", workers, terms) as world,
    ):
        workers.release(workers.acquire(timeout_seconds=120))
        job_id = world.propose(SCRIPT)
        world.approve(job_id)
        with pytest.raises(Mc2Error, match=r"refused the enclave's evidence \(appraisal\)"):
            world.run(job_id, seconds=120)
        with world.ada.ledger.open() as book:
            (refused,) = book.state.jobs[job_id].refusals
        assert f"code: {changed.digest.hex()} was started" in refused.rules


def test_mc2_start_says_what_a_contract_needs(
    environment: Environment, found: TpmSource, tmp_path: Path
) -> None:
    def mc2(*words: str) -> str:
        command = [str(environment.python), "-m", "mc2.cli.main", *words, "--folder", "hub"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = json.loads(
        mc2(
            "start", "--json", "--port", "0", "--tee", "tpm", "--tpm", str(found.path),
            "--tpm-chain", str(found.chain_file),
        )
    )  # fmt: skip
    try:
        code = measure_in_fresh_process(str(environment.python)).event()
        assert said["tpm_code"] == code.digest.hex()
        (platform,) = section(found, said["tpm_code"])["platforms"]
        assert said["tpm_platform"] == platform
        assert said["tpm_pcrs"]["7"] == "00" * 32
    finally:
        mc2("stop")


def test_python_that_may_run_unmeasured_code_is_refused(
    environment: Environment, found: TpmSource, tmp_path: Path
) -> None:
    words = worker_command(tmp_path, TPM, found, unconfined=False)
    plain = [str(environment.python), *words[words.index("-m") :], "--listen", f"unix:{tmp_path}/s"]
    done = subprocess.run(plain, capture_output=True, text=True, check=False)
    assert done.returncode == 8
    assert "not measured" in done.stderr
    assert not found.code_log.exists()
