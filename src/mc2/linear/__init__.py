"""Linear and logistic regression over joint data, with scikit-learn's names.

Used in a script, like everything it works on: `mc2.linear.Ridge(alpha=2).fit(table, "label")`.
`load_model` opens what was released, at home.
"""

from __future__ import annotations

from mc2.linear.released import LinearModel, load_model
from mc2.planner.linear import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge

__all__ = [
    "ElasticNet",
    "Lasso",
    "LinearModel",
    "LinearRegression",
    "LogisticRegression",
    "Ridge",
    "load_model",
]
