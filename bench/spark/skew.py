"""A join in which one key has most of the rows: its tasks with and without pieces.

    python -m bench.spark.skew

Four partitions, sealed blocks between, one task after the other in this process. What many enclaves
would wait for is the longest task; what they do in all is the sum.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import pyarrow as pa
from tests.support import spread
from tests.support.catalogs import PACKAGES
from tests.support.differential import catalog_of_tables
from tests.support.spread import execute_spread
from tests.support.task_cluster import TaskCluster

from mc2.engine.limits import EngineLimits
from mc2.plan.plan import Plan
from mc2.plan.stages import PIECE_ROWS
from mc2.planner.script import compile_here

PARTITIONS = 4
ROWS_PER_CHUNK = 131_072
NEVER = 1 << 40
QUERY = (
    "SELECT r.region, count(*) AS n, sum(p.paid) AS paid FROM a.payments AS p "
    "JOIN b.clients AS r ON p.client = r.client GROUP BY r.region"
)


def tables(rows: int, share: float) -> dict[str, pa.Table]:
    """Payments, of which one client made a part, and clients."""
    draw = np.random.default_rng(1)
    clients = np.arange(200_000)
    made = draw.integers(0, len(clients), rows)
    made[draw.random(rows) < share] = 7
    return {
        "a.payments": pa.table({"client": made, "paid": draw.integers(1, 10_000, rows)}),
        "b.clients": pa.table({"client": clients, "region": clients % 20}),
    }


def plan_of(given: dict[str, pa.Table]) -> Plan:
    """The plan of the query."""
    script = (
        f"import mc2\njob = mc2.Job('t')\njob.release('r', job.sql({QUERY!r}), to='institute')\n"
    )
    empty = {name: table.slice(0, 0) for name, table in given.items()}
    return compile_here(script, name="t.py", catalog=catalog_of_tables(empty), packages=PACKAGES)


def seconds(given: dict[str, pa.Table], least: int) -> list[float]:
    """How long each task of the stage that joins takes."""
    found: list[float] = []

    def run(cluster: TaskCluster) -> None:
        cluster.piece_rows = least
        cluster.runners = [cluster.runner(i) for i in range(cluster.members)]
        for stage in range(cluster.stages.last):
            joins = bool(cluster.runners[0].work.sides[stage])
            for place in cluster.stage_tasks(stage):
                began = time.perf_counter()
                cluster.task(stage, place.partition, piece=place.piece, pieces=place.pieces)
                if joins:
                    found.append(time.perf_counter() - began)

    limits = EngineLimits(memory_bytes=2 << 30, threads=1)
    execute_spread(plan_of(given), given, limits, enclaves=PARTITIONS, run=run)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--share", type=float, default=0.9)
    parser.add_argument("--repeats", type=int, default=3)
    wanted = parser.parse_args()
    spread.CHUNK = ROWS_PER_CHUNK
    given = tables(wanted.rows, wanted.share)
    print(f"{wanted.rows:,} rows, {wanted.share:.0%} of them of one key; {PARTITIONS} partitions")
    print("| parts | tasks | longest, s | sum, s |")
    print("| --- | --- | --- | --- |")
    for name, least in (("left whole", NEVER), ("in pieces", PIECE_ROWS)):
        turns = [seconds(given, least) for _ in range(wanted.repeats)]
        longest, total = (statistics.median(map(f, turns)) for f in (max, sum))
        print(f"| {name} | {len(turns[0])} | {longest:.2f} | {total:.2f} |", flush=True)


if __name__ == "__main__":
    main()
