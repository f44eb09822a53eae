"""The cluster's messages over one connection to the host. It holds no rule of a cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Protocol

from mc2.crypto.digest import Digest
from mc2.enclave.channel import Channel
from mc2.errors import JobError
from mc2.formats.worker import Missing, Stored
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

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

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
            self._stored(AssignTraining(worker, task), "could not hand on a step to a worker")
        else:
            self._stored(Assign(worker, task), "could not hand on a task to a worker")

    def ended(self, *, wait: bool) -> Ended:
        """Which assigned task has ended. Raises: JobError."""
        answer = self._channel.ask(Await(wait))
        if isinstance(answer, Ended):
            return answer
        if isinstance(answer, Missing):
            raise JobError("the host could not tell which task has ended", hint=_HINT)
        raise self._channel.give_up("the answer is which task has ended")

    def keep(self, name: Digest, raw: bytes) -> None:
        """Have the host keep a block or a receipt. Raises: JobError."""
        self._stored(Keep(name, raw), "could not keep a block")

    def _stored(self, message: Assign | AssignTraining | Keep, trouble: str) -> None:
        answer = self._channel.ask(message)
        if isinstance(answer, Missing):
            raise JobError(f"the host {trouble}: its disk may be full", hint=_HINT)
        if not isinstance(answer, Stored):
            raise self._channel.give_up("the answer is that it was stored")
