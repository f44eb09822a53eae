"""The area under the ROC curve: all pairs of rows with the one label and another, by one sort.

Weights count in units of 2^-30 of the greatest one and pairs as whole numbers, so the order of rows
does not matter. Of several classes each is told from the others, and counts by its weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mc2 import _native
from mc2.ml.boosting_parameters import BoostingParameters, Objective
from mc2.ml.boosting_rows import Reals, Sums
from mc2.ml.secret_matrix import Floats, SecretMatrix, parts_of
from mc2.operators.handles import Words
from mc2.operators.run import Run

_UNSIGNED: Final = 1 << 63
_LABELS: Final = 2  # of the logistic objective: 0 and 1


def area_sums(
    run: Run, parameters: BoostingParameters, rows: Sequence[tuple[SecretMatrix, Floats]]
) -> Sums:
    """Two whole numbers whose quotient is the area, by margins of all rows; 0 and 0 without pairs.

    A flag of the run is raised for a label that is no class.
    """
    objective, classes = parameters.objective, parameters.classes
    labels = classes if objective is Objective.SOFTMAX else _LABELS
    greatest = np.zeros(2, dtype=np.float64)
    scores = []
    for matrix, margins in rows:
        parts = parts_of(matrix)
        product, weight = np.empty((2, matrix.rows), dtype=np.float32)
        known = (parts.labels, parts.weights, parts.present)
        run.call(_native.weighted_labels, int(objective), 0, *known, product, weight)
        run.call(_native.greatest, product, weight, greatest)
        scores.append(_scores(run, objective, margins))
    totals = np.zeros(3, dtype=np.float64)
    for of_class in range(classes):
        target = (1 if classes == 1 else of_class, labels)
        words = [
            _words(run, found[of_class], matrix, target, greatest)
            for found, (matrix, _) in zip(scores, rows, strict=True)
        ]
        ranked = np.concatenate(words)
        run.call(_native.sort, [ranked], [_UNSIGNED])
        run.call(_native.add_area, ranked, totals)
    sums = np.zeros(2, dtype=np.int64)
    run.call(_native.mean_area, totals, classes, sums)
    return sums


def _scores(run: Run, objective: Objective, margins: Floats) -> Floats:
    """What rows are ranked by, a row for each class: margins of two classes, or probabilities."""
    if objective is not Objective.SOFTMAX:
        return margins
    values = np.empty(margins.size, dtype=np.float32)
    run.call(_native.transform_margins, int(objective), margins, values)
    return np.ascontiguousarray(values.reshape(margins.shape[1], -1).T)


def _words(
    run: Run, scores: Floats, matrix: SecretMatrix, labels: tuple[int, int], greatest: Reals
) -> Words:
    parts, out = parts_of(matrix), np.empty(matrix.rows, dtype=np.uint64)
    known = (scores, parts.labels, parts.weights, parts.present)
    run.checked(_native.rank_words, *known, *labels, greatest, out)
    return out
