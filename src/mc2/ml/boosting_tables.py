"""Tables of a plan as matrices for boosting, and predictions as columns again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DataType
from mc2.ml.secret_matrix import (
    Feature,
    Floats,
    SecretCuts,
    SecretMatrix,
    bin_rows,
    choose_cuts,
    public_cuts,
)
from mc2.operators.handles import (
    Layout,
    SecretColumn,
    SecretMarks,
    SecretTable,
    known_of,
    marks_of,
    words_of,
)
from mc2.operators.logic import column, conjunction
from mc2.operators.run import Run

_FLOAT: Final = Layout(DataType("float"))
_SOURCE: Final = 40  # bits below the place of a source in the name of a row


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a matrix are for. `missing` stands for no value, beside NULL.

    `edges` are public cuts of every feature; without any, cuts come from the rows.
    """

    features: tuple[str, ...]
    label: str | None = None
    weight: str | None = None
    missing: float = float("nan")
    edges: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def declared(self) -> tuple[Feature, ...]:
        """The features, each of which may lack a value: other rows than these are predicted."""
        return tuple(Feature(name) for name in self.features)


def cuts_of_tables(
    run: Run, roles: Roles, tables: Sequence[SecretTable], max_bin: int
) -> SecretCuts:
    """Cuts between bins: public edges, or quantiles of the rows that are there in all tables."""
    if roles.edges:
        return public_cuts(roles.declared, roles.edges)
    columns = {
        name: [where_present(run, t.columns[name], t.present) for t in tables]
        for name in roles.features
    }
    return choose_cuts(run, roles.declared, columns, max_bin, roles.missing)


def where_present(run: Run, values: SecretColumn, present: SecretMarks) -> SecretColumn:
    """NULL where there is no row: a filter leaves what it drops in its place."""
    known = conjunction(run, known_of(values), marks_of(present))
    return column(run, values.layout, words_of(values).copy(), known)


def matrices_of_tables(
    run: Run, roles: Roles, cuts: SecretCuts, tables: Sequence[SecretTable], *, labels: bool
) -> list[SecretMatrix]:
    """One matrix for each table. A row is named by the places of its table and in it.

    `labels` says whether labels and weights are read, which rows to predict need not have.
    """
    return [
        matrix_of_table(run, roles, cuts, table, first_names(place), labels=labels)
        for place, table in enumerate(tables)
    ]


def first_names(place: int) -> np.uint64:
    """The name of the first row of a table, by the place of the table."""
    return np.uint64(place << _SOURCE)


def matrix_of_table(
    run: Run,
    roles: Roles,
    cuts: SecretCuts,
    table: SecretTable,
    start: np.uint64,
    *,
    labels: bool,
) -> SecretMatrix:
    """The matrix of a table whose rows are named from `start` on, which may be secret."""
    return bin_rows(
        run,
        cuts,
        table.columns,
        table.present,
        label=table.columns[roles.label] if labels and roles.label else None,
        weight=table.columns[roles.weight] if labels and roles.weight else None,
        identity=np.arange(table.rows, dtype=np.uint64) + start,
        missing=roles.missing,
    )


def column_of_floats(run: Run, parts: Sequence[Floats], present: SecretMarks) -> SecretColumn:
    """Predictions of all rows that are there, as a column of floats."""
    values = np.ascontiguousarray(np.concatenate(parts), dtype=np.float32)
    words = np.empty(len(values), dtype=np.uint64)
    run.call(_native.widen_floats, values.view(np.uint8), words)
    return column(run, _FLOAT, words.reshape(-1, 1), marks_of(present).copy())
