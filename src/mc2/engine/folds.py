"""How rows are divided for cross-validation: as stock XGBoost does, or as a column says."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from mc2.engine.matrices import MatrixData
from mc2.errors import EngineError
from mc2.plan.models import CrossValidate

Places = npt.NDArray[np.int64]
_MOST = 1000


def divide(operation: CrossValidate, data: MatrixData) -> list[tuple[Places, Places]] | None:
    """The rows to train on and to test with, for each part; None leaves it to XGBoost.

    Raises: EngineError if the rows do not suffice.
    """
    rows = data.rows.num_rows
    if operation.folds is not None:
        return _by_column(operation.folds, data)
    if operation.parts > rows:
        raise EngineError("cross-validation has more parts than rows", hint="ask for fewer")
    if not operation.stratified:
        return None
    return _stratified(data.data.get_label(), operation.parts, operation.seed)


def _by_column(name: str, data: MatrixData) -> list[tuple[Places, Places]]:
    column = data.rows.column(name)
    if column.null_count:
        raise EngineError(f"the fold {name!r} is NULL in some row", hint="leave out such rows")
    names = pc.unique(column)
    if not 2 <= len(names) <= _MOST:
        raise EngineError(f"the column {name!r} does not name 2 to {_MOST} folds")
    found = []
    for value in sorted(names.to_pylist()):
        inside = np.asarray(pc.equal(column, value), dtype=bool)
        found.append((np.flatnonzero(~inside), np.flatnonzero(inside)))
    return found


def _stratified(labels: npt.NDArray[Any], parts: int, seed: int) -> list[tuple[Places, Places]]:
    """Parts with about as many rows of each class, as scikit-learn's StratifiedKFold makes them.

    Stock XGBoost asks scikit-learn, which is not in an enclave; the same generator and the same
    steps give the same parts.
    """
    _, firsts, inverse = np.unique(labels, return_index=True, return_inverse=True)
    ranks = np.empty(len(firsts), dtype=np.int64)
    ranks[np.argsort(firsts)] = np.arange(len(firsts))
    classes = ranks[inverse]  # numbered as they first occur
    counts = np.bincount(classes)
    if np.all(counts < parts):
        raise EngineError(
            "every class has fewer rows than there are parts", hint="ask for fewer parts"
        )
    in_order = np.sort(classes)
    dealt = [np.bincount(in_order[i::parts], minlength=len(counts)) for i in range(parts)]
    random = np.random.RandomState(seed)
    place = np.empty(len(classes), dtype=np.int64)
    for number in range(len(counts)):
        hands = np.arange(parts).repeat([d[number] for d in dealt])
        random.shuffle(hands)
        place[classes == number] = hands
    return [(np.flatnonzero(place != i), np.flatnonzero(place == i)) for i in range(parts)]
