"""The trainings of a job over several enclaves: as its leader runs them, and a member's part.

Which trainings there are, and who reads which chunks, every enclave works out for itself from the
checked plan (`mc2.plan.trained_together`). The host carries messages; a member that it loses costs
time, since the leader then reads that partition itself. Spec: docs/spec/training-message.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from mc2.crypto.digest import Digest, digest, same_digest
from mc2.crypto.signatures import VerifyKey
from mc2.enclave.admission import AdmittedJob
from mc2.enclave.cluster import Workers
from mc2.enclave.cluster_member import Membership
from mc2.enclave.tables import TablePart, chunk_places
from mc2.enclave.task_runner import Host
from mc2.enclave.training_session import LeadingSide, MemberSide
from mc2.engine.limits import EngineLimits
from mc2.engine.oblivious.learning import recipe_of
from mc2.engine.oblivious.run import compute_rows
from mc2.errors import JobError, Mc2Error, SignatureError, WorkerError, error_types
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import Manifest
from mc2.formats.task import digest_of_receipts, member_name
from mc2.formats.training_message import TrainingName
from mc2.formats.training_receipt import TrainingReceipt
from mc2.formats.worker_tasks import TRAINING_BODY, TrainStep
from mc2.ml.boosting import Trained
from mc2.ml.boosting_together import (
    GatheredPartition,
    GatheringLeader,
    Recipe,
    Shares,
    form_of,
)
from mc2.operators.run import Run, use_threads
from mc2.plan.trained_together import Chunks, Partitions, SharedTraining, shared_trainings
from mc2.plan.training import Train

WORTH_SHARING: Final = 1 << 16
"""Places for rows below which messages take longer than one enclave computes."""

_ROOM: Final = 1 << 17  # for the header and the seal of a message
_HINT: Final = "the host mixed up a training: run the job again"


class _Trainings:
    """What leader and members agree on without a word: it follows from the job."""

    def __init__(self, job: AdmittedJob, member: Membership, limits: EngineLimits) -> None:
        self._job, self._member, self._limits = job, member, limits
        self._shared = {t.node: t for t in shared_trainings(job.checked)}
        self._manifests: list[Manifest] = []
        if self._shared and not job.kept:
            self._manifests = [job.manifests[i.dataset].value for i in job.plan.inputs]

    def _recipe(self, node: int) -> Recipe:
        operation = self._job.plan.nodes[node].operation
        if not isinstance(operation, Train):
            raise JobError("the plan has no training there", hint=_HINT)
        return recipe_of(self._job.plan, node, operation)

    def _partitions(self, node: int, count: int) -> Partitions:
        if node not in self._shared or not self._manifests:
            raise JobError("the plan has no training there that enclaves share", hint=_HINT)
        inputs = [Chunks(chunk_places(m)) for m in self._manifests]
        return Partitions(self._job.checked, self._shared[node], inputs, count)

    def _shares(self, node: int, cut: Partitions) -> Shares:
        return Shares(cut.places, len(self._shared[node].tables), cut.all_rows)

    def _name(self, node: int, cut: Partitions) -> TrainingName:
        epoch = self._member.epoch
        return TrainingName(context=epoch.context, epoch=epoch.number, node=node, places=cut.places)

    def _side(
        self, node: int, cut: Partitions, partition: int, read: Callable[[Digest], bytes]
    ) -> MemberSide:
        """This enclave's side of one partition: its chunks are read, opened and checked."""
        use_threads(self._limits.threads)
        recipe, shared, run = self._recipe(node), self._shared[node], Run()
        tables = cut.tables(shared.tables, partition)
        sets = {n: cut.tables(t, partition) for n, t in shared.sets if n in recipe.evaluations}
        sources = self._sources(cut, partition, read)
        wanted = sorted({*tables, *(t for nodes in sets.values() for t in nodes)})
        rows = compute_rows(self._job.checked, sources, wanted, run)
        shares = self._shares(node, cut)
        partition_rows = GatheredPartition(
            run,
            recipe,
            shares,
            partition,
            {shared.tables.index(t): rows[t] for t in tables},
            {name: [rows[t] for t in nodes] for name, nodes in sets.items()},
        )
        epoch, name = self._member.epoch, self._name(node, cut)
        return MemberSide(epoch, name, partition, form_of(recipe, shares), partition_rows)

    def _sources(
        self, cut: Partitions, partition: int, read: Callable[[Digest], bytes]
    ) -> dict[str, TablePart]:
        def leased(name: Digest) -> bytes:
            self._member.lease.check()  # E16
            return read(name)

        found = {}
        for place in cut.inputs:
            manifest = self._manifests[place]
            cipher, chunks = self._member.ciphers[manifest.dataset], cut.chunks(place, partition)
            found[manifest.dataset] = TablePart(manifest, cipher, chunks, leased)
        return found


class MemberTrainings(_Trainings):
    """A member's part of the trainings of its epoch: it keeps the rows of one at a time."""

    def __init__(self, job: AdmittedJob, member: Membership, limits: EngineLimits) -> None:
        super().__init__(job, member, limits)
        self._at: tuple[int, int, int] | None = None
        self._now: MemberSide | None = None

    def answer(self, step: TrainStep, host: Host) -> bytes:
        """Answer a message of the leader; the first one of a training has the rows read.

        Raises: JobError for what is none of this epoch's; what reading the inputs raises;
        EngineError, FormatError.
        """
        self._member.lease.check()
        at = (step.node, step.partition, step.partitions)
        if self._now is None or self._at != at:
            self._now = None  # the rows of a training that is over go first
            cut = self._partitions(step.node, step.partitions)
            if step.partition >= cut.count:
                raise JobError("the training has no such partition", hint=_HINT)
            self._now = self._side(step.node, cut, step.partition, host.read)
            self._at = at
        return self._now.answer(step.message)


class LedTrainings(_Trainings):
    """The trainings that a job's leader shares with the members of its epoch.

    `names` are the host's names of the members. Fulfils `mc2.engine.oblivious.learning.Together`.
    """

    def __init__(
        self,
        job: AdmittedJob,
        member: Membership,
        limits: EngineLimits,
        host: Host,
        workers: Workers,
        names: Iterable[str],
    ) -> None:
        super().__init__(job, member, limits)
        self._host, self._workers = host, workers
        self._names = list(names)
        self._worth = frozenset(t.node for t in self._shared.values() if self._is_worth_it(t))
        self._receipts: list[Digest] = []
        self.read: set[str] = set()
        """The datasets that members have read whole, for all trainings that need them."""

    @property
    def nodes(self) -> Collection[int]:
        """The trainings that are shared."""
        return self._worth

    @property
    def digest(self) -> Digest | None:
        """What names the receipts of all trainings; None if there was none."""
        return digest_of_receipts(self._receipts) if self._receipts else None

    def _is_worth_it(self, training: SharedTraining) -> bool:
        """By public sizes alone: enough rows, several chunks, messages that can be sent."""
        cut = self._partitions(training.node, 1) if self._manifests else None
        if cut is None or cut.all_rows < WORTH_SHARING or self._count(training.node) < 2:
            return False
        cut = self._partitions(training.node, self._count(training.node))
        form = form_of(self._recipe(training.node), self._shares(training.node, cut))
        return form.longest + _ROOM <= TRAINING_BODY

    def _count(self, node: int) -> int:
        """As many partitions as enclaves, if there are chunks for all."""
        most = self._partitions(node, 1).most
        return min(1 + len(self._names), most, LIMITS.cluster_members)

    @property
    def workers(self) -> Workers:
        """The other enclaves, through the host."""
        return self._workers

    def free(self, count: int) -> list[str]:
        """The host's names of so many members, fewer if some were lost."""
        return self._names[:count]

    def lost(self, name: str) -> None:
        """A member was lost: it gets nothing more."""
        self._names.remove(name)
        self._host.progress(f"{name} was lost; its rows go to the leader")

    def begin(self, node: int, cut: Partitions, partition: int) -> MemberSide:
        """This enclave's own side of a partition."""
        return self._side(node, cut, partition, self._host.read)

    def train(
        self, index: int, recipe: Recipe, trace: Run, key: bytes, tell: Callable[[int], None]
    ) -> Trained:
        """The model of a training. `key` (32 bytes) goes to the members under seal.

        Raises: as `MemberTrainings.answer`; JobError for what the host mixed up.
        """
        cut = self._partitions(index, self._count(index))
        leader = GatheringLeader(trace, recipe, self._shares(index, cut), key)
        side = LeadingSide(self._member.epoch, self._name(index, cut), leader)
        steps = _Steps(self, index, cut, side)
        told = 0
        while not side.over:
            side.take(list(steps.answers(side.told).values()))
            if leader.rounds > told:
                told = leader.rounds
                tell(told)
        self._finish(side, steps.answers(side.finish()))
        manifests = self._manifests
        self.read |= {manifests[place].dataset for place in cut.inputs}
        return leader.trained()

    def _finish(self, side: LeadingSide, answers: Mapping[int, bytes]) -> None:
        """Take exactly one receipt of each partition, of exactly this training's messages."""
        for partition, raw in answers.items():
            found = TrainingReceipt.verify(raw, self._key_of).value
            if found.training != side.name or found.partition != partition:
                raise JobError("the receipt of another training came back", hint=_HINT)
            if not same_digest(found.log, side.log):
                raise JobError("a receipt tells of other messages than were sent", hint=_HINT)
            name = digest(raw)
            self._host.write(name, raw)
            self._receipts.append(name)

    def _key_of(self, name: str) -> VerifyKey:
        for member in self._member.epoch.members:
            if member_name(member.number) == name:
                return member.signing_key
        raise SignatureError(f"{name} is not in this epoch", hint=_HINT)


class _Steps:
    """Who has which partition of one training, and what they answer."""

    def __init__(self, led: LedTrainings, node: int, cut: Partitions, side: LeadingSide) -> None:
        self._led, self._node, self._cut, self._leading = led, node, cut, side
        self._theirs = {name: p for p, name in enumerate(led.free(cut.count - 1), start=1)}
        self._own: dict[int, MemberSide] = {}

    def answers(self, message: bytes) -> dict[int, bytes]:
        """What all partitions answer to the leader's newest message, by partition.

        Raises: JobError if the host tells of what was not asked; what a member refused with.
        """
        workers, busy = self._led.workers, dict(self._theirs)
        for name, partition in busy.items():
            step = TrainStep(self._node, partition, self._cut.count, message)
            workers.assign(name, step)
        theirs = set(busy.values())
        found = {p: self._own_answer(p) for p in range(self._cut.count) if p not in theirs}
        while busy:
            ended = workers.ended(wait=True)
            partition = busy.pop(ended.worker, -1)
            if partition < 0:
                raise JobError("the host tells of a step that nobody was given", hint=_HINT)
            if not ended.code:
                found[partition] = ended.receipt
            elif issubclass(error_types().get(ended.code, Mc2Error), WorkerError):
                del self._theirs[ended.worker]
                self._led.lost(ended.worker)
                found[partition] = self._own_answer(partition)
            else:
                raise error_types().get(ended.code, JobError)(ended.message, hint=ended.hint)
        return found

    def _own_answer(self, partition: int) -> bytes:
        """The leader's own answer, which reads the rows of a partition if it does not have them."""
        told = self._leading.messages
        if partition not in self._own:
            self._own[partition] = self._led.begin(self._node, self._cut, partition)
            self._own[partition].catch_up(told[:-1])
        return self._own[partition].answer(told[-1])
