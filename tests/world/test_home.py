"""Two parties keep their rows at home and run enclaves there; a third uploads: real processes."""

import json
import os
import signal
import subprocess
import sys
import threading
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
# `mc2 home`, whose machine fails as the twelfth step of a training comes: in the second round.
DYING = """\
import os, runpy, signal, sys
from mc2.client.home_worker import HomeWorker
from mc2.formats.worker_tasks import TrainStep

whole, left = HomeWorker.answer, 12

def answer(self, order):
    global left
    left -= isinstance(order, TrainStep)
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, order)

HomeWorker.answer = answer
runpy.run_module("mc2.cli.main", run_name="__main__")
"""


@pytest.fixture
def place(tmp_path):
    with ExitStack() as stack:
        yield Place(tmp_path, stack)


class Place:
    """Parties, and the processes that they leave running."""

    def __init__(self, folder, stack):
        self.folder, self.stack, self.left = folder, stack, []

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
        return self.leave(self.arguments(*said))

    def stay_home(self, name, *, dying=False):
        """An enclave beside a party's rows; one that dies is killed in the midst of a training."""
        said = ("home", "--home", name, "--tee", "simulated", "--unsafe-simulation")
        words = self.arguments(*said, "--simulated-root", "hub/simulated-root.json")
        return self.leave([sys.executable, "-c", DYING, *words[3:]] if dying else words)

    def leave(self, words):
        process = subprocess.Popen(
            words,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.left.append(process)
        return process

    def end(self):
        """All are told before any is waited for: each ends once its last call is answered."""
        for process in self.left:
            process.terminate()
        for process in self.left:
            process.wait()

    def begin(self):
        for name in (*OWNERS, "cy"):
            self.mc2("init", name, "--home", name)
        simulated = ("--tee", "simulated", "--unsafe-simulation")
        facts = self.mc2("start", "--folder", "hub", "--port", 0, *simulated)
        self.stack.callback(self.mc2, "stop", "--folder", "hub")
        self.stack.callback(self.end)
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

    def status(self, job):
        return self.mc2("status", job, "--home", "cy")

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
        place.stay_home(name)
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


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_home_that_is_killed_while_it_trains_begins_anew_or_is_left_out(place):
    place.begin()
    for name in ("ada", "bo"):
        place.upload(name, "--at-home")
    place.upload("dee")
    place.stay_home("ada")

    killed, again = place.stay_home("bo", dying=True), []

    def stay_on():
        again.extend((killed.wait(), place.stay_home("bo")))

    watching = threading.Thread(target=stay_on)
    watching.start()
    alone = SCRIPT.replace(', on_dropout="continue"', "")
    whole, job = place.model("whole", alone)
    watching.join()
    assert again[0] == -signal.SIGKILL
    assert place.status(job)["attempt"] == 2

    again[1].terminate()
    again[1].wait()
    killed = place.stay_home("bo", dying=True)
    left, job = place.model("left", SCRIPT)
    assert killed.wait() == -signal.SIGKILL
    assert place.status(job)["attempt"] == 1
    assert left != whole
    checked = place.mc2("verify", f"cy/proofs/{job}.json", "--home", "cy", "--unsafe-simulation")
    assert "DROPPED OUT: bo" in json.dumps(checked)
    assert "from round 2 on" in json.dumps(checked)
