"""Oblivious training over plain numpy arrays, for tests: NaN is NULL."""

import numpy as np

from mc2.formats.schema import DataType
from mc2.ml.boosting import Training, train
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.secret_matrix import Feature, bin_rows, choose_cuts
from mc2.operators.handles import Layout, SecretColumn, SecretMarks
from mc2.operators.run import Run

KEY = bytes(range(32))


def column(values):
    """A column of doubles."""
    values = np.ascontiguousarray(values, dtype=np.float64)
    known = (~np.isnan(values)).astype(np.uint8)
    words = np.where(known, values, 0.0).view(np.uint64).reshape(-1, 1)
    return SecretColumn(Layout(DataType("double")), words, known)


def features_of(x, categories=()):
    return [Feature(f"f{i}", categories=dict(categories).get(i, 0)) for i in range(x.shape[1])]


def fit(
    x,
    y,
    settings,
    rounds=5,
    *,
    parts=1,
    order=None,
    weight=None,
    run=None,
    features=None,
    evaluate=False,
    present=None,
    **training,
):
    """Train; returns (run, what was trained, matrices)."""
    run = run or Run()
    features = features or features_of(x)
    order = np.arange(len(x)) if order is None else order
    pieces = np.array_split(order, parts)
    parameters = BoostingParameters.read(settings, [f.name for f in features])
    columns = [{f.name: column(x[p, i]) for i, f in enumerate(features)} for p in pieces]
    whole = {f.name: [c[f.name] for c in columns] for f in features}
    cuts = choose_cuts(run, features, whole, parameters.max_bin)
    there = np.ones(len(x), np.uint8) if present is None else present
    names = np.arange(len(x), dtype=np.uint64)
    matrices = [
        bin_rows(
            run,
            cuts,
            c,
            SecretMarks(there[p].copy()),
            label=column(y[p]),
            identity=names[p],
            weight=None if weight is None else column(weight[p]),
        )
        for c, p in zip(columns, pieces, strict=True)
    ]
    sets = {"train": matrices} if evaluate else None
    trained = train(run, matrices, parameters, Training(rounds, **training), KEY, evaluations=sets)
    return run, trained, matrices
