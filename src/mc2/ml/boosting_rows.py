"""One partition of the rows under training: what a worker keeps, and the sums that leave it.

Everything that leaves is a sum of whole numbers (or a greatest value), of a shape that is public:
sums of partitions added up are those of all rows, whatever the partitions were.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.boosting_rounds import WINDOW
from mc2.ml.secret_matrix import Bytes, Floats, Parts, SecretCuts, SecretMatrix, parts_of
from mc2.operators.handles import Marks, Words
from mc2.operators.run import Run

Sums = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

COARSE_FROM: Final = 1 << 17
"""From so many rows on, histograms take gradients of one digit, rounded at random."""

_FINE_WORTH: Final = np.array([16384, 128, 1], dtype=np.int64)
_COARSE_WORTH: Final = np.array([16384], dtype=np.int64)
_GROUP_FROM: Final = 1 << 14
_TILE: Final = 1 << 17
_BLOCK: Final = 1024
_MANY_BINS: Final = 64
"""From so many bins a feature on, finding half of the rows costs less than summing all of them."""
_SHUFFLE: Final = "shuffle"


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """The splits of the nodes of one level: secret arrays, one value for each node."""

    features: npt.NDArray[np.uint32]
    thresholds: Marks
    flags: Marks
    gains: Reals
    totals: Sums
    """Of the nodes themselves: g and h."""

    @property
    def splits(self) -> tuple[npt.NDArray[np.uint32], Marks, Marks]:
        """What rows need to go on: features, thresholds, flags."""
        return self.features, self.thresholds, self.flags

    @property
    def found(self) -> tuple[npt.NDArray[np.uint32], Marks, Marks, Reals]:
        """What a search writes: the splits and their gains."""
        return *self.splits, self.gains


def key_word(key: bytes, *purpose: object) -> int:
    """64 bits for one purpose: a keyed hash, so that no two purposes share random words."""
    text = "/".join(str(part) for part in purpose).encode()
    return int.from_bytes(blake2b(text, digest_size=8, key=key, person=b"mc2/boosting/v1").digest())


class TrainingRows:
    """The rows of one partition, their margins, and the place of each row in the current tree."""

    def __init__(  # noqa: PLR0913 - what there is to say
        self,
        run: Run,
        matrix: SecretMatrix,
        parameters: BoostingParameters,
        key: bytes,
        *,
        all_rows: int,
        partition: int,
        fixed_order: bool = False,
    ) -> None:
        self.matrix = matrix
        self._run, self._parameters, self._key = run, parameters, key
        self._shift = parameters.cell_shift(matrix.cuts.bins)
        self.counts = cell_counts(matrix.cuts, parameters)
        self._coarse = all_rows >= COARSE_FROM
        self._worth = _COARSE_WORTH if self._coarse else _FINE_WORTH
        self._fixed_order = fixed_order
        rows = matrix.rows
        self._grouping = rows >= _GROUP_FROM and parameters.max_depth > 1
        self._parts = parts_of(matrix)
        if self._grouping:
            self._shuffle(partition)
        self._cells = self._cells_of_bins()
        if self._grouping and self._shift:
            run.call(_native.fill_records, self._cells, self._records)
        self.margins: Floats = np.zeros((parameters.classes, rows), dtype=np.float32)
        self._g, self._h = np.empty_like(self.margins), np.empty_like(self.margins)
        self._fine = np.empty((6, rows), dtype=np.int8)
        self._planes = np.empty((2, rows), dtype=np.int8) if self._coarse else self._fine
        self._nodes: Marks = np.zeros(rows, dtype=np.uint8)
        self._slots: Marks = np.zeros(rows, dtype=np.uint8)
        self._above: Sums = np.empty(0, dtype=np.int64)
        self._chosen: Bytes = np.empty((1, rows if self._shift else 0), dtype=np.uint8)
        self._chosen_now = False

    @property
    def bins(self) -> int:
        """How many bins all features have together: public."""
        return int(self.counts.sum())

    def _cells_of_bins(self) -> Bytes:
        """What histograms are over: cells of bins if splits are refined, else the bins."""
        bins, features = self._parts.bins, self.matrix.features
        if not self._shift:
            return bins
        cells = bins.copy()
        for place, feature in enumerate(features):
            if not feature.categories:
                self._run.call(_native.cells_of_bins, bins[place], self._shift, cells[place])
        return cells

    def _shuffle(self, partition: int) -> None:
        """Rows in random order, as records: grouping then needs room for half of each tile only.

        The model does not depend on the order, so it does not depend on the shuffle either.
        """
        run, parts, rows = self._run, self._parts, self.matrix.rows
        features = len(self.counts)
        digits = 2 * len(self._worth)
        self._width = -(-(features + digits + 1) // 8) * 8
        records = np.zeros((rows, self._width + 24), dtype=np.uint8)
        run.call(_native.fill_records, parts.bins, records)
        at = self._width
        for column in (parts.identity, parts.labels, parts.weights, parts.present):
            size = column.itemsize
            records[:, at : at + size] = column.view(np.uint8).reshape(rows, size)
            at += size
        if not self._fixed_order:
            seed = key_word(self._key, _SHUFFLE, partition)
            secret = np.frombuffer(
                blake2b(b"rows", digest_size=32, key=self._key).digest(), np.uint8
            )
            run.call(_native.shuffle, records.view(np.uint64), secret, seed)
        self._parts = _parts_of_records(records, features, self._width, parts.bins.shape[1])
        self._records: Bytes = np.ascontiguousarray(records[:, : self._width])

    # --- a round

    def compute_gradients(self, turn: int) -> None:
        """Gradients of all classes at the current margins; rows that are not sampled get none."""
        p, rows = self._parameters, self._parts
        self._run.checked(
            _native.gradients,
            int(p.objective),
            p.extra,
            self.margins,
            rows.labels,
            rows.weights,
            rows.present,
            self._g,
            self._h,
        )
        if p.subsample < 1:
            below = round(p.subsample * 2**32) - 1
            word = key_word(self._key, p.seed, "sample", turn)
            for g, h in zip(self._g, self._h, strict=True):
                self._run.call(_native.sample_rows, rows.identity, word, below, g, h)

    def raise_greatest(self, of_class: int, greatest: Reals) -> None:
        """Raise two numbers to the greatest |g| and h of the partition."""
        self._run.call(_native.greatest, self._g[of_class], self._h[of_class], greatest)

    def begin_tree(self, turn: int, of_class: int, greatest: Reals) -> None:
        """Turn gradients into whole numbers."""
        g, h, run = self._g[of_class], self._h[of_class], self._run
        run.call(_native.fine_digits, g, h, greatest, self._fine)
        if self._coarse:
            word = key_word(self._key, self._parameters.seed, "round", turn, of_class)
            identity = self._parts.identity
            run.call(_native.coarse_digits, g, h, greatest, identity, word, self._planes)
        if self._grouping:
            features = len(self.counts)
            run.call(_native.fill_digits, self._planes, self._worth, features, self._records)

    def to_root(self) -> None:
        """Bring all rows to the root of the next tree."""
        self._nodes[:] = 0
        self._chosen_now = False

    def add_total(self, total: Sums) -> None:
        """Add the sums of g and h over all rows, as the histograms have them."""
        self._sums_by_node(self._planes, self._worth, total, 1)

    def histograms(self, level: int) -> Sums:
        """Sums by node of the level, feature and bin. Levels must be asked for in order."""
        if level == 0:
            out = np.zeros(2 * self.bins, dtype=np.int64)
            self._slots[:] = 0
            self._direct(1, out)
        else:
            out = self._children(1 << (level - 1))
        self._above = out
        return out

    def windows(self, level: Level) -> Sums:
        """Sums around the split of each node, by single bins: see `refine_splits`."""
        nodes = len(level.features)
        out = np.zeros(2 * nodes * WINDOW, dtype=np.int64)
        splits = (level.features, level.thresholds, self._shift)
        found = (self._slots, self._chosen[0])
        self._run.call(_native.window_places, self._parts.bins, *splits, self._nodes, *found)
        self._chosen_now = True
        column, counts = self._slots.reshape(1, -1), np.array([WINDOW], dtype=np.uint32)
        planes = (self._planes, self._worth, self._nodes, nodes)
        self._run.call(_native.histograms, column, counts, *planes, out)
        return out

    def route(self, level: Level, *, shown: npt.NDArray[np.uint32] | None = None) -> None:
        """Bring rows to the next level. `shown` are the features used, if they are public."""
        bins, features = self._parts.bins, level.features
        if self._chosen_now:
            # Refining moved thresholds, not features: windows were over the same bins.
            bins, self._chosen_now = self._chosen, False
        elif shown is not None:
            bins = np.ascontiguousarray(bins[shown])
            features = np.searchsorted(shown, features).astype(np.uint32)  # public here
        splits = (features, level.thresholds, level.flags)
        self._run.call(_native.route_rows, bins, *splits, self._nodes)

    def add_leaf_sums(self, sums: Sums, leaves: int) -> None:
        """Add the sums of g and h of each leaf, in fine units."""
        self._sums_by_node(self._fine, _FINE_WORTH, sums, leaves)

    def add_leaves(self, of_class: int, values: Floats) -> None:
        """Add the tree's values to the margins."""
        self._run.call(_native.add_leaves, self._nodes, values, self.margins[of_class])

    def weighted_labels(self, of_class: int) -> tuple[Floats, Floats]:
        """Of each row, weight times label (for softmax, if it is of the class), and weight."""
        product, weight = np.empty((2, self.matrix.rows), dtype=np.float32)
        rows, objective = self._parts, int(self._parameters.objective)
        arguments = (rows.labels, rows.weights, rows.present, product, weight)
        self._run.call(_native.weighted_labels, objective, of_class, *arguments)
        return product, weight

    @property
    def columns(self) -> Bytes:
        """The bins of the rows, in the order of their margins: for kernels."""
        return self._parts.bins

    def losses(self, metric: int) -> tuple[Floats, Floats]:
        """Of each row, weight times loss, and weight."""
        return losses(self._run, metric, self.margins, self._parts)

    # --- sums

    def _sums_by_node(
        self, planes: npt.NDArray[np.int8], worth: Sums, out: Sums, nodes: int
    ) -> None:
        counts = np.array([nodes], dtype=np.uint32)
        self._slots[:] = 0
        column = self._nodes.reshape(1, -1)
        self._run.call(_native.histograms, column, counts, planes, worth, self._slots, 1, out)

    def _direct(self, slots: int, out: Sums) -> None:
        self._run.call(
            _native.histograms,
            self._cells,
            self.counts,
            self._planes,
            self._worth,
            self._slots,
            slots,
            out,
        )

    def _children(self, parents: int) -> Sums:
        """Only the smaller child of each parent is summed; the other one is what is left."""
        run = self._run
        counts, smaller = np.zeros(2 * parents, np.uint64), np.empty(parents, np.uint8)
        run.call(_native.count_nodes, self._nodes, counts)
        run.call(_native.choose_smaller, counts, smaller)
        run.call(_native.slots_of_smaller, self._nodes, smaller, self._slots)
        small = np.zeros_like(self._above)
        if self._grouping and (parents > 1 or self.bins >= _MANY_BINS * len(self.counts)):
            self._grouped(parents, small)
        else:
            self._direct(parents, small)
        out = np.empty(2 * len(small), dtype=np.int64)
        run.call(_native.unfold_histograms, self._above, small, smaller, out)
        return out

    def _grouped(self, slots: int, out: Sums) -> None:
        tile = _tile(self.matrix.rows, slots)
        # After a shuffle, a tile has more than half + 6 sqrt(tile) rows of smaller children with a
        # probability below e^-72 (Hoeffding, for sampling without replacement).
        capacity = tile if self._fixed_order else min(tile, tile // 2 + 6 * int(tile**0.5) + 6)
        self._run.checked(
            _native.grouped_histograms,
            self._records,
            self.counts,
            self._worth,
            self._slots,
            slots,
            tile,
            capacity,
            _BLOCK,
            out,
        )


def _tile(rows: int, slots: int) -> int:
    """Rows of a tile: whole steps, in tiles of one size, so that the last one is not half empty."""
    tiles = -(-rows // max(_TILE, 8192 * slots))
    return -(-rows // (64 * tiles)) * 64


def cell_counts(cuts: SecretCuts, parameters: BoostingParameters) -> npt.NDArray[np.uint32]:
    """How many bins, or cells of bins, of each feature histograms are over: public."""
    counts, shift = cuts.counts, parameters.cell_shift(cuts.bins)
    categories = np.array([f.categories > 0 for f in cuts.features], dtype=np.bool_)
    return np.where(categories, counts, ((counts - 1) >> shift) + 1).astype(np.uint32)


def losses(run: Run, metric: int, margins: Floats, parts: Parts) -> tuple[Floats, Floats]:
    """Of each row, weight times loss, and weight."""
    loss, weight = np.empty((2, margins.shape[1]), dtype=np.float32)
    arguments = (margins, parts.labels, parts.weights, parts.present, loss, weight)
    run.call(_native.losses, metric, *arguments)
    return loss, weight


def _parts_of_records(records: Bytes, features: int, width: int, stride: int) -> Parts:
    rows = len(records)
    bins = np.zeros((features, stride), dtype=np.uint8)
    bins[:, :rows] = records[:, :features].T

    def taken(at: int, kind: type[np.generic]) -> npt.NDArray[np.generic]:
        size = np.dtype(kind).itemsize
        return np.ascontiguousarray(records[:, at : at + size]).view(kind).reshape(rows)

    identity: Words = taken(width, np.uint64)  # type: ignore[assignment]  # by its argument
    labels: Floats = taken(width + 8, np.float32)  # type: ignore[assignment]  # by its argument
    weights: Floats = taken(width + 12, np.float32)  # type: ignore[assignment]  # by its argument
    present: Marks = taken(width + 16, np.uint8)  # type: ignore[assignment]  # by its argument
    return Parts(bins, present, identity, labels, weights)
