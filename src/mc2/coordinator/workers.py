"""One enclave worker, as its host sees it: blocking calls with deadlines over one socket.

A refusal of the enclave comes back as the error that its code names, and the worker lives on. A
worker that dies, breaks the protocol or misses a deadline is a `WorkerError`, and is not used
again. The host needs to be trusted by nobody: all that it hands over is signed or sealed.
Spec: docs/spec/worker-protocol.md.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self, TypeAlias, TypeVar, cast

from mc2.crypto.digest import Digest
from mc2.errors import FormatError, JobError, Mc2Error, WorkerError, error_types
from mc2.formats.address import TcpAddress, UnixAddress, VsockAddress, parse_address
from mc2.formats.frames import Frame, FrameReader
from mc2.formats.other_workers import NoWorkers, OtherWorkers
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
    parse_from_enclave,
)
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
from mc2.formats.worker_progress import RoundTrained, Said, StageBegun, StagesCut
from mc2.formats.worker_tasks import (
    Assign,
    AssignTraining,
    Await,
    Keep,
    Task,
    TaskDone,
    TrainDone,
    TrainStep,
)

T = TypeVar("T")


class _Keeper(NoWorkers):
    """There is no other worker, but somebody keeps blocks."""

    def __init__(self, keep: Callable[[Digest, bytes], None]) -> None:
        self._keep = keep

    def keep(self, name: Digest, raw: bytes) -> None:
        self._keep(name, raw)


HELLO_SECONDS: Final = 60.0  # a worker that has just started imports and warms up its engines
SHORT_SECONDS: Final = 120.0  # checking signatures, making keys, collecting evidence
_DYING_SECONDS: Final = 1.0  # between a process's last socket and its exit status
_PIECE_BYTES: Final = 1 << 20


class Worker:
    """An enclave at the other end of a socket, with its process if this host started it.

    One thread at a time uses it; `kill` may come from any thread, and ends a call under way.
    """

    def __init__(
        self, connection: socket.socket, process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.name = "worker"
        """What people and receipts call it; a pool numbers its workers."""
        self._connection = connection
        self._process = process
        self._ready: Ready | None = None
        self._killing = threading.Lock()
        self.ended = threading.Event()
        """Set once the worker is of no more use."""

    @classmethod
    def connect(cls, address: str, *, timeout_seconds: float = HELLO_SECONDS) -> Self:
        """Reach an enclave that listens. Raises: UsageError, WorkerError."""
        try:
            return cls(_connect(address, timeout_seconds))
        except OSError as error:
            raise WorkerError(
                f"no enclave answers at {address}: {error.strerror or type(error).__name__}",
                hint="start it with `mc2-enclave --listen …`, or correct the address",
            ) from None

    @property
    def usable(self) -> bool:
        """Whether another call makes sense."""
        return not self.ended.is_set()

    @property
    def greeted(self) -> bool:
        """Whether the enclave has answered a hello."""
        return self._ready is not None

    @property
    def ready(self) -> Ready:
        """What the enclave said of itself; `hello` comes first."""
        if self._ready is None:
            raise RuntimeError("hello comes first")
        return self._ready

    @property
    def process_id(self) -> int | None:
        """The enclave's process, if this host started it."""
        return None if self._process is None else self._process.pid

    def hello(self, *, timeout_seconds: float = HELLO_SECONDS) -> Ready:
        """Ask the enclave what it is. Raises: WorkerError, or the enclave's refusal."""
        self._ready = self._ask(Hello(), Ready, timeout_seconds)
        return self._ready

    def open(self, bundle: bytes, *, timeout_seconds: float = SHORT_SECONDS) -> OpenedJob:
        """Hand over a job. Raises: WorkerError, or the enclave's refusal."""
        return self._ask(Open(bundle), OpenedJob, timeout_seconds)

    def attest(
        self, challenges: Mapping[str, bytes], *, timeout_seconds: float = SHORT_SECONDS
    ) -> bytes:
        """Hand over the owners' challenges for signed evidence. Raises: as `open`."""
        return self._ask(Attest(challenges), Attested, timeout_seconds).evidence

    def run(
        self,
        grants: Mapping[str, bytes],
        read_chunk: Callable[[Digest], bytes],
        write_chunk: Callable[[Digest, bytes], None],
        progress: Callable[[str], None],
        others: OtherWorkers | None = None,
        *,
        timeout_seconds: float,
    ) -> JobOutcome:
        """Hand over the owners' grants and serve the enclave until the job is done.

        `others` are the workers that it may share the job with.

        Raises: as `open`; and whatever the callbacks raised, which ends the job.
        """
        serve = _Serve(read_chunk, write_chunk, progress, others or NoWorkers())
        return _Running(self, serve, timeout_seconds).run(grants)

    def join(
        self,
        challenges: Mapping[str, bytes],
        evidence: bytes,
        invitation: bytes,
        *,
        timeout_seconds: float = SHORT_SECONDS,
    ) -> bytes:
        """Hand on a leader's invitation, for signed member evidence. Raises: as `open`."""
        message = Join(challenges, evidence, invitation)
        return self._ask(message, Joined, timeout_seconds).evidence

    def prove(self, probe: bytes, *, timeout_seconds: float = SHORT_SECONDS) -> bytes:
        """Hand on a leader's probe, for the token of what is opened. Raises: as `open`."""
        return self._ask(Prove(probe), Proved, timeout_seconds).token

    def enter(self, admission: bytes, *, timeout_seconds: float = SHORT_SECONDS) -> None:
        """Hand on a leader's admission. Raises: as `open`."""
        self._ask(Enter(admission), Entered, timeout_seconds)

    def task(
        self,
        task: Task,
        read: Callable[[Digest], bytes],
        keep: Callable[[Digest, bytes], None],
        *,
        timeout_seconds: float,
    ) -> bytes:
        """Hand on an order to a member and serve it until the task is done; its receipt.

        Raises: as `run`.
        """
        serve = _Serve(read, _refuse, lambda _: None, _Keeper(keep))
        return _Running(self, serve, timeout_seconds).task(task)

    def train(
        self, step: TrainStep, read: Callable[[Digest], bytes], *, timeout_seconds: float
    ) -> bytes:
        """Hand on a message of a training to a member, and serve it; its answer.

        Raises: as `run`.
        """
        serve = _Serve(read, _refuse, lambda _: None, NoWorkers())
        return _Running(self, serve, timeout_seconds).train(step)

    def close(self, *, timeout_seconds: float = SHORT_SECONDS) -> None:
        """Drop the job, if there is one; then the worker is ready for another."""
        self._ask(Close(), Closed, timeout_seconds)

    def kill(self) -> None:
        """End the worker, whatever it does: its process, and the connection."""
        with self._killing:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._hang_up()
            self.ended.set()

    def _hang_up(self) -> None:
        with suppress(OSError):  # not connected any more, which is what this is for
            # Closing alone would leave another thread waiting in `recv` for ever.
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _ask(self, message: FromHost, answer: type[T], timeout_seconds: float) -> T:
        deadline = time.monotonic() + timeout_seconds
        self.send(message, deadline)
        found = self.receive(deadline)
        if not isinstance(found, answer):
            raise self.broken(f"answered {type(found).__name__} to {type(message).__name__}")
        return found

    def send(self, message: FromHost, deadline: float) -> None:
        """Send one message until a moment of the monotonic clock. Raises: WorkerError."""
        head, body = message.frame().encode()
        with _Guard(self):
            for part in (head, body) if body else (head,):
                self._connection.settimeout(_left(deadline))
                self._connection.sendall(part)

    def receive(self, deadline: float) -> FromEnclave:
        """Receive one message until a moment of the monotonic clock.

        Raises: WorkerError, or the error that a refusal of the enclave names.
        """
        try:
            with _Guard(self):
                message = parse_from_enclave(self._receive_frame(deadline))
        except FormatError as error:
            raise self.broken(str(error)) from None
        if isinstance(message, Refused):
            raise refusal(message)
        return message

    def _receive_frame(self, deadline: float) -> Frame:
        reader = FrameReader()
        while True:
            self._connection.settimeout(_left(deadline))
            data = self._connection.recv(min(reader.wanted, _PIECE_BYTES))
            if not data:
                raise ConnectionResetError
            if (frame := reader.feed(data)) is not None:
                return frame

    def wait_until_ended(self) -> None:
        """Return when the worker is of no more use."""
        if self._process is None:
            self.ended.wait()
        else:
            self._process.wait()
            self.kill()

    def fate(self) -> str:
        """How the worker came to hang up, as far as this host can see."""
        if self._process is None:
            return "hung up"
        try:
            status = self._process.wait(_DYING_SECONDS)
        except subprocess.TimeoutExpired:
            return "hung up"
        if status < 0:
            return f"was ended by signal {-status}"
        return f"ended with exit status {status}"

    def broken(self, reason: str) -> WorkerError:
        """Give up the worker; the error that says why."""
        self.kill()
        return WorkerError(
            f"the enclave worker {reason}",
            hint="the next attempt begins by itself if one is left; the worker's log may say more",
        )


class _Guard:
    """Turns trouble with the connection into the worker's end."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def __enter__(self) -> None:
        if not self._worker.usable:
            raise WorkerError(
                "the enclave worker is gone",
                hint="the next attempt begins by itself if one is left",
            )

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, TimeoutError):
            raise self._worker.broken("did not answer in time") from None
        if isinstance(error, OSError):
            raise self._worker.broken(self._worker.fate()) from None


@dataclass(frozen=True, slots=True)
class _Serve:
    """What a host does for an enclave while its job runs."""

    read_chunk: Callable[[Digest], bytes]
    write_chunk: Callable[[Digest, bytes], None]
    progress: Callable[[str], None]
    others: OtherWorkers


_Asked: TypeAlias = Read | Write | Gather | Ask | Admit | Keep | Assign | AssignTraining | Await


class _Running:
    """The dialogue while a job runs: the enclave asks, the host answers."""

    def __init__(self, worker: Worker, serve: _Serve, timeout_seconds: float) -> None:
        self._worker = worker
        self._host = serve
        self._deadline = time.monotonic() + timeout_seconds
        self._failure: Exception | None = None

    def run(self, grants: Mapping[str, bytes]) -> JobOutcome:
        return self._until(Run(grants), JobOutcome)

    def task(self, task: Task) -> bytes:
        return self._until(task, TaskDone).receipt

    def train(self, step: TrainStep) -> bytes:
        return self._until(step, TrainDone).answer

    def _until(self, asked: Run | Task | TrainStep, answer: type[T]) -> T:
        self._worker.send(asked, self._deadline)
        while True:
            try:
                message = self._worker.receive(self._deadline)
            except WorkerError:
                raise
            except Mc2Error as refusal:
                if self._failure is not None:  # the enclave gave up because this host did
                    raise self._failure from refusal
                raise
            if isinstance(message, answer):
                return message
            self._serve(message)

    def _serve(self, message: FromEnclave) -> None:
        if isinstance(message, Progress):
            self._host.progress(message.text)
            return
        if isinstance(message, StagesCut | StageBegun | RoundTrained):
            self._host.progress(Said("", message))
            return
        if not isinstance(message, _Asked):
            raise self._worker.broken(f"sent {type(message).__name__} while a job runs")
        self._worker.send(self._answer(message), self._deadline)

    def _answer(self, message: _Asked) -> FromHost:
        try:
            return self._answer_to(message)
        except Exception as error:  # noqa: BLE001  kept, and raised when the enclave has let go
            self._failure = error
            return Missing()

    def _answer_to(self, message: _Asked) -> FromHost:
        others = self._host.others
        match message:
            case Read():
                return Chunk(self._host.read_chunk(message.digest))
            case Gather():
                return Gathered(others.gather(message.invitation))
            case Ask():
                return Told(others.probe(message.probes))
            case Admit():
                return Admitted(tuple(sorted(others.admit(message.admissions))))
            case Await():
                return others.ended(wait=message.wait)
            case Write():
                self._host.write_chunk(message.digest, message.sealed)
            case Keep():
                others.keep(message.digest, message.raw)
            case Assign():
                others.assign(message.worker, message.task)
            case AssignTraining():
                others.assign(message.worker, message.step)
        return Stored()


def _refuse(name: Digest, raw: bytes) -> None:
    """Results are the leader's to hand over."""
    del raw
    raise JobError(f"a member handed over a chunk of a result: {name}")


def refusal(message: Refused) -> Mc2Error:
    """The error that an enclave's refusal names."""
    kind = error_types().get(message.code)
    if kind is None or issubclass(kind, WorkerError):
        return WorkerError(f"the enclave refused: {message.message}", hint=message.hint)
    return kind(message.message, hint=message.hint)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(address: str, timeout_seconds: float) -> socket.socket:
    place = parse_address(address)
    if isinstance(place, TcpAddress):
        connection = socket.create_connection((place.host, place.port), timeout_seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    if isinstance(place, UnixAddress):
        return _connected(socket.AF_UNIX, place.path, timeout_seconds)
    if isinstance(place, VsockAddress):
        if not hasattr(socket, "AF_VSOCK"):
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return _connected(
            socket.AF_VSOCK, cast("str", (place.context, place.port)), timeout_seconds
        )
    return socket.socket(fileno=place.number)


def _connected(family: socket.AddressFamily, address: str, timeout_seconds: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_seconds)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection
