"""The process in which a shared training runs, as its enclave keeps it.

A confined enclave starts no process, so it starts one first, before it knows a secret: the keeper,
a fork that gives up what an enclave gives up, but for forking. For each training it forks one that
trains and ends. What XGBoost does there, `exit` or worse, costs that training alone.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, NoReturn, Self

import pyarrow as pa

from mc2.confine import confine
from mc2.engine.collective.link import Frame, GoneError, Link, Tag
from mc2.engine.collective.training import (
    TURN_BYTES,
    Head,
    MemberTraining,
    end,
    rows_payload,
    sockets_of_xgboost,
    warm_up,
)
from mc2.errors import EngineError, FormatError

_FIRST_INHERITED: Final = 3
_READY: Final = b"ready"
_END_SECONDS: Final = 30.0
_MCL: Final = 1 | 2 | 4
_AGAIN: Final = "run the job again; the machine's log may say why the process ended"


class Trainer:
    """The enclave's side. One training at a time: `begin`, `rows`, `go`, then turns."""

    def __init__(self, connection: socket.socket, process_id: int) -> None:
        self.process_id = process_id
        self._connection, self._link = connection, Link(connection)
        self._busy = self._broken = False

    @classmethod
    def start(cls, *, confined: bool = True) -> Self:
        """Fork the keeper, which must come before secrets. Raises: EngineError if it fails."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process_id = os.fork()
        if process_id == 0:
            _be_the_keeper(theirs, confined=confined)
        theirs.close()
        found = cls(ours, process_id)
        try:
            frame = found._link.receive()
        except GoneError:
            frame = Frame(Tag.FAILED)
        if frame != Frame(Tag.ENDED, _READY):
            raise EngineError("the process for trainings did not start", hint=_AGAIN)
        return found

    @property
    def usable(self) -> bool:
        """Whether a training can begin."""
        return not (self._busy or self._broken)

    def begin(self, head: Head) -> None:
        """Begin a training. Raises: EngineError if the process is gone."""
        if not self.usable:
            raise EngineError("the process for trainings is gone, or busy", hint=_AGAIN)
        self._busy = True
        self._send(Frame(Tag.BEGIN, head.encode()))

    def rows(self, matrix: int, source: int, batch: pa.RecordBatch) -> None:
        """Hand over rows of a matrix's source, both by place. Raises: EngineError."""
        if batch.num_rows:
            self._send(Frame(Tag.ROWS, rows_payload(matrix, source, batch)))

    def go(self) -> None:
        """All rows are there. Raises: EngineError."""
        self._send(Frame(Tag.GO))

    def turn(self, number: int, packets: bytes) -> None:
        """Hand over packets of other members; `number` counts. Raises: EngineError."""
        self._send(Frame(Tag.TURN, number.to_bytes(TURN_BYTES, "big") + packets))

    def waits(self, seconds: float) -> bool:
        """Whether the process says something within some time."""
        return self._link.waits(seconds)

    def read(self) -> Frame:
        """What the process says next. Raises: EngineError; FormatError for what is no frame."""
        try:
            return self._link.receive()
        except GoneError:
            self._broken = True
            raise EngineError("the process for trainings is gone", hint=_AGAIN) from None

    def over(self) -> None:
        """The process of this training has ended: another training may begin."""
        self._send(Frame(Tag.RESET))
        self._link.forget()
        self._busy = False

    def abandon(self) -> None:
        """End a training in whatever state it is. Never raises."""
        if not self._busy or self._broken:
            return
        try:
            self._send(Frame(Tag.ABANDON))
            self._link.forget()
            for frame in self._rest():
                if frame.tag is Tag.ENDED:
                    self.over()
                    return
        except (EngineError, FormatError):
            pass
        self._broken = True

    def close(self) -> None:
        """Let the keeper end, with all it started, and wait for it."""
        self._broken = True
        self._connection.close()
        os.waitpid(self.process_id, 0)

    def _rest(self) -> Iterator[Frame]:
        while self._link.waits(_END_SECONDS):
            with suppress(FormatError):
                yield self.read()

    def _send(self, frame: Frame) -> None:
        try:
            self._link.send(frame)
        except GoneError:
            self._broken = True
            raise EngineError("the process for trainings is gone", hint=_AGAIN) from None


def _be_the_keeper(connection: socket.socket, *, confined: bool) -> NoReturn:
    """Serve until the enclave is gone. Never returns into its code."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an end comes from the enclave's end
        kept = connection.fileno()
        os.closerange(_FIRST_INHERITED, kept)
        os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
        sockets = sockets_of_xgboost()
        warm_up()
        os.chdir("/")
        if confined:
            confine(allow_threads=True, memory_bytes=None, cpu_seconds=None, allow_children=True)
        link = Link(connection)
        link.send(Frame(Tag.ENDED, _READY))
        _keep(link, lambda head: MemberTraining(link, sockets).run(head))
    finally:
        end(1)


def _keep(link: Link, train: Callable[[bytes], int]) -> None:
    while True:
        frame = _next(link, Tag.BEGIN)
        process = os.fork()
        if process == 0:
            try:
                _lock_memory()
                end(train(frame.payload))
            finally:
                end(1)
        _, status = os.waitpid(process, 0)
        code = os.waitstatus_to_exitcode(status)
        link.send(Frame(Tag.ENDED, str(code).encode("ascii")))
        _next(link, Tag.RESET)


def _next(link: Link, wanted: Tag) -> Frame:
    """The next frame of a kind; what was for a process that has ended is thrown away."""
    link.forget()
    while True:
        with suppress(FormatError):
            frame = link.receive()
            if frame.tag is wanted:
                return frame
            continue
        link.forget()


def _lock_memory() -> None:
    """Keep rows out of swap, where the enclave that was forked from was allowed to."""
    ctypes.CDLL(None).mlockall(_MCL)
