"""Which rows of a shared training each member has, and the order by which it learns where they are.

Both sides work the cut out from the receipts of the tasks that handed the rows on: what an order
names is checked as the last task of a job checks it. Spec: docs/spec/collective.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from mc2.crypto.digest import Digest, same_digest
from mc2.enclave.task_inputs import SealedBlock, fetched
from mc2.enclave.task_rules import AllTasks
from mc2.enclave.task_runner import TaskRunner
from mc2.engine.collective.training import Head
from mc2.errors import FormatError, JobError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS
from mc2.formats.task import TaskReceipt, read_names
from mc2.formats.worker_tasks import PARTITIONS
from mc2.plan.stages import ExchangeSource
from mc2.plan.trained_apart import ApartTraining

_ORDER: Final = "mc2/collective-order/v1"
_ORDER_BYTES: Final = 8 * 1024 * 1024
_HINT: Final = "the host mixed up a training: run the job again"


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows `start` to `stop` of a source of a matrix."""

    matrix: int
    source: int
    place: int
    start: int
    stop: int


class Rows:
    """The rows of a training as tasks handed them on, and how they are cut into `count` parts.

    `receipts` are those of the producers of each of the last stage's sources that it reads.
    """

    def __init__(
        self,
        runner: TaskRunner,
        training: ApartTraining,
        receipts: Mapping[int, Sequence[TaskReceipt]],
        count: int,
    ) -> None:
        self._training, self._count = training, count
        self._blocks = {p: runner.last_blocks(p, found) for p, found in receipts.items()}
        self._schemas = {p: runner.last_schema(p) for p in receipts}
        self._sizes = {p: sum(b.named.rows for b in b_) for p, b_ in self._blocks.items()}

    @property
    def least(self) -> int:
        """The rows of the matrix that has fewest."""
        return min(self._all(m) for m in self._training.matrices)

    @property
    def all_rows(self) -> int:
        """How many rows there are to train on."""
        return self._all(self._training.operation.matrix)

    def places(self) -> tuple[int, ...]:
        """How many rows each member trains on."""
        return tuple(len(self._cut(self.all_rows, p)) for p in range(self._count))

    def _all(self, matrix: int) -> int:
        return sum(self._sizes[p] for p in self._training.matrices[matrix])

    def _cut(self, rows: int, part: int) -> range:
        return range(part * rows // self._count, (part + 1) * rows // self._count)

    def part(self, number: int) -> Iterator[Piece]:
        """What a member has: of each matrix an equal share of its rows, in their order."""
        for matrix, places in self._training.matrices.items():
            cut, first = self._cut(self._all(matrix), number), 0
            for source, place in enumerate(places):
                start = min(max(cut.start - first, 0), self._sizes[place])
                stop = min(max(cut.stop - first, 0), self._sizes[place])
                yield Piece(matrix, source, place, start, stop)
                first += self._sizes[place]

    def batches(self, piece: Piece, read: Callable[[Digest], bytes]) -> Iterator[pa.RecordBatch]:
        """The rows of a piece. Raises: as opening a block; what `read` raises."""
        first = 0
        for block in self._blocks[piece.place]:
            count = block.named.rows
            start, stop = max(piece.start - first, 0), min(piece.stop - first, count)
            first += count
            if start < stop:
                yield self._open(piece.place, block, read).slice(start, stop - start)

    def _open(
        self, place: int, block: SealedBlock, read: Callable[[Digest], bytes]
    ) -> pa.RecordBatch:
        raw = fetched(read, block.named.digest)
        return block.cipher.open(block.place, block.named, self._schemas[place], raw)


def sources_read(training: ApartTraining) -> list[int]:
    """The last stage's sources that a training reads."""
    return sorted({p for places in training.matrices.values() for p in places})


def _exchanged(runner: TaskRunner) -> list[int]:
    """The last stage's sources that other tasks hand on, by place."""
    sources = runner.work.stages.stages[runner.work.stages.last].sources
    return [p for p, s in enumerate(sources) if isinstance(s, ExchangeSource)]


def producers_of(runner: TaskRunner, found: AllTasks, place: int) -> Sequence[TaskReceipt]:
    """The receipts of the tasks whose rows a source of the last stage reads. Raises: JobError."""
    return found.read[_exchanged(runner).index(place)]


def head_of(runner: TaskRunner, node: int, member: int, members: int, threads: int) -> Head:
    """What a member's process is told first."""
    plan = runner.last_fragment.plan.encode()
    return Head(member=member, members=members, node=node, threads=threads, plan=plan)


def order_of(runner: TaskRunner, found: AllTasks, training: ApartTraining) -> bytes:
    """What a member is told first: how the plan is cut, and which receipts name its rows."""
    work, inputs = runner.work, found.inputs
    names = dict(zip(_exchanged(runner), inputs, strict=True))
    read = {place: names[place] for place in sources_read(training)}
    return encode_order(work.stages.layout.partitions, work.digest, read)


def encode_order(partitions: int, stages: Digest, inputs: Mapping[int, Sequence[Digest]]) -> bytes:
    """The order's one encoding. `inputs`: receipts by source, in the order of places."""
    said: Json = {
        "type": _ORDER,
        "partitions": partitions,
        "stages": stages,
        "inputs": [[place, list(names)] for place, names in inputs.items()],
    }
    return encode(said)


def read_order(
    raw: bytes, runner_of: Callable[[int], TaskRunner]
) -> tuple[TaskRunner, dict[int, tuple[Digest, ...]]]:
    """The tasks of the plan as an order cuts it, and the receipts that it names, by source.

    Raises: FormatError; JobError for another cut of the plan.
    """
    fields = Fields(decode(raw, _ORDER_BYTES, "an order to train"), "an order to train")
    fields.type(_ORDER)
    runner = runner_of(fields.integer("partitions", 1, PARTITIONS))
    if not same_digest(fields.digest("stages"), runner.work.digest):
        raise JobError("the order is for another cut of the plan", hint=_HINT)
    inputs = fields.items("inputs", PARTITIONS, _read_input)
    fields.done()
    places = [place for place, _ in inputs]
    if places != sorted(set(places)):
        raise FormatError("an order to train names its inputs in order, each once")
    return runner, dict(inputs)


def _read_input(value: Json) -> tuple[int, tuple[Digest, ...]]:
    if not isinstance(value, list) or len(value) != 2:
        raise FormatError("an order to train names its inputs by place")
    place = Fields({"place": value[0]}, "an input of a training")
    return place.integer("place", 0, LIMITS.nodes - 1), read_names(value[1])
