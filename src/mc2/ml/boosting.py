"""Oblivious gradient boosting: XGBoost's models, by a trace that depends on public shapes only.

Each round: gradients of all rows in whole numbers; level by level, exact sums by node, feature and
bin, the best split of each node, rows to the next level; the values of the leaves. Sums are exact,
so the model has the same bits for any order and any partition of the rows, threads and instruction
sets. See docs/spec/oblivious-boosting.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.errors import EngineError
from mc2.ml.boosted_trees import SecretModel, SecretTree, add_trees, reveal
from mc2.ml.boosting_metrics import mean_parts, metric_names, metric_number, metric_value
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.boosting_rows import (
    Level,
    Reals,
    Sums,
    TrainingRows,
    key_word,
    losses,
)
from mc2.ml.secret_matrix import Floats, SecretMatrix, parts_of
from mc2.operators.run import Run

PUBLIC: Final = "public"
SECRET: Final = "secret"  # noqa: S105 - a setting
_KEY_BYTES: Final = 32
_WIDE: Final = 3

History = dict[str, dict[str, list[float]]]


@dataclass(frozen=True, slots=True)
class Training:
    """How to train, beside the parameters of the model; all of it is public.

    `model` says whether splits may show as they are chosen ("public": the model is released to all
    anyway), or nothing ("secret"). With `early_stopping_rounds` the metrics of each round show, and
    so does when training stops. `fixed_order` leaves out the shuffle that grouping relies on: no
    part of the computation is then random, and histograms take up to twice as long.
    """

    rounds: int
    model: str = SECRET
    early_stopping_rounds: int | None = None
    fixed_order: bool = False

    def __post_init__(self) -> None:
        if self.model not in {PUBLIC, SECRET}:
            raise EngineError('the leakage setting `model` is "public" or "secret"')
        if self.rounds < 1:
            raise EngineError("training takes one round or more")


@dataclass(slots=True, eq=False)
class Trained:
    """A model, and what became of the metrics. `best_round` is there after early stopping only."""

    model: SecretModel
    history: History = field(default_factory=dict)
    best_round: int | None = None


def train(  # noqa: PLR0913 - what there is to say
    run: Run,
    partitions: Sequence[SecretMatrix],
    parameters: BoostingParameters,
    training: Training,
    key: bytes,
    *,
    evaluations: Mapping[str, Sequence[SecretMatrix]] | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> Trained:
    """Train on the rows of all partitions. The model does not depend on how they are cut.

    `key` (32 bytes) is secret and of this training alone: sampling, rounding and shuffling follow
    it and the identities of rows. Metrics of `evaluations` are made public: at the end, or after
    each round with early stopping. `tell` is called after each round.

    Raises: EngineError for what cannot be done; flags of the run for labels that do not fit.
    """
    if len(key) != _KEY_BYTES:
        raise EngineError("a training's key has 32 bytes")
    if not partitions or any(m.cuts is not partitions[0].cuts for m in partitions):
        raise EngineError("all partitions must be binned by the same cuts")
    job = _Job(run, partitions, parameters, training, key)
    watch = _Watch(run, job, evaluations or {}, training)
    for turn in range(training.rounds):
        watch.add_round(job.add_round(turn))
        tell(turn + 1)
        if watch.stops():
            break
    model = SecretModel(parameters, partitions[0].cuts, tuple(job.trees))
    return Trained(model, watch.history(), watch.best_round)


class _Job:
    """The rows of all partitions, and the trees so far."""

    def __init__(
        self,
        run: Run,
        partitions: Sequence[SecretMatrix],
        parameters: BoostingParameters,
        training: Training,
        key: bytes,
    ) -> None:
        self.run, self.parameters, self._training, self._key = run, parameters, training, key
        self.cuts = partitions[0].cuts
        self.trees: list[SecretTree] = []
        # Without padding, which depends on how rows are cut.
        total = sum(m.places for m in partitions)
        self.rows = [
            TrainingRows(
                run,
                matrix,
                parameters,
                key,
                all_rows=total,
                partition=place,
                fixed_order=training.fixed_order,
            )
            for place, matrix in enumerate(partitions)
        ]
        features = self.cuts.features
        self._one_hot = np.array([f.categories > 0 for f in features], dtype=np.uint8)
        self._nullable = np.array([f.nullable for f in features], dtype=np.uint8)
        signs = parameters.monotone or (0,) * len(features)
        self._monotone = np.array(signs, dtype=np.int8)
        self._start = self._start_margin()

    def _start_margin(self) -> Reals:
        margin = np.zeros(1, dtype=np.float64)
        given = self.parameters.base_margin
        if given is None:
            sums, greatest = mean_parts(self.run, [r.weighted_labels() for r in self.rows])
            objective = int(self.parameters.objective)
            self.run.call(_native.margin_of_mean, objective, sums, greatest, margin)
        else:
            margin[:] = given
        # The rows start where predictions will: at a leaf that holds the start.
        leaf = np.zeros(1, dtype=np.float32)
        self.run.call(
            _native.leaf_values,
            np.zeros(2, np.int64),
            _no_bounds(1),
            self.parameters.rules,
            np.ones(2),
            0.0,
            margin,
            leaf,
        )
        for rows in self.rows:
            for of_class in range(self.parameters.classes):
                rows.add_leaves(of_class, leaf)
        return margin

    def add_round(self, turn: int) -> tuple[SecretTree, ...]:
        """Grow one tree for each class."""
        for rows in self.rows:
            rows.compute_gradients(turn)
        grown = [self._tree(turn, of_class) for of_class in range(self.parameters.classes)]
        self.trees += grown
        return tuple(grown)

    def _tree(self, turn: int, of_class: int) -> SecretTree:
        run, depth = self.run, self.parameters.max_depth
        greatest, units = np.zeros(2, dtype=np.float64), np.zeros(2, dtype=np.float64)
        for rows in self.rows:
            rows.raise_greatest(of_class, greatest)
        run.call(_native.gradient_units, greatest, units)
        totals = np.zeros(2, dtype=np.int64)
        for rows in self.rows:
            rows.begin_tree(turn, of_class, greatest)
            rows.add_total(totals)
        bounds, levels = _no_bounds(1), []
        for depth_now in range(depth):
            sums = self._histograms(depth_now)
            allowed = self._allowed(turn, of_class, depth_now)
            level, totals, bounds = self._splits(sums, totals, bounds, allowed, units)
            levels.append(level)
            shown = self._shown(level)
            for rows in self.rows:
                rows.route(level, shown=shown)
        return self._finish(turn, of_class, levels, bounds, units)

    def _histograms(self, level: int) -> Sums:
        sums = self.rows[0].histograms(level)
        if len(self.rows) > 1:
            sums = sums.copy()
        for rows in self.rows[1:]:
            self.run.call(_native.add_histograms, sums, rows.histograms(level))
        return sums

    def _splits(
        self, sums: Sums, totals: Sums, bounds: Reals, allowed: npt.NDArray[np.uint8], units: Reals
    ) -> tuple[Level, Sums, Reals]:
        nodes = len(allowed)
        level = Level(
            np.zeros(nodes, np.uint32),
            np.zeros(nodes, np.uint8),
            np.zeros(nodes, np.uint8),
            np.zeros(nodes, np.float64),
            totals,
        )
        child_totals, child_bounds = np.zeros(4 * nodes, np.int64), np.zeros(4 * nodes)
        self.run.call(
            _native.find_splits,
            sums,
            totals,
            bounds,
            allowed,
            self.cuts.counts,
            self._one_hot,
            self._nullable,
            self._monotone,
            self.parameters.rules,
            units,
            level.features,
            level.thresholds,
            level.flags,
            level.gains,
            child_totals,
            child_bounds,
        )
        return level, child_totals, child_bounds

    def _shown(self, level: Level) -> npt.NDArray[np.uint32] | None:
        """The features that are used, if splits may show and it saves reading the others."""
        many = len(self.cuts.features) >= _WIDE * len(level.features)
        if self._training.model != PUBLIC or not many:
            return None
        shown = np.unique(reveal(self.run, level.features, "splits show as they are chosen"))
        return shown.astype(np.uint32)

    def _finish(
        self, turn: int, of_class: int, levels: list[Level], bounds: Reals, units: Reals
    ) -> SecretTree:
        leaves = 1 << len(levels)
        sums, values = np.zeros(2 * leaves, np.int64), np.zeros(leaves, np.float32)
        for rows in self.rows:
            rows.add_leaf_sums(sums, leaves)
        rules, rate = self.parameters.rules, self.parameters.learning_rate
        begin = np.zeros(1)
        leaf = (_native.leaf_values, sums, bounds, rules, units, rate)
        if turn > 0:
            self.run.call(*leaf, begin, values)
        else:
            self.run.call(*leaf, self._start, values)
            for rows in self.rows:
                rows.margins[of_class] = 0
        for rows in self.rows:
            rows.add_leaves(of_class, values)
        return SecretTree.of(levels, sums, values, units)

    # --- columns

    def _allowed(self, turn: int, of_class: int, level: int) -> npt.NDArray[np.uint8]:
        """Which features a node may use. It follows the key alone."""
        p, count = self.parameters, len(self.cuts.features)
        tree = self._drawn(range(count), p.colsample_bytree, "tree", turn, of_class)
        here = self._drawn(tree, p.colsample_bylevel, "level", turn, of_class, level)
        allowed = np.zeros((1 << level, count), dtype=np.uint8)
        for node in range(1 << level):
            purpose = ("node", turn, of_class, level, node)
            allowed[node, self._drawn(here, p.colsample_bynode, *purpose)] = 1
        return allowed

    def _drawn(self, features: Sequence[int], share: float, *purpose: object) -> list[int]:
        if share >= 1:
            return list(features)
        seed = self.parameters.seed
        words = {f: key_word(self._key, seed, "columns", *purpose, f) for f in features}
        return sorted(sorted(features, key=words.__getitem__)[: max(1, int(share * len(features)))])


def _no_bounds(nodes: int) -> Reals:
    return np.array([-np.finfo(np.float64).max, np.finfo(np.float64).max] * nodes)


class _Watch:
    """Metrics after each round, and early stopping."""

    def __init__(
        self,
        run: Run,
        job: _Job,
        evaluations: Mapping[str, Sequence[SecretMatrix]],
        training: Training,
    ) -> None:
        self._run, self._job, self._stop = run, job, training.early_stopping_rounds
        if self._stop is not None and not evaluations:
            raise EngineError("early stopping needs an evaluation set")
        if any(m.cuts is not job.cuts for ms in evaluations.values() for m in ms):
            raise EngineError("evaluation sets must be binned by the cuts of the training set")
        self._names = metric_names(job.parameters)
        classes = job.parameters.classes
        self._sets: dict[str, list[tuple[SecretMatrix, Floats]]] = {
            name: [(m, np.zeros((classes, m.rows), dtype=np.float32)) for m in matrices]
            for name, matrices in evaluations.items()
        }
        self._secret: list[tuple[str, str, Sums, Reals]] = []
        self._last: list[float] = []
        self._history: History = {name: {m: [] for m in self._names} for name in evaluations}
        self.best_round: int | None = None

    def add_round(self, trees: tuple[SecretTree, ...]) -> None:
        """Compute the metrics after these trees, and keep them secret."""
        depth = self._job.parameters.max_depth
        for name, matrices in self._sets.items():
            for matrix, margins in matrices:
                add_trees(self._run, trees, depth, matrix, margins)
            for metric in self._names:
                number = metric_number(metric)
                rows = [losses(self._run, number, m, parts_of(x)) for x, m in matrices]
                self._secret.append((name, metric, *mean_parts(self._run, rows)))

    def stops(self) -> bool:
        """With early stopping: whether the last metric of the last set has not improved."""
        if self._stop is None:
            return False
        found = self._show()
        self._last.append(found)
        best = min(range(len(self._last)), key=self._last.__getitem__)
        self.best_round = best
        return len(self._last) - 1 - best >= self._stop

    def history(self) -> History:
        """All metrics, public from now on."""
        if self._secret:
            self._show()
        return self._history

    def _show(self) -> float:
        value = float("nan")
        for name, metric, sums, greatest in self._secret:
            shown = reveal(self._run, sums, "metrics are an output")
            units = reveal(self._run, greatest, "metrics are an output")
            value = metric_value(metric, shown.tolist(), units.tolist())
            self._history[name][metric].append(value)
        self._secret.clear()
        return value
