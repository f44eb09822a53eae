"""Stock XGBoost over the processes of one enclave and of two: seconds a round, messages, bytes.

    python -m bench.xgboost.together [--rows 200000] [--depth 6] [--rounds 10]

Enclaves are in this process, as the tests have them; their processes for trainings are real, with
one thread each. Wall times need as many free cores as enclaves.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from tests.support.collectives import Together, Trainers, worth_sharing
from tests.support.plans import Job
from tests.support.task_cluster import cluster_of
from tests.support.training import Training, columns, source, stock, stock_matrix

from mc2.engine.limits import EngineLimits

SETTINGS = {"objective": "reg:squarederror", "tree_method": "hist"}
CHUNKS = 6


def alone(rows: int, settings: dict[str, object], rounds: int) -> dict[str, float]:
    """Stock XGBoost in one process."""
    matrix = stock_matrix(columns(1, rows))
    begun = time.perf_counter()
    stock({**settings, "nthread": 1}, matrix, rounds)
    return {"processes": 1, "seconds_a_round": (time.perf_counter() - begun) / rounds}


def together(rows: int, settings: dict[str, object], rounds: int) -> dict[str, float]:
    """The same over two enclaves, from their first message on: with reading their rows."""
    job = Training.__new__(Training)
    Job.__init__(job, t=source(1, rows))
    job.t = job.scan("t")
    model = job.train(settings, rounds, job.matrix(job.t))
    limits = EngineLimits(memory_bytes=1 << 30, threads=1)
    cluster = cluster_of(job, {"model": model}, chunk=rows // CHUNKS, members=2, limits=limits)
    trainers = Trainers()
    run, times = Together(cluster, trainers.some(2)), list[float]()

    def timed(_: str, raw: bytes) -> bytes:
        times.append(time.perf_counter())
        return raw

    run.lie_back = timed
    with worth_sharing(1):
        run.run()
    trainers.close()
    moved = sum(len(s.message) for s in run.steps) + sum(map(len, run.answers))
    return {
        "processes": 2,
        "seconds_a_round": (times[-1] - times[0]) / rounds,
        "messages_a_round": 2 * len(run.steps) / rounds,
        "megabytes_a_round": moved / rounds / 1e6,
    }


def main() -> None:
    """Measure one process and two."""
    parser = argparse.ArgumentParser(description=Path(__file__).stem)
    for name, default in (("rows", 200_000), ("depth", 6), ("rounds", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    settings = {**SETTINGS, "max_depth": asked.depth}
    for measure in (alone, together):
        print(json.dumps(measure(asked.rows, settings, asked.rounds)))


if __name__ == "__main__":
    main()
