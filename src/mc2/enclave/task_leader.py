"""A job spread over the members of an epoch, as its leader runs it: hands out tasks, joins in.

Whom a task is given to is a matter of speed alone; receipts are what counts. A member that is lost
costs its task, which another one gets; with nobody left the leader runs all tasks itself.
Spec: docs/spec/task.md, section "Who runs what".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from mc2.crypto.digest import Digest, digest
from mc2.enclave.cluster import Workers
from mc2.enclave.task_rules import exchange_sources, verify_receipt
from mc2.enclave.task_runner import Finished, Host, Sharing, TaskRunner
from mc2.errors import JobError, Mc2Error, WorkerError, error_types
from mc2.formats.limits import LIMITS
from mc2.formats.worker_progress import Said, StageBegun, StagesCut
from mc2.formats.worker_tasks import Task

Place = tuple[int, int]
"""A task: its stage and its partition."""

_HINT: Final = "see the coordinator's log, then propose the job again"


class TaskLeader:
    """One run of all tasks of an epoch, to the outputs."""

    def __init__(
        self,
        runner: TaskRunner,
        host: Host,
        members: Workers,
        names: Collection[str],
        sharing: Callable[[Collection[str]], Sharing | None] = lambda _: None,
    ) -> None:
        """`sharing`: who shares trainings of the last task, of the members that are left."""
        self._runner = runner
        self._host = host
        self._members = members
        self._idle = list(names)
        self._sharing = sharing
        self._busy: dict[str, Place] = {}
        self._waiting: dict[Place, None] = dict.fromkeys(runner.work.stages.tasks())
        self._attempts: dict[Place, int] = {}
        self._done: dict[Place, bytes] = {}

    def run(self) -> Finished:
        """Have every task run, then finish. Raises: as `TaskRunner.run` and `finish`."""
        self._tell_stages()
        while self._waiting or self._busy:
            self._hand_out()
            own = self._next()
            if own is not None:
                self._begin(own[0])
                self._took(own, self._runner.run(self._order(own), self._host))
            # What ended meanwhile; wait for it if there is nothing else to do.
            while self._busy and self._collect(wait=self._next() is None):
                pass
        self._begin(self._runner.work.stages.last)
        sharing = self._sharing(sorted(self._idle))
        return self._runner.finish(list(self._done.values()), self._host, sharing)

    def _tell_stages(self) -> None:
        """What the host is shown of the work: it knows the plan, and sees each task."""
        heads = self._runner.heads
        self._host.progress(Said(f"{len(heads)} stages", StagesCut(heads)))

    def _begin(self, stage: int) -> None:
        of = len(self._runner.work.stages.stages)
        text = f"stage {stage + 1} of {of}: the leader is at a task"
        self._host.progress(Said(text, StageBegun(stage)))

    def _next(self) -> Place | None:
        """A task whose sources are all there."""
        return next((place for place in self._waiting if self._ready(place)), None)

    def _ready(self, place: Place) -> bool:
        return all(n in self._done for names in self._reads(place) for n in names)

    def _reads(self, place: Place) -> list[list[Place]]:
        work = self._runner.work
        return [
            [(s.stage, p) for p in work.stages.producers(s, place[1])]
            for s in exchange_sources(work, place[0])
        ]

    def _order(self, place: Place) -> bytes:
        """Take a task from those that wait, and write the order for it."""
        del self._waiting[place]
        attempt = self._attempts[place] = self._attempts.get(place, 0) + 1
        if attempt > LIMITS.task_attempts:
            raise JobError("a task was lost too often", hint=_HINT)
        inputs = [[_name(self._done[n]) for n in names] for names in self._reads(place)]
        return self._runner.order(*place, attempt, inputs).encode()

    def _hand_out(self) -> None:
        """Give each idle member a task, as long as there are some that can begin."""
        while self._idle and (place := self._next()) is not None:
            worker = self._idle.pop(0)
            task = Task(self._runner.work.stages.layout.partitions, self._order(place))
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
        elif issubclass(error_types().get(found.code, Mc2Error), WorkerError):
            self._host.progress(f"{found.worker} was lost; its task goes to another enclave")
            self._waiting = {place: None, **self._waiting}
        else:
            raise error_types().get(found.code, JobError)(found.message, hint=found.hint)
        return not wait

    def _took(self, place: Place, raw: bytes) -> None:
        """Keep a receipt, if it is one of this very task."""
        task = verify_receipt(self._runner.work, raw).value.task
        if (task.stage, task.partition) != place or task.attempt != self._attempts[place]:
            raise JobError("the receipt of another task came back", hint=_HINT)
        self._done[place] = raw
        self._host.write(_name(raw), raw)
        stages = self._runner.work.stages
        of = stages.stages[place[0]].tasks
        ready = sum(1 for stage, _ in self._done if stage == place[0])
        self._host.progress(
            f"stage {place[0] + 1} of {len(stages.stages)}: {ready} of {of} tasks done"
        )


def _name(receipt: bytes) -> Digest:
    return digest(receipt)


def named(members: Mapping[int, str]) -> list[str]:
    """The host's names of the members but the leader, in their order."""
    return [members[number] for number in sorted(members)]
