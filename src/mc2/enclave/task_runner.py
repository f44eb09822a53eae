"""Runs the tasks of one epoch in one of its enclaves, and its last task in the leader.

No socket and no file: what the host keeps comes and goes by digest through two functions. An order
is checked against the own cut of the own plan before anything is read (`mc2.enclave.task_rules`),
and whatever is read must be what receipts of members name. Spec: docs/spec/task.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import pyarrow as pa

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, digest
from mc2.enclave.drawing import drawing_key
from mc2.enclave.epoch import Epoch
from mc2.enclave.task_inputs import (
    BlockSequence,
    ChunkRange,
    ReadBlob,
    SealedBlock,
    TaskSource,
    fetched,
)
from mc2.enclave.task_oblivious import compute_part, seal_blocks
from mc2.enclave.task_pieces import Place
from mc2.enclave.task_rules import (
    AllTasks,
    Work,
    check_all,
    check_order,
    check_places,
    check_share,
    exchange_sources,
    read_receipt,
)
from mc2.engine.fragment import Fragment, FragmentInput, open_fragment
from mc2.engine.limits import EngineLimits
from mc2.engine.oblivious.learning import Together as Dealing
from mc2.engine.oblivious.part import Part
from mc2.engine.outputs import Output
from mc2.engine.run import Together
from mc2.errors import EngineError, FormatError, JobError, Mc2Error
from mc2.formats.block import (
    BlockCipher,
    BlockPlace,
    BlockRef,
    TaskName,
    fitting,
    fresh_salt,
)
from mc2.formats.manifest import Manifest
from mc2.formats.schema import Schema
from mc2.formats.task import TaskOrder, TaskReceipt, digest_of_receipts
from mc2.formats.worker_progress import StageHead
from mc2.plan.check import CheckedPlan
from mc2.plan.fragments import fragment, source_name
from mc2.plan.oblivious_rewrites import as_run
from mc2.plan.stages import DatasetSource, Exchange, ExchangeSource, Layout
from mc2.plan.stages_cut import cut
from mc2.plan.stages_shown import operations_of

WriteBlob: TypeAlias = Callable[[Digest, bytes], None]
"""Gives the host something to keep under its digest."""

_HINT: Final = "try the plan on data of your own; if it works there, report this"


@dataclass(frozen=True, slots=True)
class Host:
    """What a task may ask of the untrusted side."""

    read: ReadBlob
    write: WriteBlob
    progress: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Finished:
    """The outputs of a job, and the digest of the receipts of all tasks they rest on."""

    outputs: Mapping[str, Output]
    tasks: Digest


class Sharing(Protocol):
    """Who shares trainings of a job's last task."""

    @property
    def receipts(self) -> Sequence[Digest]:
        """The digests of what was signed so far."""
        ...

    def shared(self, runner: TaskRunner, found: AllTasks) -> Together | None:
        """The trainings of stock XGBoost that are shared."""
        ...

    @property
    def dealing(self) -> Dealing | None:
        """Who trains on rows that the last task of an oblivious plan deals out."""
        ...


class TaskRunner:
    """The tasks of one epoch, on one member's side. `ciphers` open the inputs, by dataset."""

    def __init__(
        self,
        checked: CheckedPlan,
        layout: Layout,
        epoch: Epoch,
        manifests: Mapping[str, Manifest],
        ciphers: Mapping[str, ChunkCipher],
        limits: EngineLimits,
    ) -> None:
        checked = as_run(checked)
        stages = cut(checked, layout)
        found = tuple(manifests[i.dataset] for i in checked.plan.inputs)
        if layout.chunks != tuple(m.whole_chunks for m in found):
            raise JobError("the layout is for other versions of the inputs")
        self.work = Work.of(epoch, stages, found)
        self._checked = checked
        self._plan = checked.plan
        self._ciphers = ciphers
        self._limits = limits
        self._fragments: dict[int, CheckedPlan] = {}

    @property
    def heads(self) -> tuple[StageHead, ...]:
        """What people are shown of the stages."""
        nodes = self._plan.nodes
        return tuple(StageHead(operations_of(nodes, s), s.tasks) for s in self.work.stages.stages)

    def run(self, raw: bytes, host: Host) -> bytes:
        """Run one task; the signed receipt.

        Raises: FormatError, JobError for an order that is none of this epoch's; SignatureError,
        DatasetError, CryptoError for what the host serves; EngineError.
        """
        order = TaskOrder.parse(raw)
        check_order(self.work, order)
        task = order.task
        blocks = BlockCipher(self._block_key(), task, salt := fresh_salt())
        sources = self._sources(Place.of(task), order.inputs, host.read)
        written = self._written(task, sources, blocks, host)
        receipt = TaskReceipt(
            task=task,
            member=self.work.epoch.own,
            salt=salt.hex(),
            inputs=order.inputs,
            scanned=tuple(s.rows for s in sources if isinstance(s, ChunkRange)),
            written=tuple(written),
        )
        return receipt.sign(self.work.epoch.signing_key)

    def _written(
        self, task: TaskName, sources: Sequence[TaskSource], blocks: BlockCipher, host: Host
    ) -> list[tuple[tuple[BlockRef, ...], ...]]:
        """Compute a task and seal what it hands on: of each exchange, of each part, the blocks."""
        exchanges = self.work.stages.stages[task.stage].exchanges
        written = []
        if self._oblivious:
            with self._part(task.stage, sources, host, task.partition) as part:
                for place, (exchange, rows) in enumerate(
                    zip(exchanges, part.blocks(), strict=True)
                ):
                    written.append(seal_blocks(blocks, place, exchange, rows, host.write))
            return written
        with self._opened(task.stage, sources, host) as found:
            for place, exchange in enumerate(exchanges):
                writer = _Writer(blocks, place, exchange, host.write)
                for number, batch in found.parts(exchange):
                    writer.add(number, batch)
                written.append(writer.finish())
        return written

    def finish(
        self, receipts: Sequence[bytes], host: Host, sharing: Sharing | None = None
    ) -> Finished:
        """Check all other tasks, then run the last one: only the leader does.

        `sharing` says which trainings of it other enclaves share.

        Raises: as `run`; JobError if the tasks that ran are not exactly the plan's.
        """
        if not self.work.epoch.leads:
            raise JobError("only the leader of an epoch finishes a job")
        found = check_all(self.work, receipts)
        sources = self._opened_sources(Place(self.work.stages.last, 0), found.read, host.read)
        last, outputs = self.work.stages.last, dict[str, Output]()
        if self._oblivious:
            dealing = None if sharing is None else sharing.dealing
            with self._part(last, sources, host, together=dealing) as part:
                outputs |= part.outputs()
            return Finished(outputs, _digest_of(receipts, sharing, found))
        together = None if sharing is None else sharing.shared(self, found)
        with self._opened(last, sources, host, together) as computed:
            outputs |= computed.outputs()
        return Finished(outputs, _digest_of(receipts, sharing, found))

    @property
    def last_fragment(self) -> CheckedPlan:
        """The last stage as a plan of its own."""
        return self._fragment(self.work.stages.last)

    def last_receipts(
        self, place: int, names: Sequence[Digest], read: ReadBlob
    ) -> list[TaskReceipt]:
        """The receipts of all tasks whose rows a source of the last stage reads, as named.

        Raises: FormatError, SignatureError, JobError; what `read` raises.
        """
        found = [read_receipt(self.work, name, fetched(read, name)) for name in names]
        check_places(self.work, self._last_source(place), 0, found)
        return found

    def last_blocks(self, place: int, receipts: Sequence[TaskReceipt]) -> list[SealedBlock]:
        """The blocks of a source of the last stage, as receipts name them. Raises: JobError."""
        return self._blocks(self._last_source(place), 0, receipts)

    def last_schema(self, place: int) -> Schema:
        """The columns of a source of the last stage. Raises: JobError."""
        source = self._last_source(place)
        return self.work.stages.stages[source.stage].exchanges[source.exchange].written

    def _last_source(self, place: int) -> ExchangeSource:
        sources = self.work.stages.stages[self.work.stages.last].sources
        source = sources[place] if place < len(sources) else None
        if not isinstance(source, ExchangeSource):
            raise JobError("the last stage reads no tasks there", hint=_HINT)
        return source

    def order(self, place: Place, attempt: int, inputs: Sequence[Sequence[Digest]]) -> TaskOrder:
        """An order as a host would write it."""
        return TaskOrder(self.work.name(place, attempt), tuple(tuple(i) for i in inputs))

    def _block_key(self) -> bytearray:
        key = self.work.epoch.block_key.raw
        if not key:
            raise JobError("this epoch is over")
        return key

    def _sources(
        self, place: Place, inputs: Sequence[Sequence[Digest]], read: ReadBlob
    ) -> list[TaskSource]:
        found = []
        for source, names in zip(exchange_sources(self.work, place.stage), inputs, strict=True):
            receipts = [read_receipt(self.work, name, fetched(read, name)) for name in names]
            check_places(self.work, source, place.partition, receipts)
            found.append(receipts)
        return self._opened_sources(place, found, read)

    def _opened_sources(
        self, place: Place, receipts: Sequence[Sequence[TaskReceipt]], read: ReadBlob
    ) -> list[TaskSource]:
        """What a task reads, by the receipts of what it reads of others."""
        own = check_share(self.work, place, receipts)
        found: list[TaskSource] = []
        rest = iter(receipts)
        for number, source in enumerate(self.work.stages.stages[place.stage].sources):
            if isinstance(source, DatasetSource):
                manifest = self.work.manifests[source.input]
                chunks = self.work.stages.chunks(source, place.stage, place.partition)
                cipher = self._ciphers[manifest.dataset]
                threads = self._limits.threads
                found.append(ChunkRange(manifest, cipher, chunks, read, threads=threads))
            else:
                blocks = self._blocks(source, place.partition, next(rest))
                if own is not None and own[0] == number:
                    blocks = blocks[own[1].start : own[1].stop]
                exchange = self.work.stages.stages[source.stage].exchanges[source.exchange]
                found.append(BlockSequence(exchange.written, blocks, read))
        return found

    def _blocks(
        self, source: ExchangeSource, partition: int, receipts: Sequence[TaskReceipt]
    ) -> list[SealedBlock]:
        part = self.work.stages.part(source, partition)
        found = []
        for receipt in receipts:
            cipher = BlockCipher(self._block_key(), receipt.task, bytes.fromhex(receipt.salt))
            named = receipt.written[source.exchange][part]
            for sequence, block in enumerate(named):
                last = sequence == len(named) - 1
                place = BlockPlace(source.exchange, part, sequence, last)
                found.append(SealedBlock(cipher, place, block))
        return found

    @property
    def _oblivious(self) -> bool:
        return self._plan.mode == "oblivious"

    @contextmanager
    def _part(
        self,
        stage: int,
        sources: Sequence[TaskSource],
        host: Host,
        partition: int = 0,
        together: Dealing | None = None,
    ) -> Iterator[Part]:
        """Compute a stage of a plan in oblivious mode, by the facts of the whole plan."""
        with _told(sources):
            yield compute_part(
                self._checked,
                self.work.stages,
                stage,
                partition,
                sources,
                self._limits,
                drawing_key(self.work.epoch.context, self._ciphers),
                host.progress,
                together,
            )
            for rows in sources:
                rows.read_rest()

    @contextmanager
    def _opened(
        self,
        stage: int,
        sources: Sequence[TaskSource],
        host: Host,
        together: Together | None = None,
    ) -> Iterator[Fragment]:
        """Compute a stage's fragment; at the end, see what the engine did not ask for."""
        checked = self._fragment(stage)
        inputs = {}
        for place, source in enumerate(self.work.stages.stages[stage].sources):
            rows = sources[place]
            if isinstance(source, DatasetSource):
                inputs[source_name(place)] = FragmentInput(rows)
            else:
                exchange = self.work.stages.stages[source.stage].exchanges[source.exchange]
                inputs[source_name(place)] = FragmentInput(
                    rows, source.ordered, exchange.partial, exchange.schema
                )
        with _told(sources):
            key = drawing_key(self.work.epoch.context, self._ciphers)
            with open_fragment(
                checked, inputs, self._limits, host.progress, together, key
            ) as found:
                yield found
            others = () if together is None else together.read  # those who train read it whole
            for place, rows in enumerate(sources):
                if place not in others:
                    rows.read_rest()

    def _fragment(self, stage: int) -> CheckedPlan:
        if stage not in self._fragments:
            self._fragments[stage] = fragment(self._plan, self.work.stages, stage)
        return self._fragments[stage]


def _digest_of(receipts: Sequence[bytes], sharing: Sharing | None, found: AllTasks) -> Digest:
    """What names the receipts of all tasks, and of what trained with them."""
    if sharing is None or not sharing.receipts:
        return found.digest
    return digest_of_receipts([*map(digest, receipts), *sharing.receipts])


class _Writer:
    """Seals what one exchange hands on. The newest block of each part waits: it may be the last."""

    def __init__(
        self, cipher: BlockCipher, place: int, exchange: Exchange, write: WriteBlob
    ) -> None:
        self._cipher = cipher
        self._place = place
        self._schema = exchange.written.digest
        self._write = write
        self._waiting: dict[int, pa.RecordBatch] = {}
        self._done: list[list[BlockRef]] = [[] for _ in range(exchange.partitions)]

    def add(self, part: int, rows: pa.RecordBatch) -> None:
        """Rows of a part, after those that were added before."""
        for batch in fitting(rows):
            if part in self._waiting:
                self._seal(part, self._waiting[part], last=False)
            self._waiting[part] = batch

    def finish(self) -> tuple[tuple[BlockRef, ...], ...]:
        """All blocks, part by part; a part without rows has none."""
        for part in sorted(self._waiting):
            self._seal(part, self._waiting[part], last=True)
        return tuple(tuple(part) for part in self._done)

    def _seal(self, part: int, batch: pa.RecordBatch, *, last: bool) -> None:
        place = BlockPlace(self._place, part, len(self._done[part]), last)
        try:
            raw = self._cipher.seal(place, batch, self._schema)
        except FormatError:
            raise EngineError("a row is larger than a block may be") from None
        name = digest(raw)
        self._write(name, raw)
        self._done[part].append(BlockRef(name, len(raw), batch.num_rows))


@contextmanager
def _told(sources: Sequence[TaskSource]) -> Iterator[None]:
    """Whatever fails is told without its text. Raises: Mc2Error."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  the text of a foreign error may quote data
        raise _cause(error, sources) from None


def _cause(error: Exception, sources: Sequence[TaskSource]) -> Exception:
    for source in sources:
        if source.failure is not None:
            return source.failure
    if isinstance(error, Mc2Error):
        return error
    if isinstance(error, MemoryError):
        return EngineError(
            "a task needs more memory than the enclave has",
            hint="run the job with more partitions, or on larger machines",
        )
    # The text of a foreign error may quote data. Its type does not.
    return EngineError(f"the engine failed with {type(error).__name__}", hint=_HINT)
