"""Noisy edges in oblivious plans: those of encrypted mode, in a trace that tells of none."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from tests.support.oblivious import opened
from tests.support.oblivious_plans import obliviously
from tests.support.plans import Job, Source, schema

from mc2.engine.noisy_edges import draw_edges
from mc2.engine.oblivious.run import execute
from mc2.errors import EngineError, PlanError
from mc2.operators.run import Run
from mc2.plan.models import Edges, Matrix, Predict, Train
from mc2.plan.noisy_edges import NoisyEdges
from mc2.plan.parameters import parameters
from mc2.plan.training import Controls

KEY = bytes(range(32))
COLUMNS = {"x": "double", "n": "int32", "y": "double!"}
WIDE = NoisyEdges("x", "-2.0", "2.0", 700, 20, "0.5")
FEW = NoisyEdges("n", "-8.0", "8.0", 16, 5, "2.0")
PUBLIC = Controls(public_thresholds=True)


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        x = float(rng.normal()) if rng.random() < 0.9 else None
        n = int(rng.integers(-9, 10)) if rng.random() < 0.9 else None
        found.append((x, n, float((x or 0) + (n or 0) / 5 > rng.normal() / 3)))
    return found


def job(count=300, seed=0):
    half = count // 2
    return Job(
        t=Source(schema(**COLUMNS), rows(half, seed)),
        u=Source(schema(**COLUMNS), rows(count - half, seed + 1)),
    )


def trained(made, noisy=(FEW, WIDE), **more):
    sources = (made.scan("t"), made.scan("u"))
    own = made.add(Matrix(sources, ("x", "n"), label="y", noisy=noisy, **more))
    settings = parameters({"objective": "binary:logistic", "max_depth": 5})
    return own, made.add(Train(own, settings, 3, controls=PUBLIC))


def run(made, key=KEY, **nodes):
    checked, sources = obliviously(made.plan(**nodes), made)
    trace = Run(record=True)
    return execute(checked, sources, lambda _: None, trace, key=key), trace


def splits(raw, names=("x", "n")):
    return {
        (names[tree["split_indices"][node]], tree["split_conditions"][node])
        for tree in json.loads(raw)["learner"]["gradient_booster"]["model"]["trees"]
        for node, left in enumerate(tree["left_children"])
        if left != -1 and tree["split_conditions"][node] < 1e38
    }


def drawn(noisy, count=300, seed=0, key=KEY):
    """What encrypted mode draws of the same rows."""
    half = count // 2
    every = rows(half, seed) + rows(count - half, seed + 1)
    place = ("x", "n").index(noisy.feature)
    values = np.array([np.nan if r[place] is None else r[place] for r in every], np.float32)
    return {(noisy.feature, e) for e in draw_edges(noisy, values, key, 0).numbers}


def test_thresholds_are_edges_that_encrypted_mode_draws_of_the_same_rows():
    for key in (KEY, bytes(32)):
        made = job()
        _, model = trained(made)
        found, _ = run(made, key, model=model)
        allowed = drawn(WIDE, key=key) | drawn(FEW, key=key)
        assert len(splits(found["model"].raw)) > 8
        assert {(f, float(np.float32(e))) for f, e in allowed} >= splits(found["model"].raw)


@pytest.mark.parametrize("cells", [2, 16, 255, 256, 700, 4096])
def test_cells_are_counted_as_in_the_clear(cells):
    """With so little noise that edges are exact, whatever the number of passes over the rows."""
    noisy = NoisyEdges("x", "-2.0", "2.0", cells, min(cells - 1, 200), "64.0")
    made = job(60)
    own, model = trained(made, (FEW, noisy))
    found, _ = run(made, model=model, said=made.add(Predict(model, own)))
    edges = {(f, float(np.float32(e))) for f, e in drawn(noisy, 60) | drawn(FEW, 60)}
    assert splits(found["model"].raw) <= edges


def test_other_features_may_have_public_edges():
    made = job()
    _, model = trained(made, (FEW,), edges=(Edges("x", ("-0.5", "0.5")),))
    found, _ = run(made, model=model)
    allowed = {("x", -0.5), ("x", 0.5)} | drawn(FEW)
    assert {(f, float(np.float32(e))) for f, e in allowed} >= splits(found["model"].raw)


def test_nothing_but_counts_with_noise_shows():
    def record(seed):
        made = job(80, seed)
        own, model = trained(made)
        found, trace = run(made, said=made.add(Predict(model, own)))
        assert isinstance(opened(found["said"]), pa.Table)
        return trace.calls, trace.declassified

    calls, shown = record(1)
    assert (calls, shown) == record(4)
    assert sorted(set(shown)) == ["counts with noise show", "whether the computation failed"]
    assert shown.count("counts with noise show") == 2


def test_without_a_key_nothing_is_drawn():
    made = job(20)
    _, model = trained(made)
    with pytest.raises(EngineError, match="key of 32 bytes"):
        run(made, b"", model=model)


@pytest.mark.parametrize(
    ("noisy", "match"),
    [
        ((WIDE,), "some features only|no public edges"),
        ((replace(FEW, edges=255, cells=300), WIDE), "more than 254 edges"),
    ],
)
def test_matrices_that_there_are_not_are_refused(noisy, match):
    made = job(20)
    with pytest.raises(PlanError, match=match):
        obliviously(made.plan(model=trained(made, noisy)[1]), made)
