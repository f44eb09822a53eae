"""Training as an enclave runs it, beside stock XGBoost on the same rows in the same process.

    python bench/xgboost/encrypted.py --rows 1000000 --bins 64 256 --threads 1 2

Prints one JSON object a line: medians of seconds per round of stock XGBoost and of the engine's
training proper (callbacks and checks included), turns alternating, and what the matrix took.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import xgboost

from mc2.engine import trees
from mc2.formats.schema import Column, Schema, parse_type
from mc2.plan.infer_models import infer_matrix, infer_train
from mc2.plan.models import Matrix, Train
from mc2.plan.parameters import parameters
from mc2.plan.shapes import TableShape

_FEATURES = 28


def main() -> None:
    """Measure each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--bins", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    for bins in options.bins:
        for threads in options.threads:
            found = measure(options.rows, options.rounds, options.turns, bins, threads)
            print(json.dumps(found), flush=True)


def measure(rows: int, rounds: int, turns: int, bins: int, threads: int) -> dict[str, object]:
    """Seconds per round of both, at one setting."""
    settings = {"objective": "binary:logistic", "max_depth": 6, "max_bin": bins, "eta": 0.1}
    table, names = _rows(rows)
    schema = Schema(tuple(Column(n, parse_type("float"), nullable=False) for n in (*names, "y")))
    operation = Matrix((0,), tuple(names), "y")
    shape = infer_matrix(operation, [TableShape(schema, rows)])
    began = time.perf_counter()
    data = trees.matrix(shape, [table], threads)
    own_matrix = time.perf_counter() - began
    began = time.perf_counter()
    features = np.stack([table.column(n).to_numpy() for n in names], axis=1)
    stock = xgboost.DMatrix(features, label=table.column("y").to_numpy(), nthread=threads)
    stock_matrix = time.perf_counter() - began
    model = infer_train(Train(1, parameters(settings), rounds), shape, [], None)
    plain = {**settings, "nthread": threads, "verbosity": 0}

    def engine() -> None:
        trees.train(model, {1: data}, None, (), threads, lambda _: None)

    def library() -> None:
        xgboost.train(plain, stock, rounds, verbose_eval=False)

    times = _alternating([library, engine], turns)
    theirs, ours = (t / rounds for t in times)
    return {
        "rows": rows, "features": _FEATURES, "depth": 6, "bins": bins, "threads": threads,
        "stock_seconds_a_round": round(theirs, 5), "engine_seconds_a_round": round(ours, 5),
        "times_stock": round(ours / theirs, 3), "stock_matrix_seconds": round(stock_matrix, 2),
        "engine_matrix_seconds": round(own_matrix, 2), "turns": turns, "rounds": rounds,
    }  # fmt: skip


def _rows(count: int) -> tuple[pa.Table, list[str]]:
    random = np.random.default_rng(1)
    columns = random.standard_normal((count, _FEATURES), dtype=np.float32)
    score = columns[:, 0] * columns[:, 1] + np.sin(columns[:, 2] * 2) + columns[:, 3]
    labels = (score + random.standard_normal(count) > 0).astype(np.float32)
    names = [f"f{i}" for i in range(_FEATURES)]
    arrays = [pa.array(np.ascontiguousarray(columns[:, i])) for i in range(_FEATURES)]
    kinds = [pa.field(n, pa.float32(), nullable=False) for n in (*names, "y")]
    return pa.table([*arrays, pa.array(labels)], schema=pa.schema(kinds)), names


def _alternating(runs: list[Callable[[], None]], turns: int) -> list[float]:
    """The median seconds of each, one after the other, after one turn that nobody counts."""
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(turns + 1):
        for place, run in enumerate(runs):
            began = time.perf_counter()
            run()
            if turn:
                times[place].append(time.perf_counter() - began)
    return [statistics.median(t) for t in times]


if __name__ == "__main__":
    main()
