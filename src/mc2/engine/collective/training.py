"""One member's part of a shared training, in a process of its own: stock XGBoost and no key.

The process has the rows of its member, a link to its enclave, and nothing else: no file, no socket,
no other process. Spec: docs/spec/collective.md, section "The process for trainings".
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Self

import pyarrow as pa
import xgboost
from xgboost.tracker import RabitTracker

from mc2.engine import trees
from mc2.engine.collective.interpose import Interposed, address_of
from mc2.engine.collective.link import Frame, GoneError, Link, Tag
from mc2.engine.collective.network import Network
from mc2.engine.collective.packets import packets
from mc2.engine.matrices import MatrixData
from mc2.errors import EngineError, FormatError, Mc2Error
from mc2.formats.arrow import arrow_schema
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields
from mc2.formats.ipc import read_rows, write_rows
from mc2.formats.limits import LIMITS
from mc2.plan.check import CheckedPlan, check_plan
from mc2.plan.models import Matrix, Train
from mc2.plan.plan import Plan
from mc2.plan.shapes import MatrixShape, ModelShape

LIBRARY: Final = Path(xgboost.__file__).parent / "lib" / "libxgboost.so"
TRACKER_PORT: Final = 9091
PARTS: Final = 4
TURN_BYTES: Final = 4

_HEAD: Final = 4
_HEAD_BYTES: Final = 64 * 1024
_TEXT: Final = 500
_BY_TASK: Final = 1
_FAILED: Final = 1
_DONE: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a process for trainings is told first: which training, and which member it is of it.

    `plan` is the stage that trains, as a plan of its own; `node` its training.
    """

    member: int
    members: int
    node: int
    threads: int
    plan: bytes

    def encode(self) -> bytes:
        """The head's bytes."""
        said: Json = {
            "member": self.member,
            "members": self.members,
            "node": self.node,
            "threads": self.threads,
        }
        clear = encode(said)
        return len(clear).to_bytes(_HEAD, "big") + clear + self.plan

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a head. Raises: FormatError."""
        length = int.from_bytes(raw[:_HEAD], "big")
        if not 0 < length <= min(_HEAD_BYTES, len(raw) - _HEAD):
            raise FormatError("the head of a training is cut off")
        at = _HEAD + length
        fields = Fields(decode(raw[_HEAD:at], _HEAD_BYTES, "a head"), "the head of a training")
        members = fields.integer("members", 1, LIMITS.cluster_members)
        found = cls(
            member=fields.integer("member", 0, members - 1),
            members=members,
            node=fields.integer("node", 0, LIMITS.nodes - 1),
            threads=fields.integer("threads", 1, 1 << 16),
            plan=raw[at:],
        )
        fields.done()
        return found


def rows_payload(matrix: int, source: int, batch: pa.RecordBatch) -> bytes:
    """A batch of a matrix's source, both by place, for a frame `ROWS`."""
    out = io.BytesIO()
    out.write(matrix.to_bytes(PARTS, "big") + source.to_bytes(PARTS, "big"))
    with pa.output_stream(out) as stream:
        write_rows(batch, "none", stream)
        stream.flush()
        return out.getvalue()


class Said:
    """What goes to the enclave, in order; whoever says something never waits for it to be read."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._frames: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def say(self, tag: Tag, payload: bytes = b"") -> None:
        """Say something."""
        self._frames.put(Frame(tag, payload))

    def finish(self) -> None:
        """Wait until all was said."""
        self._frames.put(None)
        self._thread.join()

    def _write(self) -> None:
        while (frame := self._frames.get()) is not None:
            try:
                self._link.send(frame)
            except GoneError:
                os._exit(_FAILED)


class MemberTraining:
    """One training, as the process for trainings runs it; it begins with the head's frame."""

    def __init__(self, link: Link, sockets: Interposed) -> None:
        self._link = link
        self._said = Said(link)
        self._sockets = sockets

    def run(self, head: bytes) -> int:
        """Train; the exit code. What fails is told, without values."""
        try:
            self._run(Head.parse(head))
        except Mc2Error as error:
            self._fail(str(error), error.hint)
            return _FAILED
        except Exception as error:  # noqa: BLE001  the text of a foreign error may quote data
            self._fail(f"the process for trainings failed with {type(error).__name__}", "")
            return _FAILED
        self._said.finish()
        return _DONE

    def _fail(self, message: str, hint: str) -> None:
        said = {"message": message[:_TEXT], "hint": hint[:_TEXT]}
        self._said.say(Tag.FAILED, encode(said))
        self._said.finish()

    def _run(self, head: Head) -> None:
        checked = check_plan(Plan.parse(head.plan))
        shape = checked.shapes[head.node] if head.node < len(checked.shapes) else None
        if not isinstance(shape, ModelShape):
            raise FormatError("the plan has no training there")
        gathered = self._gathered(checked, shape.operation)
        network = Network(head.member, self._send, self._idle)
        self._sockets.network = network
        threading.Thread(target=self._listen, args=(network,), daemon=True).start()
        matrices = _matrices(checked, shape.operation, gathered, head.threads)
        found = self._train(head, shape, matrices)
        self._said.say(Tag.METRICS, encode(_plain(found.metrics)))
        self._said.say(Tag.MODEL, found.raw())

    def _train(self, head: Head, shape: ModelShape, matrices: dict[int, MatrixData]) -> trees.Model:
        tracker = None
        if not head.member:
            tracker = _tracker(head.members)
            tracker.start()
        context = xgboost.collective.CommunicatorContext(
            dmlc_communicator="rabit",
            dmlc_tracker_uri=address_of(0),
            dmlc_tracker_port=TRACKER_PORT,
            dmlc_task_id=f"{head.member:05d}",
        )
        with context:
            if xgboost.collective.get_rank() != head.member:
                raise EngineError("XGBoost numbers the members of a training in another order")
            found = trees.train(shape, matrices, None, (), head.threads, self._round)
        if tracker is not None:
            tracker.wait_for()
        return found

    def _gathered(
        self, checked: CheckedPlan, operation: Train
    ) -> dict[tuple[int, int], list[pa.RecordBatch]]:
        """The rows that the enclave hands over, by matrix and source."""
        found: dict[tuple[int, int], list[pa.RecordBatch]] = {}
        while (frame := self._link.receive()).tag is not Tag.GO:
            if frame.tag is not Tag.ROWS:
                os._exit(_FAILED)  # the enclave gave the training up
            place = int.from_bytes(frame.payload[:PARTS], "big")
            source = int.from_bytes(frame.payload[PARTS : 2 * PARTS], "big")
            if place not in operation.matrices:
                raise FormatError("rows came of a matrix that the training does not read")
            node = checked.plan.nodes[checked.plan.nodes[place].operation.sources[source]]
            if node.schema is None:
                raise FormatError("rows came of what has none")
            batch = read_rows(pa.py_buffer(frame.payload)[2 * PARTS :], node.schema, "none")
            found.setdefault((place, source), []).append(batch)
        return found

    def _listen(self, network: Network) -> None:
        """Take what other members say, until the enclave has enough of this process."""
        while True:
            try:
                frame = self._link.receive()
                if frame.tag is not Tag.TURN:
                    os._exit(_FAILED)
                turn = int.from_bytes(frame.payload[:TURN_BYTES], "big")
                network.deliver(turn, list(packets(frame.payload[TURN_BYTES:])))
            except (GoneError, FormatError):
                os._exit(_FAILED)

    def _send(self, packet: bytes) -> None:
        self._said.say(Tag.PACKET, packet)

    def _idle(self, turn: int) -> None:
        self._said.say(Tag.IDLE, turn.to_bytes(TURN_BYTES, "big"))

    def _round(self, number: int) -> None:
        self._said.say(Tag.ROUND, number.to_bytes(TURN_BYTES, "big"))


def _tracker(members: int) -> RabitTracker:
    """XGBoost's tracker, made without a look-up of its address, for which Python wants files."""
    said = {
        "host": address_of(0),
        "n_workers": members,
        "port": TRACKER_PORT,
        "dmlc_communicator": "rabit",
        "sortby": _BY_TASK,
        "timeout": 0,
    }
    found = RabitTracker.__new__(RabitTracker)
    found.handle = ctypes.c_void_p()
    library = ctypes.CDLL(str(LIBRARY))
    if library.XGTrackerCreate(json.dumps(said).encode(), ctypes.byref(found.handle)) != 0:
        raise EngineError("XGBoost's tracker did not start")
    return found


def _matrices(
    checked: CheckedPlan,
    operation: Train,
    gathered: dict[tuple[int, int], list[pa.RecordBatch]],
    threads: int,
) -> dict[int, MatrixData]:
    found = {}
    for place in operation.matrices:
        shape, matrix = checked.shapes[place], checked.plan.nodes[place].operation
        if not isinstance(shape, MatrixShape) or not isinstance(matrix, Matrix):
            raise FormatError("a training reads a matrix")
        sources = []
        for number, source in enumerate(matrix.sources):
            schema = checked.plan.nodes[source].schema
            if schema is None:
                raise FormatError("a matrix reads relations")
            batches = gathered.pop((place, number), [])
            sources.append(pa.Table.from_batches(batches, arrow_schema(schema)))
        found[place] = trees.matrix(shape, sources, threads)
    return found


def _plain(metrics: trees.Metrics) -> Json:
    """Metrics as canonical JSON has them: numbers in hexadecimal, so that no bit is lost."""
    return {
        evaluation: {name: [float(v).hex() for v in values] for name, values in found.items()}
        for evaluation, found in metrics.items()
    }


def sockets_of_xgboost() -> Interposed:
    """Take XGBoost's sockets away from this process, for good. Raises: EngineError."""
    return Interposed(LIBRARY)


def warm_up() -> None:
    """Train on made-up rows in one thread, so that all is loaded that training loads."""
    labels: Sequence[float] = [0.0, 1.0, 0.0, 1.0]
    table = pa.table({"a": pa.array([1.0, 2.0, 3.0, 4.0], pa.float32())})
    data = xgboost.DMatrix(table, label=labels, nthread=1)
    arguments = {"nthread": "1", "verbosity": "0", "tree_method": "hist"}
    xgboost.train(arguments, data, 1, evals=[(data, "train")], verbose_eval=False).save_raw("json")


def end(code: int) -> NoReturn:
    """End this process, and nothing of what it was forked from."""
    os._exit(code)
