"""Processes killed in mid-job: the job ends with the right answer, and nothing is granted twice.

Here everything is real: `mc2 start` in a process of its own, HTTPS, confined enclave workers.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.world import SCRIPT, VISITS_A, VISITS_B

from mc2.attestation.simulated.verifier import SimulatedVerifier
from mc2.cli.demo.stage import answering
from mc2.client.contracts import read_contract_file
from mc2.client.desk import Trust
from mc2.client.party import Party
from mc2.coordinator.folder import running_process
from mc2.errors import Mc2Error
from mc2.formats.coordinator_file import CoordinatorFile
from mc2.formats.status import JobState

pytestmark = pytest.mark.timeout(600)

LONG = SCRIPT.replace("num_boost_round=3", "num_boost_round=8000")
CONTRACT = """\
api_version = "mc2/contract/v1"
name = "crash"
epoch = 1
not_after = 2099-01-01T00:00:00Z
min_tier = "simulated"
approvers = "owners"
max_attempts = 3
{members}
[attestation."mc2-simulated/v1"]
root = "{simulated_root}"
measurements = ["{simulated_measurement}"]
"""


def mc2(*arguments: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "mc2.cli.main", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Deployment:
    """A coordinator in a folder, started and killed as an operator would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.facts: dict = {}

    def start(self) -> None:
        self.facts = mc2(
            *("start", "--folder", str(self.folder), "--port", str(self.port)),
            *("--workers", "1", "--tee", "simulated", "--unsafe-simulation"),
        )
        self.port = int(self.facts["url"].rpartition(":")[2])

    def kill(self) -> None:
        process = running_process(self.folder)
        assert process is not None
        os.kill(process, signal.SIGKILL)
        while running_process(self.folder) is not None:
            time.sleep(0.02)

    def workers(self) -> list[int]:
        parent = running_process(self.folder)
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(int(stat.parent.name))
        return found


@pytest.fixture
def deployment(tmp_path):
    found = Deployment(tmp_path / "coordinator")
    found.start()
    yield found
    if running_process(found.folder) is not None:
        mc2("stop", "--folder", str(found.folder))


@pytest.fixture
def parties(deployment, tmp_path):
    trust = Trust(simulation=SimulatedVerifier)
    found = {}
    members = ""
    for name in ("ada", "bo", "cy"):
        found[name] = Party.create(tmp_path / name, name, name, trust=trust)
        (tmp_path / f"{name}.card").write_bytes(found[name].card())
        members += f'[members.{name}]\ncard = "{name}.card"\n'
        members += 'roles = ["analyst", "owner", "recipient"]\n'
    (tmp_path / "contract.toml").write_text(CONTRACT.format(members=members, **deployment.facts))
    contract = read_contract_file(tmp_path / "contract.toml")
    file = CoordinatorFile.parse(Path(deployment.facts["coordinator_file"]).read_bytes())
    token = Path(deployment.facts["invitation_file"]).read_text()
    for party in found.values():
        party.enrol(file, token)
        party.join(contract)
    found["ada"].upload(VISITS_A, "visits")
    found["bo"].upload(VISITS_B, "visits")
    yield found
    for party in found.values():
        party.close()


def start_job(parties, script):
    job_id = parties["cy"].propose(script, script_name="visits.py").job_id
    for name in ("ada", "bo"):
        plan = parties[name].review(job_id).job.plan.digest
        parties[name].approve(job_id, plan=plan)
    return job_id


class Running(threading.Thread):
    """Cy runs a job in the background."""

    def __init__(self, party, job_id):
        super().__init__(daemon=True)
        self.party, self.job_id = party, job_id
        self.said, self.status, self.error = [], None, None
        self.start()

    def run(self):
        try:
            self.status = self.party.run(
                self.job_id, timeout=timedelta(seconds=270), watch=self.said.append
            )
        except Mc2Error as error:
            self.error = error

    def until_computing(self, attempt=1):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            status = self.said[-1] if self.said else None
            if status and status.attempt == attempt and status.phase == "compute":
                return
            assert self.error is None, self.error
            assert self.status is None, "the job ended before it could be disturbed"
            time.sleep(0.02)
        raise AssertionError(f"never computed: {self.said}")


def check_result(parties, job_id, attempt):
    cy = parties["cy"]
    assert cy.verify_job(job_id).context.attempt == attempt
    table = cy.results(job_id)["visits"].table
    assert dict(zip(table["site"].to_pylist(), table["n"].to_pylist(), strict=True)) == {
        None: 1,
        "north": 2,
        "south": 3,
        "west": 2,
    }
    for name in ("ada", "bo"):
        grants = [e.event.json() for e in parties[name].log() if e.event.KIND == "granted"]
        attempts = [g["attempt"] for g in grants if g["job_id"] == job_id]
        assert attempts == sorted(set(attempts)), "an attempt was granted twice"


def test_a_killed_worker_costs_an_attempt(deployment, parties):
    job_id = start_job(parties, LONG)
    with answering(parties["ada"], parties["bo"]):
        running = Running(parties["cy"], job_id)
        running.until_computing()
        for worker in deployment.workers():
            os.kill(worker, signal.SIGKILL)
        running.join(280)
    assert running.error is None, running.error
    assert running.status.state is JobState.SUCCEEDED
    check_result(parties, job_id, attempt=2)


def test_a_killed_coordinator_resumes(deployment, parties):
    job_id = start_job(parties, LONG)
    with answering(parties["ada"], parties["bo"]):
        running = Running(parties["cy"], job_id)
        running.until_computing()
        workers = deployment.workers()
        deployment.kill()
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{w}").exists() for w in workers):
            assert time.monotonic() < deadline, "a worker outlived its coordinator"
            time.sleep(0.05)
        deployment.start()
        running.join(280)
    assert running.error is None, running.error
    assert running.status.state is JobState.SUCCEEDED
    check_result(parties, job_id, attempt=2)
    # What was there before is there still.
    assert set(parties["cy"].datasets()) == {"ada.visits", "bo.visits"}
