"""Enclaves on the premises of parties, which ask for their orders: they cannot be called.

Orders and answers are frames of the worker protocol, one at a time for each party. A party whose
process falls silent is lost, and so is the session of one that begins anew.
Spec: docs/spec/home.md, section "The line".
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from mc2.coordinator.workers import refusal
from mc2.crypto.digest import Digest
from mc2.errors import FormatError, JobError, WorkerError
from mc2.formats.home_line import NO_TURN, HomeTurn
from mc2.formats.worker import (
    Close,
    Closed,
    FromHost,
    Open,
    OpenedJob,
    Refused,
    parse_from_enclave,
)
from mc2.formats.worker_cluster import Enter, Entered, Join, Joined, Prove, Proved
from mc2.formats.worker_tasks import Task, TrainDone, TrainStep

T = TypeVar("T")

SILENCE_SECONDS: Final = 60.0
"""After so long without a word a party's process is taken for lost."""

_LOOK_SECONDS: Final = 1.0
_REMEMBERED: Final = 16


@dataclass(eq=False)
class _Line:
    """What is under way with one process of a party; `before`: sessions whose place it took."""

    session: str
    turn: int
    seen: float
    before: tuple[str, ...] = ()
    order: bytes = b""
    answer: bytes | None = None
    lent: bool = False
    gone: bool = False
    wakers: set[Callable[[], None]] = field(default_factory=set)


class Homes:
    """The processes of parties that keep rows at home. Thread-safe.

    `clock` must only run forward, in seconds.
    """

    def __init__(
        self,
        *,
        silence_seconds: float = SILENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._silence, self._clock = silence_seconds, clock
        self._changed = threading.Condition()
        self._lines: dict[str, _Line] = {}
        self._stopped = False

    # --- for parties

    def hear(self, party: str, said: HomeTurn) -> HomeTurn:
        """Take a party's answer, if it has one; its next order, if there is one.

        Raises: JobError for a process in whose place another one asks for orders.
        """
        with self._changed:
            line = self._line(party, said)
            line.seen = self._clock()
            if said.frame and said.turn == line.turn and line.order:
                line.answer, line.order = said.frame, b""
            self._changed.notify_all()
            return self._next(line, said)

    async def exchange(self, party: str, said: HomeTurn, seconds: float) -> HomeTurn:
        """As `hear`, but wait for an order for some seconds. Raises: JobError."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        with self._changed:
            found, line = self.hear(party, said), self._line(party, said)
            if found.frame or seconds <= 0:
                return found
            line.wakers.add(wake)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), seconds)
        finally:
            with self._changed:
                line.wakers.discard(wake)
        # Nothing was heard meanwhile: whoever asked may be gone, and another session there.
        with self._changed:
            return self._next(line, said)

    def leave(self, party: str, session: str) -> None:
        """A party's process ends, and says so."""
        with self._changed:
            line = self._lines.get(party)
            if line is not None and line.session == session:
                self._end(party, line)

    def _next(self, line: _Line, said: HomeTurn) -> HomeTurn:
        """The order that a process does not have yet, if there is one."""
        if line.order and line.turn > said.turn and not line.gone:
            return HomeTurn(line.session, line.turn, line.order)
        return HomeTurn(line.session, NO_TURN, b"")

    def _line(self, party: str, said: HomeTurn) -> _Line:
        line, before = self._lines.get(party), tuple[str, ...]()
        if line is not None and line.session != said.session:
            if said.session in line.before and not self._silent(line):
                # A call of before that comes late, or two that would end one another for ever.
                raise JobError(
                    f"another process of {party} asks for orders now", hint="let one mc2 home run"
                )
            before = (*line.before, line.session)[-_REMEMBERED:]
            self._end(party, line)  # whatever it was at, it knows nothing of that any more
            line = None
        if line is None:
            line = _Line(said.session, said.turn, self._clock(), before)
            self._lines[party] = line
        return line

    def _end(self, party: str, line: _Line) -> None:
        line.gone = True
        if self._lines.get(party) is line:
            del self._lines[party]
        self._changed.notify_all()
        self._wake(line)

    # --- for the scheduler

    def borrow(self, party: str, *, timeout_seconds: float) -> HomeWorker:
        """The enclave at a party's home, once it is there and free. Raises: WorkerError."""
        deadline = self._clock() + timeout_seconds
        with self._changed:
            while True:
                line = self._lines.get(party)
                free = line is not None and not line.lent and not self._silent(line)
                if line is not None and free and not self._stopped:
                    line.lent = True
                    return HomeWorker(self, party, line)
                left = deadline - self._clock()
                if left <= 0 or self._stopped:
                    raise WorkerError(
                        f"no enclave asks for orders at the home of {party}",
                        hint=f"let {party} run mc2 home",
                    )
                self._changed.wait(min(left, _LOOK_SECONDS))

    def release(self, worker: HomeWorker) -> None:
        """Give an enclave at a home back; whatever it is at is dropped."""
        with self._changed:
            if not worker.line.gone:
                self._order(worker.line, Close())
                worker.line.lent = False

    def stop(self) -> None:
        """Take all for lost, and wait for nobody any more: calls under way end."""
        with self._changed:
            self._stopped = True
            for party, line in tuple(self._lines.items()):
                self._end(party, line)

    def ask(self, worker: HomeWorker, message: FromHost, timeout_seconds: float) -> bytes:
        """Give an order, and wait for the answer. Raises: WorkerError."""
        line, deadline = worker.line, self._clock() + timeout_seconds
        with self._changed:
            self._order(line, message)
            while line.answer is None:
                if line.gone or self._silent(line) or self._clock() > deadline:
                    self._end(worker.party, line)
                    raise WorkerError(
                        f"the enclave at the home of {worker.party} fell silent",
                        hint=f"let {worker.party} run mc2 home, and see its network",
                    )
                self._changed.wait(_LOOK_SECONDS)
            return line.answer

    def drop(self, worker: HomeWorker) -> None:
        """Take a process for lost."""
        with self._changed:
            self._end(worker.party, worker.line)

    def _order(self, line: _Line, message: FromHost) -> None:
        line.turn += 1
        line.order, line.answer = b"".join(message.frame().encode()), None
        self._wake(line)

    def _wake(self, line: _Line) -> None:
        for wake in tuple(line.wakers):
            wake()

    def _silent(self, line: _Line) -> bool:
        return self._clock() - line.seen > self._silence


class HomeWorker:
    """An enclave at a party's home, as `mc2.coordinator.cluster` works with it."""

    def __init__(self, homes: Homes, party: str, line: _Line) -> None:
        self._homes, self.party, self.line = homes, party, line
        self.name = f"home_{party}"[:63]
        """What people call it."""

    def open(self, bundle: bytes, *, timeout_seconds: float) -> OpenedJob:
        """Hand over a job, in place of the one before. Raises: WorkerError, or a refusal."""
        self._ask(Close(), Closed, timeout_seconds)
        return self._ask(Open(bundle), OpenedJob, timeout_seconds)

    def join(
        self,
        challenges: Mapping[str, bytes],
        evidence: bytes,
        invitation: bytes,
        *,
        timeout_seconds: float,
    ) -> bytes:
        """Hand on a leader's invitation, for evidence that the party signed too. As `open`."""
        message = Join(challenges, evidence, invitation)
        return self._ask(message, Joined, timeout_seconds).evidence

    def prove(self, probe: bytes, *, timeout_seconds: float) -> bytes:
        """Hand on a leader's probe; the token. Raises: as `open`."""
        return self._ask(Prove(probe), Proved, timeout_seconds).token

    def enter(self, admission: bytes, *, timeout_seconds: float) -> None:
        """Hand on a leader's admission. Raises: as `open`."""
        self._ask(Enter(admission), Entered, timeout_seconds)

    def train(
        self, step: TrainStep, read: Callable[[Digest], bytes], *, timeout_seconds: float
    ) -> bytes:
        """Hand on a message of a training; the answer. It reads nothing here. As `open`."""
        del read
        return self._ask(step, TrainDone, timeout_seconds).answer

    def task(
        self,
        task: Task,
        read: Callable[[Digest], bytes],
        keep: Callable[[Digest, bytes], None],
        *,
        timeout_seconds: float,
    ) -> bytes:
        """There are no tasks for it. Raises: JobError."""
        del task, read, keep, timeout_seconds
        raise JobError(f"the enclave at the home of {self.party} runs no tasks of others")

    def kill(self) -> None:
        """Take it for lost: a call under way ends."""
        self._homes.drop(self)

    def _ask(self, message: FromHost, answer: type[T], timeout_seconds: float) -> T:
        raw = self._homes.ask(self, message, timeout_seconds)
        try:
            found = parse_from_enclave(HomeTurn.frame_of(raw))
        except FormatError as error:
            self.kill()
            raise WorkerError(f"the home of {self.party} answered what is no frame") from error
        if isinstance(found, Refused):
            raise refusal(found)
        if not isinstance(found, answer):
            self.kill()
            raise WorkerError(f"the home of {self.party} gave another answer than was asked for")
        return found
