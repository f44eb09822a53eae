"""Oblivious gradient boosting: XGBoost's models, by a trace that depends on public shapes only.

Each round: gradients of all rows in whole numbers; level by level, exact sums by node, feature and
bin, the best split of each node, rows to the next level; the values of the leaves. Sums are exact,
so the model has the same bits for any order and any partition of the rows, threads and instruction
sets. See docs/spec/oblivious-boosting.md.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.errors import EngineError
from mc2.ml.boosted_trees import SecretModel, SecretTree, reveal, trees_of
from mc2.ml.boosting_parameters import BoostingParameters, Objective
from mc2.ml.boosting_partition import Partition
from mc2.ml.boosting_rounds import Arrays, Form, Kind, Step, summed
from mc2.ml.boosting_rows import Level, Reals, Sums, cell_counts, key_word
from mc2.ml.boosting_watch import LAST, History, Watch, Watched
from mc2.ml.secret_matrix import Floats, SecretCuts, SecretMatrix
from mc2.operators.run import Run

PUBLIC: Final = "public"
SECRET: Final = "secret"  # noqa: S105 - a setting
_KEY_BYTES: Final = 32
_WIDE: Final = 3


@dataclass(frozen=True, slots=True)
class Training:
    """How to train, beside the parameters of the model; all of it is public.

    `model` says whether splits may show as they are chosen ("public": the model is released to all
    anyway), or nothing ("secret"). With `early_stopping_rounds` the metrics of each round show, and
    so does when training stops. `fixed_order` leaves out the shuffle that grouping relies on: no
    part of the computation is then random, and histograms take up to twice as long. A training that
    is `resumable` can begin a round again: it keeps margins as they were before each, and shows no
    split. `learning_rates` has one for each round, or none: then it is that of the parameters.
    """

    rounds: int
    model: str = SECRET
    early_stopping_rounds: int | None = None
    fixed_order: bool = False
    resumable: bool = False
    watched: Watched = LAST
    learning_rates: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.model not in {PUBLIC, SECRET}:
            raise EngineError('the leakage setting `model` is "public" or "secret"')
        if self.rounds < 1:
            raise EngineError("training takes one round or more")
        if self.learning_rates and len(self.learning_rates) != self.rounds:
            raise EngineError("there is one learning rate for each round")


@dataclass(slots=True, eq=False)
class Trained:
    """A model, and what became of the metrics.

    `best_round` and its `best_score` are there after early stopping only. Rounds count from those
    of the model that the training went on from; its history does not have these.
    """

    model: SecretModel
    history: History = field(default_factory=dict)
    best_round: int | None = None
    best_score: float | None = None


def train(  # noqa: PLR0913 - what there is to say
    run: Run,
    partitions: Sequence[SecretMatrix],
    parameters: BoostingParameters,
    training: Training,
    key: bytes,
    *,
    evaluations: Mapping[str, Sequence[SecretMatrix]] | None = None,
    tell: Callable[[int], None] = lambda _: None,
    start: SecretModel | None = None,
    all_rows: int | None = None,
) -> Trained:
    """Train on the rows of all partitions. The model does not depend on how they are cut.

    `key` (32 bytes) is secret and of this training alone: sampling, rounding and shuffling follow
    it and the identities of rows. Metrics of `evaluations` are made public: at the end, or after
    each round with early stopping. `tell` is called after each round. The trees of `start`, which
    has the same cuts, classes and depth, come first. `all_rows` counts places, if not those here.

    Raises: EngineError for what cannot be done; flags of the run for labels that do not fit.
    """
    if len(key) != _KEY_BYTES:
        raise EngineError("a training's key has 32 bytes")
    if not partitions or any(m.cuts is not partitions[0].cuts for m in partitions):
        raise EngineError("all partitions must be binned by the same cuts")
    # Without padding, which depends on how rows are cut.
    places = sum(m.places for m in partitions) if all_rows is None else all_rows
    sets = evaluations or {}
    if any(m.cuts is not partitions[0].cuts for ms in sets.values() for m in ms):
        raise EngineError("evaluation sets must be binned by the cuts of the training set")
    if start is not None and start.cuts is not partitions[0].cuts:
        raise EngineError("a model to go on from has the cuts of the training set")
    fixed = training.fixed_order
    rows = Partition(
        run,
        partitions,
        parameters,
        key,
        all_rows=places,
        fixed_order=fixed,
        evaluations=sets,
        start=start,
    )
    leader = Leader(run, partitions[0].cuts, parameters, training, key, tuple(sets), start=start)
    begun = told = leader.rounds
    while leader.step is not None:
        leader.take([rows.answer(leader.step, leader.told)])
        if leader.rounds > told:
            told = leader.rounds
            tell(told - begun)
    return leader.trained()


@dataclass(frozen=True, slots=True, eq=False)
class _Nodes:
    """Nodes of one level: their sums of g and h, and between what their values must be."""

    totals: Sums
    bounds: Reals


Play = Generator[tuple[Step, Arrays], Arrays, None]


class Leader:
    """What puts the sums of all partitions together, and chooses.

    It never sees a row. `step` and `told` are what every partition has to answer next; there is no
    step once the training is over. The model is the same however rows are cut into partitions.
    """

    def __init__(  # noqa: PLR0913 - what there is to say
        self,
        run: Run,
        cuts: SecretCuts,
        parameters: BoostingParameters,
        training: Training,
        key: bytes,
        evaluations: Sequence[str] = (),
        *,
        start: SecretModel | None = None,
    ) -> None:
        if len(key) != _KEY_BYTES:
            raise EngineError("a training's key has 32 bytes")
        self._run, self.cuts, self.parameters = run, cuts, parameters
        self._training, self._key = training, key
        if start is not None and _form_of(start.parameters) != _form_of(parameters):
            raise EngineError("a model to go on from has the same objective, classes and depth")
        self._trees: list[SecretTree] = [] if start is None else list(trees_of(start))
        self._watch = Watch(
            run, parameters, evaluations, training.early_stopping_rounds, training.watched
        )
        self._first = 0 if start is None else start.rounds
        self.rounds = self._first
        """How many rounds are over, with those of the model that it went on from."""
        self._counts = cell_counts(cuts, parameters)
        self._shift = parameters.cell_shift(cuts.bins)
        self.form = Form.of(parameters, int(self._counts.sum()), self._watch.count)
        features = cuts.features
        self._one_hot = np.array([f.categories > 0 for f in features], dtype=np.uint8)
        self._nullable = np.array([f.nullable for f in features], dtype=np.uint8)
        signs = parameters.monotone or (0,) * len(features)
        self._monotone = np.array(signs, dtype=np.int8)
        self._start: Reals = np.zeros(parameters.classes, dtype=np.float64)
        self._play = self._training_steps(self._first)
        self.step: Step | None
        self.step, self.told = next(self._play)

    def take(self, answers: Sequence[Arrays]) -> None:
        """Take one answer of each partition to the step, in any order; go on to the next step."""
        if self.step is None or not answers:
            raise EngineError("a training takes the answers of its partitions, step by step")
        try:
            self.step, self.told = self._play.send(summed(self._run, answers))
        except StopIteration:
            self.step, self.told = None, ()

    def begin_round_again(self) -> None:
        """Forget what was summed in this round: partitions are lost, and the others go on alone."""
        del self._trees[self.rounds * self.parameters.classes :]
        self._play = self._training_steps(self.rounds)
        self.step, self.told = next(self._play)

    def trained(self) -> Trained:
        """The model, once there is no step left. Raises: EngineError."""
        if self.step is not None:
            raise EngineError("the training is not over")
        model = SecretModel(self.parameters, self.cuts, tuple(self._trees))
        history, best = self._watch.history(), self._watch.best
        if best is None:
            return Trained(model, history)
        return Trained(model, history, self._first + best, self._watch.best_score)

    # --- steps

    def _training_steps(self, first: int = 0) -> Play:
        leaf = np.empty(0, np.float32) if first else (yield from self._start_leaf())
        for turn in range(first, self._first + self._training.rounds):
            greatest = (yield Step(Kind.GRADIENTS, turn), (leaf,) if turn == 0 else ())[0]
            for of_class in range(self.parameters.classes):
                of_tree = greatest[2 * of_class : 2 * of_class + 2].copy()
                yield from self._tree(turn, of_class, of_tree)
            if self._watch.count:
                greatest = (yield Step(Kind.LOSSES, turn), ())[0]
                sums = (yield Step(Kind.LOSS_SUMS, turn), (greatest,))[0]
                self._watch.add_round(sums, greatest)
            self.rounds = turn + 1
            if self._watch.stops():
                return

    def _start_leaf(self) -> Generator[tuple[Step, Arrays], Arrays, Floats]:
        given = self.parameters.base_margin
        if given is None:
            greatest = (yield Step(Kind.LABELS), ())[0]
            sums = (yield Step(Kind.LABEL_SUMS), (greatest,))[0]
            self._start_at_mean(sums, greatest)
        else:
            self._start[:] = given
        leaves = np.zeros(self.parameters.classes, dtype=np.float32)
        nothing, one, rules = np.zeros(2, np.int64), np.ones(2), self.parameters.rules
        for of_class in range(self.parameters.classes):
            here = slice(of_class, of_class + 1)
            begin = (nothing, _no_bounds(1), rules, one, 0.0, self._start[here])
            self._run.call(_native.leaf_values, *begin, leaves[here])
        return leaves

    def _start_at_mean(self, sums: Sums, greatest: Reals) -> None:
        """Where stock XGBoost starts without a `base_score`, by sums of labels and of weights.

        With a weight of its own for positive labels that is a step of Newton's from margin 0.
        """
        objective, more = self.parameters.objective, self.parameters.scale_pos_weight
        if objective is not Objective.LOGISTIC or more == 1:
            self._run.call(_native.margin_of_mean, int(objective), sums, greatest, self._start)
            return
        positive, every = np.split(sums * greatest, 2)
        shares = np.concatenate([more * positive, every + (more - 1) * positive])
        mean, ones = int(Objective.SQUARED_ERROR), np.ones(2, dtype=np.int64)
        self._run.call(_native.margin_of_mean, mean, ones, shares, self._start)
        self._start[:] = 4 * self._start - 2

    def _tree(self, turn: int, of_class: int, greatest: Reals) -> Play:
        """Grow one tree."""
        units = np.zeros(2, dtype=np.float64)
        self._run.call(_native.gradient_units, greatest, units)
        totals, sums = yield Step(Kind.ROOT, turn, of_class), (greatest,)
        above, levels = _Nodes(totals, _no_bounds(1)), []
        for depth in range(self.parameters.max_depth):
            allowed = self._allowed(turn, of_class, depth)
            level, below = self._splits(sums, above, allowed, units)
            if self._shift:
                windows = (yield Step(Kind.WINDOWS, turn, of_class, depth + 1), level.splits)[0]
                self._refine(windows, above, level, below, units)
            levels.append(level)
            above, last = below, depth + 1 == self.parameters.max_depth
            kind, shown = Kind.LEAVES if last else Kind.LEVEL, self._shown(level)
            sums, *flags = yield Step(kind, turn, of_class, depth + 1, shown), level.splits
        self._run.add_failures(flags[0])
        rate = self._rate(turn)
        begin = self._start[of_class : of_class + 1] if turn == 0 else np.zeros(1)
        values = self._leaves(sums, above.bounds, units, rate, begin)
        yield Step(Kind.GROWN, turn, of_class), (values,)
        self._trees.append(SecretTree.of(levels, sums, values, units, rate))

    def _rate(self, turn: int) -> float:
        rates = self._training.learning_rates
        return rates[turn - self._first] if rates else self.parameters.learning_rate

    def _leaves(self, sums: Sums, bounds: Reals, units: Reals, rate: float, begin: Reals) -> Floats:
        values = np.zeros(len(sums) // 2, np.float32)
        arguments = (sums, bounds, self.parameters.rules, units, rate, begin)
        self._run.call(_native.leaf_values, *arguments, values)
        return values

    def _splits(
        self, sums: Sums, above: _Nodes, allowed: npt.NDArray[np.uint8], units: Reals
    ) -> tuple[Level, _Nodes]:
        """The best splits of a level between bins, or between cells of them; the nodes below."""
        nodes = len(allowed)
        level = Level(
            np.zeros(nodes, np.uint32),
            np.zeros(nodes, np.uint8),
            np.zeros(nodes, np.uint8),
            np.zeros(nodes, np.float64),
            above.totals,
        )
        below = _Nodes(np.zeros(4 * nodes, np.int64), np.zeros(4 * nodes))
        self._run.call(
            _native.find_splits,
            sums,
            above.totals,
            above.bounds,
            allowed,
            self._counts,
            self._one_hot,
            self._nullable,
            self._monotone,
            self.parameters.rules,
            units,
            *level.found,
            below.totals,
            below.bounds,
        )
        return level, below

    def _refine(
        self, windows: Sums, above: _Nodes, level: Level, below: _Nodes, units: Reals
    ) -> None:
        """Move splits from borders of cells to the best of the bins around them."""
        self._run.call(
            _native.refine_splits,
            windows,
            above.totals,
            above.bounds,
            self._shift,
            self.cuts.bins,
            self._one_hot,
            self._monotone,
            self.parameters.rules,
            units,
            *level.found,
            below.totals,
            below.bounds,
        )

    def _shown(self, level: Level) -> tuple[int, ...] | None:
        """The features that are used, if splits may show and it saves reading the others."""
        many = len(self.cuts.features) >= _WIDE * len(level.features)
        # A round that begins again leaves splits behind that are in no model.
        if self._training.model != PUBLIC or self._training.resumable or not many:
            return None
        shown = np.unique(reveal(self._run, level.features, "splits show as they are chosen"))
        return tuple(int(feature) for feature in shown)

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


def _form_of(parameters: BoostingParameters) -> tuple[object, ...]:
    return parameters.objective, parameters.classes, parameters.max_depth


def _no_bounds(nodes: int) -> Reals:
    return np.array([-np.finfo(np.float64).max, np.finfo(np.float64).max] * nodes)
