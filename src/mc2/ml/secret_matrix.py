"""Rows to learn from or to predict: features in bins, labels, weights; and cuts between bins.

All of it is secret but the shape: rows (padded to whole steps), names, numbers of bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.errors import EngineError
from mc2.ml.boosting_parameters import MOST_BINS
from mc2.operators import conversions
from mc2.operators.handles import (
    Marks,
    Opaque,
    SecretColumn,
    SecretMarks,
    Words,
    flat_words_of,
    known_of,
    marks_of,
)
from mc2.operators.run import Run
from mc2.plan.types import DOUBLE

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

STEP: Final = 64
BYTES_BESIDE: Final = 17
"""Bytes of a row beside its bins, where rows go to another enclave."""

_PAGE: Final = 4096
_UNSIGNED: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature as the plan declares it. A one-hot feature has category numbers below `categories`.

    `names` are those of its categories, if they have any. `nullable` says whether values may be
    missing: if not, a missing one is treated as the highest.
    """

    name: str
    categories: int = 0
    nullable: bool = True
    names: tuple[str, ...] = ()


class SecretCuts(Opaque):
    """Where bins begin, for every feature: secret floats, as many for each; unused are infinite."""

    __slots__ = ("__cuts", "features")

    def __init__(self, features: tuple[Feature, ...], cuts: Floats) -> None:
        self.features = features
        self.__cuts = cuts

    @property
    def bins(self) -> int:
        """How many bins a feature has that is no category: public."""
        return int(self.__cuts.shape[1]) + 1

    @property
    def counts(self) -> npt.NDArray[np.uint32]:
        """How many bins each feature has: public."""
        return np.array([f.categories or self.bins for f in self.features], dtype=np.uint32)

    @staticmethod
    def _open(handle: SecretCuts) -> Floats:
        return handle.__cuts


def cuts_of(cuts: SecretCuts) -> Floats:
    """The cuts themselves, a row for each feature: for kernels."""
    return SecretCuts._open(cuts)  # noqa: SLF001 - the one place that opens handles


@dataclass(frozen=True, slots=True, eq=False)
class SecretMatrix:
    """Rows over binned features: so many places, some of them empty; `rows` in whole steps."""

    cuts: SecretCuts
    places: int
    rows: int
    _bins: Bytes = field(repr=False)
    _present: Marks = field(repr=False)
    _identity: Words = field(repr=False)
    _labels: Floats | None = field(repr=False, default=None)
    _weights: Floats | None = field(repr=False, default=None)

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features, in order: public."""
        return self.cuts.features


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The arrays of a matrix: for kernels."""

    bins: Bytes
    present: Marks
    identity: Words
    labels: Floats
    weights: Floats


def parts_of(matrix: SecretMatrix) -> Parts:
    """Open a matrix for kernels. Raises: EngineError if it has no label."""
    m = matrix
    labels, weights = m._labels, m._weights  # noqa: SLF001 - the place that opens it
    if labels is None or weights is None:
        raise EngineError("the matrix has no label")
    return Parts(m._bins, m._present, m._identity, labels, weights)  # noqa: SLF001 - the same


def bins_of(matrix: SecretMatrix) -> Bytes:
    """The bins of a matrix, a row for each feature: for kernels."""
    return matrix._bins  # noqa: SLF001 - the place that opens it


def matrix_bytes(matrices: Sequence[SecretMatrix], start: int, stop: int) -> bytes:
    """Places `start` to `stop` of some matrices, one after the other, for another enclave.

    The bins feature by feature, then marks of rows, their names, labels and weights.
    """
    part = matrix_part(matrices, start, stop)
    arrays, count = parts_of(part), stop - start
    columns = (arrays.present, arrays.identity, arrays.labels, arrays.weights)
    found = [np.ascontiguousarray(arrays.bins[:, :count]).tobytes()]
    found += [c[:count].astype(c.dtype.newbyteorder("<")).tobytes() for c in columns]
    return b"".join(found)


def matrix_of_bytes(cuts: SecretCuts, pieces: Sequence[tuple[bytes, int]]) -> SecretMatrix:
    """The matrix of what `matrix_bytes` gave; each piece with its number of places.

    Raises: EngineError for another length.
    """
    features, found = len(cuts.features), []
    for raw, places in pieces:
        if len(raw) != places * (features + BYTES_BESIDE):
            raise EngineError("the rows of a training have another length than their places say")
        at = places * features
        bins = np.frombuffer(raw, np.uint8, at).reshape(features, places)
        ends = [at + places * size for size in (1, 9, 13)]
        present = np.frombuffer(raw, np.uint8, places, at)
        identity = np.frombuffer(raw, np.dtype("<u8"), places, ends[0]).astype(np.uint64)
        labels, weights = (
            np.frombuffer(raw, np.dtype("<f4"), places, end).astype(np.float32) for end in ends[1:]
        )
        found.append(SecretMatrix(cuts, places, places, bins, present, identity, labels, weights))
    return matrix_part(found, 0, sum(m.places for m in found))


def matrix_part(matrices: Sequence[SecretMatrix], start: int, stop: int) -> SecretMatrix:
    """Places `start` to `stop` of some matrices, one after the other, as one of its own."""
    cuts, rows = matrices[0].cuts, padded(stop - start)
    bins = np.zeros((len(cuts.features), _stride(rows)), dtype=np.uint8)
    present, identity = np.zeros(rows, dtype=np.uint8), np.zeros(rows, dtype=np.uint64)
    labels, weights = np.zeros((2, rows), dtype=np.float32)
    at = first = 0
    for matrix in matrices:
        parts = parts_of(matrix)
        begin, end = (min(max(edge - first, 0), matrix.places) for edge in (start, stop))
        here, there = slice(at, at + end - begin), slice(begin, end)
        bins[:, here] = parts.bins[:, there]
        present[here], identity[here] = parts.present[there], parts.identity[there]
        labels[here], weights[here] = parts.labels[there], parts.weights[there]
        at, first = at + end - begin, first + matrix.places
    return SecretMatrix(cuts, stop - start, rows, bins, present, identity, labels, weights)


def padded(rows: int) -> int:
    """Rows in whole steps."""
    return -(-rows // STEP) * STEP


def doubles_of(run: Run, column: SecretColumn) -> npt.NDArray[np.float64]:
    """The values of a column as doubles. Raises: EngineError for a column without numbers."""
    if column.type.name == "decimal":
        column = conversions.cast(run, column, DOUBLE, known_of(column))
    elif column.layout.is_text or column.type.name in {"date", "timestamp"}:
        raise EngineError(
            f"oblivious mode cannot learn from a feature of type {column.type}",
            hint="cast it to double, or declare its categories, in the script",
        )
    words = flat_words_of(column)
    if not column.layout.is_real:
        out = np.empty_like(words)
        run.call(_native.integer_to_double, words, out)
        words = out
    return words.view(np.float64)


def choose_cuts(
    run: Run,
    features: Sequence[Feature],
    columns: Mapping[str, Sequence[SecretColumn]],
    max_bin: int,
    missing: float = float("nan"),
    weights: Sequence[SecretColumn] | None = None,
) -> SecretCuts:
    """Cuts at quantiles of the rows of all partitions together; at every value if there are few.

    They do not depend on the order of rows or partitions. NULLs of absent rows do not count. With
    `weights` quantiles are of weight.
    """
    bins = min(max_bin, MOST_BINS)
    cuts = np.full((len(features), bins - 1), np.inf, dtype=np.float32)
    for place, feature in enumerate(features):
        if not feature.categories:
            own = columns[feature.name]
            by: Sequence[SecretColumn | None] = weights or [None] * len(own)
            words = [sortable(run, c, missing, w) for c, w in zip(own, by, strict=True)]
            cut_words(run, words, cuts[place], weighted=weights is not None)
    return SecretCuts(tuple(features), cuts)


def cut_words(run: Run, words: Sequence[Words], cuts: Floats, *, weighted: bool) -> None:
    """Choose the cuts of one feature from the words of all its values, in any order."""
    both = np.concatenate(words) if words else np.empty(0, np.uint64)
    run.call(_native.sort, [both], [_UNSIGNED])
    run.call(_native.choose_weighted_cuts if weighted else _native.choose_cuts, both, cuts)


def sortable(
    run: Run, column: SecretColumn, missing: float, weight: SecretColumn | None = None
) -> Words:
    """Words in the order of a column's values as floats, with weights below; missing ones last."""
    out = np.empty(column.rows, dtype=np.uint64)
    values = doubles_of(run, column)
    run.call(_native.sortable_floats, values, known_of(column), missing, out)
    if weight is None:
        return out
    both = np.empty_like(out)
    run.call(_native.weighted_words, out, doubles_of(run, weight), known_of(weight), both)
    return both


def public_cuts(
    features: Sequence[Feature], cuts: Mapping[str, Sequence[float]], least: int = 0
) -> SecretCuts:
    """Cuts that everybody knows, as those of a dataset's declared ranges. Raises: EngineError.

    There is room for `least` cuts of a feature, if they are fewer.
    """
    width = max([least, *(len(cuts[f.name]) for f in features if not f.categories)])
    if width >= MOST_BINS:
        raise EngineError(f"there are at most {MOST_BINS - 1} cuts for a feature")
    table = np.full((len(features), max(width, 1)), np.inf, dtype=np.float32)
    for place, feature in enumerate(features):
        if not feature.categories:
            given = np.asarray(cuts[feature.name], dtype=np.float32)
            if not np.isfinite(given).all() or (np.diff(given) <= 0).any():
                raise EngineError("cuts must be finite and ascend")
            table[place, : len(given)] = given
    return SecretCuts(tuple(features), table)


def bin_rows(  # noqa: PLR0913 - what a row has
    run: Run,
    cuts: SecretCuts,
    columns: Mapping[str, SecretColumn],
    present: SecretMarks,
    *,
    label: SecretColumn | None = None,
    weight: SecretColumn | None = None,
    identity: Words | None = None,
    missing: float = float("nan"),
) -> SecretMatrix:
    """A matrix of the rows of a table.

    `identity` are words that name rows, the same in every run and partition: random rounding and
    sampling follow them. Without, rows are named by their places. Raises: EngineError.
    """
    rows = padded(present.rows)
    bins = np.zeros((len(cuts.features), _stride(rows)), dtype=np.uint8)
    for place, feature in enumerate(cuts.features):
        column = columns[feature.name]
        here = (doubles_of(run, column), known_of(column))
        out = bins[place, : present.rows]
        if feature.categories:
            run.checked(_native.encode_categories, *here, feature.categories, missing, out)
        else:
            run.checked(_native.encode_bins, *here, cuts_of(cuts)[place], missing, out)
    marks = _longer(marks_of(present), rows)
    names = np.arange(present.rows, dtype=np.uint64) if identity is None else identity
    labels = None if label is None else _numbers(run, label, present, rows)
    if weight is None:
        weights = np.ones(rows, dtype=np.float32)
    else:
        weights = _numbers(run, weight, present, rows)
    return SecretMatrix(
        cuts, present.rows, rows, bins, marks, _longer(names, rows), labels, weights
    )


def _stride(rows: int) -> int:
    """Columns of a length that is no multiple of a page do not share lines of the cache."""
    return rows + STEP if rows % _PAGE == 0 else rows


def _longer(array: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
    out = np.zeros(rows, dtype=array.dtype)
    out[: len(array)] = array
    return out


def _numbers(run: Run, column: SecretColumn, present: SecretMarks, rows: int) -> Floats:
    out = np.zeros(rows, dtype=np.float32)
    values, known, there = doubles_of(run, column), known_of(column), marks_of(present)
    run.checked(_native.floats, values, known, there, True, out[: column.rows])
    return out
