"""Says in plain words what a plan does with linear models and clusters, and what they tell."""

from __future__ import annotations

from mc2.client.text_words import name_words, names
from mc2.plan.linear_models import NO_COST, Apply, FitClusters, FitLinear, LinearOperation
from mc2.plan.shapes import LinearShape

_SAID = {
    "value": "predictions",
    "probability": "probabilities of class 1, or of each class,",
    "class": "the likeliest class",
    "margin": "margins",
    "cluster": "numbers of the nearest centre",
}
_RISK = "whoever has the model can test whether a given row is likely to have been in the data"


def linear_words(operation: LinearOperation) -> str:
    """What one operation does, without the full stop."""
    match operation:
        case FitLinear():
            return _fit(operation)
        case FitClusters():
            return _clusters(operation)
        case Apply():
            kept = f", keeping {names(operation.keep)}" if operation.keep else ""
            return (
                f"Apply the model of step {operation.model + 1} to step {operation.matrix + 1}: "
                f"{_SAID[operation.what]} as {name_words(operation.name)}{kept}"
            )


def _fit(operation: FitLinear) -> str:
    text = f"Fit a {operation.family} regression to step {operation.matrix + 1}"
    text += ", with a constant" if operation.intercept else ", without a constant"
    if operation.is_multinomial:
        text += f" over {operation.classes:,} classes"
    for kind, cost in (("L2", operation.penalty), ("L1", operation.sparsity)):
        if cost != NO_COST:
            text += f", with an {kind} penalty of {cost}"
    if operation.per_weight:
        text += " for each unit of weight"
    if operation.family == "logistic":
        text += f"; fail if {operation.rounds:,} steps do not end it"
    return text


def _clusters(operation: FitClusters) -> str:
    if operation.centres:
        start = f"from the centres {', '.join(operation.centres)}"
    else:
        times = "" if operation.starts == 1 else f", the best of {operation.starts:,} times"
        start = f"from rows drawn with seed {operation.seed}{times}"
    return (
        f"Find {operation.clusters:,} clusters in step {operation.matrix + 1} by k-means, {start}; "
        f"at most {operation.rounds:,} rounds"
    )


def linear_holds(shape: LinearShape) -> tuple[str, ...]:
    """What is in such a model, and what to be wary of."""
    fit = shape.operation
    if isinstance(fit, FitClusters):
        return (
            f"the centres of {fit.clusters:,} clusters: the mean of each feature in each",
            "the sum of squared distances of all rows",
            "the centre of a cluster of one row is that row: WARNING, ask for few clusters",
        )
    each = " of each class" if fit.is_multinomial else ""
    found = (f"the names of the features, a factor for each, and the constant{each}", _RISK)
    if fit.penalty == fit.sparsity == NO_COST:
        return (*found, "without a penalty, few rows show in the factors as they are: WARNING")
    return found
