"""XGBoost over joint data: `DMatrix`, `train`, `cv`, `Booster`, with stock XGBoost's arguments.

Used in a script, like everything it works on: `mc2.xgboost.train({...}, mc2.xgboost.DMatrix(...))`.
Released models are standard files: `load_model` gives a stock booster, which the plots draw.
"""

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
from mc2.planner.matrices import DMatrix
from mc2.xgboost.released import load_model, plot_importance, plot_tree, save_model, to_graphviz

__all__ = [
    "Booster",
    "DMatrix",
    "EarlyStopping",
    "LearningRateScheduler",
    "XGBClassifier",
    "XGBRFClassifier",
    "XGBRFRegressor",
    "XGBRanker",
    "XGBRegressor",
    "clone",
    "cv",
    "load_model",
    "plot_importance",
    "plot_tree",
    "save_model",
    "to_graphviz",
    "train",
]
