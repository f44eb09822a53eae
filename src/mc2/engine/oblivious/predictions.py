"""What a model of trees says of rows: values, margins, classes, and the leaves that rows end in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mc2.engine.oblivious.expressions import Evaluator
from mc2.errors import EngineError
from mc2.ml.boosted_trees import (
    SecretModel,
    predict_margins,
    predict_nodes,
    predict_values,
)
from mc2.ml.boosting import Trained
from mc2.ml.boosting_tables import column_of_floats
from mc2.ml.secret_matrix import SecretMatrix
from mc2.operators.handles import Layout, SecretColumn, SecretMarks, SecretTable, marks_of
from mc2.operators.lists import make_list
from mc2.operators.run import Run
from mc2.plan.expressions import Case, Cast, ColumnRef, When, call, literal
from mc2.plan.models import Predict
from mc2.plan.types import DOUBLE, INT32

_BEST: Final = "__best"
_CLASS: Final = "__class"


def check_rounds(model: SecretModel, last: int) -> None:
    """Raises: EngineError if a model has fewer rounds."""
    if last > model.rounds:
        raise EngineError(
            "the model has fewer rounds than the plan asks for",
            hint="early stopping ended the training before: ask for fewer rounds",
        )


def rounds_to_ask(operation: Predict, trained: Trained) -> SecretModel:
    """The rounds of a model that a prediction asks. Raises: EngineError."""
    model = trained.model
    if operation.rounds == "best" and trained.best_round is not None:
        return model.first(trained.best_round + 1)
    check_rounds(model, operation.last)
    return model.part(range(operation.first, operation.last)) if operation.last else model


def predicted(
    run: Run,
    operation: Predict,
    model: SecretModel,
    matrices: Sequence[SecretMatrix],
    present: SecretMarks,
) -> list[SecretColumn]:
    """The columns of a prediction: one, or one for each class; of leaves a list for each row."""
    if operation.what == "leaf":
        return [_leaves(run, model, matrices, present)]
    classes = model.parameters.classes
    parts: list[list[Any]] = [[] for _ in range(classes)]
    for matrix in matrices:
        if operation.what == "margin":
            table = predict_margins(run, model, matrix)
        else:
            table = predict_values(run, model, matrix).reshape(matrix.rows, classes).T
        for place in range(classes):
            parts[place].append(table[place, : matrix.places])
    said = [column_of_floats(run, part, present) for part in parts]
    return [likeliest(run, said, present, 0.5)] if operation.what == "class" else said


def _leaves(
    run: Run, model: SecretModel, matrices: Sequence[SecretMatrix], present: SecretMarks
) -> SecretColumn:
    """Of each tree the number of the leaf that a row ends in, as the released file counts nodes."""
    found = [predict_nodes(run, model, m)[:, : m.places] for m in matrices]
    known = marks_of(present)
    trees = (
        SecretColumn(Layout(INT32), row.reshape(-1, 1), known)
        for row in np.concatenate(found, axis=1)
    )
    return make_list(run, list(trees))


def likeliest(
    run: Run, said: Sequence[SecretColumn], present: SecretMarks, middle: float
) -> SecretColumn:
    """The first of the classes with the greatest value; of two, whether it is above the middle."""
    if len(said) == 1:
        evaluator = Evaluator.over(run, SecretTable({_BEST: said[0]}, present))
        above = call("gt", Cast(ColumnRef(_BEST), DOUBLE, strict=True), literal(middle, DOUBLE))
        return evaluator.of(_chosen(above, literal(1, INT32), literal(0, INT32)))
    best = said[-1]
    found = None
    for place in range(len(said) - 2, -1, -1):
        columns = {"p": said[place], _BEST: best}
        last = literal(len(said) - 1, INT32)
        if found is not None:
            columns[_CLASS] = found
        evaluator = Evaluator.over(run, SecretTable(columns, present))
        is_best = call("ge", ColumnRef("p"), ColumnRef(_BEST))
        other = last if found is None else ColumnRef(_CLASS)
        found = evaluator.of(_chosen(is_best, literal(place, INT32), other))
        best = evaluator.of(_chosen(is_best, ColumnRef("p"), ColumnRef(_BEST)))
    if found is None:
        raise TypeError("a model gives one number at least")
    return found


def _chosen(condition: Any, then: Any, otherwise: Any) -> Case:
    return Case((When(condition, then),), otherwise)
