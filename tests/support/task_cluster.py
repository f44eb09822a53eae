"""Some enclaves of one epoch in one process, and a host that carries their blocks and may lie."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import DataKey, SigningKey
from mc2.enclave.epoch import Epoch, Member
from mc2.enclave.task_pieces import Place, TaskSet
from mc2.enclave.task_runner import Finished, Host, TaskRunner
from mc2.engine.limits import EngineLimits
from mc2.formats.chunk import pack_rows
from mc2.formats.dataset_open import dataset_cipher
from mc2.formats.envelope import Envelope
from mc2.formats.manifest import ChunkRef, Manifest, UsagePolicy, dataset_associated_data
from mc2.formats.release import JobContext
from mc2.formats.schema import Schema
from mc2.formats.task import TaskReceipt
from mc2.plan.check import CheckedPlan, check_plan
from mc2.plan.stages import PIECE_ROWS, InputSize, Layout, layout_of
from tests.support.plans import LIMITS, Job

THEN = datetime(2026, 1, 1, tzinfo=UTC)
NO_DIGEST = Digest("sha256:" + "0" * 64)


@dataclass
class SealedTable:
    """A dataset version: its manifest, its key, its chunks by digest."""

    manifest: Manifest
    key: DataKey
    chunks: dict[Digest, bytes]

    @property
    def cipher(self) -> ChunkCipher:
        return dataset_cipher(self.manifest, self.key.raw)


def sealed(name: str, schema: Schema, table: pa.Table, chunk: int, version: int = 1) -> SealedTable:
    key, identity = DataKey.generate(), secrets.token_hex(16)
    pieces = table.combine_chunks().to_batches(max_chunksize=chunk) or [
        pa.RecordBatch.from_pylist([], schema=table.schema)
    ]
    refs, chunks = [], {}
    for index, piece in enumerate(pieces):
        bound = dataset_associated_data(
            identity, version, schema.digest, index, len(pieces), range(len(schema))
        )
        raw = ChunkCipher(key.raw).seal(index, pack_rows(piece, "lz4"), bound)
        refs.append(ChunkRef(digest(raw), len(raw)))
        chunks[digest(raw)] = raw
    manifest = Manifest(
        dataset=name,
        owner=name.partition(".")[0],
        dataset_id=identity,
        version=version,
        created=THEN,
        schema=schema,
        sizes="exact",
        compression="lz4",
        row_bound=table.num_rows,
        rows_per_chunk=chunk,
        key_salt=secrets.token_hex(32),
        key_commitment=key.commitment(),
        policy=UsagePolicy(),
        chunks=tuple(refs),
    )
    return SealedTable(manifest, key, chunks)


@dataclass
class TaskCluster:
    """An epoch over sealed tables. `lie` sees every blob that a task reads and may change it."""

    checked: CheckedPlan
    tables: Mapping[str, SealedTable]
    partitions: int = 3
    members: int = 2
    broadcast_rows: int = 0
    piece_rows: int = PIECE_ROWS
    limits: EngineLimits = LIMITS
    epoch: int = 1
    context: JobContext | None = None
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    receipts: dict[tuple[int, ...], bytes] = field(default_factory=dict)
    lie: Callable[[Digest, bytes], bytes] = lambda _, raw: raw

    def __post_init__(self) -> None:
        self.context = self.context or JobContext(
            contract=NO_DIGEST,
            policy=NO_DIGEST,
            plan=self.checked.plan.digest,
            job_id=secrets.token_hex(16),
            attempt=1,
        )
        for table in self.tables.values():
            self.blobs |= table.chunks
        self.keys = [SigningKey.generate() for _ in range(self.members)]
        self.block_key = DataKey.generate()
        self.runners = [self.runner(i) for i in range(self.members)]

    @property
    def layout(self) -> Layout:
        sizes = [
            InputSize(m.row_bound, len(m.chunks), 0, m.rows_per_chunk)
            for m in (self.tables[i.dataset].manifest for i in self.checked.plan.inputs)
        ]
        return layout_of(sizes, self.partitions, self.broadcast_rows, self.piece_rows)

    def runner(self, number: int) -> TaskRunner:
        roster = tuple(
            Member(i, digest(b"evidence %d" % i), k.public) for i, k in enumerate(self.keys)
        )
        epoch = Epoch(
            context=self.context,
            number=self.epoch,
            members=roster,
            block_key=DataKey(bytes(self.block_key.raw)),
            own=number,
            signing_key=self.keys[number],
        )
        return TaskRunner(
            self.checked,
            self.layout,
            epoch,
            {n: t.manifest for n, t in self.tables.items()},
            {n: t.cipher for n, t in self.tables.items()},
            self.limits,
        )

    @property
    def stages(self):
        return self.runners[0].work.stages

    def host(self) -> Host:
        def read(name: Digest) -> bytes:
            return self.lie(name, self.blobs[name])

        def write(name: Digest, raw: bytes) -> None:
            self.blobs[name] = raw

        return Host(read, write, lambda _: None)

    def order(
        self, stage: int, partition: int, attempt: int = 1, piece: int = 0, pieces: int = 0
    ) -> bytes:
        place = Place(stage, partition, piece, pieces)
        inputs = self.known().inputs(place)
        assert inputs is not None
        return self.runners[0].order(place, attempt, inputs).encode()

    def known(self) -> TaskSet:
        """The tasks that there are, by the receipts that are kept."""
        found = {Place(*p): (digest(raw), opened(raw)) for p, raw in self.receipts.items()}
        return self.runners[0].work.tasks(found)

    def name(self, stage: int, partition: int) -> Digest:
        """The digest by which a receipt is named."""
        return digest(self.receipts[stage, partition])

    def receipt(self, stage: int, partition: int) -> TaskReceipt:
        return opened(self.receipts[stage, partition])

    def task(
        self,
        stage: int,
        partition: int,
        attempt: int = 1,
        member: int | None = None,
        piece: int = 0,
        pieces: int = 0,
    ) -> bytes:
        number = (stage + partition + piece) % self.members if member is None else member
        order = self.order(stage, partition, attempt, piece, pieces)
        raw = self.runners[number].run(order, self.host())
        self.keep(stage, partition, raw, piece, pieces)
        return raw

    def keep(self, stage: int, partition: int, raw: bytes, piece: int = 0, pieces: int = 0) -> None:
        self.receipts[(stage, partition, piece, pieces) if pieces else (stage, partition)] = raw
        self.blobs[digest(raw)] = raw

    def stage_tasks(self, stage: int) -> list[Place]:
        """The tasks of a stage, once all that it reads has run."""
        found = self.known().of_stage(stage)
        assert found is not None
        return found

    def tasks(self) -> None:
        for stage in range(self.stages.last):
            for place in self.stage_tasks(stage):
                self.task(stage, place.partition, piece=place.piece, pieces=place.pieces)

    def finish(self) -> Finished:
        return self.runners[0].finish(list(self.receipts.values()), self.host())

    def run(self) -> Finished:
        self.tasks()
        return self.finish()


def opened(raw: bytes) -> TaskReceipt:
    """What a receipt says, whoever signed it."""
    envelope = Envelope.parse(raw, TaskReceipt.PAYLOAD_TYPE, TaskReceipt.LIMIT)
    return TaskReceipt.parse(envelope.payload)


def cluster_of(job: Job, outputs: Mapping[str, int], chunk: int = 3, **more: Any) -> TaskCluster:
    """A cluster over sealed copies of a job's tables."""
    tables = {
        name: sealed(name, source.schema, source.table, chunk)
        for name, source in job.sources.items()
    }
    plan = job.plan(**outputs)
    inputs = tuple(
        replace(
            i,
            manifest=tables[i.dataset].manifest.digest,
            row_bound=tables[i.dataset].manifest.row_bound,
        )
        for i in plan.inputs
    )
    return TaskCluster(check_plan(replace(plan, inputs=inputs)), tables, **more)
