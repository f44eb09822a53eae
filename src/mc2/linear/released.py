"""Released regressions at home: numbers by scikit-learn's names, and predictions without it."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mc2.errors import FormatError, UsageError
from mc2.formats.linear_model import RegressionFile, read_linear_model

Source: TypeAlias = "str | PathLike[str] | bytes | Any"
"""A file, the bytes of a model, or a result of `Party.result`."""
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """A regression with scikit-learn's attributes; `X` has the features in their order."""

    family: str
    feature_names_in_: npt.NDArray[np.str_]
    coef_: Doubles
    intercept_: float

    def decision_function(self, X: npt.ArrayLike) -> Doubles:  # noqa: N803 - scikit-learn's name
        """The constant plus the sum of features times factors, for each row."""
        found: Doubles = np.asarray(X, dtype=np.float64) @ self.coef_ + self.intercept_
        return found

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:  # noqa: N803 - scikit-learn's name
        """Values; classes 0 and 1 for a logistic regression."""
        margins = self.decision_function(X)
        return (margins > 0).astype(np.int64) if self.family == "logistic" else margins

    def predict_proba(self, X: npt.ArrayLike) -> Doubles:  # noqa: N803 - scikit-learn's name
        """The probabilities of class 0 and class 1 for each row. Raises: UsageError."""
        if self.family != "logistic":
            raise UsageError("a linear regression has no probabilities")
        half = np.tanh(self.decision_function(X) / 2) / 2  # without overflow
        return np.stack([0.5 - half, 0.5 + half], axis=1)

    def to_sklearn(self) -> Any:
        """The same as scikit-learn's `LinearRegression` or `LogisticRegression`."""
        from sklearn import linear_model

        logistic = self.family == "logistic"
        found = linear_model.LogisticRegression() if logistic else linear_model.LinearRegression()
        found.coef_ = self.coef_.reshape(1, -1) if logistic else self.coef_
        found.intercept_ = np.array([self.intercept_]) if logistic else self.intercept_
        found.n_features_in_ = len(self.coef_)
        if logistic:
            found.classes_ = np.array([0, 1])
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
    if not isinstance(found, RegressionFile):
        raise UsageError("this model is one of clusters", hint="mc2.clusters.load_model")
    return LinearModel(
        found.family, np.array(found.features), np.array(found.factors), found.constant
    )
