"""The worker protocol's messages that count. Spec: docs/spec/worker-protocol.md.

An enclave tells what the plan and public sizes say anyway: the stages of a job, which of them it is
at, rounds of a training. What else a host shows of a job it has counted itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields, check_name, text_item
from mc2.formats.frames import Frame
from mc2.formats.limits import LIMITS

MOST_STAGES: Final = 100
MOST_OPERATIONS: Final = 16
MOST_TASKS: Final = 1024
MOST_ROUNDS: Final = 1 << 31
_OPERATION_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class StageHead:
    """A stage: the kinds of its operations, as the plan names them, and how many tasks it has."""

    operations: tuple[str, ...]
    tasks: int

    def json(self) -> dict[str, Json]:
        """The head as canonical JSON has it."""
        return {"operations": list(self.operations), "tasks": self.tasks}

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a head. Raises: FormatError."""
        item = text_item("an operation", _check_operation)
        return cls(
            fields.items("operations", MOST_OPERATIONS, item),
            fields.integer("tasks", 1, MOST_TASKS),
        )


@dataclass(frozen=True, slots=True)
class StagesCut:
    """The stages of the job, in their order; the last one gives its outputs. No answer."""

    stages: tuple[StageHead, ...]

    def frame(self) -> Frame:
        """The message's frame, with as many stages and operations as there is room for."""
        kept = (
            StageHead(s.operations[:MOST_OPERATIONS], s.tasks) for s in self.stages[:MOST_STAGES]
        )
        return Frame({"type": "stages", "stages": [s.json() for s in kept]})

    @classmethod
    def read(cls, fields: Fields, _: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(fields.items("stages", MOST_STAGES, _read_head))


@dataclass(frozen=True, slots=True)
class StageBegun:
    """This enclave begins a task of a stage, counted from 0. No answer."""

    stage: int

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "stage", "stage": self.stage})

    @classmethod
    def read(cls, fields: Fields, _: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        return cls(fields.integer("stage", 0, LIMITS.nodes))


@dataclass(frozen=True, slots=True)
class RoundTrained:
    """So many rounds of a training are done, of so many at most. No answer."""

    node: int
    done: int
    of: int

    def frame(self) -> Frame:
        """The message's frame."""
        return Frame({"type": "round", "node": self.node, "done": self.done, "of": self.of})

    @classmethod
    def read(cls, fields: Fields, _: bytes) -> Self:
        """Read the message. Raises: FormatError."""
        found = cls(
            fields.integer("node", 0, LIMITS.nodes - 1),
            fields.integer("done", 0, MOST_ROUNDS),
            fields.integer("of", 1, MOST_ROUNDS),
        )
        if found.done > found.of:
            raise FormatError("more rounds are done than there are")
        return found


Counted: TypeAlias = StagesCut | StageBegun | RoundTrained


class Said(str):
    """Words on where a job stands that come with what a host can count.

    It is a text, so that whoever passes progress on need not know which words count.
    """

    __slots__ = ("counted",)

    counted: Counted

    def __new__(cls, text: str, counted: Counted) -> Self:
        """The text, and what it says."""
        said = super().__new__(cls, text)
        said.counted = counted
        return said


def round_trained(node: int, done: int, of: int) -> Said:
    """What an engine says after a round of a training."""
    return Said(f"node {node}: trained round {done} of {of}", RoundTrained(node, done, of))


def _read_head(value: Json) -> StageHead:
    fields = Fields(value, "a stage")
    found = StageHead.take(fields)
    fields.done()
    return found


def _check_operation(text: str, what: str) -> str:
    if len(text) > _OPERATION_LENGTH:
        raise FormatError(f"{what} has at most {_OPERATION_LENGTH} characters")
    return check_name(text, what)
