"""What an enclave may ask of the workers beside it, which only its host reaches.

Both sides of the worker protocol mean the same by it: the enclave, which believes nothing of what
comes back, and the host, which hands it on. Spec: docs/spec/worker-protocol.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from mc2.crypto.digest import Digest
from mc2.errors import JobError
from mc2.formats.worker_tasks import Ended, Task, TrainStep


class OtherWorkers(Protocol):
    """The workers beside one that leads a job."""

    def gather(self, invitation: bytes) -> Mapping[str, bytes]:
        """Hand on the leader's invitation: member evidence, by the host's names of workers."""
        ...

    def probe(self, probes: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Hand on the leader's probes; the tokens of those that answered."""
        ...

    def admit(self, admissions: Mapping[str, bytes]) -> Collection[str]:
        """Hand on the leader's admissions; the names of those that entered."""
        ...

    def assign(self, worker: str, task: Task | TrainStep) -> None:
        """Have a worker run a task, or take a step of a training."""
        ...

    def ended(self, *, wait: bool) -> Ended:
        """Which assigned task has ended; with `wait` not before one has."""
        ...

    def keep(self, name: Digest, raw: bytes) -> None:
        """Keep a block or a receipt for other tasks."""
        ...


class NoWorkers:
    """There is no other worker."""

    def gather(self, invitation: bytes) -> Mapping[str, bytes]:
        """Nobody comes."""
        del invitation
        return {}

    def probe(self, probes: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Nobody answers."""
        del probes
        return {}

    def admit(self, admissions: Mapping[str, bytes]) -> Collection[str]:
        """Nobody enters."""
        del admissions
        return ()

    def assign(self, worker: str, task: Task | TrainStep) -> None:
        """There is nobody. Raises: JobError."""
        del task
        raise JobError(f"there is no {worker}")

    def ended(self, *, wait: bool) -> Ended:
        """Nothing was assigned."""
        del wait
        return Ended()

    def keep(self, name: Digest, raw: bytes) -> None:
        """Nobody would read it. Raises: JobError."""
        raise JobError(f"the host keeps no blocks: {name} of {len(raw)} bytes")
