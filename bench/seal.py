"""Sealing and opening against raw AES-256-GCM and common tools, in one run; a Markdown table.

    python bench/seal.py --megabytes 1024 --repeats 5

Every step is repeated in turn, so that a busy moment hits all alike; the table shows medians, and
the fastest run, which tells more on a machine that does other work too.
Sizes are those of the table in memory. What is sealed goes to a folder, or nowhere ("dropped"),
which shows the work without the disk.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import secrets
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from mc2.client.blobs import FolderBlobs
from mc2.client.data_key import open_own_table
from mc2.client.seal import NewVersion, OwnerKeys, Sealed, SealOptions, seal_table
from mc2.client.sources.open import open_source
from mc2.crypto.chunks import TAG_BYTES, ChunkCipher
from mc2.crypto.secret import SigningKey

BLOCK = 8 << 20
ROW_BYTES = 69
OWNER = OwnerKeys(secret=secrets.token_bytes(32), signer=SigningKey.generate())
Step = tuple[str, Callable[[], int]]
"""A name, and what to time; it gives the bytes that came out."""


class Dropped:
    """A sink that keeps nothing."""

    def has(self, _names: Any) -> frozenset[Any]:
        """Nothing is ever there."""
        return frozenset()

    def put(self, _name: Any, _raw: Any) -> None:
        """Forget it."""


def table_of(megabytes: int) -> pa.Table:
    """Rows as of orders: keys, prices, dates, a short word, a comment."""
    rows = megabytes * 1_000_000 // ROW_BYTES
    rng = np.random.default_rng(11)
    words = pa.array(["AIR", "MAIL", "RAIL", "SHIP", "TRUCK"])
    comments = pa.array([f"carefully packed parcel {i} of the customer" for i in range(5000)])
    return pa.table(
        {
            "key": np.arange(rows),
            "part": rng.integers(0, 200_000, rows),
            "price": rng.integers(100, 10_000_000, rows) / 100,
            "day": pa.array(rng.integers(8000, 10_600, rows).astype("int32")).cast(pa.date32()),
            "mode": words.take(pa.array(rng.integers(0, 5, rows))),
            "comment": comments.take(pa.array(rng.integers(0, 5000, rows))),
        }
    ).combine_chunks()


def raw_encryption(size: int, *, with_digest: bool) -> int:
    """AES-256-GCM over reused buffers, one thread; with SHA-256 it is the least a chunk needs."""
    cipher = ChunkCipher(bytes(32))
    plain, out = memoryview(bytearray(BLOCK)), memoryview(bytearray(BLOCK + TAG_BYTES))
    done = 0
    for number, start in enumerate(range(0, size, BLOCK)):
        length = min(BLOCK, size - start)
        sealed = out[: length + TAG_BYTES]
        done += cipher.seal_into(number, plain[:length], b"bound", sealed)
        if with_digest:
            hashlib.sha256(sealed).digest()
    return done


def seal(table: pa.Table, compression: str, sink: Any) -> Sealed:
    """Seal the table as its owner does."""
    version = NewVersion(dataset="bench.orders", version=1, created=datetime.now(UTC))
    options = SealOptions(compression=compression)
    return seal_table(open_source(table), version, OWNER, sink, options)


def sealed_bytes(sealed: Sealed) -> int:
    return sum(chunk.size for chunk in sealed.manifest.chunks)


def seal_and_open(table: pa.Table, compression: str, folder: Path) -> Iterator[Step]:
    """Three steps that share a folder: seal without it, seal into it, open from it."""
    place = folder / compression
    made: list[Sealed] = []

    def to_folder() -> int:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        made[:] = [seal(table, compression, FolderBlobs(place))]
        return sealed_bytes(made[0])

    def back() -> int:
        batches = open_own_table(OWNER.secret, made[0].manifest, FolderBlobs(place).get)
        assert sum(batch.num_rows for batch in batches) == table.num_rows
        return table.nbytes

    yield f"seal, {compression}, dropped", lambda: sealed_bytes(seal(table, compression, Dropped()))
    yield f"seal, {compression}, to a folder", to_folder
    yield f"open, {compression}, from the folder", back


def tools(path: Path) -> Iterator[Step]:
    """Common programs over the same rows as a file, as far as they are installed."""
    for command in (["gzip", "-1", "-c"], ["zstd", "-1", "-T1", "-q", "-c"]):
        if shutil.which(command[0]):
            yield " ".join(command[:2]), lambda c=command: _output_of([*c, str(path)])
    try:
        pyrage = importlib.import_module("pyrage")
    except ImportError:
        return
    recipient = pyrage.x25519.Identity.generate().to_public()
    yield (
        "age (pyrage), in memory",
        lambda: len(pyrage.encrypt(path.read_bytes(), [recipient])),
    )


def _output_of(command: list[str]) -> int:
    total = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        while part := program.stdout.read(1 << 20):
            total += len(part)
    assert program.returncode == 0
    return total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where sealed chunks go (default: temporary)")
    wanted = parser.parse_args()
    table = table_of(wanted.megabytes)
    with tempfile.TemporaryDirectory(dir=wanted.folder) as name:
        folder = Path(name)
        path = folder / "rows.arrow"
        with ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=1 << 16)
        steps = [
            ("AES-256-GCM, one thread", lambda: raw_encryption(table.nbytes, with_digest=False)),
            ("AES-256-GCM and SHA-256", lambda: raw_encryption(table.nbytes, with_digest=True)),
        ]
        for compression in ("none", "lz4", "zstd"):
            steps += seal_and_open(table, compression, folder)
        steps += tools(path)
        report(table, measure(steps, wanted.repeats))


def measure(steps: list[Step], repeats: int) -> dict[str, list[tuple[float, float, int]]]:
    """Run all steps in turn, and all again; wall seconds, CPU seconds and bytes out of each."""
    found: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    for _ in range(repeats):
        for name, step in steps:
            clock, before = time.perf_counter(), os.times()
            size = step()
            spent, after = time.perf_counter() - clock, os.times()
            found[name].append((spent, sum(after[:4]) - sum(before[:4]), size))
    return found


def report(table: pa.Table, found: dict[str, list[tuple[float, float, int]]]) -> None:
    """The medians as a Markdown table."""
    print(f"{table.num_rows:,} rows, {table.nbytes / 1e6:,.0f} MB in memory; medians of", end=" ")
    print(f"{len(next(iter(found.values())))} runs; {os.cpu_count()} cores.\n")
    print("| step | GB/s | fastest | CPU s per GB | out, % of the table | of raw AES-GCM |")
    print("| --- | --- | --- | --- | --- | --- |")
    raw = 0.0
    for name, runs in found.items():
        seconds, cpu = (statistics.median(run[i] for run in runs) for i in (0, 1))
        rate = table.nbytes / seconds / 1e9
        fastest = table.nbytes / min(run[0] for run in runs) / 1e9
        raw = raw or rate
        size = 100 * runs[0][2] / table.nbytes
        print(
            f"| {name} | {rate:.2f} | {fastest:.2f} | {cpu / table.nbytes * 1e9:.2f} | {size:.0f} "
            f"| {100 * rate / raw:.0f} % |"
        )


if __name__ == "__main__":
    main()
