"""The trainings of a job over several enclaves: as its leader runs them, and a member's part.

Which trainings there are, and who reads which chunks, every enclave works out for itself from the
checked plan (`mc2.plan.trained_together`). The host carries messages; a member that it loses costs
time, since the leader then reads that partition itself. Spec: docs/spec/training-message.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from mc2.crypto.digest import Digest, digest, same_digest
from mc2.crypto.signatures import VerifyKey
from mc2.enclave.admission import AdmittedJob
from mc2.enclave.cluster_member import Membership
from mc2.enclave.dealt_rows import Deal, deal, dealt, evaluations, framed, part_of, unframed
from mc2.enclave.epoch import Epoch
from mc2.enclave.tables import TablePart, chunk_places
from mc2.enclave.task_runner import Host
from mc2.enclave.training_session import LeadingSide, MemberSide
from mc2.engine.limits import EngineLimits
from mc2.engine.oblivious.learning import recipe_of
from mc2.engine.oblivious.run import compute_rows
from mc2.errors import (
    DatasetError,
    DropoutError,
    EngineError,
    JobError,
    Mc2Error,
    SignatureError,
    WorkerError,
    error_types,
)
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import Manifest
from mc2.formats.other_workers import OtherWorkers
from mc2.formats.receipt import HomeShare
from mc2.formats.task import digest_of_receipts, member_name
from mc2.formats.training_message import TrainingName
from mc2.formats.training_receipt import TrainingReceipt
from mc2.formats.worker_tasks import TRAINING_BODY, TrainStep
from mc2.ml.boosting import Trained
from mc2.ml.boosting_dealt import DealingLeader, DealtPartition, DealtSets
from mc2.ml.boosting_together import (
    GatheredPartition,
    GatheringLeader,
    Recipe,
    Shares,
    empty_cuts,
    form_of,
)
from mc2.ml.secret_matrix import SecretMatrix
from mc2.operators.run import Run, use_threads
from mc2.operators.seams import no_ends
from mc2.plan.home import home_parties, trained_parties, trains_at_home
from mc2.plan.trained_together import (
    Chunks,
    Partitions,
    SharedTraining,
    dealt_trainings,
    inputs_of,
    shared_trainings,
)
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
        self._dealt = dealt_trainings(job.checked)
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
        tables = len(self._shared[node].tables)
        return Shares(cut.places, tables, cut.all_rows, len(cut.inputs))

    def _name(self, node: int, cut: Partitions) -> TrainingName:
        epoch = self._member.epoch
        return TrainingName(
            context=epoch.context,
            epoch=epoch.number,
            node=node,
            places=cut.places,
            homes=cut.homes,
        )

    def _side(
        self, node: int, cut: Partitions, partition: int, read: Callable[[Digest], bytes]
    ) -> MemberSide:
        """This enclave's side of one partition: its chunks are read, opened and checked."""
        if self._name(node, cut).home(partition) != self._member.home:
            raise JobError("the rows of this partition are not this enclave's to read", hint=_HINT)
        use_threads(self._limits.threads)
        recipe, shared, run = self._recipe(node), self._shared[node], Run()
        tables = cut.tables(shared.tables, partition)
        sets = {n: cut.tables(t, partition) for n, t in shared.sets if n in recipe.evaluations}
        sources = self._sources(cut, partition, read)
        wanted = sorted({*tables, *(t for nodes in sets.values() for t in nodes)})
        rows, ends = compute_rows(self._job.checked, sources, wanted, run)
        shares, nothing = self._shares(node, cut), no_ends()
        partition_rows = GatheredPartition(
            run,
            recipe,
            shares,
            partition,
            {shared.tables.index(t): rows[t] for t in tables},
            {name: [rows[t] for t in nodes] for name, nodes in sets.items()},
            [ends.get(place, nothing) for place in cut.inputs],
        )
        epoch, name = self._member.epoch, self._name(node, cut)
        return MemberSide(epoch, name, partition, form_of(recipe, shares), partition_rows)

    def _dealt_side(
        self, node: int, found: Deal, partition: int, sets: Sequence[SecretMatrix | None]
    ) -> MemberSide:
        """This enclave's side of rows that the leader has dealt out, set by set."""
        use_threads(self._limits.threads)
        recipe, (rows, *judged) = self._recipe(node), sets
        if rows is None:
            raise JobError("a training deals no rows to train on", hint=_HINT)
        matrices = evaluations(recipe.evaluations, judged)
        part = DealtPartition(Run(), recipe, partition, found.all_rows, rows, matrices)
        epoch, form = self._member.epoch, form_of(recipe, Shares(found.places, 0, 0))
        return MemberSide(epoch, found.named(epoch, node), partition, form, part)

    def _sources(
        self, cut: Partitions, partition: int, read: Callable[[Digest], bytes]
    ) -> dict[str, TablePart]:
        def leased(name: Digest) -> bytes:
            self._member.lease.check()  # E16
            return read(name)

        found = {}
        for place in cut.inputs:
            manifest = self._manifests[place]
            chunks = cut.chunks(place, partition)
            if not chunks:
                continue  # of what stays at a home, others do not even have the key
            cipher = self._member.ciphers[manifest.dataset]
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
        message = step.message
        if self._now is None or self._at != at:
            self._now = None  # the rows of a training that is over go first
            if step.node in self._dealt:
                self._now, message = self._takes(step, host)
            else:
                cut = self._partitions(step.node, step.partitions)
                if step.partition >= cut.count:
                    raise JobError("the training has no such partition", hint=_HINT)
                self._now = self._side(step.node, cut, step.partition, host.read)
            self._at = at
        return self._now.answer(message)

    def _takes(self, step: TrainStep, host: Host) -> tuple[MemberSide, bytes]:
        """This enclave's side of rows that are dealt to it, and the message behind the deal."""
        if self._member.home is not None:
            raise JobError("an enclave at a party's home takes no rows of others")
        found, message = unframed(step.message)
        if len(found.places) != step.partitions:
            raise JobError("a training is over another number of members", hint=_HINT)
        epoch, cuts = self._member.epoch, empty_cuts(self._recipe(step.node))
        rows = dealt(epoch, step.node, found, step.partition, cuts, host.read)
        return self._dealt_side(step.node, found, step.partition, rows), message


class LedTrainings(_Trainings):
    """The trainings that a job's leader shares with the members of its epoch.

    `names` are the host's names of the members that are hosted, `homes` those of members on the
    premises of parties, by party. Fulfils `mc2.engine.oblivious.learning.Together`.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what a leader works with
        self,
        job: AdmittedJob,
        member: Membership,
        limits: EngineLimits,
        host: Host,
        workers: OtherWorkers,
        names: Iterable[str],
        homes: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(job, member, limits)
        self._host, self._workers = host, workers
        self._names = list(names)
        self._homes = dict(homes or {})
        self.dropped: dict[str, dict[int, int]] = {p: {} for p in home_parties(job.plan)}
        """The parties at home, each with the trainings that it dropped out of: from which round."""
        self._worth = frozenset(t.node for t in self._shared.values() if self._is_worth_it(t))
        self.receipts: list[Digest] = []
        """What names the receipts of all trainings so far."""
        self.read: set[str] = set()
        """The datasets that members have read whole, for all trainings that need them."""

    @property
    def nodes(self) -> Collection[int]:
        """The trainings that are shared."""
        return self._worth

    @property
    def any(self) -> bool:
        """Whether there may be trainings that are shared."""
        return bool(self._worth) or (bool(self._dealt) and bool(self._names))

    @property
    def digest(self) -> Digest | None:
        """What names the receipts of all trainings; None if there was none."""
        return digest_of_receipts(self.receipts) if self.receipts else None

    def shared(self, *_: object) -> None:
        """Stock XGBoost trains nothing in an oblivious plan."""
        return

    @property
    def dealing(self) -> LedTrainings:
        """Rows that the last task of a plan has are dealt out here."""
        return self

    def _is_worth_it(self, training: SharedTraining) -> bool:
        """By public sizes alone: enough rows, several chunks, messages that can be sent."""
        if not self._manifests:
            return False
        if trains_at_home(self._job.plan, training.node):
            return True  # whatever it costs: nobody else may read these rows
        cut = self._partitions(training.node, 1)
        if cut.all_rows < WORTH_SHARING or self._count(training.node) < 2:
            return False
        cut = self._partitions(training.node, self._count(training.node))
        form = form_of(self._recipe(training.node), self._shares(training.node, cut))
        return form.longest + _ROOM <= TRAINING_BODY

    def _count(self, node: int) -> int:
        """As many partitions as enclaves, if there are chunks for all."""
        inputs = inputs_of(self._job.plan, self._shared[node].tables)
        homes = {i.owner for i in (self._job.plan.inputs[p] for p in inputs) if i.at_home}
        hosted = [p for p in inputs if not self._job.plan.inputs[p].at_home]
        chunks = sum(self._manifests[p].whole_chunks for p in hosted)
        most = LIMITS.cluster_members - len(homes)
        return len(homes) + min(1 + len(self._names), chunks, most)

    @property
    def workers(self) -> OtherWorkers:
        """The other enclaves, through the host."""
        return self._workers

    def free(self, count: int) -> list[str]:
        """The host's names of so many members, fewer if some were lost."""
        return self._names[:count]

    def lost(self, name: str) -> None:
        """A hosted member was lost: it gets nothing more."""
        self._names.remove(name)
        self._host.progress(f"{name} was lost; its rows go to the leader")

    def at_home(self, cut: Partitions) -> dict[int, str]:
        """The host's names of the members at home, by partition; without those that are lost."""
        found = {cut.hosted + i: self._homes.get(p) for i, p in enumerate(cut.homes)}
        return {place: name for place, name in found.items() if name is not None}

    def left_home(self, party: str) -> None:
        """A party's enclave is gone: it takes part in nothing more of this attempt."""
        self._homes.pop(party, None)

    def _drop(self, node: int, side: LeadingSide, rounds: int, lost: Collection[int]) -> None:
        """Go on without parties at home, if the plan says so.

        Raises: DropoutError if it does not, or too few would be left.
        """
        parties = sorted(str(side.name.home(p)) for p in lost)
        operation = self._job.plan.nodes[node].operation
        rule = operation.dropout if isinstance(operation, Train) else None
        if rule is None:
            raise DropoutError(
                f"{', '.join(parties)} dropped out of the training of node {node}",
                hint=f"let {parties[0]} run mc2 home, and see its network; or propose the job with "
                'on_dropout="continue"',
            )
        for party in parties:
            self.dropped[party][node] = rounds
        gone = {p for p, nodes in self.dropped.items() if node in nodes}
        left = trained_parties(self._job.plan, node) - gone
        if len(left) < rule.least_parties:
            raise DropoutError(
                f"{', '.join(sorted(gone))} dropped out of the training of node {node}, and the "
                f"plan wants rows of {rule.least_parties} parties",
                hint=f"let {parties[0]} run mc2 home, then run the job again",
            )
        self._host.progress(f"{', '.join(parties)} dropped out; round {rounds + 1} begins again")
        side.drop(lost)

    def train(
        self, index: int, recipe: Recipe, trace: Run, key: bytes, tell: Callable[[int], None]
    ) -> Trained:
        """The model of a training. `key` (32 bytes) goes to the members under seal.

        Raises: as `MemberTrainings.answer`; JobError for what the host mixed up.
        """
        cut = self._partitions(index, self._count(index))
        leader = GatheringLeader(trace, recipe, self._shares(index, cut), key)
        side = LeadingSide(self._member.epoch, self._name(index, cut), leader)
        if leader.form.longest + _ROOM > TRAINING_BODY:
            raise EngineError(
                "a step of the training is longer than a message may be",
                hint="take fewer features, bins or levels",
            )
        theirs = {name: p for p, name in enumerate(self.free(cut.hosted - 1), start=1)}
        theirs |= {name: p for p, name in self.at_home(cut).items()}
        begin = partial(self._side, index, cut, read=self._host.read)
        steps = _Steps(self, index, _Roles(cut.hosted, begin), side, theirs)
        self._run(index, leader, side, steps, tell)
        manifests = self._manifests
        self.read |= {manifests[place].dataset for place in cut.inputs}
        return leader.trained()

    def deals(self, index: int, recipe: Recipe, rows: int) -> bool:
        """Whether a training of so many places is worth dealing rows out."""
        shares = Shares((rows,), 0, rows)
        fits = form_of(recipe, shares).longest + _ROOM <= TRAINING_BODY
        return index in self._dealt and bool(self._names) and rows >= WORTH_SHARING and fits

    def train_dealt(  # what a training has
        self,
        index: int,
        recipe: Recipe,
        trace: Run,
        key: bytes,
        sets: DealtSets,
        tell: Callable[[int], None],
    ) -> Trained:
        """The model of a training whose rows are at hand.

        Raises: as `train`.
        """
        rows = sum(m.places for m in sets.matrices)
        count = min(1 + len(self._names), rows, LIMITS.cluster_members)
        epoch = self._member.epoch
        found = deal(epoch, index, sets, count, self._host.write)
        leader = DealingLeader(trace, recipe, sets.matrices[0].cuts, key)
        side = LeadingSide(epoch, found.named(epoch, index), leader)

        def begin(partition: int) -> MemberSide:
            return self._dealt_side(index, found, partition, part_of(sets.every, count, partition))

        theirs = {name: p for p, name in enumerate(self.free(count - 1), start=1)}
        roles = _Roles(count, begin, found.encode())
        steps = _Steps(self, index, roles, side, theirs)
        try:
            self._run(index, leader, side, steps, tell)
        except DatasetError as error:  # blocks are dealt out anew by another attempt alone
            raise JobError(f"a training ended: {error}", hint=_HINT) from error
        return leader.trained()

    def _run(
        self,
        node: int,
        leader: GatheringLeader | DealingLeader,
        side: LeadingSide,
        steps: _Steps,
        tell: Callable[[int], None],
    ) -> None:
        """Take all steps of a training, and the receipts of all who took them."""
        told, receipts = 0, None
        while receipts is None:
            found, lost = steps.answers(side.finish() if side.over else side.told)
            if lost:
                self._drop(node, side, leader.rounds, lost)
            elif side.over:
                receipts = found
            else:
                side.take(list(found.values()))
            if leader.rounds > told:
                told = leader.rounds
                tell(told)
        self._finish(side, receipts)

    def _finish(self, side: LeadingSide, answers: Mapping[int, bytes]) -> None:
        """Take exactly one receipt of each partition, of exactly this training's messages."""
        for partition, raw in answers.items():
            found = TrainingReceipt.verify(raw, self._key_of).value
            if found.training != side.name or found.partition != partition:
                raise JobError("the receipt of another training came back", hint=_HINT)
            if found.dropped != tuple(sorted(side.dropped.items())):
                raise JobError("a receipt tells of other dropouts than there were", hint=_HINT)
            if not same_digest(found.log, side.log):
                raise JobError("a receipt tells of other messages than were sent", hint=_HINT)
            name = digest(raw)
            self._host.write(name, raw)
            self.receipts.append(name)

    def _key_of(self, name: str) -> VerifyKey:
        for member in self._member.epoch.members:
            if member_name(member.number) == name:
                return member.signing_key
        raise SignatureError(f"{name} is not in this epoch", hint=_HINT)


def home_shares(job: AdmittedJob, epoch: Epoch, led: LedTrainings) -> dict[str, HomeShare]:
    """What the receipt says of the parties whose rows stayed at home."""
    numbers = epoch.homes
    found = {}
    for party in home_parties(job.plan):
        number = numbers.get(party)
        evidence = None if number is None else epoch.member(number).evidence
        found[party] = HomeShare(evidence, led.dropped[party])
    return found


def dropout_warnings(homes: Mapping[str, HomeShare]) -> tuple[str, ...]:
    """A sentence for people for each party that a training went on without."""
    return tuple(
        f"DROPPED OUT: {party}; the training of node {node} went on without its rows from round "
        f"{turn + 1} on"
        for party, share in sorted(homes.items())
        for node, turn in sorted(share.dropped.items())
    )


@dataclass(frozen=True, slots=True)
class _Roles:
    """How many partitions are hosted, and how this enclave begins one; what members hear first."""

    hosted: int
    begin: Callable[[int], MemberSide]
    deal: bytes = b""


class _Steps:
    """Who has which partition of one training, and what they answer."""

    def __init__(
        self,
        led: LedTrainings,
        node: int,
        roles: _Roles,
        side: LeadingSide,
        theirs: Mapping[str, int],
    ) -> None:
        """`theirs`: the partitions of members, by the host's names of these."""
        self._led, self._node, self._roles, self._leading = led, node, roles, side
        self._theirs = dict(theirs)
        self._own: dict[int, MemberSide] = {}

    def answers(self, message: bytes) -> tuple[dict[int, bytes], set[int]]:
        """What all partitions answer to the leader's newest message; the parties' that are lost.

        Raises: JobError if the host tells of what was not asked; what a member refused with.
        """
        workers, busy = self._led.workers, dict(self._theirs)
        is_first = len(self._leading.messages) == 1 and self._roles.deal
        told = framed(self._roles.deal, message) if is_first else message
        count = len(self._leading.name.places)
        for name, partition in busy.items():
            workers.assign(name, TrainStep(self._node, partition, count, told))
        theirs = set(busy.values())
        hosted = [p for p in range(self._roles.hosted) if p not in theirs]
        found = {p: self._own_answer(p) for p in hosted}
        while busy:
            ended = workers.ended(wait=True)
            partition = busy.pop(ended.worker, -1)
            if partition < 0:
                raise JobError("the host tells of a step that nobody was given", hint=_HINT)
            if not ended.code:
                found[partition] = ended.receipt
            elif issubclass(error_types().get(ended.code, Mc2Error), WorkerError):
                self._lose(ended.worker, partition, found)
            else:
                raise error_types().get(ended.code, JobError)(ended.message, hint=ended.hint)
        return found, {p for p in self._leading.left if p not in found}

    def _lose(self, name: str, partition: int, found: dict[int, bytes]) -> None:
        """The leader reads what was hosted; what stays at home nobody else reads."""
        del self._theirs[name]
        party = self._leading.name.home(partition)
        if party is not None:
            self._led.left_home(party)
            return
        self._led.lost(name)
        found[partition] = self._own_answer(partition)

    def _own_answer(self, partition: int) -> bytes:
        """The leader's own answer, which reads the rows of a partition if it does not have them."""
        told = self._leading.messages
        if partition not in self._own:
            self._own[partition] = self._roles.begin(partition)
            self._own[partition].catch_up(told[:-1])
        return self._own[partition].answer(told[-1])
