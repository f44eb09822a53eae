"""One worker's part of a training: its rows, and its answers to the steps of the leader.

A worker's state follows from its rows and from what it was told, so a worker that is lost is
replaced by one that reads the same rows and catches up on the steps so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mc2 import _native
from mc2.errors import EngineError
from mc2.ml.boosted_trees import SecretModel, SecretTree, add_trees, trees_of
from mc2.ml.boosting_metrics import is_ranked, metric_names, metric_number
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.boosting_ranks import area_sums
from mc2.ml.boosting_rounds import Arrays, Kind, Step
from mc2.ml.boosting_rows import Level, Reals, Sums, TrainingRows, losses
from mc2.ml.secret_matrix import Floats, SecretMatrix, bins_of, parts_of
from mc2.operators.run import Run

_Pairs = list[tuple[Floats, Floats]]


class Partition:
    """The rows of one worker, in one matrix or several, none of which the others see."""

    def __init__(  # noqa: PLR0913 - what there is to say
        self,
        run: Run,
        matrices: Sequence[SecretMatrix],
        parameters: BoostingParameters,
        key: bytes,
        *,
        all_rows: int,
        first: int = 0,
        fixed_order: bool = False,
        resumable: bool = False,
        evaluations: Mapping[str, Sequence[SecretMatrix]] | None = None,
        start: SecretModel | None = None,
    ) -> None:
        """Take rows, which wait for the first step, or for the round behind those of `start`.

        `all_rows` are the places of all workers, `first` the number of matrices of those before
        this one: both are public. With `resumable`, margins are kept as a round begins, for the
        round to begin again.
        """
        self._run, self._parameters = run, parameters
        self._rows = [
            TrainingRows(
                run,
                matrix,
                parameters,
                key,
                all_rows=all_rows,
                partition=first + place,
                fixed_order=fixed_order,
            )
            for place, matrix in enumerate(matrices)
        ]
        classes = parameters.classes
        self._sets = [
            [(m, np.zeros((classes, m.rows), dtype=np.float32)) for m in found]
            for found in (evaluations or {}).values()
        ]
        self._resumable, self._before = resumable, _Margins([], [])
        self._levels: list[Level] = []
        self._trees: list[SecretTree] = []
        self._losses: list[_Pairs | Sums] = []
        if start is not None:
            self._go_on(start)

    def _go_on(self, start: SecretModel) -> None:
        """Bring margins to where the trees of a model leave them."""
        trees, depth = trees_of(start), start.parameters.max_depth
        for rows in self._rows:
            add_trees(self._run, trees, depth, rows.columns, rows.margins)
        for found in self._sets:
            for matrix, margins in found:
                add_trees(self._run, trees, depth, bins_of(matrix), margins)

    def answer(self, step: Step, told: Arrays) -> Arrays:
        """Take one step. Steps come in their order, each once."""
        self.follow(step, told)
        return _ANSWERS.get(step.kind, _nothing)(self, step, told)

    def catch_up(self, steps: Sequence[tuple[Step, Arrays]]) -> None:
        """Take the steps that a lost worker took, without the sums of trees that are grown."""
        steps = _standing(steps)
        begun = max((i for i, (s, _) in enumerate(steps) if s.kind is Kind.GRADIENTS), default=0)
        root = max((i for i, (s, _) in enumerate(steps) if s.kind is Kind.ROOT), default=0)
        for place, (step, told) in enumerate(steps):
            if place == begun or place >= root or step.kind is Kind.LOSSES:
                self.answer(step, told)
            else:
                self.follow(step, told)

    def follow(self, step: Step, told: Arrays) -> None:
        """Bring rows and margins to where a step wants them."""
        match step.kind:
            case Kind.GRADIENTS:
                self._begin_round(step.turn, told)
            case Kind.DROPPED:
                self._restore_margins(step.turn)
            case Kind.ROOT:
                self._levels = []
                for rows in self._rows:
                    rows.to_root()
            case Kind.LEVEL | Kind.LEAVES:
                self._route(step, told)
            case Kind.GROWN:
                self._grow(step, told[0])
            case Kind.LOSSES:
                self._predict()

    def _begin_round(self, turn: int, told: Arrays) -> None:
        if self._resumable:
            judged = [margins.copy() for found in self._sets for _, margins in found]
            self._before = _Margins([rows.margins.copy() for rows in self._rows], judged)
        if turn == 0:
            # The rows start where predictions will: at a leaf that holds the start.
            for rows in self._rows:
                for of_class in range(self._parameters.classes):
                    rows.add_leaves(of_class, told[0][of_class : of_class + 1])

    def _restore_margins(self, turn: int) -> None:
        """Go back to where a round began. Before the first one there is nothing to go back to."""
        if not self._resumable:
            raise EngineError("this training cannot begin a round again")
        self._trees, self._levels, self._losses = [], [], []
        for rows in self._rows:
            rows.to_root()
        if turn == 0 and not self._before.trained:
            return
        for rows, margins in zip(self._rows, self._before.trained, strict=True):
            rows.margins[:] = margins
        judged = [margins for found in self._sets for _, margins in found]
        for now, margins in zip(judged, self._before.judged, strict=True):
            now[:] = margins

    def _route(self, step: Step, told: Arrays) -> None:
        level = _level_of(told)
        shown = None if step.shown is None else np.array(step.shown, dtype=np.uint32)
        for rows in self._rows:
            rows.route(level, shown=shown)
        self._levels.append(level)

    def _grow(self, step: Step, values: Floats) -> None:
        for rows in self._rows:
            if step.turn == 0:  # the first trees hold the start
                rows.margins[step.of_class] = 0
            rows.add_leaves(step.of_class, values)
        if self._sets:
            nothing, units = np.empty(0, dtype=np.int64), np.empty(0)
            self._trees.append(SecretTree.of(self._levels, nothing, values, units))

    def _predict(self) -> None:
        trees, self._trees = tuple(self._trees), []
        for found in self._sets:
            for matrix, margins in found:
                add_trees(self._run, trees, self._parameters.max_depth, bins_of(matrix), margins)

    # --- answers

    def labels(self, _: Step, __: Arrays) -> Arrays:
        """The greatest of what the mean of labels, or the share of each class, is of."""
        self._losses = [
            [r.weighted_labels(c) for r in self._rows] for c in range(self._parameters.classes)
        ]
        return (self._greatest(),)

    def gradients(self, step: Step, _: Arrays) -> Arrays:
        """Gradients of all classes at the margins of now; their greatest."""
        found = np.zeros((self._parameters.classes, 2), dtype=np.float64)
        for rows in self._rows:
            rows.compute_gradients(step.turn)
            for of_class, greatest in enumerate(found):
                rows.raise_greatest(of_class, greatest)
        return (found.reshape(-1),)

    def root(self, step: Step, told: Arrays) -> Arrays:
        """Gradients in whole numbers; the sums over all rows, and by feature and bin."""
        totals = np.zeros(2, dtype=np.int64)
        for rows in self._rows:
            rows.begin_tree(step.turn, step.of_class, told[0])
            rows.add_total(totals)
        return totals, self._histograms(0)

    def level(self, step: Step, _: Arrays) -> Arrays:
        """Sums by node, feature and bin."""
        return (self._histograms(step.level),)

    def windows(self, _: Step, told: Arrays) -> Arrays:
        """Sums around the splits that are told, which the rows do not follow yet."""
        return (self._sum(rows.windows(_level_of(told)) for rows in self._rows),)

    def _histograms(self, level: int) -> Sums:
        return self._sum(rows.histograms(level) for rows in self._rows)

    def _sum(self, parts: Iterable[Sums]) -> Sums:
        """The sums of all matrices, in an array of their own if there are several."""
        if not self._rows:
            raise EngineError("a worker without rows takes no part in a training")
        left = iter(parts)
        sums = next(left)
        if len(self._rows) > 1:
            sums = sums.copy()  # a matrix goes on to need its own
        for other in left:
            self._run.call(_native.add_histograms, sums, other)
        return sums

    def leaves(self, _: Step, __: Arrays) -> Arrays:
        """Sums of the leaves, and flags: secret until the leader has joined them with others'."""
        leaves = 1 << self._parameters.max_depth
        sums = np.zeros(2 * leaves, dtype=np.int64)
        for rows in self._rows:
            rows.add_leaf_sums(sums, leaves)
        return sums, self._run.flags()

    def losses(self, _: Step, __: Arrays) -> Arrays:
        """The greatest losses and weights, of each set and metric; 1 for areas."""
        names = metric_names(self._parameters)
        self._losses = [self._loss(name, found) for found in self._sets for name in names]
        return (self._greatest(),)

    def _loss(self, name: str, rows: Sequence[tuple[SecretMatrix, Floats]]) -> _Pairs | Sums:
        if is_ranked(name):
            return area_sums(self._run, self._parameters, rows)
        number = metric_number(name)
        return [losses(self._run, number, margins, parts_of(m)) for m, margins in rows]

    def _greatest(self) -> Reals:
        found = np.zeros((len(self._losses), 2), dtype=np.float64)
        for pairs, greatest in zip(self._losses, found, strict=True):
            if isinstance(pairs, np.ndarray):
                greatest[:] = 1
                continue
            for values, weights in pairs:
                self._run.call(_native.greatest, values, weights, greatest)
        return found.reshape(-1)

    def sums(self, _: Step, told: Arrays) -> Arrays:
        """Sums of what the greatest were told of, in units of those of all workers."""
        found = np.zeros((len(self._losses), 2), dtype=np.int64)
        units = told[0].reshape(-1, 2)
        for pairs, unit, total in zip(self._losses, units, found, strict=True):
            if isinstance(pairs, np.ndarray):
                total[:] = pairs
                continue
            for values, weights in pairs:
                self._run.call(_native.float_sums, values, weights, unit, total)
        self._losses = []
        return (found.reshape(-1),)


@dataclass(frozen=True, slots=True, eq=False)
class _Margins:
    """Margins of the rows to train on, and of those to judge."""

    trained: Sequence[Floats]
    judged: Sequence[Floats]


def _standing(steps: Sequence[tuple[Step, Arrays]]) -> list[tuple[Step, Arrays]]:
    """The steps but for those of rounds that began again."""
    kept: list[tuple[Step, Arrays]] = []
    for step, told in steps:
        if step.kind is Kind.DROPPED:
            kept = [s for s in kept if s[0].turn < step.turn]
        else:
            kept.append((step, told))
    return kept


def _level_of(told: Arrays) -> Level:
    features, thresholds, flags = told
    return Level(features, thresholds, flags, np.empty(0), np.empty(0, dtype=np.int64))


def _nothing(_: Partition, __: Step, ___: Arrays) -> Arrays:
    return ()


_ANSWERS: Final[Mapping[Kind, Callable[[Partition, Step, Arrays], Arrays]]] = {
    Kind.LABELS: Partition.labels,
    Kind.LABEL_SUMS: Partition.sums,
    Kind.GRADIENTS: Partition.gradients,
    Kind.ROOT: Partition.root,
    Kind.WINDOWS: Partition.windows,
    Kind.LEVEL: Partition.level,
    Kind.LEAVES: Partition.leaves,
    Kind.LOSSES: Partition.losses,
    Kind.LOSS_SUMS: Partition.sums,
}
