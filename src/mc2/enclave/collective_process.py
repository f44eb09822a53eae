"""An enclave's process for one training, and what it said so far. Spec: docs/spec/collective.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mc2.crypto.digest import Digest
from mc2.enclave.collective_rows import Rows
from mc2.enclave.release import Lease
from mc2.engine.collective.apart import Trainer
from mc2.engine.collective.link import Tag
from mc2.engine.collective.training import Head
from mc2.errors import EngineError, FormatError
from mc2.formats.canonical import decode
from mc2.formats.fields import Fields

SILENT_SECONDS: Final = 1800
"""How long a process for trainings may say nothing before its training is given up."""

_SAID_BYTES: Final = 64 * 1024
_AGAIN: Final = "run the job again: nothing of the training is kept"


@dataclass(slots=True)
class OwnTraining:
    """This enclave's process for one training, and what it said so far."""

    trainer: Trainer
    lease: Lease
    tell: Callable[[int], None]
    turns: int = 0
    idle: bool = False
    ended: bool = False
    model: bytes = b""
    metrics: bytes = b""
    failure: EngineError | None = None

    def begin(self, head: Head, rows: Rows, read: Callable[[Digest], bytes]) -> None:
        """Hand over the rows, and let it train. Raises: EngineError; as opening a block."""
        self.trainer.begin(head)
        for piece in rows.part(head.member):
            for batch in rows.batches(piece, read):
                self.trainer.rows(piece.matrix, piece.source, batch)
        self.trainer.go()

    def turn(self, packets: bytes) -> None:
        """Hand over packets."""
        self.turns += 1
        self.idle = False
        self.trainer.turn(self.turns, packets)

    def said(self) -> bytes | None:
        """What the process says next: a packet, or something else that was noted.

        Raises: EngineError, FormatError; GrantError after the lease.
        """
        self._wait()
        frame = self.trainer.read()
        match frame.tag:
            case Tag.PACKET:
                return frame.payload
            case Tag.IDLE:
                self.idle = int.from_bytes(frame.payload, "big") == self.turns
            case Tag.ROUND:
                self.tell(int.from_bytes(frame.payload, "big"))
            case Tag.MODEL:
                self.model = frame.payload
            case Tag.METRICS:
                self.metrics = frame.payload
            case Tag.FAILED:
                self.failure = _failure(frame.payload)
            case Tag.ENDED:
                self._end()
            case _:
                raise FormatError("the process for trainings says what is none of its business")
        return None

    def _wait(self) -> None:
        for _ in range(SILENT_SECONDS):
            self.lease.check()
            if self.trainer.waits(1):
                return
        raise EngineError("the process for trainings says nothing any more", hint=_AGAIN)

    def _end(self) -> None:
        self.trainer.over()
        self.ended = True
        if self.failure is not None:
            raise self.failure
        if not self.model:
            raise EngineError(
                "XGBoost ended its process in mid-training",
                hint="run the job again; if it ends again, the machine may lack memory",
            )


def _failure(payload: bytes) -> EngineError:
    fields = Fields(decode(payload, _SAID_BYTES, "a failure"), "a failure")
    return EngineError(fields.text("message", 500), hint=fields.text("hint", 500))
