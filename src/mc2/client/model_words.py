"""Says in plain words what a plan does with models."""

from __future__ import annotations

from typing import Final, TypeAlias

from mc2.client.text_words import name_words, names, steps, visible
from mc2.plan.formulas import formula_words
from mc2.plan.linear_models import FitClusters, FitLinear
from mc2.plan.models import (
    Annotate,
    Categories,
    CrossValidate,
    Edges,
    History,
    Inspect,
    Matrix,
    Predict,
    Slice,
    Stopping,
    Train,
)
from mc2.plan.noisy_edges import NoisyEdges
from mc2.plan.plan import PlanInput
from mc2.plan.training import Boosting, Controls, Dropout

_OverNodes: TypeAlias = (
    Matrix | Train | CrossValidate | Predict | History | Slice | Annotate | Inspect
)
_SAID: Final = {
    "value": "predictions",
    "class": "the likeliest classes",
    "margin": "margins",
    "leaf": "leaf numbers",
    "contribs": "what each feature contributes",
    "approx_contribs": "about what each feature contributes",
    "interactions": "what each pair of features contributes",
    "approx_interactions": "about what each pair of features contributes",
}
_INSPECTED: Final = {
    "trees": "all nodes of the trees: features, thresholds, gains, covers and leaf values",
    "rounds": "the numbers of rounds and features, and the best round with its score",
    "attributes": "the attributes",
    "splits": "how often the trees split at each threshold of each feature",
}


def model_words(operation: _OverNodes) -> str:  # noqa: PLR0911 - one a case
    """What one operation does, without the full stop."""
    match operation:
        case Matrix():
            return _matrix(operation)
        case Train():
            return _train(operation)
        case CrossValidate():
            return _cross_validate(operation)
        case Predict():
            return _predict(operation)
        case History():
            return f"List the metrics of the training in step {operation.model + 1}"
        case Slice():
            every = {1: "", 2: ", each 2nd"}.get(operation.step, f", each {operation.step:,}th")
            return (
                f"Take the rounds {operation.first:,} to {operation.last - 1:,}{every} of the "
                f"model of step {operation.model + 1}"
            )
        case Annotate():
            written = ", ".join(f"{visible(n)} = '{visible(v)}'" for n, v in operation.attributes)
            return f"Write into the model of step {operation.model + 1}: {written}"
        case Inspect():
            return f"List of the model of step {operation.model + 1}: {_inspected(operation)}"


def recalled_words(source: PlanInput) -> str:
    """That a plan takes a kept model, and how it was made, without the full stop."""
    facts = source.model
    if facts is None:
        raise TypeError("a checked plan recalls models only")
    made = facts.operation
    match made:
        case Train():
            what = f"an XGBoost model of at most {facts.rounds:,} rounds{_settings(made)}"
            what += _controls(made.controls)
        case FitLinear():
            what = f"a {made.family} regression"
        case FitClusters():
            what = f"the centres of {made.clusters:,} clusters"
    features = names(facts.matrix.features)
    return f"Take the model {source.dataset}, to predict with: {what}; features {features}"


def _predict(operation: Predict) -> str:
    kept = f", keeping {names(operation.keep)}" if operation.keep else ""
    which = ", up to the best round" if operation.rounds == "best" else ""
    if operation.last:
        which = f", by its rounds {operation.first:,} to {operation.last - 1:,}"
    return (
        f"Apply the model of step {operation.model + 1} to step {operation.matrix + 1}: "
        f"{_SAID[operation.what]} as {name_words(operation.name)}{which}{kept}"
    )


def _inspected(operation: Inspect) -> str:
    if operation.what == "importance":
        return f"how important each feature is, by {', '.join(operation.kinds)}"
    if operation.what == "dump":
        stats = ", with gains and covers" if operation.stats else ""
        return f"each tree as {operation.form}{stats}"
    return _INSPECTED[operation.what]


def _matrix(operation: Matrix) -> str:
    text = f"Make a matrix of {steps(operation.sources)}: features {names(operation.features)}"
    if operation.categorical:
        text += f" (categories: {names(operation.categorical)})"
    if operation.labels:
        text += f"; label {', '.join(map(name_words, operation.labels))}"
    if operation.lower_bound is not None and operation.upper_bound is not None:
        low, high = name_words(operation.lower_bound), name_words(operation.upper_bound)
        text += f"; label between {low} and {high}"
    if operation.weight is not None:
        text += f"; weight {name_words(operation.weight)}"
    if operation.base_margin:
        text += f"; starts from {names(operation.base_margin)}"
    if operation.group is not None:
        text += f"; ranked within the same {name_words(operation.group)}"
    if operation.missing != "NaN":
        text += f"; {operation.missing} means no value"
    if operation.feature_weights:
        text += f"; features drawn with weights {', '.join(operation.feature_weights)}"
    known: list[Categories | Edges | NoisyEdges] = [
        *operation.categories,
        *operation.edges,
        *operation.noisy,
    ]
    return text + "".join(_known_values(k) for k in known)


def _known_values(known: Categories | Edges | NoisyEdges) -> str:
    """What everybody is told of a feature's values."""
    if isinstance(known, Edges):
        return f"; {name_words(known.feature)} cut to {', '.join(known.edges)}"
    if isinstance(known, NoisyEdges):
        return (
            f"; {name_words(known.feature)} cut, in trainings, to at most {known.edges:,} quantiles"
            f" drawn with noise (epsilon = {known.epsilon}) from counts in {known.cells:,} cells "
            f"from {known.low} to {known.high}"
        )
    given = names(known.names) if known.names else f"0 to {known.count - 1:,}"
    return f"; all that {name_words(known.feature)} may be: {given}"


def _train(operation: Train) -> str:
    text = (
        f"Train an XGBoost model on step {operation.matrix + 1}: "
        f"{operation.num_boost_round:,} rounds{_settings(operation)}"
    )
    if operation.start is not None:
        text += f"; go on from the model of step {operation.start + 1}"
    if operation.evaluations:
        judged = ", ".join(
            f"{visible(e.name)} (step {e.matrix + 1})" for e in operation.evaluations
        )
        text += f"; judged after each round on {judged}"
    return text + _own(operation) + _controls(operation.controls) + _dropout(operation.dropout)


def _cross_validate(operation: CrossValidate) -> str:
    if operation.folds is not None:
        how = f"for each {name_words(operation.folds)}, trained without it and judged on it"
    else:
        drawn = f"drawn with seed {operation.seed}" if operation.shuffle else "in order"
        alike = ", each with the same share of labels" if operation.stratified else ""
        how = f"{operation.parts:,} parts {drawn}{alike}, each judged by a model without it"
    return (
        f"Cross-validate XGBoost models on step {operation.matrix + 1}: {how}; "
        f"{operation.num_boost_round:,} rounds{_settings(operation)}{_own(operation)}"
    )


def _settings(operation: Boosting) -> str:
    settings = ", ".join(f"{p.name} = {_setting(p.json())}" for p in operation.parameters)
    return f", {settings}" if settings else ""


def _own(operation: Boosting) -> str:
    text = ""
    if operation.learning_rates:
        text += f"; learning rates {', '.join(operation.learning_rates)}"
    if operation.objective is not None:
        text += f"; the script's own objective: {formula_words(operation.objective)}"
    if operation.metric is not None:
        text += f"; the script's own metric: {visible(formula_words(operation.metric))}"
    if operation.stopping is not None:
        text += _stopping(operation.stopping)
    return text


def _stopping(stopping: Stopping) -> str:
    text = f"; stop after {stopping.rounds:,} rounds without progress"
    if stopping.min_delta != "0.0":
        text += f" of more than {stopping.min_delta}"
    watched = [visible(w) for w in (stopping.metric, stopping.evaluation) if w is not None]
    if watched:
        text += f" in {' on '.join(watched)}"
    if stopping.maximize is not None:
        text += f", {'more' if stopping.maximize else 'less'} being better"
    return text + (", and keep the best rounds only" if stopping.save_best else "")


def _controls(controls: Controls) -> str:
    text = ""
    if controls.leaf_rows > 1:
        text += f"; fail if a leaf has fewer than {controls.leaf_rows:,} rows"
    if controls.leaf_owners > 1:
        text += f"; fail if a leaf has rows of fewer than {controls.leaf_owners} owners"
    if controls.public_thresholds:
        text += "; fail if a threshold is none of the numbers that features are cut to"
    if controls.bare:
        text += "; take out how many rows reach each node, and what splits gain"
    return text


def _dropout(dropout: Dropout | None) -> str:
    if dropout is None:
        return ""
    return (
        "; when a party at home drops out, GO ON WITHOUT ITS ROWS from that round on, while rows "
        f"of {dropout.least_parties:,} parties or more are left"
    )


def _setting(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_setting(v) for v in value) + "]"
    return visible(str(value).lower() if isinstance(value, bool) else str(value))
