"""Two parties keep their rows at home and run enclaves there; a third uploads: real processes."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

CONTRACT = """\
api_version = "mc2/contract/v1"
name = "homes"
epoch = 1
not_after = 2030-01-01T00:00:00Z
min_tier = "simulated"
approvers = "owners"
max_attempts = 3

{members}
[attestation."mc2-simulated/v1"]
root = "{root}"
measurements = ["{measurement}"]
"""
SCRIPT = """\
import mc2

job = mc2.Job("Risk", mode="oblivious")
tables = [job.table(f"{owner}.rows") for owner in ("ada", "bo", "dee")]
edges = {"age": [20, 40, 60, 80], "glucose": [4, 6, 8, 10]}
rows = mc2.xgboost.DMatrix(tables, label="ill", features=["age", "glucose"], bin_edges=edges)
params = {"objective": "binary:logistic", "max_depth": 2}
model = mc2.xgboost.train(params, rows, 3, on_dropout="continue")
job.release("model", model, to=["cy"])
"""
OWNERS = ("ada", "bo", "dee")


@pytest.fixture
def place(tmp_path):
    with ExitStack() as stack:
        yield Place(tmp_path, stack)


class Place:
    """Parties, and the processes that they leave running."""

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack

    def arguments(self, *said):
        return [sys.executable, "-m", "mc2.cli.main", *map(str, said)]

    def mc2(self, *said):
        done = subprocess.run(
            self.arguments(*said, "--json"),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "100"},
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    def leave_running(self, *said):
        process = subprocess.Popen(
            self.arguments(*said),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)
        return process

    def begin(self):
        for name in (*OWNERS, "cy"):
            self.mc2("init", name, "--home", name)
        simulated = ("--tee", "simulated", "--unsafe-simulation")
        facts = self.mc2("start", "--folder", "hub", "--port", 0, *simulated)
        self.stack.callback(self.mc2, "stop", "--folder", "hub")
        members = "".join(
            f'[members.{n}]\ncard = "{n}/{n}.card"\nroles = {json.dumps(roles)}\n\n'
            for n, roles in (
                *((n, ["owner", "recipient"]) for n in OWNERS),
                ("cy", ["analyst", "recipient"]),
            )
        )
        (self.folder / "contract.toml").write_text(
            CONTRACT.format(
                members=members,
                root=facts["simulated_root"],
                measurement=facts["simulated_measurement"],
            )
        )
        hub = ("--coordinator", "hub/coordinator.json")
        for name in (*OWNERS, "cy"):
            self.mc2("join", "contract.toml", *hub, "--home", name, "--unsafe-simulation", "--yes")
        for name in OWNERS:
            self.leave_running("agent", "--home", name, "--unsafe-simulation")

    def upload(self, name, *others):
        number = OWNERS.index(name)
        lines = [
            f"{20 + (7 * i + number) % 60},{3 + (5 * i + 3 * number) % 9},{(i + number) % 2}"
            for i in range(30)
        ]
        text = "\n".join(["age,glucose,ill", *lines]) + "\n"
        (self.folder / f"{name}.csv").write_text(text)
        padded = ("--padded", "--row-bound", 32, "--home", name)
        self.mc2("upload", f"{name}.csv", "--as", "rows", *padded, *others)

    def model(self, to, script=SCRIPT):
        (self.folder / "script.py").write_text(script)
        cy = ("--home", "cy", "--unsafe-simulation")
        job = self.mc2("propose", "script.py", *cy)["job_id"]
        for name in OWNERS:
            signed = ("--script", "script.py", "--unsafe-simulation", "--yes")
            self.mc2("approve", job, "--home", name, *signed)
        self.mc2("run", job, *cy)
        self.mc2("download", job, "--to", to, *cy)
        (found,) = (self.folder / to).glob("model*")
        return found.read_bytes(), job


@pytest.mark.slow
def test_rows_stay_at_home_and_the_model_is_that_of_rows_brought_together(place):
    place.begin()
    for name in ("ada", "bo"):
        place.upload(name, "--at-home")
        place.leave_running(
            *("home", "--home", name, "--tee", "simulated", "--unsafe-simulation"),
            *("--simulated-root", "hub/simulated-root.json"),
        )
    place.upload("dee")
    from_homes, job = place.model("apart")
    review = place.mc2("review", job, "--home", "ada")
    assert "stay at home" in json.dumps(review)
    assert "GO ON WITHOUT ITS ROWS" in json.dumps(review)
    proof = (place.folder / "cy" / "proofs" / f"{job}.json").read_bytes()
    checked = place.mc2("verify", f"cy/proofs/{job}.json", "--home", "cy", "--unsafe-simulation")
    assert checked
    assert b"home-evidence" in proof
    at_home = {p.name for n in ("ada", "bo") for p in (place.folder / n / "at_home").iterdir()}
    hub = {p.name for p in (place.folder / "hub").rglob("*") if p.is_file()}
    assert at_home
    assert not at_home & hub
    for name in ("ada", "bo"):
        place.upload(name)
    together = SCRIPT.replace(', on_dropout="continue"', "")
    assert place.model("together", together)[0] == from_homes
