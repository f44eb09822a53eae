"""A job spread over the members of an epoch, as its leader runs it: hands out tasks, joins in.

Whom a task is given to is a matter of speed alone; receipts are what counts. A member that is lost
costs its task, which another one gets; with nobody left the leader runs all tasks itself. A block
that is lost costs the task that wrote it, and those that have read the former attempt of it.
Spec: docs/spec/task.md, section "Who runs what".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from mc2.crypto.digest import Digest, digest, same_digest
from mc2.enclave.task_inputs import fetched
from mc2.enclave.task_pieces import Place
from mc2.enclave.task_rules import exchange_sources, verify_receipt
from mc2.enclave.task_runner import Finished, Host, Sharing, TaskRunner
from mc2.errors import DatasetError, JobError, Mc2Error, WorkerError, error_types
from mc2.formats.limits import LIMITS
from mc2.formats.other_workers import OtherWorkers
from mc2.formats.task import TaskReceipt
from mc2.formats.worker_progress import Said, StageBegun, StagesCut
from mc2.formats.worker_tasks import Ended, Task

_MOST_LOSSES: Final = 8
"""How often a job goes on after the host lost some of its blocks."""
_HINT: Final = "see the coordinator's log, then propose the job again"


class TaskLeader:
    """One run of all tasks of an epoch, to the outputs."""

    def __init__(
        self,
        runner: TaskRunner,
        host: Host,
        members: OtherWorkers,
        names: Collection[str],
        sharing: Callable[[Collection[str]], Sharing | None] = lambda _: None,
    ) -> None:
        """`sharing`: who shares trainings of the last task, of the members that are left."""
        self._runner = runner
        self._stages = runner.work.stages
        self._host = host
        self._members = members
        self._idle = list(names)
        self._sharing = sharing
        self._busy: dict[str, Place] = {}
        self._attempts: dict[Place, int] = {}
        self._ordered: dict[Place, tuple[tuple[Digest, ...], ...]] = {}
        self._raw: dict[Place, bytes] = {}
        self._done: dict[Place, tuple[Digest, TaskReceipt]] = {}
        self._tasks = runner.work.tasks(self._done)
        self._waiting: dict[Place, None] = {}
        self._losses = 0
        self._unknown: dict[int, None] = dict.fromkeys(range(self._stages.last))
        """The stages of which nobody knows yet which tasks they have."""

    def run(self) -> Finished:
        """Have every task run, then finish. Raises: as `TaskRunner.run` and `finish`."""
        heads = self._runner.heads  # the host knows the plan, and sees each task
        self._host.progress(Said(f"{len(heads)} stages", StagesCut(heads)))
        while True:
            self._run_all()
            self._begin(self._stages.last)
            try:
                sharing = self._sharing(sorted(self._idle))
                return self._runner.finish(list(self._raw.values()), self._host, sharing)
            except DatasetError:
                if not self._gave_up(Place(self._stages.last, 0)):
                    raise

    def _run_all(self) -> None:
        self._find_tasks()
        while self._waiting or self._busy:
            self._hand_out()
            own = self._next()
            if own is not None:
                self._run_here(own)
            # What ended meanwhile; wait for it if there is nothing else to do.
            while self._busy and self._collect(wait=self._next() is None):
                pass

    def _run_here(self, place: Place) -> None:
        self._begin(place.stage)
        try:
            self._took(place, self._runner.run(self._order(place), self._host))
        except DatasetError:
            if not self._gave_up(place):
                raise
            self._wait_again(place)

    def _begin(self, stage: int) -> None:
        of = len(self._stages.stages)
        text = f"stage {stage + 1} of {of}: the leader is at a task"
        self._host.progress(Said(text, StageBegun(stage)))

    # --- which tasks there are

    def _find_tasks(self) -> None:
        """Have the tasks wait of each stage of which they are known by now."""
        for stage in tuple(self._unknown):
            tasks = self._tasks.of_stage(stage)
            if tasks is not None:
                del self._unknown[stage]
                under_way = self._busy.values()
                self._waiting |= dict.fromkeys(
                    t for t in tasks if t not in self._done and t not in under_way
                )

    def _next(self) -> Place | None:
        """A task whose sources are all there."""
        return next((p for p in self._waiting if self._tasks.inputs(p) is not None), None)

    def _order(self, place: Place) -> bytes:
        """Take a task from those that wait, and write the order for it."""
        del self._waiting[place]
        inputs = self._tasks.inputs(place)
        attempt = self._attempts[place] = self._attempts.get(place, 0) + 1
        if attempt > LIMITS.task_attempts or inputs is None:
            raise JobError("a task was lost too often", hint=_HINT)
        self._ordered[place] = inputs
        return self._runner.order(place, attempt, inputs).encode()

    def _wait_again(self, place: Place) -> None:
        """Have a task wait that did not end well, before all others; if there is still such a one.

        Raises: what `TaskSet.of_stage` raises.
        """
        if place in (self._tasks.of_stage(place.stage) or ()):
            self._waiting = {place: None, **self._waiting}

    # --- what members do

    def _hand_out(self) -> None:
        """Give each idle member a task, as long as there are some that can begin."""
        while self._idle and (place := self._next()) is not None:
            worker = self._idle.pop(0)
            task = Task(self._stages.layout.partitions, self._order(place))
            self._members.assign(worker, task)
            self._busy[worker] = place

    def _collect(self, *, wait: bool) -> bool:
        """Take what one member has done; whether there may be more."""
        found = self._members.ended(wait=wait)
        if not found.worker:
            return False
        place = self._busy.pop(found.worker, None)
        if place is None:
            raise JobError("the host tells of a task that nobody was given", hint=_HINT)
        if not found.code:
            self._took(place, found.receipt)
            self._idle.append(found.worker)
        elif not self._may_run_again(found, place):
            raise error_types().get(found.code, JobError)(found.message, hint=found.hint)
        return not wait

    def _may_run_again(self, found: Ended, place: Place) -> bool:
        """Whether a task that failed waits for another run."""
        kind = error_types().get(found.code, Mc2Error)
        if issubclass(kind, WorkerError):
            self._host.progress(f"{found.worker} was lost; its task goes to another enclave")
        elif not (issubclass(kind, DatasetError) and self._gave_up(place)):
            return False  # else it gets no other task: whoever refuses one leaves the epoch
        self._wait_again(place)
        return True

    def _took(self, place: Place, raw: bytes) -> None:
        """Keep a receipt, if it is one of this very task."""
        receipt = verify_receipt(self._runner.work, raw).value
        task = receipt.task
        if Place.of(task) != place or task.attempt != self._attempts[place]:
            raise JobError("the receipt of another task came back", hint=_HINT)
        if receipt.inputs != self._ordered[place]:
            raise JobError(f"{place} read another attempt than the others", hint=_HINT)
        if receipt.inputs != self._tasks.inputs(place):
            self._wait_again(place)  # what it has read was lost meanwhile, and is written anew
            return
        self._raw[place] = raw
        self._done[place] = (digest(raw), receipt)
        self._host.write(digest(raw), raw)
        self._find_tasks()
        of = len(self._tasks.of_stage(place.stage) or ())
        ready = sum(1 for done in self._done if done.stage == place.stage)
        stages = len(self._stages.stages)
        self._host.progress(f"stage {place.stage + 1} of {stages}: {ready} of {of} tasks done")

    # --- what the host has lost

    def _gave_up(self, place: Place) -> bool:
        """Whether the host has lost what a task reads of others; then that is written anew."""
        if place in self._ordered and self._ordered[place] != self._tasks.inputs(place):
            return True  # what it was ordered to read is known to be lost
        lost = self._lost_by(place)
        if lost is None or self._losses == _MOST_LOSSES:
            return False
        self._losses += 1
        for task in lost:
            self._host.progress(f"the host lost blocks of {task}, which is run again")
        self._undo(set(lost))
        return True

    def _lost_by(self, place: Place) -> list[Place] | None:
        """The tasks of which the host has not all blocks for a task; None if all is there.

        Receipts are written once more, from memory.
        """
        reads = self._tasks.reads(place)
        if reads is None:
            return []  # lost before, and not yet written anew
        lost: dict[Place, None] = {}
        whole = True
        for source, tasks in zip(
            exchange_sources(self._runner.work, place.stage), reads, strict=True
        ):
            part = self._stages.part(source, place.partition)
            for task in tasks:
                name, receipt = self._done.get(task, (None, None))
                if name is None or receipt is None:
                    whole = False
                    continue
                if not self._there(name):
                    whole = False
                    self._host.write(name, self._raw[task])
                if not all(self._there(b.digest) for b in receipt.written[source.exchange][part]):
                    lost[task] = None
        return list(lost) if lost or not whole else None

    def _there(self, name: Digest) -> bool:
        try:
            return same_digest(digest(fetched(self._host.read, name)), name)
        except DatasetError:
            return False

    def _undo(self, gone: set[Place]) -> None:
        """Have tasks run again, and all that have read what they wrote: T8 demands one attempt."""
        work = self._runner.work
        for stage in range(self._stages.last):
            changed = {t.stage for t in gone}
            if any(s.stage in changed for s in exchange_sources(work, stage)):
                own = {t for t in self._done if t.stage == stage}
                if work.sides[stage]:  # how its partitions are shared may change as well
                    self._tasks.forget(stage)
                    self._unknown[stage] = None
                    self._waiting = {t: None for t in self._waiting if t.stage != stage}
                else:
                    own = {t for t in own if self._has_read(t, gone)}
                gone = gone | own
        for task in gone & self._done.keys():
            del self._done[task], self._raw[task]
        again = (t for t in sorted(gone) if t.stage not in self._unknown)
        self._waiting = {**dict.fromkeys(again), **self._waiting}
        self._find_tasks()

    def _has_read(self, task: Place, gone: Collection[Place]) -> bool:
        reads = self._tasks.reads(task)
        return reads is None or any(t in gone for tasks in reads for t in tasks)


def named(members: Mapping[int, str]) -> list[str]:
    """The host's names of the members but the leader, in their order."""
    return [members[number] for number in sorted(members)]
