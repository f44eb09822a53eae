"""Oblivious boosting beside stock XGBoost: seconds a round, binning, prediction, memory.

    python bench/xgboost/oblivious.py [--rows 1000000] [--features 28] [--depth 6] [--rounds 5]

Both train in turn on the same rows in the same process, and the medians of `--repeats` are printed.
Seconds a round are those of `--rounds` more rounds, so that nothing that is done once counts.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from itertools import product
from statistics import median

import numpy as np
import xgboost

from mc2 import _native
from mc2.formats.schema import DataType
from mc2.ml.boosted_trees import predict_margins, release
from mc2.ml.boosting import Training, train
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.secret_matrix import Feature, bin_rows, choose_cuts
from mc2.operators.handles import Layout, SecretColumn, SecretMarks
from mc2.operators.run import Run

KEY = bytes(32)


def higgs_like(rows: int, features: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows with interactions, heavy tails and noise, and a label of two classes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features)).astype(np.float32)
    x[:, ::4] = np.exp(x[:, ::4])
    score = 0.5 * x[:, 0] + 0.7 * x[:, 1] * (x[:, 2] > 0) + x[:, 3] ** 2 + 0.4 * x[:, 5] - 1.5
    score += 0.2 * np.sin(2 * x[:, 6]) - 0.3 * x[:, 7] + 0.1 * x[:, 9] * x[:, 10]
    return x, (score + rng.normal(size=rows) > 0).astype(np.float32)


def column(values: np.ndarray) -> SecretColumn:
    """A column of doubles; NaN is NULL."""
    known = ~np.isnan(values)
    words = np.where(known, values, 0.0).astype(np.float64).view(np.uint64).reshape(-1, 1)
    return SecretColumn(Layout(DataType("double")), words, known.astype(np.uint8))


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that it takes."""
    begin = clock()
    work()
    return clock() - begin


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Area under the curve, by ranks."""
    ranks = np.empty(len(score))
    ranks[np.argsort(score)] = np.arange(1, len(score) + 1)
    ones = label.sum()
    return float((ranks[label == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(label) - ones)))


class Contest:
    """One setting: both sides with their data ready."""

    def __init__(self, args: argparse.Namespace, bins: int, threads: int, search: str) -> None:
        self.args, self.threads = args, threads
        self.x, self.y = higgs_like(args.rows, args.features)
        _native.set_threads(threads)
        self.names = [f"f{i}" for i in range(args.features)]
        self.settings = {"objective": "binary:logistic", "max_depth": args.depth, "max_bin": bins}
        ours = {**self.settings, "split_search": search}
        self.parameters = BoostingParameters.read(ours, self.names)
        self.run = Run()
        features = [Feature(name, nullable=False) for name in self.names]
        columns = {n: column(self.x[:, i]) for i, n in enumerate(self.names)}
        whole = {n: [c] for n, c in columns.items()}
        begin = time.perf_counter()
        cuts = choose_cuts(self.run, features, whole, bins)
        self.cutting = time.perf_counter() - begin
        begin = time.perf_counter()
        there = SecretMarks(np.ones(args.rows, np.uint8))
        self.matrix = bin_rows(self.run, cuts, columns, there, label=column(self.y))
        self.binning = time.perf_counter() - begin
        begin = time.perf_counter()
        self.stock = xgboost.QuantileDMatrix(self.x, self.y, max_bin=bins, nthread=threads)
        self.stock_binning = time.perf_counter() - begin

    def ours(self, rounds: int) -> object:
        """Train obliviously."""
        return train(self.run, [self.matrix], self.parameters, Training(rounds), KEY)

    def theirs(self, rounds: int) -> xgboost.Booster:
        """Train with stock XGBoost."""
        parameters = {**self.settings, "tree_method": "hist", "nthread": self.threads}
        return xgboost.train(parameters, self.stock, rounds)

    def rounds(self) -> tuple[float, float]:
        """Medians of seconds a round, ours and theirs."""
        n, ours, theirs = self.args.rounds, [], []
        # One thread's time is its processor's, which other load disturbs less.
        clock = time.process_time if self.threads == 1 else time.perf_counter
        for _ in range(self.args.repeats):
            for side, found in ((self.ours, ours), (self.theirs, theirs)):
                few = timed(lambda side=side: side(1), clock)
                many = timed(lambda side=side: side(n + 1), clock)
                found.append((many - few) / n)
        return median(ours), median(theirs)

    def prediction(self) -> tuple[float, float, bool]:
        """Seconds to predict all rows: ours of binned rows, theirs; whether margins are equal."""
        trained = train(self.run, [self.matrix], self.parameters, Training(10), KEY)
        text = json.dumps(release(self.run, trained.model)).encode()
        booster = xgboost.Booster({"nthread": self.threads}, model_file=bytearray(text))
        data = xgboost.DMatrix(self.x, feature_names=self.names)
        ours = median(
            timed(lambda: predict_margins(self.run, trained.model, self.matrix)) for _ in range(3)
        )
        theirs = median(timed(lambda: booster.inplace_predict(self.x)) for _ in range(3))
        margins = booster.predict(data, output_margin=True)
        mine = predict_margins(self.run, trained.model, self.matrix)[0][: self.args.rows]
        stock = self.theirs(10).predict(xgboost.DMatrix(self.x), output_margin=True)
        print(f"  AUC of 10 rounds: ours {auc(self.y, mine):.5f}, stock {auc(self.y, stock):.5f}")
        return ours, theirs, bool((margins == mine).all())


def main() -> None:
    """Run all settings and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=28)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bins", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--searches", nargs="+", default=["exact", "refined"])
    args = parser.parse_args()
    for bins, threads, search in product(args.bins, args.threads, args.searches):
        contest = Contest(args, bins, threads, search)
        ours, theirs = contest.rounds()
        print(f"{bins} bins, {search}, {threads} threads: {ours:.3f} s a round,", end=" ")
        print(f"stock {theirs:.3f}, {ours / theirs:.2f}x")
        print(f"  cuts {contest.cutting:.2f} s, binning {contest.binning:.2f} s,", end=" ")
        print(f"stock's both {contest.stock_binning:.2f} s")
        mine, stock, equal = contest.prediction()
        print(f"  10 trees: {mine:.3f} s, stock {stock:.3f} s,", end=" ")
        print(f"{mine / stock:.2f}x, margins equal: {equal}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"peak of the process, both sides: {peak / args.rows:.0f} bytes a row")


if __name__ == "__main__":
    main()
