"""Released regressions at home: numbers by scikit-learn's names, and predictions without it."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mc2.errors import FormatError, UsageError
from mc2.formats.linear_model import (
    MULTINOMIAL,
    MultinomialFile,
    RegressionFile,
    read_linear_model,
)

Source: TypeAlias = "str | PathLike[str] | bytes | Any"
"""A file, the bytes of a model, or a result of `Party.result`."""
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """A regression with scikit-learn's attributes; `X` has the features in their order.

    Of a `multinomial` one `coef_` has a row, and `intercept_` a number, for each class.
    """

    family: str
    feature_names_in_: npt.NDArray[np.str_]
    coef_: Doubles
    intercept_: float | Doubles

    def decision_function(self, X: npt.ArrayLike) -> Doubles:  # noqa: N803 - scikit-learn's name
        """The constant plus the sum of features times factors, for each row (and class)."""
        found: Doubles = np.asarray(X, dtype=np.float64) @ self.coef_.T + self.intercept_
        return found

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:  # noqa: N803 - scikit-learn's name
        """Values; classes, from 0, for a logistic regression."""
        margins = self.decision_function(X)
        match self.family:
            case "linear":
                return margins
            case "logistic":
                return (margins > 0).astype(np.int64)
            case _:
                likeliest: npt.NDArray[np.int64] = margins.argmax(axis=1)
                return likeliest

    def predict_proba(self, X: npt.ArrayLike) -> Doubles:  # noqa: N803 - scikit-learn's name
        """The probability of each class for each row. Raises: UsageError."""
        margins = self.decision_function(X)
        match self.family:
            case "linear":
                raise UsageError("a linear regression has no probabilities")
            case "logistic":
                half = np.tanh(margins / 2) / 2  # without overflow
                return np.stack([0.5 - half, 0.5 + half], axis=1)
            case _:
                powers = np.exp(margins - margins.max(axis=1, keepdims=True))
                found: Doubles = powers / powers.sum(axis=1, keepdims=True)
                return found

    def to_sklearn(self) -> Any:
        """The same as scikit-learn's `LinearRegression` or `LogisticRegression`."""
        from sklearn import linear_model

        if self.family == "linear":
            found = linear_model.LinearRegression()
            found.coef_, found.intercept_ = self.coef_, self.intercept_
        else:
            found = linear_model.LogisticRegression()
            found.coef_ = np.atleast_2d(self.coef_)
            found.intercept_ = np.atleast_1d(self.intercept_)
            found.classes_ = np.arange(max(2, len(found.coef_)))
        found.n_features_in_ = self.coef_.shape[-1]
        return found


def raw_of(source: Source) -> bytes:
    """The bytes of a released model. Raises: UsageError."""
    raw = getattr(source, "raw", source)
    if isinstance(raw, (bytes, bytearray)):
        return bytes(raw)
    try:
        return Path(raw).read_bytes()
    except (TypeError, OSError) as error:
        raise UsageError(
            "this is no model", hint="give the file that mc2 download wrote"
        ) from error


def load_model(source: Source) -> LinearModel:
    """A released regression. Raises: UsageError if it is none."""
    try:
        found = read_linear_model(raw_of(source))
    except FormatError as error:
        raise UsageError(str(error), hint="give the file that mc2 download wrote") from None
    names = np.array(found.features)
    match found:
        case RegressionFile():
            return LinearModel(found.family, names, np.array(found.factors), found.constant)
        case MultinomialFile():
            constants = np.array(found.constants)
            return LinearModel(MULTINOMIAL, names, np.array(found.factors), constants)
    raise UsageError("this model is one of clusters", hint="mc2.clusters.load_model")
