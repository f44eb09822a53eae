"""The messages between an enclave and its host. Spec: docs/spec/worker-protocol.md.

The host asks, the enclave answers; only while a job runs does the enclave ask in between, for
chunks to read and to write. None of it is trusted by the enclave: whatever matters is signed or
named by its digest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from mc2.crypto.digest import Digest
from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.contract import TIERS
from mc2.formats.fields import Fields, check_name, check_sorted_unique, text_item
from mc2.formats.frames import Frame
from mc2.formats.limits import LIMITS
from mc2.formats.nested import join_named, nest, read_named, split_named
from mc2.formats.release import BOOT_ID_BYTES
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
from mc2.formats.worker_progress import RoundTrained, StageBegun, StagesCut
from mc2.formats.worker_tasks import (
    RECEIPT_BODY,
    TASK_BODY,
    TRAINING_BODY,
    Assign,
    AssignTraining,
    Await,
    Ended,
    Keep,
    Task,
    TaskDone,
    TrainDone,
    TrainStep,
)

T = TypeVar("T")

PROTOCOL: Final = "mc2/worker/v1"
_TEXT_LENGTH: Final = 4096
_LONGEST_CODE: Final = 64


@dataclass(frozen=True, slots=True)
class Hello:
    """The host says which protocol it speaks. Answer: `Ready`."""

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "hello", "protocol": PROTOCOL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What an enclave says of itself: for people and scheduling. What counts is the evidence."""

    boot_id: str
    kind: str
    tier: str
    code: Mapping[str, str]
    packages: Mapping[str, str]
    warnings: tuple[str, ...]

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame(
            {
                "type": "ready",
                "protocol": PROTOCOL,
                "boot_id": self.boot_id,
                "kind": self.kind,
                "tier": self.tier,
                "code": dict(self.code),
                "packages": dict(self.packages),
                "warnings": list(self.warnings),
            }
        )


@dataclass(frozen=True, slots=True)
class Open:
    """The host hands over a job bundle. Answer: `OpenedJob`."""

    bundle: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "open"}, self.bundle)


@dataclass(frozen=True, slots=True)
class OpenedJob:
    """The enclave accepts a job; these owners must challenge it, each once."""

    owners: tuple[str, ...]

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "opened", "owners": list(self.owners)})


@dataclass(frozen=True, slots=True)
class Attest:
    """The host hands over the owners' challenges. Answer: `Attested`."""

    challenges: Mapping[str, bytes]

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "attest"}, join_named(self.challenges))


@dataclass(frozen=True, slots=True)
class Attested:
    """The signed evidence of the attempt."""

    evidence: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "attested"}, self.evidence)


@dataclass(frozen=True, slots=True)
class Run:
    """The host hands over the owners' grants. Answer: `JobOutcome`, after `Read` and the like."""

    grants: Mapping[str, bytes]

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "run"}, join_named(self.grants))


@dataclass(frozen=True, slots=True)
class Read:
    """The enclave wants a sealed chunk. Answer: `Chunk` or `Missing`."""

    digest: Digest

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "read", "digest": self.digest})


@dataclass(frozen=True, slots=True)
class Chunk:
    """The sealed chunk that the enclave wanted."""

    sealed: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "chunk"}, self.sealed)


@dataclass(frozen=True, slots=True)
class Missing:
    """The host cannot give the chunk, or cannot keep it. The job ends."""

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "missing"})


@dataclass(frozen=True, slots=True)
class Write:
    """The enclave hands over a sealed chunk of a result. Answer: `Stored` or `Missing`."""

    digest: Digest
    sealed: bytes

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "write", "digest": self.digest}, self.sealed)


@dataclass(frozen=True, slots=True)
class Stored:
    """The host has kept a chunk for good."""

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "stored"})


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a running job stands, in words that say nothing about the data. No answer."""

    text: str

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "progress", "text": self.text[:_TEXT_LENGTH]})


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """A job is done: its signed receipt, and by name the results whose digests stand in it."""

    receipt: bytes
    results: Mapping[str, bytes]

    def frame(self) -> Frame:
        """The message's frame."""
        results: dict[str, Json] = {n: nest(raw) for n, raw in self.results.items()}
        return Frame({"type": "done"}, encode({"receipt": nest(self.receipt), "results": results}))


@dataclass(frozen=True, slots=True)
class Close:
    """The host drops the job, whatever its state. Answer: `Closed`."""

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "close"})


@dataclass(frozen=True, slots=True)
class Closed:
    """There is no job; the enclave is ready for one."""

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "closed"})


@dataclass(frozen=True, slots=True)
class Refused:
    """The enclave refuses, and the job is over; `code` names an error of `mc2.errors`."""

    code: str
    message: str
    hint: str = ""

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame(
            {
                "type": "refused",
                "code": self.code[:_LONGEST_CODE],
                "message": self.message[:_TEXT_LENGTH],
                "hint": self.hint[:_TEXT_LENGTH],
            }
        )


FromHost: TypeAlias = (
    Hello
    | Open
    | Attest
    | Run
    | Join
    | Prove
    | Enter
    | Gathered
    | Told
    | Admitted
    | Task
    | TrainStep
    | Ended
    | Chunk
    | Missing
    | Stored
    | Close
)
FromEnclave: TypeAlias = (
    Ready
    | OpenedJob
    | Attested
    | Joined
    | Proved
    | Entered
    | Gather
    | Ask
    | Admit
    | TaskDone
    | TrainDone
    | Keep
    | Assign
    | AssignTraining
    | Await
    | Read
    | Write
    | Progress
    | StagesCut
    | StageBegun
    | RoundTrained
    | JobOutcome
    | Closed
    | Refused
)


def parse_from_host(frame: Frame) -> FromHost:
    """Read what an enclave was sent. Raises: FormatError."""
    return _parse(frame, _FROM_HOST)


def parse_from_enclave(frame: Frame) -> FromEnclave:
    """Read what an enclave sent. Raises: FormatError."""
    return _parse(frame, _FROM_ENCLAVE)


def _parse(frame: Frame, readers: Mapping[str, _Reader[T]]) -> T:
    fields = Fields(frame.header, "a message")
    name = fields.choice("type", tuple(readers))
    reader = readers[name]
    fields.what = f"a message {name!r}"
    if len(frame.body) > reader.longest_body:
        raise FormatError(f"{fields.what} has a body of at most {reader.longest_body} bytes")
    message = reader.read(fields, frame.body)
    fields.done()
    return message


@dataclass(frozen=True, slots=True)
class _Reader(Generic[T]):
    """How one message is read, and how long its body may be: zero bytes if it has none."""

    read: Callable[[Fields, bytes], T]
    longest_body: int = 0


def _read_hello(fields: Fields, _: bytes) -> Hello:
    fields.choice("protocol", (PROTOCOL,))
    return Hello()


def _read_ready(fields: Fields, _: bytes) -> Ready:
    fields.choice("protocol", (PROTOCOL,))
    return Ready(
        boot_id=fields.hex("boot_id", BOOT_ID_BYTES),
        kind=fields.text("kind", 64),
        tier=fields.choice("tier", TIERS),
        code=_texts(fields, "code"),
        packages=_texts(fields, "packages"),
        warnings=fields.items("warnings", 64, text_item("a warning", lambda text, _: text)),
    )


def _read_opened(fields: Fields, _: bytes) -> OpenedJob:
    owners = fields.items("owners", LIMITS.members, text_item("an owner", check_name))
    check_sorted_unique(owners, "the owners of a job")
    return OpenedJob(owners)


def _read_refused(fields: Fields, _: bytes) -> Refused:
    return Refused(
        fields.text("code", _LONGEST_CODE),
        fields.text("message", _TEXT_LENGTH),
        fields.text("hint", _TEXT_LENGTH),
    )


def _read_done(_: Fields, body: bytes) -> JobOutcome:
    inner = Fields(decode(body, LIMITS.frame_body_bytes, "the outcome of a job"), "the outcome")
    outcome = JobOutcome(encode(inner.value("receipt")), split_named(inner.value("results")))
    inner.done()
    return outcome


def _texts(fields: Fields, name: str) -> dict[str, str]:
    value = fields.value(name)
    if not isinstance(value, Mapping) or len(value) > 256:
        raise FormatError(f"{name} of a message is not an object")
    named = Fields(value, f"{name} of a message")
    return {key: named.text(key) for key in value}


_FROM_HOST: Final[Mapping[str, _Reader[FromHost]]] = {
    "hello": _Reader(_read_hello),
    "open": _Reader(lambda _, body: Open(body), LIMITS.bundle_bytes),
    "attest": _Reader(lambda _, body: Attest(read_named(body)), LIMITS.frame_body_bytes),
    "run": _Reader(lambda _, body: Run(read_named(body)), LIMITS.frame_body_bytes),
    "join": _Reader(Join.read, LIMITS.frame_body_bytes),
    "prove": _Reader(lambda _, body: Prove(body), LIMITS.message_bytes * 2),
    "enter": _Reader(lambda _, body: Enter(body), LIMITS.grant_bytes * 2),
    "gathered": _Reader(Gathered.read, LIMITS.frame_body_bytes),
    "told": _Reader(Told.read),
    "admitted": _Reader(Admitted.read),
    "task": _Reader(Task.read, TASK_BODY),
    "train": _Reader(TrainStep.read, TRAINING_BODY),
    "ended": _Reader(Ended.read, TRAINING_BODY),
    "chunk": _Reader(lambda _, body: Chunk(body), LIMITS.chunk_bytes),
    "missing": _Reader(lambda *_: Missing()),
    "stored": _Reader(lambda *_: Stored()),
    "close": _Reader(lambda *_: Close()),
}

_FROM_ENCLAVE: Final[Mapping[str, _Reader[FromEnclave]]] = {
    "ready": _Reader(_read_ready),
    "opened": _Reader(_read_opened),
    "attested": _Reader(lambda _, body: Attested(body), LIMITS.evidence_bytes * 2),
    "joined": _Reader(lambda _, body: Joined(body), LIMITS.evidence_bytes * 2),
    "proved": _Reader(Proved.read),
    "entered": _Reader(lambda *_: Entered()),
    "gather": _Reader(lambda _, body: Gather(body), LIMITS.message_bytes * 2),
    "ask": _Reader(Ask.read, LIMITS.frame_body_bytes),
    "admit": _Reader(Admit.read, LIMITS.frame_body_bytes),
    "task_done": _Reader(lambda _, body: TaskDone(body), RECEIPT_BODY),
    "train_done": _Reader(lambda _, body: TrainDone(body), TRAINING_BODY),
    "keep": _Reader(Keep.read, LIMITS.chunk_bytes),
    "assign": _Reader(Assign.read, TASK_BODY),
    "assign_training": _Reader(AssignTraining.read, TRAINING_BODY),
    "await": _Reader(Await.read),
    "read": _Reader(lambda fields, _: Read(fields.digest("digest"))),
    "write": _Reader(lambda fields, body: Write(fields.digest("digest"), body), LIMITS.chunk_bytes),
    "progress": _Reader(lambda fields, _: Progress(fields.text("text", _TEXT_LENGTH))),
    "stages": _Reader(StagesCut.read),
    "stage": _Reader(StageBegun.read),
    "round": _Reader(RoundTrained.read),
    "done": _Reader(_read_done, LIMITS.frame_body_bytes),
    "closed": _Reader(lambda *_: Closed()),
    "refused": _Reader(_read_refused),
}
