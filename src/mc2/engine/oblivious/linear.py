"""Linear models and clusters in oblivious plans: the same kernels as in encrypted mode.

All rounds are run. A model that is an output is made public when it leaves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mc2.engine.linear import KEEP_AGAIN, LinearModel, asked_of, numbers_shape, start_of
from mc2.engine.oblivious.expressions import Evaluator
from mc2.engine.oblivious.predictions import likeliest
from mc2.engine.outputs import ModelOutput
from mc2.errors import EngineError, FormatError
from mc2.formats.schema import Schema
from mc2.ml import linear_tables
from mc2.ml.kept_models import load_numbers, store_numbers
from mc2.ml.linear_tables import Columns, SecretNumbers, SecretRows, rows_of_tables
from mc2.operators.elements import fitted_columns
from mc2.operators.handles import SecretColumn, SecretTable
from mc2.operators.ordering import union_all
from mc2.operators.run import Run as Trace
from mc2.plan.expressions import Cast, ColumnRef, call, literal
from mc2.plan.facts import Facts
from mc2.plan.linear_models import Apply, Fit, FitClusters
from mc2.plan.models import Matrix
from mc2.plan.shapes import LinearShape
from mc2.plan.types import DOUBLE

_WEIGHT = "w"


class LinearLearner:
    """The matrices and models of one run."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._matrices: dict[int, tuple[Matrix, tuple[SecretTable, ...]]] = {}
        self._models: dict[int, SecretNumbers] = {}

    def add_matrix(self, index: int, operation: Matrix, tables: Sequence[SecretTable]) -> None:
        """Keep the rows of a matrix: tables whose rows stand in order."""
        self._matrices[index] = (operation, tuple(tables))

    def forget_matrix(self, index: int) -> None:
        """Let the rows of a matrix go."""
        self._matrices.pop(index, None)

    def _rows(self, matrix: int, *, labels: bool) -> SecretRows:
        """The rows of a matrix as doubles; `labels` says whether labels and weights are read."""
        own, tables = self._matrices[matrix]
        label, weight = (own.label, own.weight) if labels else (None, None)
        columns = Columns(own.features, label, weight)
        names = [*own.features, *filter(None, (label, weight))]
        taken = []
        for table in tables:
            evaluator = Evaluator.over(self._trace, table)
            numbers = {n: evaluator.of(Cast(ColumnRef(n), DOUBLE, strict=True)) for n in names}
            taken.append(SecretTable(numbers, table.present))
            if weight is not None:
                self._check_weights(numbers[weight], table)
        return rows_of_tables(self._trace, columns, taken)

    def _check_weights(self, weights: SecretColumn, table: SecretTable) -> None:
        given = SecretTable({_WEIGHT: weights}, table.present)
        below = call("lt", ColumnRef(_WEIGHT), literal(0.0, DOUBLE))
        negative = Evaluator.over(self._trace, given).of(below)
        linear_tables.check_weights(self._trace, negative, table.present)

    def fit(self, index: int, operation: Fit) -> None:
        """Fit a model, by as many rounds as the plan says."""
        rows = self._rows(operation.matrix, labels=True)
        if isinstance(operation, FitClusters):
            start, count = start_of(operation), operation.clusters
            found = linear_tables.secret_clusters(self._trace, rows, count, start, operation.rounds)
        else:
            found = linear_tables.secret_regression(self._trace, rows, asked_of(operation))
        self._models[index] = found

    def told(self, operation: Apply, schema: Schema, facts: Facts) -> SecretTable:
        """What a model says of the rows of a matrix, beside columns that are kept."""
        kept = []
        for table in self._matrices[operation.matrix][1]:
            columns = fitted_columns(table, operation.keep, facts.widths or {})
            kept.append(SecretTable(columns, table.present))
        rows = union_all(kept, operation.keep)
        said = self._said(operation, rows)
        names = schema.names[len(operation.keep) :]
        return SecretTable({**rows.columns, **dict(zip(names, said, strict=True))}, rows.present)

    def _said(self, operation: Apply, table: SecretTable) -> list[SecretColumn]:
        trace, model = self._trace, self._models[operation.model]
        rows = self._rows(operation.matrix, labels=False)
        match operation.what:
            case "cluster":
                return [linear_tables.clusters_column(trace, rows, model)]
            case "probability":
                return linear_tables.probabilities_columns(trace, rows, model)
            case what:
                margins = linear_tables.margins_columns(trace, rows, model)
        return [likeliest(trace, margins, table.present, 0.0)] if what == "class" else margins

    def recall(self, index: int, shape: LinearShape, raw: bytes) -> None:
        """Load a kept model. Raises: EngineError if it is another one than the plan says."""
        try:
            self._models[index] = load_numbers(raw, *numbers_shape(shape))
        except FormatError as error:
            raise EngineError(f"a kept model does not load: {error}", hint=KEEP_AGAIN) from None

    def kept(self, index: int) -> ModelOutput:
        """A model as it is: nothing of it shows but its shape."""
        return ModelOutput(store_numbers(self._models[index]))

    def output(self, index: int, shape: LinearShape) -> ModelOutput:
        """Make a model public that the plan releases."""
        numbers, inertia = linear_tables.release(self._trace, self._models[index])
        # If a flag is raised, the run fails after this, and nothing of it leaves.
        finite = np.nan_to_num(numbers, posinf=0.0, neginf=0.0)
        return ModelOutput(LinearModel(shape, finite, inertia if inertia >= 0 else 0.0).raw())
