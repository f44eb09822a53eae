"""When a task may believe what it reads, and when a job may believe its tasks.

Steps T1 to T10 of docs/spec/task.md. Everything is compared with the own cut of the own plan, for
equality: a task too few or too many, another attempt, a part that is not meant for this task are
all errors with a name. Nothing here opens a block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from mc2.crypto.digest import Digest, digest, same_digest
from mc2.crypto.signatures import VerifyKey
from mc2.enclave.epoch import Epoch
from mc2.enclave.task_pieces import Place, Receipts, Shares, TaskSet, fits, places
from mc2.errors import FormatError, JobError, SignatureError
from mc2.formats.block import TaskName
from mc2.formats.dataset_open import rows_in_chunk, starts_segment
from mc2.formats.manifest import Manifest
from mc2.formats.statement import Verified
from mc2.formats.task import TaskOrder, TaskReceipt, digest_of_receipts, member_name
from mc2.plan.stages import DatasetSource, ExchangeSource, StagePlan
from mc2.plan.stages_skew import sides

_HINT: Final = "the host mixed up tasks: run the job again"


@dataclass(frozen=True, slots=True)
class Work:
    """What all tasks of one epoch have in common: who works, on which stages, over which inputs.

    `sides`: for each stage, the places of the sources of which a task may read a piece.
    `manifests` stand in the order of the plan's inputs.
    """

    epoch: Epoch
    stages: StagePlan
    digest: Digest
    sides: tuple[tuple[int, ...], ...]
    manifests: tuple[Manifest, ...]

    @classmethod
    def of(cls, epoch: Epoch, stages: StagePlan, manifests: tuple[Manifest, ...]) -> Self:
        """The work of an epoch on a plan's stages."""
        cuttable = tuple(sides(stages, number) for number in range(len(stages.stages)))
        return cls(epoch, stages, stages.digest, cuttable, manifests)

    def key_of(self, name: str) -> VerifyKey:
        """The key of a member, by the name that receipts have. Raises: SignatureError."""
        for member in self.epoch.members:
            if member_name(member.number) == name:
                return member.signing_key
        raise SignatureError(f"{name} is not in this epoch", hint=_HINT)

    def name(self, place: Place, attempt: int) -> TaskName:
        """A task of this epoch."""
        return TaskName(
            context=self.epoch.context,
            epoch=self.epoch.number,
            stages=self.digest,
            stage=place.stage,
            partition=place.partition,
            attempt=attempt,
            piece=place.piece,
            pieces=place.pieces,
        )

    def has(self, place: Place) -> bool:
        """Whether there may be such a task; whether there is, receipts tell."""
        known = place.stage < len(self.sides)
        return known and fits(self.stages, self.sides[place.stage], place)

    def tasks(self, receipts: Receipts) -> TaskSet:
        """Which tasks there are, by receipts that were verified."""
        return TaskSet(self.stages, self.sides, receipts)


def check_order(work: Work, order: TaskOrder) -> None:
    """Whether a task is one of this job, this epoch, this cut. Raises: JobError."""
    place = Place.of(order.task)
    # T1. The order is for this attempt of this job and this epoch, and for the same stages.
    if order.task != work.name(place, order.task.attempt):
        raise JobError("the order is for another job, epoch or cut of the plan", hint=_HINT)
    # T2. There is such a task, and it is not the last one, which is not for sale.
    if not work.has(place):
        raise JobError("the order is for a task that the plan does not have", hint=_HINT)
    # T3. It names as many receipts as the stage reads tasks.
    _check_shape(work, place, order.inputs)


def exchange_sources(work: Work, stage: int) -> list[ExchangeSource]:
    """What a stage reads of other stages, in its order."""
    return [s for s in work.stages.stages[stage].sources if isinstance(s, ExchangeSource)]


def dataset_sources(work: Work, stage: int) -> list[DatasetSource]:
    """What a stage reads of the plan's inputs, in its order."""
    return [s for s in work.stages.stages[stage].sources if isinstance(s, DatasetSource)]


def _check_shape(work: Work, place: Place, inputs: Sequence[Sequence[Digest]]) -> None:
    """A partition that may be shared has one receipt or more; `in_order` sees how many."""
    sources = exchange_sources(work, place.stage)
    right = len(inputs) == len(sources)
    for source, names in zip(sources, inputs, strict=False):
        count = len(work.stages.producers(source, place.partition))
        more = bool(work.sides[source.stage])
        right = right and (len(names) >= count if more else len(names) == count)
    if not right:
        raise JobError("a task does not read exactly the tasks that it must", hint=_HINT)


def verify_receipt(work: Work, raw: bytes) -> Verified[TaskReceipt]:
    """Check that a member of this epoch says so, of a task of this epoch.

    Raises: FormatError, SignatureError, JobError.
    """
    # T4. A member of the epoch signed it.
    found = TaskReceipt.verify(raw, work.key_of)
    place = Place.of(found.value.task)
    # T5. It is of this job, epoch and cut, and says of every part of every exchange what is in it.
    if found.value.task != work.name(place, found.value.task.attempt):
        raise JobError("a receipt is of another job, epoch or cut of the plan", hint=_HINT)
    if not work.has(place):
        raise JobError("a receipt is of a task that the plan does not have", hint=_HINT)
    stage = work.stages.stages[place.stage]
    parts = [len(parts) for parts in found.value.written]
    if parts != [e.partitions for e in stage.exchanges]:
        raise JobError("a receipt does not tell of every part that its task wrote", hint=_HINT)
    if len(found.value.scanned) != len(dataset_sources(work, place.stage)):
        raise JobError("a receipt does not tell of every dataset that its task read", hint=_HINT)
    _check_shape(work, place, found.value.inputs)
    return found


def read_receipt(work: Work, name: Digest, raw: bytes) -> TaskReceipt:
    """A receipt that an order names by digest. Raises: FormatError, SignatureError, JobError."""
    if not same_digest(digest(raw), name):
        raise JobError("a receipt is not the one that was named", hint=_HINT)
    return verify_receipt(work, raw).value


def check_places(
    work: Work, source: ExchangeSource, partition: int, receipts: Sequence[TaskReceipt]
) -> None:
    """Whether receipts are of exactly the tasks that a task reads of one source.

    Raises: JobError.
    """
    # T6. Each stands in the place of the task that it is of; of a shared partition all pieces.
    rest = list(receipts)
    for producer in work.stages.producers(source, partition):
        count = max(1, rest[0].task.pieces) if rest else 1
        own, rest = rest[:count], rest[count:]
        wanted = places(source.stage, producer, own[0].task.pieces if own else 0)
        if [Place.of(r.task) for r in own] != wanted:
            raise JobError("a receipt stands in the place of another task's", hint=_HINT)
        if len({r.inputs for r in own}) > 1:
            raise JobError("pieces of one partition read different attempts", hint=_HINT)
    if rest:
        raise JobError("a task does not read exactly the tasks that it must", hint=_HINT)


def check_share(
    work: Work, place: Place, read: Sequence[Sequence[TaskReceipt]]
) -> tuple[int, range] | None:
    """What a piece reads of the source that is cut: that source's place, and a run of its blocks.

    `read` has the receipts of what the stage reads, source by source. None if it reads all.
    Raises: JobError if there is no such piece.
    """
    # T10. A partition is shared by as many tasks as the sizes of its parts say, and by no others.
    cuttable = work.sides[place.stage]
    found = Shares(work.stages, place.stage, cuttable, dict(enumerate(read))).of(place.partition)
    if place.pieces != (0 if found is None else len(found.runs)):
        raise JobError("the order is for a piece that there is none of", hint=_HINT)
    return None if found is None else (found.side, found.runs[place.piece - 1])


def check_all(work: Work, receipts: Sequence[bytes]) -> AllTasks:
    """Whether all tasks but the last ran as the plan says, each once.

    Raises: FormatError, SignatureError, JobError.
    """
    found: dict[Place, Verified[TaskReceipt]] = {}
    for raw in receipts:
        receipt = verify_receipt(work, raw)
        place = Place.of(receipt.value.task)
        if place in found:
            raise JobError(f"{place} is there twice", hint=_HINT)
        found[place] = receipt
    tasks = work.tasks({place: (digest(r.envelope), r.value) for place, r in found.items()})
    # T7. Equality, not a subset: no task was skipped, and none is there that nobody asked for.
    wanted = tasks.all()
    if wanted is None or found.keys() != set(wanted):
        raise JobError("the tasks that ran are not the tasks of the plan", hint=_HINT)
    # T8. Every task read exactly these receipts, so all readers of a task saw one attempt of it.
    for place, receipt in found.items():
        if receipt.value.inputs != tasks.inputs(place):
            raise JobError(f"{place} read another attempt than the others", hint=_HINT)
    # T9. The parts of a dataset fit together.
    _check_scans(work, found)
    digests = [digest(receipt.envelope) for receipt in found.values()]
    last = Place(work.stages.last, 0)
    return AllTasks(tasks.read(last), tasks.inputs(last) or (), digest_of_receipts(digests))


@dataclass(frozen=True, slots=True)
class AllTasks:
    """What the last task reads, once all others were checked; only `check_all` makes one.

    `read`: source by source, the receipts; `inputs`: what names each of these. `digest` names the
    whole set of all tasks' receipts.
    """

    read: Sequence[Sequence[TaskReceipt]]
    inputs: Sequence[Sequence[Digest]]
    digest: Digest


def _check_scans(work: Work, found: Mapping[Place, Verified[TaskReceipt]]) -> None:
    """In a segment no row follows a chunk with room left; no task sees all chunks of a table."""
    for stage in range(work.stages.last):
        for place, source in enumerate(dataset_sources(work, stage)):
            manifest = work.manifests[source.input]
            full = True
            for partition in range(work.stages.stages[stage].tasks):
                chunks = work.stages.chunks(source, stage, partition)
                rows = found[Place(stage, partition)].value.scanned[place]
                room = sum(rows_in_chunk(manifest, i) for i in chunks)
                begins = [starts_segment(manifest, i) for i in chunks]
                full = full or any(begins)
                if rows > room or (rows and not full):
                    raise FormatError(f"{manifest.dataset} has rows after its last chunk of rows")
                # Over several segments, the sum does not tell which of them has room left.
                full = full and (rows == room or any(begins[1:]))
