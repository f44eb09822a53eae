"""What a released model tells, and which settings let it remember single rows."""

from __future__ import annotations

from typing import Final

from mc2.formats.manifest import ModelPolicy
from mc2.plan.infer_models import named_value
from mc2.plan.literals import parse_float
from mc2.plan.models import Train
from mc2.plan.shapes import ModelShape

_FEATURES: Final = (
    "the names of the features, and for each split of each tree its feature and its threshold"
)
_THRESHOLDS: Final = "thresholds are values that occur in the data or lie between such values"
_PUBLIC: Final = (
    "thresholds are among the edges of the matrix, which the plan names or has drawn with noise, "
    "or the job fails"
)
_COVERS: Final = (
    "for each node of each tree how much of the training data reaches it, and what it predicts"
)
_BARE: Final = "for each leaf of each tree what it predicts; how much data reaches it is taken out"
_CATEGORIES: Final = "the different values of the categorical columns"
_LINEAR: Final = "a coefficient for each feature"
_RISK: Final = (
    "whoever has the model can test whether a given row is likely to have been in the training data"
)
_DEEP: Final = 10
_MANY: Final = 5000
_WEAK: Final = 1.0


def model_holds(shape: ModelShape) -> tuple[str, ...]:
    """What is in a model, what the enclave makes sure of, and what to be wary of."""
    operation = shape.operation
    controls = operation.controls
    if shape.booster == "gblinear":
        return ("a linear XGBoost model, which stock XGBoost loads", _LINEAR, _RISK)
    found = [f"an XGBoost model of {_size(shape)}, which stock XGBoost loads", _FEATURES]
    found.append(_PUBLIC if controls.public_thresholds else _THRESHOLDS)
    found.append(_BARE if controls.bare else _COVERS)
    if any(f.categorical for f in shape.features):
        found.append(_CATEGORIES)
    if controls.leaf_rows > 1:
        found.append(f"no leaf of fewer than {controls.leaf_rows:,} rows, or the job fails")
    if controls.leaf_owners > 1:
        found.append(
            f"no leaf of rows of fewer than {controls.leaf_owners} owners, or the job fails"
        )
    return (*found, _RISK, *memorising(shape))


def model_rules(rules: ModelPolicy) -> str:
    """An owner's rules for models, in words."""
    found = []
    if rules.leaf_rows > 1:
        found.append(f"leaves of at least {rules.leaf_rows:,} rows")
    if rules.leaf_owners > 1:
        found.append(f"leaves of rows of at least {rules.leaf_owners} owners")
    if rules.public_thresholds:
        found.append("thresholds that the plan names")
    if rules.bare:
        found.append("no statistics of nodes")
    return ", ".join(found) or "nothing"


def _size(shape: ModelShape) -> str:
    parallel = named_value(shape.operation, "num_parallel_tree")
    trees = shape.rounds * shape.margins * (parallel if isinstance(parallel, int) else 1)
    levels = named_value(shape.operation, "max_depth")
    levels = 6 if levels is None else levels
    size = f"at most {trees:,} trees"
    return f"{size}, {levels} levels deep" if isinstance(levels, int) and levels else size


def memorising(shape: ModelShape) -> tuple[str, ...]:
    """The settings that let a model remember single rows, each with what to do instead."""
    operation = shape.operation
    if operation.controls.leaf_rows > 1:
        return ()
    found = []
    weight = _number(operation, "min_child_weight", 1.0)
    if weight < _WEAK:
        found.append(
            f"min_child_weight = {weight:g} lets a leaf hold a single row: WARNING, it can be read "
            "from the model; ask for min_leaf_rows"
        )
    depth = named_value(operation, "max_depth")
    if isinstance(depth, int) and (depth > _DEEP or not depth):
        levels = f"{depth} levels" if depth else "any number of levels"
        found.append(f"{levels} can part all rows from one another: WARNING, ask for fewer")
    if shape.rounds * shape.margins > _MANY:
        found.append("so many trees can learn rows by heart: WARNING, ask for fewer rounds")
    if _number(operation, "lambda", 1.0) == 0 and not _number(operation, "alpha", 0.0):
        found.append("lambda = 0 writes means of labels into leaves as they are: WARNING")
    return tuple(found)


def _number(operation: Train, name: str, usual: float) -> float:
    value = named_value(operation, name)
    return parse_float(value) if isinstance(value, str) else usual
