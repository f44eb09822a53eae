"""What a whole job costs beside DuckDB and stock XGBoost on the pooled plaintext.

Two parties, one report and one model; a real coordinator over HTTPS and a confined worker process,
all on this machine. Medians over several runs of both sides, taken in turn. `--rows 0` measures
the fixed cost of the protocol alone (three rows a party).
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import xgboost

from mc2.cli.demo.stage import Stage, answering

FEATURES = 10
ROUNDS = 10
SCRIPT = f"""\
import mc2

job = mc2.Job("Benchmark")
report = job.sql('''
    SELECT site, count(*) AS n, avg(f0) AS f0, sum(f1) AS f1
    FROM (
        SELECT site, f0, f1 FROM clinic_a.rows UNION ALL SELECT site, f0, f1 FROM clinic_b.rows
    ) AS r
    GROUP BY site ORDER BY site
''')
matrix = mc2.xgboost.DMatrix(
    job.table("clinic_a.rows"), job.table("clinic_b.rows"), label="label", exclude=["site"]
)
model = mc2.xgboost.train({{"objective": "binary:logistic", "max_depth": 6}}, matrix, {ROUNDS})
job.release("report", report, to=["institute"])
job.release("model", model, to=["institute"])
"""


def make_rows(count: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    features = {f"f{i}": random.normal(size=count) for i in range(FEATURES)}
    label = (features["f0"] + features["f1"] + random.normal(size=count) > 0).astype(np.int64)
    return pa.table({"site": pa.array(random.integers(0, 50, count)), **features, "label": label})


class Clock:
    """Adds up named spans of several runs."""

    def __init__(self) -> None:
        self.spans: dict[str, list[float]] = {}

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.spans.setdefault(name, []).append(time.perf_counter() - began)

    def median(self, name: str) -> float:
        return statistics.median(self.spans[name])


def run_job(parties: dict, clock: Clock) -> None:
    institute = parties["institute"]
    with clock.span("propose: compile the script, upload the plan"):
        proposed = institute.propose(SCRIPT, script_name="bench.py")
    with clock.span("approve, both owners: check, recompile, sign"):
        for name in ("clinic_a", "clinic_b"):
            parties[name].approve(proposed.job_id, plan=proposed.plan.digest)
    changes: list[tuple[float, str]] = []
    with answering(parties["clinic_a"], parties["clinic_b"]):
        began = time.perf_counter()
        with clock.span("run: attest, release, compute, seal"):
            institute.run(
                proposed.job_id,
                timeout=timedelta(minutes=10),
                watch=lambda status: changes.append((time.perf_counter() - began, status.phase)),
            )
    computing = [at for at, phase in changes if phase == "compute"]
    clock.spans.setdefault("  of which before the engine has its keys", []).append(computing[0])
    with clock.span("download: fetch, verify the proof, open"):
        institute.results(proposed.job_id)


def run_plain(pool: pa.Table, clock: Clock) -> None:
    with clock.span("plaintext"):
        connection = duckdb.connect()
        connection.register("pool", pool)
        connection.sql(
            "SELECT site, count(*) AS n, avg(f0) AS f0, sum(f1) AS f1 FROM pool GROUP BY site "
            "ORDER BY site"
        ).arrow().read_all()
        names = [f"f{i}" for i in range(FEATURES)]
        matrix = xgboost.DMatrix(pool.select(names), pool["label"].to_numpy(), feature_names=names)
        model = xgboost.train(
            {"objective": "binary:logistic", "max_depth": 6, "nthread": 2}, matrix, ROUNDS
        )
        model.save_raw("json")


def measure(rows: int, runs: int, folder: Path, print_row: Callable[[str, float], None]) -> None:
    stage = Stage(folder)
    root = stage.make_root()
    tables = {"clinic_a": make_rows(rows, 1), "clinic_b": make_rows(rows, 2)}
    pool = pa.concat_tables(tables.values())
    clock = Clock()
    with stage.coordinator():
        parties = stage.create_parties()
        stage.enrol(parties)
        contract = stage.draw_up_contract(parties, root)
        for party in parties.values():
            party.join(contract)
        with clock.span("upload, both owners: seal, send"):
            for name, table in tables.items():
                parties[name].upload(table, "rows")
        for _ in range(runs):
            run_job(parties, clock)
            run_plain(pool, clock)
        for party in parties.values():
            party.close()
    for name in clock.spans:
        print_row(name, clock.median(name))
    whole = clock.median("run: attest, release, compute, seal")
    print_row("run, as a multiple of plaintext", whole / clock.median("plaintext"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[3, 500_000], help="for each party")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    logging.getLogger("mc2").setLevel(logging.CRITICAL)
    for rows in arguments.rows:
        print(
            f"\n{rows} rows of {FEATURES + 2} columns a party, medians of {arguments.runs} runs\n"
        )
        print("| step | seconds |\n| --- | --- |")
        with tempfile.TemporaryDirectory() as folder:
            measure(
                rows,
                arguments.runs,
                Path(folder),
                lambda name, value: print(f"| {name} | {value:.3f} |", flush=True),
            )


if __name__ == "__main__":
    main()
