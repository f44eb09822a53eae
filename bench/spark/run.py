"""TPC-H over sealed tables on Spark's executors with enclaves, beside Spark SQL on plain Parquet.

    make build/spark/.installed
    build/spark/bin/python -m bench.spark.run --scale 0.1 1 3 6 12

Both sides take turns in one Spark application of `local[2]`: one enclave beside its one executor,
and the leader. A job's time is from the grants to the receipt. Medians come out, as Markdown.
"""

from __future__ import annotations

import argparse
import logging
import math
import re
import secrets
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from bench import tpch
from tests.support import enclave_jobs
from tests.support.catalogs import PACKAGES
from tests.support.differential import catalog_of_tables
from tests.support.enclave_jobs import HOUR, NOW, Job, Sealed, make_job, seal
from tests.support.spark_jobs import Attempt, make_root

from mc2.attestation.simulated.report import KIND, measure
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.client.blobs import FolderBlobs
from mc2.client.data_key import own_data_key
from mc2.client.seal import NewVersion, OwnerKeys, SealOptions, seal_table
from mc2.client.sources.open import open_source
from mc2.coordinator.worker_pool import WorkerCommand
from mc2.coordinator.workers import Worker
from mc2.crypto.secret import SigningKey
from mc2.plan.plan import Plan
from mc2.planner.script import compile_here
from mc2.spark import SparkBackend, backend
from mc2.spark.jobs import ContextJobs
from mc2.spark.session import start_spark

MEMORY = 2 << 30


def enclave(root: Path) -> tuple[str, ...]:
    """One enclave, which uses both processors."""
    simulation = ("--tee", "simulated", "--unsafe-simulation", "--simulated-root", str(root))
    limits = ("--threads", "2", "--memory-bytes", str(MEMORY))
    return (sys.executable, "-m", "mc2.enclave", *simulation, *limits)


def sealed_tables(tables: dict[str, pa.Table], rows_per_chunk: int) -> dict[str, Sealed]:
    """The tables in chunks of few rows, as tests have them: neither compressed nor cut."""
    enclave_jobs.ROWS_PER_CHUNK = rows_per_chunk
    return {
        f"ada.{name}": seal(f"ada.{name}", table, dataset_id=secrets.token_hex(16))
        for name, table in tables.items()
    }


def owners_tables(tables: dict[str, pa.Table], folder: Path) -> dict[str, Sealed]:
    """The tables as their owner's client seals them: compressed, and cut by columns."""
    owner = OwnerKeys(secret=secrets.token_bytes(32), signer=SigningKey.generate())
    found = {}
    for name, table in tables.items():
        place = folder / f"sealed-{name}"
        place.mkdir()
        version = NewVersion(dataset=f"ada.{name}", version=1, created=NOW - 24 * HOUR)
        source, blobs = open_source(table), FolderBlobs(place)
        manifest = seal_table(source, version, owner, blobs, SealOptions()).manifest
        with own_data_key(owner.secret, manifest) as key:
            raw_key = bytes(key.raw)
        chunks = {c.digest: blobs.get(c.digest) for c in manifest.chunks}
        found[version.dataset] = Sealed(manifest, raw_key, chunks)
    return found


def plan_of(number: int, tables: dict[str, pa.Table], contract: Any) -> Plan:
    empty = {f"ada.{name}": table.slice(0, 0) for name, table in tables.items()}
    script = tpch.script(number, "ada", to="institute")
    plan = compile_here(script, name="t.py", catalog=catalog_of_tables(empty), packages=PACKAGES)
    outputs = tuple(replace(o, recipients=("cy",)) for o in plan.outputs)
    return replace(plan, contract=contract.digest, outputs=outputs)


@dataclass
class Bench:
    """What all queries have in common."""

    folder: Path
    tables: dict[str, pa.Table]
    sealed: dict[str, Sealed]
    backend: SparkBackend
    leader: Worker
    root: Path

    def job(self, number: int) -> Job:
        code = measure(self.leader.ready.code)
        policy = {KIND: {"root": SimulatedRoot.load(self.root).digest, "measurements": [code]}}
        made = make_job(contract={"attestation": policy})
        plan = plan_of(number, self.tables, made.contract)
        inputs = tuple(
            replace(
                i,
                owner="ada",
                manifest=self.sealed[i.dataset].manifest.digest,
                row_bound=self.sealed[i.dataset].manifest.row_bound,
            )
            for i in plan.inputs
        )
        used = {i.dataset: self.sealed[i.dataset] for i in inputs}
        packages = made.plan.packages
        return Job(
            made.parties,
            made.contract,
            used,
            replace(plan, inputs=inputs, packages=packages),
            job_id=secrets.token_hex(16),
        )

    def sealed_seconds(self, number: int) -> tuple[float, int, int, int]:
        """Seconds, stages, tasks, and bytes of blocks of one job."""
        watched = _Watched(self.backend)
        attempt = Attempt(self.job(number), self.leader, watched, self.folder)
        began = time.perf_counter()
        attempt.run()
        spent = time.perf_counter() - began - attempt.laying_out_seconds
        self.leader.close()
        stages = {m[2]: int(m[3]) for t in attempt.said if (m := re.match(_DONE, t))}
        return spent, len(stages), sum(stages.values()), watched.block_bytes


_DONE = r"stage ((\d+) of \d+): \d+ of (\d+) tasks done"


class _Watched:
    """A backend that counts the bytes of blocks before they are cleared."""

    def __init__(self, honest: SparkBackend) -> None:
        self.honest = honest
        self.members = honest.members
        self.block_bytes = 0

    def tasks(self, needs: Any) -> Any:
        found = self.honest.tasks(needs)
        close = found.close

        def counted() -> None:
            folder = Path(self.honest.place) / found.folder
            files = [p.stat() for p in folder.glob("*")] if folder.exists() else []
            self.block_bytes += sum(s.st_size for s in files if s.st_nlink == 1)
            close()

        found.close = counted
        return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("queries", type=int, nargs="*", default=[1, 3, 6, 12])
    wanted = parser.parse_args()
    logging.getLogger("mc2").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = tpch.tables(wanted.scale)
        for table, rows in tables.items():
            pq.write_table(rows, folder / f"{table}.parquet")
        root = make_root(folder)
        spark = start_spark("local[2]", {"spark.sql.shuffle.partitions": "4"})
        for table in tables:
            spark.read.parquet(str(folder / f"{table}.parquet")).createOrReplaceTempView(table)
        place = str(folder / "blocks")
        with backend(spark, storage=place, enclave=enclave(root)) as found:
            leader = WorkerCommand(enclave(root), folder / "leader.log", {}).start()
            leader.hello()
            bench = Bench(folder, tables, owners_tables(tables, folder), found, leader, root)
            measure_all(bench, spark, wanted.queries, wanted.repeats)
            print(f"one empty task through Spark: {1000 * task_seconds(spark):.0f} ms")
            leader.kill()
        spark.stop()


def task_seconds(spark: Any) -> float:
    """The median of twenty Spark jobs of one task that does nothing."""
    jobs, spent = ContextJobs(spark.sparkContext), []
    for _ in range(20):
        began = time.perf_counter()
        jobs.run(abs, [1], group="bench", name="nothing")
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


def measure_all(bench: Bench, spark: Any, queries: list[int], repeats: int) -> None:
    size = sum(c.size for s in bench.sealed.values() for c in s.manifest.chunks)
    print(f"{size / 1e6:,.0f} MB sealed; one enclave of two threads and the leader")
    print("| query | mc2 on Spark, s | Spark SQL, s | ratio | stages | tasks | blocks, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    ratios = []
    for number in queries:
        ours, plain = [], []
        stages = tasks = moved = 0
        for turn in range(repeats + 1):
            seconds, stages, tasks, moved = bench.sealed_seconds(number)
            began = time.perf_counter()
            spark.sql(tpch.query(number)).collect()
            if turn:  # the first one warms up
                ours.append(seconds)
                plain.append(time.perf_counter() - began)
        a, b = statistics.median(ours), statistics.median(plain)
        ratios.append(a / b)
        cells = f"{a:.2f} | {b:.2f} | {a / b:.2f} | {stages} | {tasks} | {moved / 1e6:.1f}"
        print(f"| {number} | {cells} |", flush=True)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f"geometric mean of the ratios: {mean:.2f}")


if __name__ == "__main__":
    main()
