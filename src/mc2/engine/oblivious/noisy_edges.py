"""Noisy edges in oblivious plans: those of encrypted mode over the same rows.

Counts are secret until noise has been added to them. From there on they may show: that is what the
noise is for. Spec: docs/spec/plan.md, section "Noisy edges".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mc2.engine.noisy_edges import edges_of_counts, noise
from mc2.ml.boosted_trees import reveal
from mc2.ml.cell_counts import count_cells
from mc2.operators.handles import SecretTable
from mc2.operators.run import Run
from mc2.plan.matrices import Edges
from mc2.plan.noisy_edges import NoisyEdges


def draw_edges(
    run: Run,
    declared: NoisyEdges,
    tables: Sequence[SecretTable],
    missing: float,
    key: bytes,
    matrix: int,
) -> Edges:
    """The edges of one feature of the `matrix`-th matrix that has some.

    Raises: EngineError without a key.
    """
    drawn = noise(declared, key, matrix)
    lines = np.array(declared.lines[:-1], dtype=np.float32)
    counts = count_cells(run, declared.feature, tables, lines, missing)
    return edges_of_counts(declared, reveal(run, counts + drawn, "counts with noise show"))
