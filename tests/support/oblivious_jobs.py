"""TPC-H's queries as jobs in oblivious mode, and what a host sees of the tasks of one."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from mc2.coordinator.backend import TaskBackend
from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest
from mc2.formats.arrow import arrow_schema, schema_of
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.fixed import fixed_places, unpack_fixed
from mc2.formats.limits import LIMITS
from mc2.formats.result import Result
from mc2.formats.task import TaskOrder, TaskReceipt
from mc2.formats.worker_tasks import Ended, Task
from mc2.storage import BlobStorage
from tests.support.enclave_jobs import Job, Sealed, make_job, open_key
from tests.support.oblivious_cluster import sealed_padded
from tests.support.oblivious_shop import Shop

CHUNKS = 7
"""Of each table, so that tasks share them unevenly."""


def seal_shop(shop: Shop, tables: Mapping[str, pa.Table] | None = None) -> dict[str, Sealed]:
    """TPC-H's tables, or others of their shape, as ada seals them."""
    found = {}
    for name, table in (tables or shop.tables).items():
        made = sealed_padded(
            f"ada.{name}",
            schema_of(table.schema),
            table,
            shop.facts[name],
            -(-table.num_rows // CHUNKS),
        )
        found[f"ada.{name}"] = Sealed(made.manifest, bytes(made.key.raw), made.chunks)
    return found


def shop_job(
    shop: Shop, sealed: Mapping[str, Sealed], number: int, policy: Mapping[str, Any]
) -> Job:
    """A query of TPC-H over sealed tables, whose answer goes to cy."""
    made = make_job(contract={"attestation": policy})
    plan = shop.checked(number).plan
    inputs = tuple(
        replace(
            i,
            manifest=sealed[i.dataset].manifest.digest,
            row_bound=sealed[i.dataset].manifest.row_bound,
        )
        for i in plan.inputs
    )
    plan = replace(
        plan,
        contract=made.contract.digest,
        inputs=inputs,
        outputs=tuple(replace(o, recipients=("cy",)) for o in plan.outputs),
        packages=made.plan.packages,
    )
    return Job(made.parties, made.contract, {i.dataset: sealed[i.dataset] for i in inputs}, plan)


def padded_result(job: Job, result: Result, recipient: str = "cy") -> pa.Table:
    """The rows of a padded result."""
    assert result.schema is not None
    assert result.padding is not None
    cipher = ChunkCipher(open_key(result, job.parties[recipient]))
    places = fixed_places(result.schema, result.padding.widths, result.padding.rows_per_chunk)
    found = []
    for index, chunk in enumerate(result.chunks):
        plain = cipher.open(index, job.stored[chunk.digest], result.associated_data(index))
        found.append(unpack_fixed(plain, result.schema, places))
    return pa.Table.from_batches(found, arrow_schema(result.schema))


class Seen:
    """What passes a host in one job: which task reads and writes how many blocks of which sizes.

    Who runs a task, and when, is a matter of time alone and not in it.
    """

    def __init__(self) -> None:
        self.orders: set[tuple[int, int, int, int, int]] = set()
        self.tasks: dict[tuple[int, int], Any] = {}
        self.moved: Counter[tuple[str, int]] = Counter()
        self._lock = threading.Lock()  # keepers serve in threads, and counting is no one step

    def order(self, task: Task) -> None:
        order = TaskOrder.parse(task.order)
        at = order.task
        self.orders.add((at.stage, at.partition, at.attempt, task.partitions, len(task.order)))

    def blob(self, what: str, raw: bytes) -> None:
        with self._lock:
            self.moved[what, len(raw)] += 1
        if PayloadType.TASK_RECEIPT.encode() in raw[:4096]:
            self.receipt(raw)

    def receipt(self, raw: bytes) -> None:
        envelope = Envelope.parse(raw, PayloadType.TASK_RECEIPT, LIMITS.task_bytes)
        found = TaskReceipt.parse(envelope.payload)
        said = json.loads(envelope.payload)
        blocks = [
            [
                [sorted((k, v) for k, v in b.items() if k != "digest") for b in part]
                for part in parts
            ]
            for parts in said["written"]
        ]
        reads = [len(names) for names in found.inputs]
        at = (found.task.stage, found.task.partition)
        self.tasks[at] = (len(raw), reads, found.scanned, blocks)


class SeenTasks:
    """A backend's tasks, with all that passes them written down."""

    def __init__(self, honest: TaskBackend, seen: Seen) -> None:
        self.honest, self.seen = honest, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self.honest, name)

    def read(self, name: Digest) -> bytes:
        raw = self.honest.read(name)
        self.seen.blob("read", raw)
        return raw

    def keep(self, name: Digest, raw: bytes) -> None:
        self.seen.blob("kept", raw)
        self.honest.keep(name, raw)

    def assign(self, name: str, task: Any, workers: Mapping[str, Any]) -> None:
        self.seen.order(task)
        self.honest.assign(name, task, workers)

    def ended(self, *, wait: bool) -> Ended:
        found = self.honest.ended(wait=wait)
        assert not found.code, found
        return found


class SeenStorage:
    """A keeper's storage, with all that it reads and writes written down."""

    def __init__(self, honest: BlobStorage, seen: list[Seen]) -> None:
        self.honest, self.seen = honest, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self.honest, name)

    def find(self, folder: str, name: Digest) -> bytes | None:
        raw = self.honest.find(folder, name)
        if raw is not None:
            self.seen[-1].blob("read", raw)
        return raw

    def put(self, folder: str, name: Digest, raw: bytes) -> None:
        self.seen[-1].blob("kept", raw)
        self.honest.put(folder, name, raw)
