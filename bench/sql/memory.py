"""A join of sealed tables that are larger than the worker's memory, and what it takes of it.

    python -m bench.sql.memory --gigabytes 10 --worker-gigabytes 2

Tables of random numbers, which no codec makes smaller, are sealed into a folder as they are made. A
process of its own then joins them: its engine may use half of the worker's memory, as a worker's
does by default, and the number of partitions follows from public sizes. Ends with an error if the
process ever was larger than the worker, or if the join's rows are not those that there must be.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
from tests.support.catalogs import PACKAGES
from tests.support.differential import catalog_of_tables

from mc2.client.blobs import FolderBlobs
from mc2.client.data_key import own_data_key
from mc2.client.seal import NewVersion, OwnerKeys, SealOptions, seal_table
from mc2.client.sources.source import RowsRead, Survey
from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import DataKey, SigningKey
from mc2.enclave.cluster import NoWorkers
from mc2.enclave.epoch import Epoch, Member
from mc2.enclave.spread import input_sizes
from mc2.enclave.task_leader import TaskLeader
from mc2.enclave.task_runner import Host, TaskRunner
from mc2.engine.limits import EngineLimits
from mc2.engine.outputs import TableOutput
from mc2.formats.arrow import schema_of
from mc2.formats.dataset_open import dataset_cipher
from mc2.formats.manifest import Manifest
from mc2.formats.release import JobContext
from mc2.plan.check import CheckedPlan, check_plan
from mc2.plan.stages import choose_layout
from mc2.planner.script import compile_here

PARTY = "clinic_a"
VALUES = 12
ROW_BYTES = 8 * (VALUES + 1)
STEP = 1 << 17
STRIDE = 1_000_003  # a prime: rows of the second table come in another order


@dataclass(frozen=True)
class Numbers:
    """A table of a key and random numbers, made anew each time that it is read."""

    name: str
    rows: int
    stride: int

    @property
    def schema(self) -> pa.Schema:
        """The columns: a key and its values."""
        names = [f"{self.name}_key", *(f"{self.name}{i}" for i in range(VALUES))]
        return pa.schema([pa.field(n, pa.int64(), nullable=False) for n in names])

    def survey(self, progress: RowsRead) -> Survey:
        """What is known without looking."""
        progress(self.rows)
        return Survey(schema_of(self.schema), self.rows, ROW_BYTES)

    def batches(self, survey: Survey) -> Iterator[pa.RecordBatch]:
        """The rows."""
        for start in range(0, survey.rows, STEP):
            places = np.arange(start, min(start + STEP, survey.rows), dtype=np.int64)
            random = np.random.default_rng(start)
            values = [random.integers(-(2**63), 2**63, len(places)) for _ in range(VALUES)]
            arrays = [places * self.stride % survey.rows, *values]
            yield pa.record_batch([pa.array(a) for a in arrays], schema=self.schema)


@dataclass(frozen=True)
class Sealed:
    """A table in a folder, and its key."""

    folder: Path
    manifest: Manifest
    key: bytes


def seal(folder: Path, table: Numbers) -> Sealed:
    """Seal a table as it is made."""
    owner = OwnerKeys(secret=secrets.token_bytes(32), signer=SigningKey.generate())
    version = NewVersion(dataset=f"{PARTY}.{table.name}", version=1, created=datetime.now(UTC))
    folder.mkdir()
    options = SealOptions(compression="lz4")
    manifest = seal_table(table, version, owner, FolderBlobs(folder), options).manifest
    with own_data_key(owner.secret, manifest) as key:
        return Sealed(folder, manifest, bytes(key.raw))


def plan_of(tables: list[Sealed], schemas: dict[str, pa.Schema]) -> CheckedPlan:
    """Join both tables by their keys; the greatest of each column, so that all columns are read."""
    picked = ", ".join(f"max({n}{i}) AS {n}{i}" for n in schemas for i in range(VALUES))
    joined = f"FROM {PARTY}.a JOIN {PARTY}.b ON a_key = b_key"
    query = f"SELECT count(*) AS n, {picked} {joined}"
    release = f"job.release('found', job.sql({query!r}), to='institute')"
    script = f"import mc2\njob = mc2.Job('join')\n{release}\n"
    catalog = catalog_of_tables({f"{PARTY}.{n}": s.empty_table() for n, s in schemas.items()})
    plan = compile_here(script, name="join.py", catalog=catalog, packages=PACKAGES)
    manifests = {t.manifest.dataset: t.manifest for t in tables}
    inputs = tuple(
        replace(i, manifest=manifests[i.dataset].digest, row_bound=manifests[i.dataset].row_bound)
        for i in plan.inputs
    )
    return check_plan(replace(plan, inputs=inputs))


def join(tables: list[Sealed], checked: CheckedPlan, blocks: Path, limits: EngineLimits) -> dict:
    """What a worker does that runs all tasks of a job itself; the row that comes out."""
    manifests = {t.manifest.dataset: t.manifest for t in tables}
    ciphers = {t.manifest.dataset: dataset_cipher(t.manifest, t.key) for t in tables}
    named = {name: SimpleNamespace(value=m) for name, m in manifests.items()}
    sizes = input_sizes(cast("Any", SimpleNamespace(plan=checked.plan, manifests=named)))
    layout = choose_layout(sizes, 1, limits.memory_bytes)
    print(f"{layout.partitions} partitions", flush=True)
    signer = SigningKey.generate()
    nothing = Digest("sha256:" + "0" * 64)
    context = JobContext(
        contract=nothing,
        policy=nothing,
        plan=checked.plan.digest,
        job_id=secrets.token_hex(16),
        attempt=1,
    )
    epoch = Epoch(
        context=context,
        number=1,
        members=(Member(0, digest(b"evidence"), signer.public),),
        block_key=DataKey.generate(),
        own=0,
        signing_key=signer,
    )
    places = [*(t.folder for t in tables), blocks]

    def read(name: Digest) -> bytes:
        file = name.removeprefix("sha256:")
        return next(p / file for p in places if (p / file).exists()).read_bytes()

    def write(name: Digest, raw: bytes) -> None:
        (blocks / name.removeprefix("sha256:")).write_bytes(raw)

    class Keeping(NoWorkers):
        """Nobody else, but receipts are kept with the blocks."""

        def keep(self, name: Digest, raw: bytes) -> None:
            write(name, raw)

    runner = TaskRunner(checked, layout, epoch, manifests, ciphers, limits)
    told = Host(read, write, lambda text: print(text, flush=True))
    output = TaskLeader(runner, told, Keeping(), ()).run().outputs["found"]
    assert isinstance(output, TableOutput)
    (row,) = output.table.to_pylist()
    return dict(row)


def worker(tables: list[Sealed], checked: CheckedPlan, blocks: Path, limits: EngineLimits) -> None:
    """The process of the worker."""
    before, began, cpu = peak_bytes(), time.perf_counter(), time.process_time()
    row = join(tables, checked, blocks, limits)
    seconds, busy = time.perf_counter() - began, time.process_time() - cpu
    rows = tables[0].manifest.row_bound
    assert row["n"] == rows, "the join lost rows"
    assert all(row[f"a{i}"] == row[f"b{i}"] for i in range(VALUES)), "the join lost values"
    size = sum(f.stat().st_size for f in blocks.iterdir())
    print(f"joined {rows:,} rows in {seconds:.0f} s, {busy:.0f} s of CPU time")
    print(f"{size / 1e9:.2f} GB of sealed blocks; peak {peak_bytes() / 1e9:.2f} GB resident")
    print(f"of which {before / 1e9:.2f} GB before the first task", flush=True)


def peak_bytes() -> int:
    """The largest that this process ever was, resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def limited(arguments: tuple, worker_bytes: int) -> None:
    """Run the worker, and refuse a peak above its memory."""
    worker(*arguments)
    if peak_bytes() > worker_bytes:
        raise SystemExit("the worker took more than its memory")


def main() -> None:
    """Seal, join, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--worker-gigabytes", type=float, default=2)
    parser.add_argument(
        "--folder", type=Path, help="where sealed tables and blocks stand meanwhile"
    )
    wanted = parser.parse_args()
    rows = math.ceil(wanted.gigabytes * 1e9 / ROW_BYTES / 2)
    while rows % STRIDE == 0:
        rows += 1
    worker_bytes = int(wanted.worker_gigabytes * (1 << 30))
    limits = EngineLimits(memory_bytes=worker_bytes // 2, threads=2)
    numbers = [Numbers("a", rows, 1), Numbers("b", rows, STRIDE)]
    with tempfile.TemporaryDirectory(dir=wanted.folder) as name:
        folder = Path(name)
        began = time.perf_counter()
        tables = [seal(folder / t.name, t) for t in numbers]
        size = sum(c.size for t in tables for c in t.manifest.chunks)
        print(f"sealed {size / 1e9:.2f} GB in {time.perf_counter() - began:.0f} s", flush=True)
        checked = plan_of(tables, {t.name: t.schema for t in numbers})
        (folder / "blocks").mkdir()
        arguments = (tables, checked, folder / "blocks", limits)
        process = multiprocessing.get_context("spawn").Process(
            target=limited, args=(arguments, worker_bytes)
        )
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)


if __name__ == "__main__":
    main()
