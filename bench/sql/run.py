"""TPC-H over sealed tables against DuckDB, Polars and Spark SQL on plaintext Parquet.

    python -m bench.sql.run --scale 1 --repeats 3 --spark classic/bin/python --worker

All sides run in turn, so that a busy moment hits all alike; Markdown tables of medians come out.
How `--spark`'s environment is made stands in `bench/sql/spark.py`. CPU time is of all threads.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
import polars as pl
from bench import tpch
from bench.sql.sealed import PARTY, SealedTables, Steps
from bench.sql.worker import enclaves, job_seconds, parties_with
from tests.support.catalogs import PACKAGES
from tests.support.differential import catalog_of_tables

from mc2.engine.database import Database
from mc2.engine.limits import EngineLimits
from mc2.plan.check import CheckedPlan, check_plan
from mc2.planner.script import compile_here

LIMITS = EngineLimits(memory_bytes=8 << 30, threads=2)
Seconds = dict[str, dict[int, float]]


def plan_of(number: int, sealed: SealedTables) -> CheckedPlan:
    """A query's plan over the sealed tables."""
    tables = {f"{PARTY}.{n}": s.empty_table() for n, s in sealed.schemas.items()}
    script = tpch.script(number, PARTY, to="institute")
    catalog = catalog_of_tables(tables)
    return check_plan(compile_here(script, name="tpch.py", catalog=catalog, packages=PACKAGES))


def in_duckdb(sealed: SealedTables) -> Callable[[int], object]:
    """A runner of queries over the Parquet files."""
    connection = duckdb.connect(config={"threads": 2})
    for name in sealed.schemas:
        path = sealed.parquet(name)
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{path}')")
    return lambda number: connection.sql(tpch.query(number)).to_arrow_table()


def in_polars(sealed: SealedTables) -> Callable[[int], object]:
    """The same; not every query is in its SQL."""
    frames = {n: pl.scan_parquet(sealed.parquet(n)) for n in sealed.schemas}
    context = pl.SQLContext(frames)
    return lambda number: context.execute(tpch.query(number)).collect()


def measure(sealed: SealedTables, queries: Iterable[int], repeats: int) -> tuple[Seconds, Seconds]:
    """Wall and CPU seconds of each side and query."""
    wall: Seconds = defaultdict(dict)
    cpu: Seconds = defaultdict(dict)
    duck, polars = in_duckdb(sealed), in_polars(sealed)
    for number in queries:
        plan = plan_of(number, sealed)
        sides: dict[str, Callable[[Database], object]] = {
            "mc2": lambda opened, p=plan: sealed.run(p, LIMITS, opened),
            "DuckDB": lambda _, n=number: duck(n),
            "Polars": lambda _, n=number: polars(n),
        }
        spent: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for _ in range(repeats):
            # As an enclave has one while it waits for keys, and the others have theirs.
            opened = Database(LIMITS)
            for name, side in list(sides.items()):
                began, before = time.perf_counter(), time.process_time()
                try:
                    side(opened)
                except pl.exceptions.PolarsError:
                    del sides[name]
                    continue
                spent[name].append((time.perf_counter() - began, time.process_time() - before))
        for name, times in spent.items():
            wall[name][number] = statistics.median(t[0] for t in times)
            cpu[name][number] = statistics.median(t[1] for t in times)
        print(f"q{number:02} done", flush=True)
    return wall, cpu


def in_spark(python: Path, sealed: SealedTables, queries: list[int], repeats: int) -> dict:
    """Medians of Spark SQL, from a process of its own."""
    names = [f"q{n:02}" for n in queries]
    for number, name in zip(queries, names, strict=True):
        (sealed.folder / f"{name}.sql").write_text(tpch.query(number))
    program = Path(__file__).with_name("spark.py")
    command = [str(python), str(program), str(sealed.folder), str(repeats), *names]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout.splitlines()[-1])
    return {number: found[name] for number, name in zip(queries, names, strict=True)}


def breakdown(sealed: SealedTables, queries: Iterable[int]) -> dict[str, float]:
    """What the steps take over all queries, in one thread."""
    limits = EngineLimits(memory_bytes=LIMITS.memory_bytes, threads=1)
    plans = [plan_of(n, sealed) for n in queries]
    steps = Steps()
    began = time.perf_counter()
    with steps.watched():
        for plan in plans:
            sealed.run(plan, limits)
    return dict(steps.table(time.perf_counter() - began))


def ratio(ours: dict[int, float], other: dict[int, float]) -> str:
    """The geometric mean of how many times as long we take, over what both ran."""
    both = [n for n in ours if n in other]
    logs = [math.log(ours[n] / other[n]) for n in both]
    return f"{math.exp(sum(logs) / len(logs)):.2f} over {len(both)}" if both else "none"


def report(wall: Seconds, cpu: Seconds, queries: list[int]) -> None:
    """The tables."""
    names = list(wall)
    print(f"\n| query | {' | '.join(names)} | mc2, CPU | DuckDB, CPU |")
    print("| --- " * (len(names) + 3) + "|")
    for number in queries:
        cells = [f"{wall[n][number]:.2f}" if number in wall[n] else "" for n in names]
        spent = [f"{cpu[n][number]:.2f}" for n in ("mc2", "DuckDB")]
        print(f"| {number} | {' | '.join([*cells, *spent])} |")
    for name in names[1:]:
        print(f"mc2 / {name}, geometric mean of wall times: {ratio(wall['mc2'], wall[name])}")
    print(f"mc2 / DuckDB, geometric mean of CPU times: {ratio(cpu['mc2'], cpu['DuckDB'])}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--compression", default="zstd", choices=["none", "lz4", "zstd"])
    parser.add_argument("--spark", type=Path, help="the Python of an environment with PySpark")
    parser.add_argument("--worker", action="store_true", help="whole jobs, too")
    parser.add_argument("queries", type=int, nargs="*", default=list(tpch.QUERIES))
    wanted = parser.parse_args()
    logging.getLogger("mc2").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name:
        sealed = SealedTables(Path(name), wanted.scale, wanted.compression)
        print(f"scale {wanted.scale}, {wanted.compression}: {sealed.sealed_bytes / 1e6:,.0f} MB")
        wall, cpu = measure(sealed, wanted.queries, wanted.repeats)
        if wanted.spark:
            wall["Spark SQL"] = in_spark(wanted.spark, sealed, wanted.queries, wanted.repeats)
        steps = breakdown(sealed, wanted.queries)
    if wanted.worker:
        with parties_with(tpch.tables(wanted.scale)) as parties:
            wall["whole job"] = {n: job_seconds(parties, n, wanted.repeats) for n in wanted.queries}
            print(f"peak memory of each worker, MB: {sorted(u.peak for u in enclaves().values())}")
    report(wall, cpu, wanted.queries)
    print("\n| step, one thread, all queries | seconds |\n| --- | --- |")
    for step, seconds in sorted(steps.items(), key=lambda s: -s[1]):
        print(f"| {step} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
