"""TPC-H's queries as jobs on Spark, against what one engine gives: what differed, as JSON.

    build/spark/bin/python -m tests.support.spark_tpch MASTER FOLDER SCALE [QUERY ...]

The enclaves have so little memory that every query is cut into tasks.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from bench import tpch
from bench.spark.run import Bench, sealed_tables

from mc2.coordinator.worker_pool import WorkerCommand
from mc2.errors import Mc2Error
from mc2.formats.result import Result
from mc2.spark import backend
from mc2.spark.session import start_spark
from tests.support.differential import rows_of
from tests.support.enclave_jobs import open_table
from tests.support.spark_jobs import Attempt, make_root

MEMORY = 64 << 20
ROWS_PER_CHUNK = 4096


def enclave(root: Path) -> tuple[str, ...]:
    simulation = ("--tee", "simulated", "--unsafe-simulation", "--simulated-root", str(root))
    limits = ("--threads", "1", "--memory-bytes", str(MEMORY))
    return (sys.executable, "-m", "mc2.enclave", *simulation, *limits)


def answer_of(bench: Bench, number: int) -> tuple[pa.Table, int, int]:
    """A query's table, how many enclaves took part, and how many of its tasks were Spark's."""
    job = bench.job(number)
    attempt = Attempt(job, bench.leader, bench.backend, bench.folder)
    try:
        outcome = attempt.run()
    finally:
        bench.leader.close()
    result = Result.parse(outcome.results[f"q{number:02}"])
    assert attempt.receipt is not None
    members = max((len(e) for e in attempt.receipt.epochs), default=1)
    tasks = sum("tasks done" in said for said in attempt.said)
    return open_table(result, job.parties["cy"], job.stored), members, tasks


def compare(bench: Bench, numbers: list[int]) -> dict[str, Any]:
    """What each query gave, beside DuckDB over the tables themselves."""
    found: dict[str, Any] = {}
    with duckdb.connect() as oracle:
        for name, table in bench.tables.items():
            oracle.register(name, table)
        for number in numbers:
            try:
                table, members, tasks = answer_of(bench, number)
            except Mc2Error as error:
                found[str(number)] = {"error": f"{error.code}: {error}"}
                continue
            wanted = rows_of(oracle.sql(tpch.query(number)).to_arrow_table())
            right = bool(wanted) and rows_of(table) == wanted
            found[str(number)] = {"right": right, "members": members, "tasks": tasks}
    return found


def main() -> int:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    master, place, scale, *numbers = sys.argv[1:]
    folder = Path(place)
    tables = tpch.tables(float(scale))
    root = make_root(folder)
    memory = {"spark.driver.memory": "512m", "spark.executor.memory": "512m"}
    spark = start_spark(master, memory)
    with backend(spark, storage=str(folder / "blocks"), enclave=enclave(root)) as made:
        leader = WorkerCommand(enclave(root), folder / "leader.log", {}).start()
        leader.hello()
        try:
            sealed = sealed_tables(tables, ROWS_PER_CHUNK)
            bench = Bench(folder, tables, sealed, made, leader, root)
            found = compare(bench, [int(n) for n in numbers] or list(tpch.QUERIES))
        finally:
            leader.kill()
    spark.stop()
    print("\n" + json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
