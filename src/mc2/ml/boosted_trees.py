"""Boosted trees: a secret model, predictions by it, and its release as a standard XGBoost file.

Trees are complete: a node that is not split sends all rows to the left. So a model's shape says
nothing; what is released is pruned to the splits that there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.errors import EngineError
from mc2.ml.boosting_parameters import BoostingParameters, Objective
from mc2.ml.boosting_rows import Level, Reals
from mc2.ml.secret_matrix import (
    Bytes,
    Feature,
    Floats,
    SecretCuts,
    SecretMatrix,
    bins_of,
    cuts_of,
)
from mc2.operators.handles import Opaque
from mc2.operators.run import Run

_MISSING_LEFT: Final = 1
_ONE_HOT: Final = 2
_IS_SPLIT: Final = 4
_NO_PARENT: Final = 2147483647
_VERSION: Final = [3, 2, 0]


@dataclass(frozen=True, slots=True, eq=False)
class SecretTree:
    """A complete tree: arrays of nodes, level by level, and of leaves. All of it is secret."""

    features: npt.NDArray[np.uint32]
    thresholds: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint8]
    gains: Reals
    totals: npt.NDArray[np.int64]
    leaf_sums: npt.NDArray[np.int64]
    leaves: Floats
    units: Reals
    rate: float = 0.0
    """The learning rate that it was grown with: public."""

    @classmethod
    def of(
        cls,
        levels: list[Level],
        leaf_sums: npt.NDArray[np.int64],
        leaves: Floats,
        units: Reals,
        rate: float = 0.0,
    ) -> SecretTree:
        """A tree of its levels, root first."""
        return cls(
            np.concatenate([level.features for level in levels]),
            np.concatenate([level.thresholds for level in levels]),
            np.concatenate([level.flags for level in levels]),
            np.concatenate([level.gains for level in levels]),
            np.concatenate([level.totals for level in levels]),
            leaf_sums,
            leaves,
            units,
            rate,
        )


class SecretModel(Opaque):
    """A trained model. Its parameters, cuts' shape and number of trees are public, no more."""

    __slots__ = ("__trees", "cuts", "parameters")

    def __init__(
        self, parameters: BoostingParameters, cuts: SecretCuts, trees: tuple[SecretTree, ...]
    ) -> None:
        self.parameters = parameters
        self.cuts = cuts
        self.__trees = trees

    @property
    def rounds(self) -> int:
        """How many rounds it was trained for, or has been cut to: public."""
        return len(self.__trees) // self.parameters.classes

    def first(self, rounds: int) -> SecretModel:
        """The model after so many rounds."""
        return self.part(range(rounds))

    def part(self, rounds: range) -> SecretModel:
        """The model of these rounds alone. What predictions start from is in the first one."""
        classes = self.parameters.classes
        kept = [t for r in rounds for t in self.__trees[r * classes : (r + 1) * classes]]
        return SecretModel(self.parameters, self.cuts, tuple(kept))

    @staticmethod
    def _open(handle: SecretModel) -> tuple[SecretTree, ...]:
        return handle.__trees


def trees_of(model: SecretModel) -> tuple[SecretTree, ...]:
    """The trees of a model: for kernels."""
    return SecretModel._open(model)  # noqa: SLF001 - the one place that opens handles


# --- predictions


def add_trees(
    run: Run, trees: tuple[SecretTree, ...], depth: int, bins: Bytes, margins: Floats
) -> None:
    """Add trees to margins, one for each class in turn. `bins` have a row for each feature."""
    if not trees:
        return
    classes = (np.arange(len(trees)) % len(margins)).astype(np.uint32)
    run.call(_native.predict_trees, bins, depth, *_joined(trees), classes, margins)


def _joined(trees: tuple[SecretTree, ...]) -> tuple[npt.NDArray[Any], ...]:
    return (
        np.concatenate([t.features for t in trees]),
        np.concatenate([t.thresholds for t in trees]),
        np.concatenate([t.flags for t in trees]),
        np.concatenate([t.leaves for t in trees]),
    )


def predict_margins(run: Run, model: SecretModel, matrix: SecretMatrix) -> Floats:
    """Margins of every row, a column for each class: what stock XGBoost computes, bit for bit.

    The result is secret. Raises: EngineError for a matrix that was not binned by the model's cuts.
    """
    if matrix.cuts is not model.cuts:
        raise EngineError("the matrix was not binned by the model's cuts")
    margins = np.zeros((model.parameters.classes, matrix.rows), dtype=np.float32)
    add_trees(run, trees_of(model), model.parameters.max_depth, bins_of(matrix), margins)
    return margins


def predict_values(run: Run, model: SecretModel, matrix: SecretMatrix) -> Floats:
    """Probabilities, means or numbers of every row; secret. Classes stand row by row.

    Raises: EngineError for a matrix that was not binned by the model's cuts.
    """
    margins = predict_margins(run, model, matrix)
    out = np.empty(margins.size, dtype=np.float32)
    run.call(_native.transform_margins, int(model.parameters.objective), margins, out)
    return out if len(margins) == 1 else out.reshape(matrix.rows, -1)


def predict_leaves(run: Run, model: SecretModel, matrix: SecretMatrix) -> npt.NDArray[np.uint8]:
    """The place of every row's leaf among those of each complete tree, a row for each tree.

    Raises: EngineError for a matrix that was not binned by the model's cuts.
    """
    if matrix.cuts is not model.cuts:
        raise EngineError("the matrix was not binned by the model's cuts")
    trees = trees_of(model)
    out = np.empty((len(trees), matrix.rows), dtype=np.uint8)
    classes = np.zeros(len(trees), dtype=np.uint32)
    depth = model.parameters.max_depth
    run.call(_native.leaf_numbers, bins_of(matrix), depth, *_joined(trees), classes, out)
    return out


def predict_nodes(run: Run, model: SecretModel, matrix: SecretMatrix) -> npt.NDArray[np.uint64]:
    """The number of every row's leaf in the released file, a row for each tree; secret.

    Raises: EngineError for a matrix that was not binned by the model's cuts.
    """
    if matrix.cuts is not model.cuts:
        raise EngineError("the matrix was not binned by the model's cuts")
    trees, depth = trees_of(model), model.parameters.max_depth
    numbered = tuple(replace(t, leaves=_node_numbers(t, depth)) for t in trees)
    found = np.zeros((len(trees), matrix.rows), dtype=np.float32)
    add_trees(run, numbered, depth, bins_of(matrix), found)
    return found.astype(np.uint64)


def _node_numbers(tree: SecretTree, depth: int) -> Floats:
    """Of each place in the lowest level, the number of the node that its rows end in.

    Nodes that are left are numbered level by level, as `release` does. The arithmetic is the same
    whatever is split: nothing but places decides what is read.
    """
    split = (tree.flags & _IS_SPLIT) // _IS_SPLIT
    levels = [np.ones(1, dtype=np.int64)]
    for level in range(depth):
        first = (1 << level) - 1
        levels.append(np.repeat(levels[-1] * split[first : 2 * first + 1], 2))
    numbers = np.cumsum(np.concatenate(levels)) - 1
    found = numbers[:1]
    for level, there in enumerate(levels[1:], start=1):
        first = (1 << level) - 1
        found = there * numbers[first : 2 * first + 1] + (1 - there) * np.repeat(found, 2)
    return found.astype(np.float32)


# --- release


def reveal(run: Run, array: npt.NDArray[Any], reason: str) -> npt.NDArray[Any]:
    """Make an array public, for a reason that the plan shows."""
    raw = np.zeros(-(-array.nbytes // 8) * 8, dtype=np.uint8)
    raw[: array.nbytes] = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
    words = np.array(run.declassify(raw.view(np.uint64), reason), dtype=np.uint64)
    found = words.view(np.uint8)[: array.nbytes].view(array.dtype)
    return found.reshape(array.shape)


@dataclass(slots=True)
class _Nodes:
    """A tree as XGBoost's file has it: one list for each field, nodes in breadth-first order."""

    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    conditions: list[float] = field(default_factory=list)
    default_left: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)
    hessians: list[float] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    category_nodes: list[int] = field(default_factory=list)
    categories: list[int] = field(default_factory=list)


def release(run: Run, model: SecretModel, *, statistics: bool = True) -> dict[str, Any]:
    """Make a model public, in the form of XGBoost's JSON files: stock XGBoost loads it.

    Without `statistics` gains, covers and weights of inner nodes are left out (zeros).
    """
    trees = trees_of(model)
    shown = [_released_tree(run, t, model, statistics=statistics) for t in trees]
    parameters = model.parameters
    classes = parameters.classes
    names = [f.name for f in model.cuts.features]
    types = ["c" if f.categories else "float" for f in model.cuts.features]
    for place, tree in enumerate(shown):
        tree["id"] = place
    gbtree = {
        "cats": _categories(model.cuts.features),
        "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
        "iteration_indptr": list(range(0, len(trees) + 1, classes)),
        "tree_info": [place % classes for place in range(len(trees))],
        "trees": shown,
    }
    return {
        "learner": {
            "attributes": {},
            "feature_names": names,
            "feature_types": types,
            "gradient_booster": {"model": gbtree, "name": "gbtree"},
            "learner_model_param": {
                "base_score": _base_score(parameters),
                "boost_from_average": "1",
                "num_class": str(classes if classes > 1 else 0),
                "num_feature": str(len(names)),
                "num_target": "1",
            },
            "objective": _objective(parameters),
        },
        "version": _VERSION,
    }


def _categories(features: Sequence[Feature]) -> dict[str, list[Any]]:
    """Names of categories as XGBoost's file has them; it then knows rows by names, too."""
    if not any(f.names for f in features):
        return {"enc": [], "feature_segments": [], "sorted_idx": []}
    encodings: list[dict[str, list[int]]] = []
    segments, places = [0], []
    for feature in features:
        raw = [name.encode() for name in feature.names]
        ends = [0, *accumulate(map(len, raw))] if raw else []
        encodings.append({"offsets": ends, "values": list(b"".join(raw))})
        segments.append(segments[-1] + len(raw))
        places += sorted(range(len(raw)), key=raw.__getitem__)
    return {"enc": encodings, "feature_segments": segments, "sorted_idx": places}


def _base_score(parameters: BoostingParameters) -> str:
    """The score whose margin is 0: the first trees hold what predictions start from."""
    if parameters.objective is Objective.SOFTMAX:
        return "[" + ",".join(["0E0"] * parameters.classes) + "]"
    scores = {Objective.LOGISTIC: "[5E-1]", Objective.POISSON: "[1E0]"}
    return scores.get(parameters.objective, "[0E0]")


def _objective(parameters: BoostingParameters) -> dict[str, Any]:
    name = parameters.name
    if parameters.objective is Objective.SOFTMAX:
        classes = {"num_class": str(parameters.classes)}
        return {"name": name, "softmax_multiclass_param": classes}
    if parameters.objective is Objective.POISSON:
        step = {"max_delta_step": repr(parameters.max_delta_step)}
        return {"name": name, "poisson_regression_param": step}
    weight = {"scale_pos_weight": repr(parameters.scale_pos_weight)}
    return {"name": name, "reg_loss_param": weight}


def _released_tree(
    run: Run, tree: SecretTree, model: SecretModel, *, statistics: bool
) -> dict[str, Any]:
    cuts = np.empty(len(tree.features), dtype=np.float32)
    run.call(_native.cut_values, cuts_of(model.cuts), tree.features, tree.thresholds, cuts)

    def shown(array: npt.NDArray[Any]) -> list[Any]:
        return list(reveal(run, array, "the model is an output").tolist())

    features, thresholds, flags = shown(tree.features), shown(tree.thresholds), shown(tree.flags)
    conditions, leaves = shown(cuts), shown(tree.leaves)
    units = shown(tree.units) if statistics else [0.0, 0.0]
    gains = shown(tree.gains) if statistics else [0.0] * len(features)
    sums = shown(tree.totals) if statistics else [0] * (2 * len(features))
    leaf_sums = shown(tree.leaf_sums) if statistics else [0] * (2 * len(leaves))
    nodes = _Nodes()
    inner = len(features)

    def condition(node: int, here: int) -> float:
        if flags[node] & _ONE_HOT:
            nodes.category_nodes.append(here)
            nodes.categories.append(thresholds[node])
            return 0.0
        return float(conditions[node])

    queue = [(0, _NO_PARENT)]
    for node, parent in queue:
        here = len(nodes.left)
        split = node < inner and bool(flags[node] & _IS_SPLIT)
        if split:
            nodes.left.append(len(queue))
            nodes.right.append(len(queue) + 1)
            queue += [(2 * node + 1, here), (2 * node + 2, here)]
        else:
            nodes.left.append(-1)
            nodes.right.append(-1)
        leaf = _leftmost(node, inner) - inner
        value = leaves[leaf]
        nodes.parents.append(parent)
        nodes.features.append(features[node] if split else 0)
        nodes.conditions.append(condition(node, here) if split else value)
        nodes.default_left.append(int(split and bool(flags[node] & _MISSING_LEFT)))
        nodes.types.append(int(split and bool(flags[node] & _ONE_HOT)))
        nodes.gains.append(gains[node] if split else 0.0)
        g, h = _sums_at(node, inner, sums, leaf_sums)
        nodes.hessians.append(_single(h * units[1]))
        weight = _weight(model.parameters, g * units[0], h * units[1]) * tree.rate
        inner_weight = weight if split else value
        nodes.weights.append(_single(inner_weight))
    return _tree_json(nodes, len(model.cuts.features))


def _leftmost(node: int, inner: int) -> int:
    while node < inner:
        node = 2 * node + 1
    return node


def _sums_at(node: int, inner: int, sums: list[int], leaf_sums: list[int]) -> tuple[int, int]:
    if node < inner:
        return sums[2 * node], sums[2 * node + 1]
    leaf = node - inner
    return leaf_sums[2 * leaf], leaf_sums[2 * leaf + 1]


def _weight(parameters: BoostingParameters, g: float, h: float) -> float:
    """XGBoost keeps for inner nodes what their value would be, times the learning rate."""
    total = h + parameters.reg_lambda
    return -g / total if total > 0 else 0.0


def _single(value: float) -> float:
    return float(np.float32(value))


def _tree_json(nodes: _Nodes, features: int) -> dict[str, Any]:
    count = len(nodes.left)
    return {
        "base_weights": nodes.weights,
        "categories": nodes.categories,
        "categories_nodes": nodes.category_nodes,
        "categories_segments": list(range(len(nodes.categories))),
        "categories_sizes": [1] * len(nodes.categories),
        "default_left": nodes.default_left,
        "id": 0,
        "left_children": nodes.left,
        "loss_changes": [_single(gain) for gain in nodes.gains],
        "parents": nodes.parents,
        "right_children": nodes.right,
        "split_conditions": nodes.conditions,
        "split_indices": nodes.features,
        "split_type": nodes.types,
        "sum_hessian": nodes.hessians,
        "tree_param": {
            "num_deleted": "0",
            "num_feature": str(features),
            "num_nodes": str(count),
            "size_leaf_vector": "1",
        },
    }
