"""The shapes of linear models, of k-means, and of what they say of rows."""

from __future__ import annotations

from typing import Final

from mc2.errors import PlanError
from mc2.plan.infer_models import said_of_rows
from mc2.plan.linear_models import NO_COST, Apply, FitClusters, FitLinear
from mc2.plan.models import Matrix
from mc2.plan.shapes import LinearShape, MatrixShape, TableShape
from mc2.plan.types import DOUBLE, INT32

_MOST_FEATURES: Final = 1024
_MOST_FACTORS: Final = 2048
_BINARY: Final = 2
_OFFERED: Final = {"linear": ("value",), "logistic": ("class", "margin", "probability")}
_CLUSTERS: Final = ("cluster",)
_XGBOOST_ONLY: Final = "only XGBoost's models take that"


def infer_fit(operation: FitLinear | FitClusters, matrix: MatrixShape) -> LinearShape:
    """The shape of a model. Raises: PlanError."""
    _check_matrix(matrix)
    if isinstance(operation, FitClusters):
        if matrix.operation.label is not None:
            raise PlanError("k-means takes no label", hint="leave label= out")
        if operation.centres and len(operation.centres) != operation.clusters * len(
            matrix.features
        ):
            raise PlanError("the centres to start from have not one number for each feature")
        if operation.centres and operation.starts != 1:
            raise PlanError("with centres to start from there is one start")
    elif len(matrix.operation.labels) != 1:
        raise PlanError("a regression needs a label", hint='fit(table, "column")')
    else:
        _check_regression(operation, len(matrix.features))
    return LinearShape(operation, matrix.features)


def _check_regression(fit: FitLinear, features: int) -> None:
    if fit.family == "linear" and fit.classes != _BINARY:
        raise PlanError("a linear regression has no classes")
    if fit.is_multinomial and fit.sparsity != NO_COST:
        raise PlanError(
            "a regression over more than two classes has no L1 penalty",
            hint="fit one model for each class against all others, with labels 0 and 1",
        )
    if fit.is_multinomial and fit.classes * (features + 1) > _MOST_FACTORS:
        raise PlanError(
            f"a regression over {fit.classes} classes has more than {_MOST_FACTORS:,} factors",
            hint="fit with fewer features, or one model for each class against all others",
        )


def _check_matrix(matrix: MatrixShape) -> None:
    own = matrix.operation
    if own.categorical:
        raise PlanError(
            f"{own.categorical[0]!r} is a category: features of these models are numbers",
            hint="turn it into columns of 0 and 1 in SQL, with CASE",
        )
    _check_plain(own)
    if len(matrix.features) > _MOST_FEATURES:
        raise PlanError(f"these models take at most {_MOST_FEATURES} features")


def _check_plain(own: Matrix) -> None:
    if own.missing != "NaN":
        raise PlanError("these models take no missing values", hint="leave missing= out")
    for given, what in (
        (own.base_margin, "base_margin"),
        (own.group, "qid"),
        (own.lower_bound, "label_lower_bound"),
        (own.feature_weights, "feature_weights"),
        (own.edges or own.noisy, "bin_edges"),
    ):
        if given:
            raise PlanError(f"these models take no {what}", hint=_XGBOOST_ONLY)


def infer_apply(operation: Apply, model: LinearShape, matrix: MatrixShape) -> TableShape:
    """The shape of what a model says of rows. Raises: PlanError."""
    _check_matrix(matrix)
    if [f.name for f in matrix.features] != [f.name for f in model.features]:
        raise PlanError("the matrix has not the features that the model was fitted to")
    fit = model.operation
    offered = _CLUSTERS if isinstance(fit, FitClusters) else _OFFERED[fit.family]
    if operation.what not in offered:
        raise PlanError(f"the model says no {operation.what}", hint=", ".join(offered))
    kind = INT32 if operation.what in {"class", "cluster"} else DOUBLE
    names = [operation.name]
    if kind is DOUBLE and isinstance(fit, FitLinear) and fit.is_multinomial:
        names = [f"{operation.name}_{k}" for k in range(fit.classes)]
    return said_of_rows(matrix, operation.keep, names, kind)
