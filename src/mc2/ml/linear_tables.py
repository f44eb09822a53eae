"""Tables of a plan as rows for linear models and k-means, their models, and columns again.

All of it is secret but shapes. What rows cannot give (NULL, a label that is no class, factors that
are not determined) raises a flag, which is looked at when the run is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mc2 import _native
from mc2.formats.schema import DataType
from mc2.ml.clusters import Start, fit_clusters, labels_of
from mc2.ml.linear import Fitted
from mc2.ml.moments import LearningRows, Reals, whole_steps, zeros
from mc2.ml.regressions import Asked, fit_regression, margins_of, probabilities_of
from mc2.operators.handles import (
    Layout,
    Opaque,
    SecretColumn,
    SecretMarks,
    SecretTable,
    flat_words_of,
    known_of,
    marks_of,
)
from mc2.operators.logic import column, complement, conjunction, value_marks
from mc2.operators.run import Flag, Run

_DOUBLE = Layout(DataType("double"))
_INT32 = Layout(DataType("int32"))


class SecretRows(Opaque):
    """Rows to learn from or to predict: so many `places`, of which some are empty."""

    __slots__ = ("__rows", "places")

    def __init__(self, rows: LearningRows, places: int) -> None:
        self.__rows = rows
        self.places = places

    @staticmethod
    def _open(handle: SecretRows) -> LearningRows:
        return handle.__rows


class SecretNumbers(Opaque):
    """The numbers of a model: factors and a constant, or centres; for these, the inertia too."""

    __slots__ = ("__inertia", "__numbers")

    def __init__(self, numbers: Reals, inertia: Reals) -> None:
        self.__numbers = numbers
        self.__inertia = inertia

    @staticmethod
    def _open(handle: SecretNumbers) -> tuple[Reals, Reals]:
        return handle.__numbers, handle.__inertia


def _rows(handle: SecretRows) -> LearningRows:
    return SecretRows._open(handle)  # noqa: SLF001 - the place that opens it


def numbers_of(handle: SecretNumbers) -> tuple[Reals, Reals]:
    """The numbers of a model and its inertia: for kernels."""
    return SecretNumbers._open(handle)  # noqa: SLF001 - the place that opens it


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns are features, the label and the weight; all of them doubles."""

    features: tuple[str, ...]
    label: str | None = None
    weight: str | None = None


def rows_of_tables(run: Run, columns: Columns, tables: Sequence[SecretTable]) -> SecretRows:
    """The rows of all tables, one after the other. A NULL in one of them raises a flag."""
    places = sum(t.rows for t in tables)
    room = whole_steps(places)
    present = np.zeros(room, dtype=np.uint8)
    named = [*columns.features, *filter(None, (columns.label, columns.weight))]
    found = zeros(len(named), room)
    at = 0
    for table in tables:
        there = marks_of(table.present)
        present[at : at + table.rows] = there
        for place, name in enumerate(named):
            given = table.columns[name]
            absent = conjunction(run, complement(run, known_of(given)), there)
            run.raise_where(SecretMarks(absent), Flag.OUT_OF_DOMAIN)
            found[place, at : at + table.rows] = flat_words_of(given).view(np.float64)
        at += table.rows
    count = len(columns.features)
    label = found[count] if columns.label else None
    weight = found[-1] if columns.weight else None
    return SecretRows(LearningRows(found[:count], present, label, weight), places)


def check_weights(run: Run, negative: SecretColumn, present: SecretMarks) -> None:
    """Raise a flag where a weight is below 0."""
    wrong = conjunction(run, value_marks(run, negative), marks_of(present))
    run.raise_where(SecretMarks(wrong), Flag.OUT_OF_DOMAIN)


def secret_regression(run: Run, rows: SecretRows, asked: Asked) -> SecretNumbers:
    """A regression after all rounds.

    A flag is raised if the rows do not determine it, or the rounds do not reach its end.
    """
    found = fit_regression(run, _rows(rows), asked, may_end=False)
    _check_determined(run, found)
    if asked.classes:
        done = np.empty(1, dtype=np.uint8)
        run.call(_native.words_to_marks, found.state[:1], done)
        run.raise_where(SecretMarks(complement(run, done)), Flag.DIVISION_BY_ZERO)
    return SecretNumbers(found.factors, zeros(1))


def _check_determined(run: Run, found: Fitted) -> None:
    none = np.empty(1, dtype=np.uint8)
    run.call(_native.equal, found.dropped, np.zeros(1, dtype=np.uint64), none)
    run.raise_where(SecretMarks(complement(run, none)), Flag.DIVISION_BY_ZERO)


def secret_clusters(
    run: Run, rows: SecretRows, clusters: int, start: Start, rounds: int
) -> SecretNumbers:
    """Centres after all `rounds`."""
    found = fit_clusters(run, _rows(rows), clusters, start, rounds=rounds, may_end=False)
    return SecretNumbers(found.centres, found.inertia)


def margins_columns(run: Run, rows: SecretRows, model: SecretNumbers) -> list[SecretColumn]:
    """The margin of each row; of several classes one for each."""
    given = _rows(rows)
    return _columns(run, rows, margins_of(run, given.features, numbers_of(model)[0]))


def probabilities_columns(run: Run, rows: SecretRows, model: SecretNumbers) -> list[SecretColumn]:
    """The probability of class 1 for each row; of several classes that of each."""
    given = _rows(rows)
    margins = margins_of(run, given.features, numbers_of(model)[0])
    return _columns(run, rows, probabilities_of(run, margins))


def clusters_column(run: Run, rows: SecretRows, model: SecretNumbers) -> SecretColumn:
    """The number of the nearest centre for each row."""
    given = _rows(rows)
    labels = labels_of(run, given.features, given.present, numbers_of(model)[0])
    wide = np.zeros((len(labels), 2), dtype=np.uint32)  # the low half of a word, then the high one
    wide[:, 0] = labels
    words = wide.view(np.uint64).reshape(-1)[: rows.places].copy()
    return column(run, _INT32, words.reshape(-1, 1), given.present[: rows.places].copy())


def _columns(run: Run, rows: SecretRows, values: Reals) -> list[SecretColumn]:
    """A column for each row of an array."""
    present = _rows(rows).present[: rows.places]
    cut = np.atleast_2d(values)[:, : rows.places].copy().view(np.uint64)
    return [column(run, _DOUBLE, words.reshape(-1, 1), present.copy()) for words in cut]


def release(run: Run, model: SecretNumbers) -> tuple[Reals, float]:
    """Make a model public that the plan releases: its numbers, and the inertia."""
    numbers, inertia = numbers_of(model)
    reason = "the model is an output"
    opened = run.declassify(np.ascontiguousarray(numbers).view(np.uint64), reason)
    found = np.array(opened, dtype=np.uint64).view(np.float64).reshape(numbers.shape)
    (squares,) = run.declassify(inertia.view(np.uint64), reason)
    return found, float(np.array([squares], dtype=np.uint64).view(np.float64)[0])
