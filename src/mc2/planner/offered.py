"""What `mc2.xgboost`, `mc2.linear` and `mc2.clusters` offer scripts."""

from __future__ import annotations

from mc2.planner.boosters import Booster
from mc2.planner.callbacks import EarlyStopping, LearningRateScheduler
from mc2.planner.estimators import (
    XGBClassifier,
    XGBRanker,
    XGBRegressor,
    XGBRFClassifier,
    XGBRFRegressor,
    clone,
)
from mc2.planner.learning import cv, train
from mc2.planner.linear import (
    ElasticNet,
    KMeans,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
)
from mc2.planner.matrices import DMatrix


def xgboost_names() -> dict[str, object]:
    """The names of `mc2.xgboost` in a script."""
    named = (
        Booster, DMatrix, EarlyStopping, LearningRateScheduler, XGBClassifier, XGBRFClassifier,
        XGBRFRegressor, XGBRanker, XGBRegressor, clone, cv, train,
    )  # fmt: skip
    return {n.__name__: n for n in named}


def callback_names() -> dict[str, object]:
    """The names of `mc2.xgboost.callback`."""
    return {n.__name__: n for n in (EarlyStopping, LearningRateScheduler)}


def linear_names() -> dict[str, object]:
    """The names of `mc2.linear` in a script."""
    offered = (ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge)
    return {n.__name__: n for n in offered}


def cluster_names() -> dict[str, object]:
    """The names of `mc2.clusters` in a script."""
    return {KMeans.__name__: KMeans}
