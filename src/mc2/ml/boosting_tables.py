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
from mc2.operators.comparisons import equal
from mc2.operators.constants import constant
from mc2.operators.handles import (
    Layout,
    SecretColumn,
    SecretMarks,
    SecretTable,
    known_of,
    marks_of,
    words_of,
)
from mc2.operators.logic import choose, column, conjunction, value_marks
from mc2.operators.run import Run
from mc2.plan.types import INT64

_FLOAT: Final = Layout(DataType("float"))
_INT64: Final = Layout(INT64)
_SOURCE: Final = 40  # bits below the place of a source in the name of a row


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a matrix are for. `missing` stands for no value, beside NULL.

    `edges` are public cuts of every feature without categories; without any, cuts come from the
    rows. `categories` are public: names of texts, or how many numbers there are from 0 on.
    `drawn`: how many edges a feature has at most, if some are drawn before the training.
    """

    features: tuple[str, ...]
    label: str | None = None
    weight: str | None = None
    missing: float = float("nan")
    edges: Mapping[str, Sequence[float]] = field(default_factory=dict)
    categories: Mapping[str, tuple[str, ...] | int] = field(default_factory=dict)
    drawn: int = 0

    @property
    def declared(self) -> tuple[Feature, ...]:
        """The features, each of which may lack a value: other rows than these are predicted."""
        return tuple(self._feature(name) for name in self.features)

    def _feature(self, name: str) -> Feature:
        given = self.categories.get(name, 0)
        if isinstance(given, int):
            return Feature(name, given)
        return Feature(name, len(given), names=given)


def cuts_of_tables(
    run: Run, roles: Roles, tables: Sequence[SecretTable], max_bin: int
) -> SecretCuts:
    """Cuts between bins: public edges, or quantiles of the rows that are there in all tables."""
    if roles.edges:
        return public_cuts(roles.declared, roles.edges, roles.drawn)
    columns = {
        name: [where_present(run, t.columns[name], t.present) for t in tables]
        for name in roles.features
    }
    weights = None if roles.weight is None else [t.columns[roles.weight] for t in tables]
    return choose_cuts(run, roles.declared, columns, max_bin, roles.missing, weights)


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
    columns = {f.name: _values(run, f, table) for f in roles.declared}
    return bin_rows(
        run,
        cuts,
        columns,
        table.present,
        label=table.columns[roles.label] if labels and roles.label else None,
        weight=table.columns[roles.weight] if labels and roles.weight else None,
        identity=np.arange(table.rows, dtype=np.uint64) + start,
        missing=roles.missing,
    )


def _values(run: Run, feature: Feature, table: SecretTable) -> SecretColumn:
    """The values of a feature in rows that are there; of categories with names their numbers."""
    values = where_present(run, table.columns[feature.name], table.present)
    return category_numbers(run, values, feature.names) if feature.names else values


def category_numbers(run: Run, values: SecretColumn, names: Sequence[str]) -> SecretColumn:
    """The place of each text among public names; -1 for one that is none of them.

    Each text is compared with each name.
    """
    numbers = constant(_INT64, -1, values.rows)
    for place, name in enumerate(names):
        raw = name.encode()
        if len(raw) <= values.layout.text_bytes:
            same = equal(run, values, constant(values.layout, raw, values.rows))
            here = constant(_INT64, place, values.rows)
            numbers = choose(run, value_marks(run, same), here, numbers)
    return column(run, _INT64, words_of(numbers), known_of(values))


def column_of_floats(run: Run, parts: Sequence[Floats], present: SecretMarks) -> SecretColumn:
    """Predictions of all rows that are there, as a column of floats."""
    values = np.ascontiguousarray(np.concatenate(parts), dtype=np.float32)
    words = np.empty(len(values), dtype=np.uint64)
    run.call(_native.widen_floats, values.view(np.uint8), words)
    return column(run, _FLOAT, words.reshape(-1, 1), marks_of(present).copy())
