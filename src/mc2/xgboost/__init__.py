"""XGBoost over joint data: `DMatrix`, `train`, `Booster`, with stock XGBoost's arguments.

Used in a script, like everything it works on: `mc2.xgboost.train({...}, mc2.xgboost.DMatrix(...))`.
"""

from __future__ import annotations

from mc2.planner.learning import Booster, DMatrix, train

__all__ = ["Booster", "DMatrix", "train"]
