"""The cluster's messages over one connection to the host. It holds no rule of a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from mc2.crypto.digest import Digest
from mc2.enclave.channel import Channel
from mc2.errors import JobError, WorkerError
from mc2.formats.worker import FromHost, Missing, Stored
from mc2.formats.worker_cluster import (
    Admit,
    Admitted,
    Ask,
    Enter,
    Entered,
    Gather,
    Gathered,
    Join,
    Joined,
    Prove,
    Proved,
    Told,
)
from mc2.formats.worker_tasks import Assign, AssignTraining, Await, Ended, Keep, Task, TrainStep

TURN_SECONDS: Final = 3600
"""How long a job's leader waits for a member's turn in a training, and any enclave for a chunk, if
nothing else is said."""

_HINT: Final = "see the coordinator's log, then propose the job again"


class Joining(Protocol):
    """The steps of a session that joins another enclave's cluster."""

    def join(
        self, challenges: Mapping[str, bytes], leader_evidence: bytes, invitation: bytes
    ) -> bytes:
        """Prove what this is; the signed member evidence."""
        ...

    def prove(self, probe: bytes) -> bytes:
        """Open what the leader sealed to this machine; the token."""
        ...

    def enter(self, admission: bytes) -> object:
        """Become a member of the epoch."""
        ...


def answer_joining(session: Joining, message: Join | Prove | Enter) -> Joined | Proved | Entered:
    """Take the step that the host asks for. Raises: what the session raises."""
    if isinstance(message, Join):
        evidence = session.join(message.challenges, message.evidence, message.invitation)
        return Joined(evidence)
    if isinstance(message, Prove):
        return Proved(session.prove(message.probe))
    session.enter(message.admission)
    return Entered()


class HostedWorkers:
    """The other enclaves, through this one's host; fulfils `OtherWorkers`."""

    def __init__(
        self, channel: Channel, turn_seconds: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`turn_seconds`: how long this enclave waits for an answer to a step of a training."""
        self._channel = channel
        self._turn_seconds, self._clock = turn_seconds, clock
        self._waited: dict[str, float] = {}
        """How many seconds this enclave has waited for each worker that is at a step.

        What it computes itself meanwhile does not count.
        """

    def gather(self, invitation: bytes) -> Mapping[str, bytes]:
        """Have workers invited; member evidence by the host's names. Raises: JobError."""
        answer = self._channel.ask(Gather(invitation))
        if isinstance(answer, Gathered):
            return answer.evidence
        if isinstance(answer, Missing):
            raise JobError("the host could not ask the other workers", hint=_HINT)
        raise self._channel.give_up("the answer to an invitation is who joined")

    def probe(self, probes: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Hand over probes; the tokens of those that answered. Raises: JobError."""
        answer = self._channel.ask(Ask(probes))
        if isinstance(answer, Told):
            return answer.tokens
        if isinstance(answer, Missing):
            raise JobError("the host could not pass on probes to workers", hint=_HINT)
        raise self._channel.give_up("the answer to probes is who answered them")

    def admit(self, admissions: Mapping[str, bytes]) -> Collection[str]:
        """Hand over admissions; who entered. Raises: JobError."""
        answer = self._channel.ask(Admit(admissions))
        if isinstance(answer, Admitted):
            return answer.names
        if isinstance(answer, Missing):
            raise JobError("the host could not pass on admissions to workers", hint=_HINT)
        raise self._channel.give_up("the answer to admissions is who entered")

    def assign(self, worker: str, task: Task | TrainStep) -> None:
        """Have a member run a task, or take a step of a training. Raises: JobError."""
        if isinstance(task, TrainStep):
            self._waited[worker] = 0.0
            self._stored(AssignTraining(worker, task), "could not hand on a step to a worker")
        else:
            self._stored(Assign(worker, task), "could not hand on a task to a worker")

    def ended(self, *, wait: bool) -> Ended:
        """Which assigned task has ended.

        Raises: JobError; WorkerError if the answer to a step of a training is late.
        """
        answer = self._awaited(wait=wait)
        if isinstance(answer, Ended):
            self._waited.pop(answer.worker, None)
            return answer
        if isinstance(answer, Missing):
            raise JobError("the host could not tell which task has ended", hint=_HINT)
        raise self._channel.give_up("the answer is which task has ended")

    def _awaited(self, *, wait: bool) -> FromHost:
        """The host's next answer, and how long each worker has been waited for by then."""
        longest = max(self._waited.values(), default=None)
        seconds = None if longest is None else self._turn_seconds - longest
        began = self._clock()
        try:
            answer = self._channel.ask(Await(wait), seconds)
        except TimeoutError:
            raise self._late() from None
        for worker in self._waited:
            self._waited[worker] += self._clock() - began
        # Others may answer all the while: that must not hide that one is starved.
        if any(waited > self._turn_seconds for waited in self._waited.values()):
            raise self._late()
        return answer

    def _late(self) -> WorkerError:
        late = max(self._waited, key=lambda worker: self._waited[worker])
        return WorkerError(
            f"{late} kept a training waiting for more than {self._turn_seconds} seconds",
            hint="look at its host, then run the job again; --turn-seconds of mc2-enclave sets how "
            "long is too long",
        )

    def keep(self, name: Digest, raw: bytes) -> None:
        """Have the host keep a block or a receipt. Raises: JobError."""
        self._stored(Keep(name, raw), "could not keep a block")

    def _stored(self, message: Assign | AssignTraining | Keep, trouble: str) -> None:
        answer = self._channel.ask(message)
        if isinstance(answer, Missing):
            raise JobError(f"the host {trouble}: its disk may be full", hint=_HINT)
        if not isinstance(answer, Stored):
            raise self._channel.give_up("the answer is that it was stored")
