"""Oblivious training over worker processes: seconds a round, processor time, bytes of messages.

    python -m bench.xgboost.workers [--rows 200000] [--features 28] [--depth 6] [--rounds 3]

The processes are members of one epoch that get sealed messages over pipes, as the tests have them.
Wall times need as many free cores as workers; the processor time of the busiest does not.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from tests.support.training_workers import KEY, Worker, cuts_of, epoch, name_of

from mc2 import _native
from mc2.enclave.training_session import LeadingSide
from mc2.ml.boosting import Leader, Training
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.operators.run import Run


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def measured(count: int, asked: argparse.Namespace) -> dict[str, float]:
    """A training over so many workers; the first round is not counted."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(asked.rows, asked.features))
    y = (x[:, 0] + x[:, 1] * x[:, 2] + rng.normal(size=asked.rows) > 0) * 1.0
    settings = {
        "objective": "binary:logistic",
        "max_depth": asked.depth,
        "max_bin": asked.bins,
        "base_score": 0.5,
    }
    pieces = np.array_split(np.arange(asked.rows), count)
    cuts = cuts_of(x, asked.bins)
    parameters = BoostingParameters.read(settings, [f.name for f in cuts.features])
    trainer = Leader(Run(), cuts, parameters, Training(asked.rounds + 1), KEY)
    side = LeadingSide(epoch(), name_of(pieces), trainer)
    workers = [Worker(i, pieces, (x, y), settings, asked.bins) for i in range(count)]
    begun, busy, moved, own = 0.0, [0.0] * count, 0, 0.0
    while not side.over:
        if trainer.rounds == 1 and not begun:
            begun, moved, own = time.perf_counter(), 0, time.process_time()
            busy = [cpu_seconds(w.process.pid) for w in workers]
        for worker in workers:
            worker.pipe.send(side.told)
        answers = [worker.pipe.recv() for worker in workers]
        moved += count * len(side.told) + sum(map(len, answers))
        side.take(answers)
    wall = time.perf_counter() - begun
    spent = [cpu_seconds(w.process.pid) - b for w, b in zip(workers, busy, strict=True)]
    leading = time.process_time() - own
    for worker in workers:
        worker.stop()
    return {
        "workers": count,
        "seconds_a_round": wall / asked.rounds,
        "cpu_of_busiest_a_round": max(spent) / asked.rounds,
        "cpu_of_leader_a_round": leading / asked.rounds,
        "megabytes_a_round": moved / asked.rounds / 1e6,
    }


def main() -> None:
    """Measure one worker and two."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("rows", 200_000), ("features", 28), ("depth", 6), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--bins", type=int, default=64)
    asked = parser.parse_args()
    _native.set_threads(1)
    for count in (1, 2):
        print(json.dumps(measured(count, asked)))


if __name__ == "__main__":
    main()
