"""Models that oblivious jobs kept, as jobs in mode `encrypted` read them: they may be looked at."""

from __future__ import annotations

from mc2.engine.linear import KEEP_AGAIN, LinearModel, numbers_shape
from mc2.engine.oblivious.learning import recalled, released_file
from mc2.errors import EngineError, FormatError
from mc2.ml.kept_models import load_numbers
from mc2.ml.linear_tables import numbers_of
from mc2.operators.run import Run
from mc2.plan.matrices import Matrix
from mc2.plan.shapes import LinearShape, ModelShape


def opened_trees(shape: ModelShape, matrix: Matrix, raw: bytes) -> bytes:
    """XGBoost's JSON of kept trees. Raises: EngineError if they are not those of the plan."""
    bare = shape.operation.controls.bare
    try:
        trained = recalled(shape, matrix, raw)
    except FormatError as error:
        raise _other(error) from None
    return released_file(Run(), trained, bare=bare, kinds=[f.kind for f in shape.features])


def opened_numbers(shape: LinearShape, raw: bytes) -> LinearModel:
    """A kept linear model, or centres. Raises: EngineError if it is not that of the plan."""
    try:
        numbers, inertia = numbers_of(load_numbers(raw, *numbers_shape(shape)))
    except FormatError as error:
        raise _other(error) from None
    return LinearModel(shape, numbers, float(inertia[0]))


def _other(error: FormatError) -> EngineError:
    return EngineError(f"a kept model does not load: {error}", hint=KEEP_AGAIN)
