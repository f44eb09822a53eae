"""Rules on leaves: each holds enough rows, of enough owners, or the computation fails at its end.

A leaf that no row reaches breaks no rule: nobody's rows made it. So the second children of nodes
that are not split, which a complete tree has, need no care.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.formats.schema import DataType
from mc2.ml.boosted_trees import SecretModel, predict_leaves
from mc2.ml.boosting_rows import Sums
from mc2.ml.secret_matrix import SecretMatrix, parts_of
from mc2.operators.comparisons import less
from mc2.operators.constants import constant
from mc2.operators.handles import Layout, Marks, SecretColumn, SecretMarks
from mc2.operators.logic import complement, conjunction, value_marks
from mc2.operators.run import Flag, Run
from mc2.plan.types import INT64

_FLOAT: Final = Layout(DataType("float"))
_INT64: Final = Layout(INT64)


@dataclass(frozen=True, slots=True)
class LeafRules:
    """At least so many rows a leaf, of at least so many owners; `of` says whose each matrix is."""

    rows: int = 0
    owners: int = 0
    of: tuple[str, ...] = ()


def check_leaves(
    run: Run, model: SecretModel, matrices: Sequence[SecretMatrix], rules: LeafRules
) -> None:
    """Raise a flag if a leaf breaks a rule. Rows that weigh nothing hide nobody: they are none."""
    if max(rules.rows, rules.owners) <= 1:
        return
    places = [predict_leaves(run, model, m) for m in matrices]
    planes = [_counted(run, m) for m in matrices]
    names = sorted(set(rules.of))
    for tree in range(len(places[0])):
        leaves = [p[tree : tree + 1] for p in places]
        counts = [
            _counts(run, here, plane, 1 << model.parameters.max_depth)
            for here, plane in zip(leaves, planes, strict=True)
        ]
        total = _total(run, counts)
        _raise_few(run, total, total, rules.rows)
        if rules.owners > 1:
            theirs = [
                _total(run, [c for c, o in zip(counts, rules.of, strict=True) if o == name])
                for name in names
            ]
            _raise_few(run, total, _total(run, [_any(run, c) for c in theirs]), rules.owners)


def _counted(run: Run, matrix: SecretMatrix) -> npt.NDArray[np.int8]:
    """Digits that are 1 for the rows that count."""
    parts, words = parts_of(matrix), np.empty(matrix.rows, dtype=np.uint64)
    run.call(_native.widen_floats, parts.weights.view(np.uint8), words)
    weights = SecretColumn(_FLOAT, words.reshape(-1, 1), parts.present)
    heavy = value_marks(run, less(run, constant(_FLOAT, 0.0, matrix.rows), weights))
    planes = np.zeros((2, matrix.rows), dtype=np.int8)
    planes[0] = conjunction(run, heavy, parts.present).view(np.int8)
    return planes


def _counts(
    run: Run, leaves: npt.NDArray[np.uint8], planes: npt.NDArray[np.int8], count: int
) -> Sums:
    """How many rows each leaf has."""
    out, slots = np.zeros(2 * count, dtype=np.int64), np.zeros(leaves.shape[1], dtype=np.uint8)
    counts, worth = np.array([count], dtype=np.uint32), np.ones(1, dtype=np.int64)
    leaves = np.ascontiguousarray(leaves)
    run.call(_native.histograms, leaves, counts, planes, worth, slots, 1, out)
    return np.ascontiguousarray(out[::2])


def _total(run: Run, counts: Sequence[Sums]) -> Sums:
    total = counts[0].copy()
    for other in counts[1:]:
        run.call(_native.add_histograms, total, other)
    return total


def _at_least(run: Run, counts: Sums, least: int) -> Marks:
    known = np.ones(len(counts), dtype=np.uint8)
    column = SecretColumn(_INT64, counts.view(np.uint64).reshape(-1, 1), known)
    return value_marks(run, less(run, constant(_INT64, least - 1, len(counts)), column))


def _any(run: Run, counts: Sums) -> Sums:
    """1 where there is a row."""
    words = np.empty(len(counts), dtype=np.uint64)
    run.call(_native.marks_to_words, _at_least(run, counts, 1), words)
    return words.view(np.int64)


def _raise_few(run: Run, rows: Sums, counts: Sums, least: int) -> None:
    fewer = complement(run, _at_least(run, counts, least))
    few = conjunction(run, _at_least(run, rows, 1), fewer)
    run.raise_where(SecretMarks(few), Flag.TOO_FEW)
