"""Queries over sealed tables as an enclave runs them, in this process, and what each step takes."""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
from bench import tpch

from mc2.client.blobs import FolderBlobs
from mc2.client.data_key import own_data_key
from mc2.client.seal import NewVersion, OwnerKeys, SealOptions, seal_table
from mc2.client.sources.open import open_source
from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest
from mc2.crypto.secret import SigningKey
from mc2.enclave.tables import SealedTable
from mc2.engine.database import Database
from mc2.engine.limits import EngineLimits
from mc2.engine.outputs import TableOutput
from mc2.engine.run import execute
from mc2.formats import dataset_open
from mc2.formats.chunk import pack_rows
from mc2.formats.manifest import Manifest
from mc2.plan.check import CheckedPlan

PARTY = "clinic_a"


class SealedTables:
    """The tables of TPC-H, sealed in a folder, and their Parquet files beside them."""

    def __init__(self, folder: Path, scale: float, compression: str) -> None:
        self.folder = folder
        self.schemas: dict[str, pa.Schema] = {}
        self._secret = secrets.token_bytes(32)
        self._manifests: dict[str, Manifest] = {}
        owner = OwnerKeys(secret=self._secret, signer=SigningKey.generate())
        for name, table in tpch.tables(scale).items():
            pq.write_table(table, self.parquet(name))
            version = NewVersion(dataset=f"{PARTY}.{name}", version=1, created=datetime.now(UTC))
            place = folder / name
            place.mkdir()
            options = SealOptions(compression=compression)
            sealed = seal_table(open_source(table), version, owner, FolderBlobs(place), options)
            self._manifests[name] = sealed.manifest
            self.schemas[name] = table.schema

    def parquet(self, name: str) -> Path:
        """A table's plaintext."""
        return self.folder / f"{name}.parquet"

    @property
    def sealed_bytes(self) -> int:
        """Of all chunks."""
        return sum(c.size for m in self._manifests.values() for c in m.chunks)

    def open(self, name: str, threads: int) -> SealedTable:
        """A table as an enclave with its key has it."""
        manifest = self._manifests[name]
        with own_data_key(self._secret, manifest) as key:
            cipher = dataset_open.dataset_cipher(manifest, key.raw)

        def read(wanted: Digest) -> bytes:
            return (self.folder / name / wanted.removeprefix("sha256:")).read_bytes()

        return SealedTable(manifest, cipher, read, threads=threads)

    def run(
        self, checked: CheckedPlan, limits: EngineLimits, opened: Database | None = None
    ) -> int:
        """Open, compute, seal the result; its rows. `opened` is closed at the end."""
        names = [i.dataset for i in checked.plan.inputs]
        inputs = {n: self.open(n.partition(".")[2], limits.threads) for n in names}
        ahead = None if opened is None else SimpleNamespace(take=lambda: opened)
        outputs = execute(checked, inputs, limits, lambda _: None, ahead)
        for table in inputs.values():
            table.read_rest()
        rows = 0
        for output in outputs.values():
            assert isinstance(output, TableOutput)
            cipher = ChunkCipher(secrets.token_bytes(32))
            for number, batch in enumerate(output.table.combine_chunks().to_batches()):
                cipher.seal(number, pack_rows(batch), b"result")
            rows += output.table.num_rows
        return rows


class Steps:
    """Seconds of the steps of opening, by wrapping what takes them; for one thread alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Time the steps within a block."""
        with (
            mock.patch.object(dataset_open, "digest", self._timed("hash", dataset_open.digest)),
            mock.patch.object(
                dataset_open,
                "unpack_rows",
                self._timed("decompress and validate", dataset_open.unpack_rows),
            ),
            mock.patch.object(ChunkCipher, "open", self._timed("decrypt", ChunkCipher.open)),
            mock.patch.object(
                Path, "read_bytes", self._timed("read from the folder", Path.read_bytes)
            ),
            mock.patch.object(ChunkCipher, "seal", self._timed("seal", ChunkCipher.seal)),
        ):
            yield

    def _timed(self, name: str, function: Callable) -> Callable:
        def wrapped(*arguments: object, **named: object) -> object:
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds[name] += time.perf_counter() - began

        return wrapped

    def table(self, whole: float) -> Mapping[str, float]:
        """All steps, and what is left for the engine."""
        return {**self.seconds, "convert and compute": whole - sum(self.seconds.values())}
