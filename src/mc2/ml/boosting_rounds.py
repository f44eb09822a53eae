"""The steps of a training over several partitions of rows: what is told, and what is answered.

A training is a list of steps. In each, the leader tells every partition its last choice, and every
partition answers with sums over its rows. What is public of a step stands in `Step`; the arrays
are secret, and their shapes follow from the step and the public form of the training. So a message
has one length, whatever the rows are. Spec: docs/spec/oblivious-boosting.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.errors import EngineError
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.secret_matrix import padded
from mc2.operators.run import Run
from mc2.operators.seams import END_MARKS

Arrays = tuple[npt.NDArray[Any], ...]
Shape = tuple[tuple[str, int], ...]
"""Of each array: its type as numpy writes it, little-endian, and its length."""

WINDOW: Final = 17
"""Places in the window that a split is looked for in once more."""

_REAL: Final = "<f8"
_FLOAT: Final = "<f4"
_WHOLE: Final = "<i8"
_FLAGS: Final = "<u8"
_WORDS: Final = "<u8"
_BYTES: Final = "|u1"

KEY_BYTES: Final = 32


class Kind(Enum):
    """What is asked of a partition."""

    ROWS = "rows"  # rows of each table, ends of each input's chunks; the training's key is told
    VALUES = "values"  # the values of a feature, for cuts between bins
    CUTS = "cuts"  # nothing: all cuts are told, and the rows of all partitions
    DONE = "done"  # nothing: the training is over
    DROPPED = "dropped"  # nothing: a round begins again without some partitions, which are shown
    LABELS = "labels"  # the greatest weight times label, and weight; or of each class
    LABEL_SUMS = "label_sums"  # their sums
    GRADIENTS = "gradients"  # the greatest |g| and h of each class, as a round begins
    ROOT = "root"  # the sums of a tree's root
    WINDOWS = "windows"  # the sums around the splits between cells that are told, bin by bin
    LEVEL = "level"  # the sums of the level below the splits that are told
    LEAVES = "leaves"  # the sums of the leaves below the last splits, and what went wrong
    GROWN = "grown"  # nothing: the values of the leaves are told
    LOSSES = "losses"  # the greatest losses and weights, as a round ends
    LOSS_SUMS = "loss_sums"  # their sums


@dataclass(frozen=True, slots=True)
class Step:
    """One step; all of it is public.

    `shown` are the features of the splits that are told; or the partitions that dropped out.
    """

    kind: Kind
    turn: int = 0
    of_class: int = 0
    level: int = 0
    shown: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """What the lengths of messages depend on.

    `bins`: of all features together, or cells of bins. `metrics`: over all evaluation sets.
    `cuts`: between bins, of all features together. `tables`: of the matrix that is trained on.
    `places`: those for rows of each partition. `inputs`: how many are cut into chunks.
    """

    bins: int
    classes: int
    depth: int
    metrics: int
    cuts: int = 0
    tables: int = 0
    places: tuple[int, ...] = ()
    inputs: int = 0

    @classmethod
    def of(cls, parameters: BoostingParameters, bins: int, metrics: int) -> Form:
        """The form of a training."""
        return cls(bins, parameters.classes, parameters.max_depth, metrics)

    def told(self, step: Step) -> Shape:
        """What the leader tells with a step."""
        shapes: dict[Kind, Shape] = {
            Kind.ROWS: ((_BYTES, KEY_BYTES),),
            Kind.CUTS: ((_FLOAT, self.cuts), (_WHOLE, self.tables * len(self.places))),
            Kind.LABEL_SUMS: ((_REAL, 2 * self.classes),),
            Kind.GRADIENTS: ((_FLOAT, self.classes),) if step.turn == 0 else (),
            Kind.ROOT: ((_REAL, 2),),
            Kind.WINDOWS: _splits(step.level),
            Kind.LEVEL: _splits(step.level),
            Kind.LEAVES: _splits(step.level),
            Kind.GROWN: ((_FLOAT, 1 << self.depth),),
            Kind.LOSS_SUMS: ((_REAL, 2 * self.metrics),),
        }
        return shapes.get(step.kind, ())

    def answered(self, step: Step, partition: int = 0) -> Shape:
        """What a partition answers."""
        if step.kind is Kind.VALUES:
            return ((_WORDS, self.places[partition]),)
        shapes: dict[Kind, Shape] = {
            Kind.ROWS: ((_WHOLE, self.tables), (_BYTES, self.inputs * END_MARKS)),
            Kind.LABELS: ((_REAL, 2 * self.classes),),
            Kind.LABEL_SUMS: ((_WHOLE, 2 * self.classes),),
            Kind.GRADIENTS: ((_REAL, 2 * self.classes),),
            Kind.ROOT: ((_WHOLE, 2), (_WHOLE, 2 * self.bins)),
            Kind.WINDOWS: ((_WHOLE, WINDOW << step.level),),
            Kind.LEVEL: ((_WHOLE, 2 * self.bins << step.level),),
            Kind.LEAVES: ((_WHOLE, 2 << self.depth), (_FLAGS, 1)),
            Kind.LOSSES: ((_REAL, 2 * self.metrics),),
            Kind.LOSS_SUMS: ((_WHOLE, 2 * self.metrics),),
        }
        return shapes.get(step.kind, ())

    @property
    def longest(self) -> int:
        """How many bytes the longest message of a training has."""
        steps = [Step(kind, level=level) for kind in Kind for level in range(self.depth + 1)]
        shapes = [self.told(s) for s in steps]
        shapes += [self.answered(s, p) for s in steps for p in range(max(1, len(self.places)))]
        return max(sum(np.dtype(kind).itemsize * n for kind, n in shape) for shape in shapes)


def _splits(level: int) -> Shape:
    """Features, thresholds and flags of the nodes above a level."""
    nodes = 1 << level >> 1
    return (("<u4", nodes), ("|u1", nodes), ("|u1", nodes))


def packed(shape: Shape, arrays: Arrays) -> bytes:
    """Arrays as bytes, one after the other. Raises: EngineError if they have another shape."""
    if tuple((a.dtype.str, a.size) for a in arrays) != shape:
        raise EngineError("a step's message has another shape than the training says")
    return b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)


def unpacked(shape: Shape, raw: bytes) -> Arrays:
    """Arrays of bytes. Raises: EngineError for another length."""
    if len(raw) != sum(np.dtype(kind).itemsize * count for kind, count in shape):
        raise EngineError("a step's message has another length than the training says")
    found, at = [], 0
    for kind, count in shape:
        array = np.frombuffer(raw, dtype=kind, count=count, offset=at).copy()
        found.append(array)
        at += array.nbytes
    return tuple(found)


def summed(run: Run, answers: Sequence[Arrays]) -> Arrays:
    """The answers of all partitions as if it were one: exact, so in any order.

    Whole numbers add up; of real ones, which are magnitudes of floats, the greatest counts; flags
    are joined.
    """
    if len(answers) == 1:
        return answers[0]
    return tuple(_together(run, arrays) for arrays in zip(*answers, strict=True))


def _together(run: Run, arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    kind = arrays[0].dtype.str
    if kind == _FLAGS:
        flags = arrays[0].copy()
        for other in arrays[1:]:
            flags |= other
        return flags
    if kind == _WHOLE:
        total = arrays[0].copy()
        for other in arrays[1:]:
            run.call(_native.add_histograms, total, other)
        return total
    # Magnitudes of floats, as doubles: the way back loses nothing.
    count = len(arrays[0])
    floats = np.zeros((count, padded(len(arrays))), dtype=np.float32)
    floats[:, : len(arrays)] = np.stack(arrays, axis=1)
    found = np.zeros(count, dtype=np.float64)
    for at in range(0, count, 2):
        run.call(_native.greatest, floats[at], floats[at + 1], found[at : at + 2])
    return found
