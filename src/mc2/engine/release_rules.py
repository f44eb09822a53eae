"""What a model must not tell of single rows: checked, and taken out, before anything reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xgboost

from mc2.engine.matrices import MatrixData
from mc2.errors import EngineError
from mc2.plan.models import Controls, Train
from mc2.plan.training import NO_CONTROLS

_STATISTICS: Final = ("base_weights", "loss_changes", "sum_hessian")


def controlled(
    booster: Any, operation: Train, data: MatrixData, owners: Sequence[str], threads: int
) -> Any:
    """The model as it may be used and released. Raises: EngineError if it breaks a rule."""
    controls = operation.controls
    if controls == NO_CONTROLS:
        return booster
    if controls.leaf_rows > 1 or controls.leaf_owners > 1:
        _check_leaves(booster, controls, data, owners)
    model = json.loads(booster.save_raw("json"))
    if controls.public_thresholds:
        _publish_thresholds(model, data)
    if controls.bare:
        for tree in _trees(model):
            for name in _STATISTICS:
                tree[name] = [0.0] * len(tree[name])
    if not (controls.bare or controls.public_thresholds):
        return booster
    found = xgboost.Booster({"nthread": str(threads)})
    found.load_model(bytearray(json.dumps(model).encode()))
    return found


def _check_leaves(
    booster: Any, controls: Controls, data: MatrixData, owners: Sequence[str]
) -> None:
    """Each leaf has enough rows, of enough owners. One round at a time: all would be large."""
    counted = np.ones(data.rows.num_rows, dtype=bool)
    weights = data.data.get_weight()
    if len(weights) == len(counted):
        counted = weights > 0  # what weighs nothing hides nobody
    owner = np.zeros(len(counted), dtype=np.int64)
    if owners:
        names = sorted(set(owners))
        owner = np.array([names.index(o) for o in owners], dtype=np.int64)[data.origins]
    for number in range(booster.num_boosted_rounds()):
        leaves = booster[number : number + 1].predict(data.data, pred_leaf=True)
        table = np.asarray(leaves, dtype=np.int64).reshape(len(counted), -1)
        for tree in table.T:
            _check_tree(tree, counted, owner, controls)


def _check_tree(
    leaves: npt.NDArray[np.int64],
    counted: npt.NDArray[np.bool_],
    owner: npt.NDArray[np.int64],
    controls: Controls,
) -> None:
    places = np.unique(leaves)
    rows = np.bincount(leaves[counted], minlength=int(places[-1]) + 1)[places]
    if rows.min() < controls.leaf_rows:
        raise EngineError(
            f"a leaf of the model has fewer than {controls.leaf_rows:,} rows",
            hint="raise min_child_weight, or lower max_depth: docs/howto/xgboost.md says which "
            "min_child_weight makes sure of it",
        )
    if controls.leaf_owners > 1:
        width = int(owner.max()) + 1
        pairs = np.unique(leaves[counted] * width + owner[counted]) // width
        if np.unique(pairs, return_counts=True)[1].min() < controls.leaf_owners:
            raise EngineError(
                f"a leaf of the model has rows of fewer than {controls.leaf_owners} owners",
                hint="raise min_child_weight, or lower max_depth",
            )


def _publish_thresholds(model: Any, data: MatrixData) -> None:
    """Each threshold is a public edge, or above all numbers. Raises: EngineError.

    XGBoost puts rows with a number apart from those without one by a threshold a little above the
    greatest number. It becomes the greatest number that there is: nothing else then tells how
    rows go, neither to readers nor to rows that were not cut to edges.
    """
    edges = {e.feature: np.array(e.numbers, dtype=np.float32) for e in data.edges}
    by_place = [edges.get(name) for name in data.data.feature_names]
    for tree in _trees(model):
        for node, left in enumerate(tree["left_children"]):
            own = by_place[tree["split_indices"][node]]
            if left >= 0 and tree["split_type"][node] == 0 and own is not None:
                threshold = np.float32(tree["split_conditions"][node])
                tree["split_conditions"][node] = float(_public(threshold, own))


def _public(threshold: np.float32, edges: npt.NDArray[np.float32]) -> np.float32:
    if threshold in edges:
        return threshold
    steps = np.concatenate(([np.nextafter(edges[0], np.float32(-np.inf))], edges))
    above = steps + (np.abs(steps) + np.float32(1e-5))  # XGBoost's own, see HostSketchContainer
    if threshold > edges[-1] or threshold in above:
        return np.finfo(np.float32).max
    raise EngineError(
        "the model splits at a number that is no public edge",
        hint="train with tree_method hist, and max_bin above the number of edges",
    )


def _trees(model: Any) -> Iterator[dict[str, Any]]:
    inner = model["learner"]["gradient_booster"]
    inner = inner.get("gbtree", inner)  # dart holds one
    yield from inner["model"]["trees"]
