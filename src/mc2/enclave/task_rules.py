"""When a task may believe what it reads, and when a job may believe its tasks.

Steps T1 to T9 of docs/spec/task.md. Everything is compared with the own cut of the own plan, for
equality: a task too few or too many, another attempt, a part that is not meant for this task are
all errors with a name. Nothing here opens a block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mc2.crypto.digest import Digest, digest, same_digest
from mc2.crypto.signatures import VerifyKey
from mc2.enclave.epoch import Epoch
from mc2.errors import FormatError, JobError, SignatureError
from mc2.formats.block import TaskName
from mc2.formats.dataset_open import rows_in_chunk
from mc2.formats.manifest import Manifest
from mc2.formats.statement import Verified
from mc2.formats.task import TaskOrder, TaskReceipt, digest_of_receipts, member_name
from mc2.plan.stages import DatasetSource, ExchangeSource, StagePlan

_HINT: Final = "the host mixed up tasks: run the job again"


@dataclass(frozen=True, slots=True)
class Work:
    """What all tasks of one epoch have in common: who works, on which stages, over which inputs.

    `manifests` stand in the order of the plan's inputs.
    """

    epoch: Epoch
    stages: StagePlan
    digest: Digest
    manifests: tuple[Manifest, ...]

    def key_of(self, name: str) -> VerifyKey:
        """The key of a member, by the name that receipts have. Raises: SignatureError."""
        for member in self.epoch.members:
            if member_name(member.number) == name:
                return member.signing_key
        raise SignatureError(f"{name} is not in this epoch", hint=_HINT)

    def name(self, stage: int, partition: int, attempt: int) -> TaskName:
        """A task of this epoch."""
        return TaskName(
            context=self.epoch.context,
            epoch=self.epoch.number,
            stages=self.digest,
            stage=stage,
            partition=partition,
            attempt=attempt,
        )


def check_order(work: Work, order: TaskOrder) -> None:
    """Whether a task is one of this job, this epoch, this cut. Raises: JobError."""
    task = order.task
    # T1. The order is for this attempt of this job and this epoch, and for the same stages.
    if task != work.name(task.stage, task.partition, task.attempt):
        raise JobError("the order is for another job, epoch or cut of the plan", hint=_HINT)
    # T2. There is such a task, and it is not the last one, which is not for sale.
    if task.stage >= work.stages.last or task.partition >= _tasks(work, task.stage):
        raise JobError("the order is for a task that the plan does not have", hint=_HINT)
    # T3. It names as many receipts as the stage reads tasks.
    _check_shape(work, task.stage, task.partition, order.inputs)


def _tasks(work: Work, stage: int) -> int:
    return work.stages.stages[stage].tasks


def exchange_sources(work: Work, stage: int) -> list[ExchangeSource]:
    """What a stage reads of other stages, in its order."""
    return [s for s in work.stages.stages[stage].sources if isinstance(s, ExchangeSource)]


def dataset_sources(work: Work, stage: int) -> list[DatasetSource]:
    """What a stage reads of the plan's inputs, in its order."""
    return [s for s in work.stages.stages[stage].sources if isinstance(s, DatasetSource)]


def _check_shape(
    work: Work, stage: int, partition: int, inputs: Sequence[Sequence[Digest]]
) -> None:
    expected = [
        len(work.stages.producers(source, partition)) for source in exchange_sources(work, stage)
    ]
    if [len(i) for i in inputs] != expected:
        raise JobError("a task does not read exactly the tasks that it must", hint=_HINT)


def verify_receipt(work: Work, raw: bytes) -> Verified[TaskReceipt]:
    """Check that a member of this epoch says so, of a task of this epoch.

    Raises: FormatError, SignatureError, JobError.
    """
    # T4. A member of the epoch signed it.
    found = TaskReceipt.verify(raw, work.key_of)
    task = found.value.task
    # T5. It is of this job, epoch and cut, and says of every part of every exchange what is in it.
    if task != work.name(task.stage, task.partition, task.attempt):
        raise JobError("a receipt is of another job, epoch or cut of the plan", hint=_HINT)
    if task.stage >= work.stages.last or task.partition >= _tasks(work, task.stage):
        raise JobError("a receipt is of a task that the plan does not have", hint=_HINT)
    stage = work.stages.stages[task.stage]
    parts = [len(parts) for parts in found.value.written]
    if parts != [e.partitions for e in stage.exchanges]:
        raise JobError("a receipt does not tell of every part that its task wrote", hint=_HINT)
    if len(found.value.scanned) != len(dataset_sources(work, task.stage)):
        raise JobError("a receipt does not tell of every dataset that its task read", hint=_HINT)
    _check_shape(work, task.stage, task.partition, found.value.inputs)
    return found


def read_receipt(work: Work, name: Digest, raw: bytes, stage: int, partition: int) -> TaskReceipt:
    """The receipt of one particular task, which the order or another receipt names by digest.

    Raises: FormatError, SignatureError, JobError.
    """
    if not same_digest(digest(raw), name):
        raise JobError("a receipt is not the one that was named", hint=_HINT)
    found = verify_receipt(work, raw)
    # T6. It stands in the place of the task that it is of.
    if (found.value.task.stage, found.value.task.partition) != (stage, partition):
        raise JobError("a receipt stands in the place of another task's", hint=_HINT)
    return found.value


def check_all(work: Work, receipts: Sequence[bytes]) -> AllTasks:
    """Whether all tasks but the last ran as the plan says, each once.

    Raises: FormatError, SignatureError, JobError.
    """
    found: dict[tuple[int, int], Verified[TaskReceipt]] = {}
    for raw in receipts:
        receipt = verify_receipt(work, raw)
        place = (receipt.value.task.stage, receipt.value.task.partition)
        if place in found:
            raise JobError(f"task {place[1]} of stage {place[0]} is there twice", hint=_HINT)
        found[place] = receipt
    # T7. Equality, not a subset: no task was skipped, and none is there that nobody asked for.
    if found.keys() != set(work.stages.tasks()):
        raise JobError("the tasks that ran are not the tasks of the plan", hint=_HINT)
    # T8. Every task read exactly these receipts, so all readers of a task saw one attempt of it.
    for (stage, partition), receipt in found.items():
        if receipt.value.inputs != _expected(work, found, stage, partition):
            raise JobError(
                f"task {partition} of stage {stage} read another attempt than the others",
                hint=_HINT,
            )
    # T9. The parts of a dataset fit together.
    _check_scans(work, found)
    digests = [digest(receipt.envelope) for receipt in found.values()]
    return AllTasks(
        {place: receipt.value for place, receipt in found.items()},
        _expected(work, found, work.stages.last, 0),
        digest_of_receipts(digests),
    )


@dataclass(frozen=True, slots=True)
class AllTasks:
    """The receipts of all tasks but the last; only `check_all` makes one.

    `inputs` are what the last task reads; `digest` names the whole set.
    """

    receipts: Mapping[tuple[int, int], TaskReceipt]
    inputs: tuple[tuple[Digest, ...], ...]
    digest: Digest


def _expected(
    work: Work, found: Mapping[tuple[int, int], Verified[TaskReceipt]], stage: int, partition: int
) -> tuple[tuple[Digest, ...], ...]:
    return tuple(
        tuple(digest(found[s.stage, p].envelope) for p in work.stages.producers(s, partition))
        for s in exchange_sources(work, stage)
    )


def _check_scans(work: Work, found: Mapping[tuple[int, int], Verified[TaskReceipt]]) -> None:
    """In a padded table no row follows a chunk with room left, and no task sees all chunks."""
    for stage in range(work.stages.last):
        for place, source in enumerate(dataset_sources(work, stage)):
            manifest = work.manifests[source.input]
            full = True
            for partition in range(_tasks(work, stage)):
                rows = found[stage, partition].value.scanned[place]
                room = sum(
                    rows_in_chunk(manifest, i) for i in work.stages.chunks(source, stage, partition)
                )
                if rows > room or (rows and not full):
                    raise FormatError(f"{manifest.dataset} has rows after its last chunk of rows")
                full = full and rows == room
