"""What a host counts of a running job: its stages, its trainings, its workers. Nothing is signed.

All of it is what a host sees anyway: when tasks begin and end, and how large sealed blocks are.
Spec: docs/spec/coordinator-api.md, section "Metrics".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields, check_name
from mc2.formats.limits import LIMITS
from mc2.formats.worker_progress import MOST_ROUNDS, MOST_STAGES, StageHead

_LARGEST: Final = (1 << 53) - 1
MOST_TRAININGS: Final = 100

METRICS_BYTES: Final = 256 * 1024
"""How long the numbers of an attempt may be as JSON: all that there can be are shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMetrics:
    """A stage: its tasks, the sealed chunks and blocks they read and wrote, and its time.

    `lost`: runs of tasks that ended with their worker. `milliseconds`: from the beginning of its
    first task to the end of its last one, or until now; 0 before.
    """

    head: StageHead
    done: int = 0
    lost: int = 0
    blocks_in: int = 0
    bytes_in: int = 0
    blocks_out: int = 0
    bytes_out: int = 0
    milliseconds: int = 0

    def json(self) -> dict[str, Json]:
        """The stage as canonical JSON has it."""
        return {
            **self.head.json(),
            "done": self.done,
            "lost": self.lost,
            "blocks_in": self.blocks_in,
            "bytes_in": self.bytes_in,
            "blocks_out": self.blocks_out,
            "bytes_out": self.bytes_out,
            "milliseconds": self.milliseconds,
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read a decoded stage. Raises: FormatError."""
        fields = Fields(value, "a stage's metrics")
        head = StageHead.take(fields)
        found = cls(
            head=head,
            done=fields.integer("done", 0, head.tasks),
            lost=fields.integer("lost", 0, _LARGEST),
            blocks_in=fields.integer("blocks_in", 0, _LARGEST),
            bytes_in=fields.integer("bytes_in", 0, _LARGEST),
            blocks_out=fields.integer("blocks_out", 0, _LARGEST),
            bytes_out=fields.integer("bytes_out", 0, _LARGEST),
            milliseconds=fields.integer("milliseconds", 0, _LARGEST),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMetrics:
    """A training, by its node of the plan: rounds done, of so many at most, as the enclave says.

    `milliseconds`: from the first round that was told to the newest.
    """

    node: int
    done: int
    of: int
    milliseconds: int

    def json(self) -> dict[str, Json]:
        """The training as canonical JSON has it."""
        return {
            "node": self.node,
            "done": self.done,
            "of": self.of,
            "milliseconds": self.milliseconds,
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read a decoded training. Raises: FormatError."""
        fields = Fields(value, "a training's metrics")
        of = fields.integer("of", 1, MOST_ROUNDS)
        found = cls(
            node=fields.integer("node", 0, LIMITS.nodes - 1),
            done=fields.integer("done", 0, of),
            of=of,
            milliseconds=fields.integer("milliseconds", 0, _LARGEST),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerMetrics:
    """A worker, by the host's name: the most memory that its process has held since its start.

    `peak_bytes` is 0 where the host does not see it: in a virtual machine, or on another host.
    """

    name: str
    peak_bytes: int

    def json(self) -> dict[str, Json]:
        """The worker as canonical JSON has it."""
        return {"name": self.name, "peak_bytes": self.peak_bytes}

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read a decoded worker. Raises: FormatError."""
        fields = Fields(value, "a worker's metrics")
        found = cls(
            name=check_name(fields.text("name"), "a worker"),
            peak_bytes=fields.integer("peak_bytes", 0, _LARGEST),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMetrics:
    """An attempt in numbers; empty until its enclave computes. The first worker leads."""

    stages: tuple[StageMetrics, ...] = ()
    trainings: tuple[TrainingMetrics, ...] = ()
    workers: tuple[WorkerMetrics, ...] = ()

    def json(self) -> dict[str, Json]:
        """The metrics as canonical JSON has them."""
        return {
            "stages": [s.json() for s in self.stages],
            "trainings": [t.json() for t in self.trainings],
            "workers": [w.json() for w in self.workers],
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read decoded metrics. Raises: FormatError."""
        fields = Fields(value, "a job's metrics")
        found = cls(
            stages=fields.items("stages", MOST_STAGES, StageMetrics.read),
            trainings=fields.items("trainings", MOST_TRAININGS, TrainingMetrics.read),
            workers=fields.items("workers", LIMITS.cluster_members, WorkerMetrics.read),
        )
        fields.done()
        nodes = [t.node for t in found.trainings]
        names = [w.name for w in found.workers]
        if len(set(nodes)) != len(nodes) or len(set(names)) != len(names):
            raise FormatError("a job's metrics name a training or a worker twice")
        return found


NO_METRICS: Final = JobMetrics()
