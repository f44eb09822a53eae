"""Computes formulas of objectives and metrics with numpy, as stock XGBoost's users write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mc2.errors import EngineError
from mc2.plan.formulas import FUNCTIONS, ROW_FUNCTIONS, Formula
from mc2.plan.literals import parse_float

_COMPUTED: Final[Mapping[str, Callable[..., Any]]] = {
    **{name: getattr(np, name) for name in FUNCTIONS},
    **{name: partial(getattr(np, name.removeprefix("row_")), axis=1) for name in ROW_FUNCTIONS},
    "column": lambda numbers: numbers[:, None],
}

Objective = Callable[[Any, Any], tuple[Any, Any]]
Metric = Callable[[Any, Any], tuple[str, float]]


def objective(formula: Formula) -> Objective:
    """The function that XGBoost calls for gradient and hessian."""

    def compute(predictions: Any, data: Any) -> tuple[Any, Any]:
        rows = np.asarray(predictions)
        gradient, hessian = (
            np.array(np.broadcast_to(found, rows.shape)) for found in evaluate(formula, rows, data)
        )
        if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
            raise EngineError(
                "the objective's gradient or hessian is not a number for some row",
                hint="divide by nothing that can be zero, and bound what exp and log are given",
            )
        return gradient, hessian

    return compute


def metric(formula: Formula) -> Metric:
    """The function that XGBoost calls for a metric."""

    def compute(predictions: Any, data: Any) -> tuple[str, float]:
        (found,) = evaluate(formula, np.asarray(predictions), data)
        return formula.name, float(found)

    return compute


def evaluate(formula: Formula, predictions: npt.NDArray[Any], data: Any) -> list[Any]:
    """The results of a checked formula over the rows of a matrix."""
    read: Mapping[str, Callable[[], Any]] = {
        "prediction": lambda: predictions,
        "label": lambda: _labels(data.get_label(), predictions),
        "weight": data.get_weight,
        "base_margin": data.get_base_margin,
    }
    found: list[Any] = []
    with np.errstate(all="ignore"):  # what is no number is refused, or stands in the history
        for step in formula.steps:
            if step.function == "input":
                found.append(read[step.text]())
            elif step.function == "number":
                found.append(parse_float(step.text))  # a plain number: it widens no float32
            elif step.function == "classes":
                found.append(np.arange(int(step.text)))
            elif step.function == "pick":
                found.append(found[step.arguments[0]][:, int(step.text)])
            else:
                found.append(_COMPUTED[step.function](*(found[a] for a in step.arguments)))
    return [found[place] for place in formula.results]


def _labels(labels: npt.NDArray[Any], predictions: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Several labels a row stand as the numbers that are predicted for it."""
    return (
        labels
        if len(labels) == labels.size == len(predictions)
        else labels.reshape(predictions.shape)
    )
