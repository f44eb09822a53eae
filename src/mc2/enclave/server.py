"""Serves hosts: frames in, frames out, and one `JobSession` at a time. It holds no rule of a job.

Spec: docs/spec/worker-protocol.md. Whatever goes wrong inside a job is a refusal, and the worker
lives on; whatever is wrong with the frames ends the connection, and the worker lives on.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from typing import Protocol

from mc2.crypto.digest import Digest
from mc2.enclave.channel import Channel, ChannelClosedError
from mc2.enclave.cluster_server import TURN_SECONDS, HostedWorkers, answer_joining
from mc2.enclave.task_runner import Host
from mc2.errors import DatasetError, Mc2Error, WorkerError
from mc2.formats.other_workers import OtherWorkers
from mc2.formats.worker import (
    Attest,
    Attested,
    Chunk,
    Close,
    Closed,
    FromEnclave,
    FromHost,
    Hello,
    JobOutcome,
    Missing,
    Open,
    OpenedJob,
    Progress,
    Read,
    Ready,
    Refused,
    Run,
    Stored,
    Write,
)
from mc2.formats.worker_cluster import Admitted, Enter, Gathered, Join, Prove, Told
from mc2.formats.worker_progress import Said
from mc2.formats.worker_tasks import Ended, Task, TaskDone, TrainDone, TrainStep


class Session(Protocol):
    """One job; `mc2.enclave.session.JobSession` says what each step means."""

    @property
    def ended(self) -> bool:
        """Whether the job is done or has failed."""
        ...

    def open(self, bundle: bytes) -> OpenedJob:
        """Take up a job."""
        ...

    def attest(self, challenges: Mapping[str, bytes]) -> bytes:
        """Prove what this is."""
        ...

    def run(
        self,
        grants: Mapping[str, bytes],
        read_chunk: Callable[[Digest], bytes],
        write_chunk: Callable[[Digest, bytes], None],
        progress: Callable[[str], None],
        workers: OtherWorkers,
    ) -> JobOutcome:
        """Compute."""
        ...

    def join(
        self, challenges: Mapping[str, bytes], leader_evidence: bytes, invitation: bytes
    ) -> bytes:
        """Prove to a leader what this is."""
        ...

    def prove(self, probe: bytes) -> bytes:
        """Open what a leader sealed to this machine; the token."""
        ...

    def enter(self, admission: bytes) -> object:
        """Become a member of the leader's cluster."""
        ...

    def task(self, task: Task, host: Host) -> bytes:
        """Run one task as a member; the signed receipt."""
        ...

    def train(self, step: TrainStep, host: Host) -> bytes:
        """Take a step of a training as a member; the answer."""
        ...

    def close(self) -> None:
        """Forget the job and its keys."""
        ...


class Server:
    """What an enclave process does for its hosts.

    `log` gets one sentence about each job, with codes and without data.
    """

    def __init__(
        self,
        make_session: Callable[[], Session],
        ready: Ready,
        log: Callable[[str], None],
        turn_seconds: int = TURN_SECONDS,
    ) -> None:
        """`turn_seconds`: how long this enclave waits for a chunk, or for a member's turn."""
        self._make_session = make_session
        self._ready = ready
        self._log = log
        self._turn_seconds = turn_seconds
        self._session: Session | None = None

    def serve(self, channel: Channel) -> None:
        """Serve one connection until it ends. Never raises what a host can cause."""
        try:
            self._greet(channel)
            while True:
                self._answer(channel, channel.receive())
        except ChannelClosedError:
            self._log("the host hung up")
        except Mc2Error as error:
            self._log(f"the host broke the protocol ({error.code})")
            self._hang_up(channel, error)
        finally:
            self._drop_job()
            channel.close()

    def _greet(self, channel: Channel) -> None:
        if not isinstance(channel.receive(), Hello):
            raise channel.give_up("the first message is hello")
        channel.send(self._ready)

    def _answer(self, channel: Channel, message: FromHost) -> None:
        answer = self._answer_to(channel, message)
        # The error is gone by now, and with it the frames that hold what the job knew.
        if isinstance(answer, Refused) or (self._session is not None and self._session.ended):
            self._drop_job()
        channel.send(answer)

    def _answer_to(self, channel: Channel, message: FromHost) -> FromEnclave:
        try:
            return self._do(channel, message)
        except ChannelClosedError:
            raise
        except Mc2Error as error:
            self._log(f"refused ({error.code})")
            return Refused(error.code, str(error), error.hint)
        except Exception as error:  # noqa: BLE001  a defect of ours: the next job may fare better
            kind = type(error).__name__
            # What cannot be imported is named by our code, and no value.
            missing = f" {error.name}" if isinstance(error, ImportError) else ""
            self._log(f"failed ({kind}{missing})")
            return Refused(
                Mc2Error.code,
                f"the enclave failed with {kind}",
                "propose the job again; if it fails again, report this",
            )

    def _do(self, channel: Channel, message: FromHost) -> FromEnclave:
        if isinstance(message, Chunk | Missing | Stored | Gathered | Told | Admitted | Ended):
            raise channel.give_up("an answer came, and nothing was asked")
        if isinstance(message, Hello):
            return self._ready
        if isinstance(message, Close):
            self._drop_job()
            return Closed()
        # A message that comes out of order ends the session that it comes to.
        session = self._session = self._session or self._make_session()
        if isinstance(message, Open):
            return session.open(message.bundle)
        if isinstance(message, Attest):
            return Attested(session.attest(message.challenges))
        if isinstance(message, Join | Prove | Enter):
            return answer_joining(session, message)
        return self._run(channel, session, message)

    def _run(
        self, channel: Channel, session: Session, message: Run | Task | TrainStep
    ) -> FromEnclave:
        host = _Host(channel, self._turn_seconds)
        workers = HostedWorkers(channel, self._turn_seconds)
        if isinstance(message, Task):
            serving = Host(host.read, workers.keep, _say_nothing)
            return TaskDone(session.task(message, serving))
        if isinstance(message, TrainStep):
            return TrainDone(session.train(message, Host(host.read, workers.keep, _say_nothing)))
        outcome = session.run(message.grants, host.read, host.write, host.tell, workers)
        self._log("a job is done")
        return outcome

    def _hang_up(self, channel: Channel, error: Mc2Error) -> None:
        try:
            channel.send(Refused(error.code, str(error), error.hint))
        except ChannelClosedError:
            return

    def _drop_job(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
            # Plaintext and keys that cycles of references still hold go now, not some day.
            gc.collect()


class _Host:
    """The host while a job runs: it fetches and keeps chunks. It is believed nothing.

    Each chunk it has to give or take in so many seconds: else it could let an enclave hold the
    keys of a job for ever.
    """

    def __init__(self, channel: Channel, seconds: int) -> None:
        self._channel = channel
        self._seconds = seconds

    def read(self, name: Digest) -> bytes:
        answer = self._asked(Read(name))
        if isinstance(answer, Chunk):
            return answer.sealed
        if isinstance(answer, Missing):
            raise DatasetError(
                f"the host cannot give the chunk {name}",
                hint="let its owner upload the dataset again, then propose the job again",
            )
        raise self._channel.give_up("the answer to a read is a chunk")

    def write(self, name: Digest, sealed: bytes) -> None:
        answer = self._asked(Write(name, sealed))
        if isinstance(answer, Missing):
            raise DatasetError(
                "the host could not keep a chunk of a result",
                hint="its disk may be full: see the coordinator's log, then propose the job again",
            )
        if not isinstance(answer, Stored):
            raise self._channel.give_up("the answer to a write is that it was stored")

    def _asked(self, message: Read | Write) -> FromHost:
        try:
            return self._channel.ask(message, self._seconds)
        except TimeoutError:
            raise WorkerError(
                f"the host took more than {self._seconds} seconds over a chunk",
                hint="look at its disk and network, then run the job again; --turn-seconds of "
                "mc2-enclave sets how long is too long",
            ) from None

    def tell(self, text: str) -> None:
        if isinstance(text, Said):
            self._channel.send(text.counted)
        self._channel.send(Progress(text))


def _say_nothing(_: str) -> None:
    """Of a job spread over several enclaves, its leader tells where it stands."""
