"""What passes between a Spark driver, its tasks and the keepers of enclaves, over TCP.

Frames are those of the worker protocol. The first one on a connection says what it is for:

::

    attach   a driver takes the enclave for a job; what follows is the worker protocol itself,
             and steps of trainings
    task     a Spark task has the enclave run a task, and gets one answer

Both carry the token that the driver made for its application. It keeps strangers from wasting the
enclave's time; nothing secret rests on it. Spec: docs/spec/spark.md.
"""

from __future__ import annotations

import hmac
import re
import socket
import time
from dataclasses import dataclass, field
from typing import Final, Self

from mc2.crypto.digest import Digest
from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields
from mc2.formats.frames import Frame, FrameReader
from mc2.formats.limits import LIMITS
from mc2.formats.worker_tasks import PARTITIONS, TrainStep

TOKEN_BYTES: Final = 32
LONGEST_TASK_SECONDS: Final = 7 * 24 * 3600
_FOLDER: Final = re.compile(r"[0-9a-z][0-9a-z-]{0,79}")
_PIECE_BYTES: Final = 1 << 20
_CODE_LENGTH: Final = 64
_TEXT_LENGTH: Final = 4096
_SILENCE_SECONDS: Final = 15
_PROBE_SECONDS: Final = 5
_PROBES: Final = 3

STEP: Final = "step"
"""What the frame of a step of a training is called."""
BUSY: Final = "busy"
"""The enclave is at another task: ask again, or ask another."""
STRANGER: Final = "stranger"
"""The enclave is not in this epoch: it came late, or was started again."""


def watch_peer(connection: socket.socket) -> None:
    """Have the kernel end a TCP connection some thirty seconds after its other host went away.

    A host that is cut off says no goodbye. Without this a driver would wait for its enclave, and an
    enclave would hold its job's keys for a driver that is gone, for the two hours of TCP's own
    probes. A host that merely thinks still answers probes.
    """
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _SILENCE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
    silent_milliseconds = 1000 * (_SILENCE_SECONDS + _PROBES * _PROBE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silent_milliseconds)


def check_folder(name: str) -> str:
    """A name of an attempt's folder, which is a path of one part. Raises: FormatError."""
    if _FOLDER.fullmatch(name) is None:
        raise FormatError("an attempt's folder has a name of letters, digits and hyphens")
    return name


@dataclass(frozen=True, slots=True)
class Attach:
    """A driver takes the enclave. Answer: `Said("attached")`, or `Said(BUSY)`."""

    token: str = field(repr=False)

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "attach", "token": self.token})


@dataclass(frozen=True, slots=True, kw_only=True)
class AskTask:
    """A Spark task has the enclave run a task of an epoch. Answer: `TaskAnswer`.

    `epoch` is the digest of the leader's invitation; blocks stand in `folder`.
    """

    token: str = field(repr=False)
    epoch: Digest
    folder: str
    seconds: int
    partitions: int
    order: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        header: dict[str, Json] = {
            "type": "task",
            "token": self.token,
            "epoch": self.epoch,
            "folder": self.folder,
            "seconds": self.seconds,
            "partitions": self.partitions,
        }
        return Frame(header, self.order)

    @classmethod
    def read(cls, fields: Fields, body: bytes) -> Self:
        """Read the rest of the message. Raises: FormatError."""
        if len(body) > LIMITS.task_bytes:
            raise FormatError("an order is too long")
        return cls(
            token=fields.hex("token", TOKEN_BYTES),
            epoch=fields.digest("epoch"),
            folder=check_folder(fields.text("folder")),
            seconds=fields.integer("seconds", 1, LONGEST_TASK_SECONDS),
            partitions=fields.integer("partitions", 1, PARTITIONS),
            order=body,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AskStep:
    """The driver that is attached has a message of a training. Answer: `TaskAnswer`.

    What the enclave answers is the answer's receipt. Sealed inputs stand in `folder`.
    """

    folder: str
    seconds: int
    step: TrainStep

    def frame(self) -> Frame:
        """The message's frame."""
        header: dict[str, Json] = {
            "type": STEP,
            "folder": self.folder,
            "seconds": self.seconds,
            **self.step.header(),
        }
        return Frame(header, self.step.message)

    @classmethod
    def parse(cls, frame: Frame) -> Self:
        """Read the message. Raises: FormatError."""
        fields = Fields(dict(frame.header), "a step of a training")
        fields.type(STEP)
        found = cls(
            folder=check_folder(fields.text("folder")),
            seconds=fields.integer("seconds", 1, LONGEST_TASK_SECONDS),
            step=TrainStep.read(fields, frame.body),
        )
        fields.done()
        return found


def parse_request(frame: Frame) -> Attach | AskTask:
    """Read the first frame of a connection. Raises: FormatError."""
    fields = Fields(dict(frame.header), "a request to a keeper")
    if fields.choice("type", ("attach", "task")) == "task":
        asked: Attach | AskTask = AskTask.read(fields, frame.body)
    elif frame.body:
        raise FormatError("a request to attach has no body")
    else:
        asked = Attach(fields.hex("token", TOKEN_BYTES))
    fields.done()
    return asked


def knows_token(asked: Attach | AskTask, token: str) -> bool:
    """Whether a request comes from the application that the keeper works for."""
    return hmac.compare_digest(asked.token.encode(), token.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAnswer:
    """A receipt, or a step's answer; or an error's code; or `BUSY` or `STRANGER` as the code."""

    receipt: bytes = b""
    code: str = ""
    message: str = ""
    hint: str = ""

    def frame(self) -> Frame:
        """The message's frame."""
        header = {
            "type": "answer",
            "code": self.code[:_CODE_LENGTH],
            "message": self.message[:_TEXT_LENGTH],
            "hint": self.hint[:_TEXT_LENGTH],
        }
        return Frame(header, self.receipt)

    @classmethod
    def parse(cls, frame: Frame) -> Self:
        """Read the message. Raises: FormatError."""
        fields = Fields(dict(frame.header), "an answer of a keeper")
        fields.type("answer")
        found = cls(
            receipt=frame.body,
            code=fields.text("code", _CODE_LENGTH),
            message=fields.text("message", _TEXT_LENGTH),
            hint=fields.text("hint", _TEXT_LENGTH),
        )
        fields.done()
        if bool(found.code) == bool(found.receipt):
            raise FormatError("an answer of a keeper has a receipt, or the code of an error")
        return found


def send(connection: socket.socket, frame: Frame, deadline: float) -> None:
    """Send a frame until a moment of the monotonic clock. Raises: OSError."""
    for part in frame.encode():
        if part:
            connection.settimeout(_left(deadline))
            connection.sendall(part)


def receive(connection: socket.socket, deadline: float) -> Frame:
    """Receive a frame until a moment of the monotonic clock. Raises: OSError, FormatError."""
    reader = FrameReader()
    while True:
        connection.settimeout(_left(deadline))
        data = connection.recv(min(reader.wanted, _PIECE_BYTES))
        if not data:
            raise ConnectionResetError
        if (frame := reader.feed(data)) is not None:
            return frame


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
