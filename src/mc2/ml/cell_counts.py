"""How many rows of tables lie in each of many public cells, in a trace that is always the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mc2 import _native
from mc2.ml.boosting_parameters import MOST_BINS
from mc2.ml.boosting_rows import Sums
from mc2.ml.boosting_tables import where_present
from mc2.ml.secret_matrix import Feature, Floats, SecretCuts, bin_rows, bins_of
from mc2.operators.handles import SecretTable
from mc2.operators.run import Run


def count_cells(
    run: Run, name: str, tables: Sequence[SecretTable], lines: Floats, missing: float
) -> Sums:
    """Of a feature's values those below all lines, from each line to the next, and above the last.

    The counts are secret. Rows are looked at once for each 254 lines.
    """
    reached = np.zeros(len(lines) + 2, dtype=np.int64)  # those in a cell or in one above
    for table in tables:
        for first in range(0, len(lines), MOST_BINS - 1):
            here = lines[first : first + MOST_BINS - 1]
            counts = _between(run, name, table, here, missing)
            from_here = np.cumsum(counts[::-1])[::-1]
            reached[first + 1 : first + 1 + len(here)] += from_here[1:]
            if not first:
                reached[0] += from_here[0]
    return reached[:-1] - reached[1:]


def _between(run: Run, name: str, table: SecretTable, lines: Floats, missing: float) -> Sums:
    values = where_present(run, table.columns[name], table.present)
    cuts = SecretCuts((Feature(name),), np.ascontiguousarray(lines).reshape(1, -1))
    matrix = bin_rows(run, cuts, {name: values}, table.present, missing=missing)
    column = np.ascontiguousarray(bins_of(matrix)[:, : matrix.rows])
    column[:, matrix.places :] = MOST_BINS  # padding is counted nowhere, as missing values
    count = len(lines) + 1
    out, slots = np.zeros(2 * count, dtype=np.int64), np.zeros(matrix.rows, dtype=np.uint8)
    planes, worth = np.ones((2, matrix.rows), dtype=np.int8), np.ones(1, dtype=np.int64)
    counts = np.array([count], dtype=np.uint32)
    run.call(_native.histograms, column, counts, planes, worth, slots, 1, out)
    return np.ascontiguousarray(out[::2])
