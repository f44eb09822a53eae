"""Noisy edges: the noise against its exact law, the edges against counts, trainings against stock."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from tests.support.plans import LIMITS, table_rows
from tests.support.stage_runs import StageRun
from tests.support.training import FEATURES, Training, pooled, stock_matrix

from mc2.engine import noisy_edges
from mc2.engine.noisy_edges import discrete_laplace, draw_edges, quantile_cells
from mc2.engine.run import execute
from mc2.errors import EngineError, FormatError, PlanError
from mc2.formats.fields import Fields
from mc2.plan.kept_models import ModelFacts, facts_of
from mc2.plan.matrices import Edges
from mc2.plan.models import CrossValidate, History, Matrix, Predict
from mc2.plan.noisy_edges import NoisyEdges
from mc2.plan.training import Controls

KEY = bytes(range(32))
AGE = NoisyEdges("age", "0.0", "100.0", 50, 9, "1.0")
PUBLIC = Controls(public_thresholds=True)
NOISY = tuple(NoisyEdges(f, "-2.0", "2.0", 64, 8, "0.5") for f in FEATURES)
WILD = tuple(replace(n, epsilon="0.01") for n in NOISY)


@pytest.fixture
def job():
    return Training()


def noise(count, epsilon, name=b"test"):
    return discrete_laplace(KEY + name, epsilon, count).tolist()


@pytest.mark.parametrize("epsilon", [0.5, 0.3, 2.0, 5 / 3])
def test_the_noise_is_as_likely_as_its_law_says(epsilon):
    """Against P(y) = (1 - q) / (1 + q) * q^|y| with q = exp(-epsilon), within five deviations."""
    count = 20_000
    found = Counter(noise(count, epsilon))
    q = math.exp(-epsilon)
    for y in range(-4, 5):
        expected = (1 - q) / (1 + q) * q ** abs(y)
        spread = math.sqrt(expected * (1 - expected) / count)
        assert abs(found[y] / count - expected) < 5 * spread


def test_the_same_key_and_name_give_the_same_noise_and_others_give_others():
    assert noise(50, 0.125) == noise(50, 0.125)
    assert noise(50, 0.125) != noise(50, 0.125, b"other")
    values = np.linspace(0, 100, 500, dtype=np.float32)
    wild = replace(AGE, epsilon="0.01")
    drawn = [draw_edges(wild, values, key, m) for key, m in ((KEY, 0), (KEY, 1), (b"k" * 32, 0))]
    drawn.append(draw_edges(replace(wild, feature="b"), values, KEY, 0))
    assert len({d.edges for d in drawn}) == len(drawn)
    assert draw_edges(wild, values, KEY, 0) == drawn[0]
    with pytest.raises(EngineError, match="32 bytes"):
        draw_edges(AGE, values, b"", 0)


@pytest.mark.parametrize("epsilon", [1e-4, 0.01, 1.0, 5 / 3, 64.0])
def test_digits_of_the_noise_make_the_geometric_law_exactly(epsilon):
    """With q = exp(-epsilon): of two numbers that differ by one digit, one is q^(2^i) as likely."""
    units = 1 << 128
    for place in range(noisy_edges.BITS):
        chance = noisy_edges._chance(epsilon, place)
        ratio = Fraction(chance, units - chance)
        exact = Decimal(-epsilon) * (1 << place)
        with localcontext(prec=80):
            wanted = exact.exp()
            found = Decimal(ratio.numerator) / Decimal(ratio.denominator)
            assert abs(found - wanted) <= Decimal(2) ** -126
    # What has no digit any more is less likely than 2^-100 even for the widest noise.
    assert math.exp(-1e-4 * (1 << noisy_edges.BITS)) < 2.0**-100


def test_wide_noise_is_as_wide_as_its_law_says():
    found = np.abs(noise(4000, 1e-4))
    assert abs(found.mean() / 1e4 - 1) < 0.1
    assert noise(4000, 64.0) == [0] * 4000


@given(
    counts=st.lists(st.integers(-3, 9), min_size=2, max_size=30),
    edges=st.integers(1, 12),
)
def test_cells_of_quantiles(counts, edges):
    """Against the definition: the first cell up to which a share of all was counted."""
    sums = np.cumsum(counts).tolist()
    total = max(sums[-1], 0)
    expected = set()
    for number in range(1, edges + 1):
        reached = [c for c, s in enumerate(sums) if s * (edges + 1) >= total * number]
        expected.add(min([*reached, len(counts) - 1]))
    assert quantile_cells(counts, edges) == sorted(expected)


def test_with_little_noise_edges_are_quantiles_at_the_ends_of_cells():
    values = np.random.default_rng(3).gamma(4, 8, 5000).astype(np.float32)
    values[::50] = np.nan
    found = draw_edges(replace(AGE, epsilon="50.0"), values, KEY, 0).numbers
    lines = [2.0 * i for i in range(1, 51)]
    exact = np.nanquantile(values, np.arange(1, 10) / 10, method="inverted_cdf")
    assert list(found) == sorted({lines[bisect_left(lines, float(e))] for e in exact})


def test_values_beyond_the_range_count_in_the_outer_cells_and_no_rows_give_edges_too():
    far = np.array([-1e30] * 50 + [1e30] * 50, dtype=np.float32)
    assert set(draw_edges(replace(AGE, epsilon="50.0"), far, KEY, 0).numbers) == {2.0, 100.0}
    none = np.full(3, np.nan, dtype=np.float32)
    assert draw_edges(AGE, none, KEY, 0).numbers


def test_one_row_changes_one_count_by_one():
    """What the promise rests on: the noise of two neighbours' counts is the same but for that."""
    values = np.array([3.0, 5.0, 50.0, 7.0], dtype=np.float32)
    lines = np.array(AGE.lines[:-1], dtype=np.float32)
    whole, part = (
        np.bincount(np.searchsorted(lines, v, side="right"), minlength=50)
        for v in (values, values[:-1])
    )
    assert np.abs(whole - part).sum() == 1


def trained(job, matrix):
    model = job.train({"max_depth": 4}, 2, matrix, controls=PUBLIC)
    found = execute(
        job.check(model=model, said=job.add(Predict(model, matrix))),
        job.sources, LIMITS, lambda _: None, key=KEY,
    )  # fmt: skip
    return found["model"].raw, [r[0] for r in table_rows(found["said"].table)]


def test_a_training_is_stock_xgboost_on_rows_cut_to_the_drawn_edges(job):
    raw, said = trained(job, job.matrix(noisy=NOISY))
    data = pooled(1)
    own = {
        n.feature: np.array(
            draw_edges(n, data[n.feature].astype(np.float32), KEY, 0).numbers, dtype=np.float32
        )
        for n in NOISY
    }
    booster = xgboost.Booster(model_file=bytearray(raw))
    frame = booster.trees_to_dataframe().dropna(subset=["Split"])
    assert len(frame) > 5
    for feature, split in zip(frame["Feature"], frame["Split"], strict=True):
        assert np.float32(split) in own[feature] or split > 1e38
    # Rows as they are go the same ways as rows cut to edges.
    assert booster.predict(stock_matrix(data)).tolist() == said
    cut = {f: snapped(data[f].astype(np.float32), own[f]) for f in FEATURES}
    stock = xgboost.train({"max_depth": 4, "nthread": 1}, stock_matrix({**data, **cut}), 2)
    assert stock.predict(stock_matrix({**data, **cut})).tolist() == said


def snapped(values, edges):
    below = np.nextafter(edges[0], np.float32(-np.inf))
    places = np.searchsorted(edges, values, side="right")
    found = np.where(places > 0, edges[np.maximum(places, 1) - 1], below)
    return np.where(np.isnan(values), np.nan, found)


def test_evaluation_sets_are_cut_to_the_edges_of_the_training(job):
    own, other = job.matrix(job.t, noisy=NOISY), job.matrix(job.u, noisy=NOISY)
    model = job.train({"eval_metric": "rmse"}, 2, own, controls=PUBLIC, evals=[("u", other)])
    plan = job.check(said=job.add(Predict(model, other, keep=("t",))), h=job.add(History(model)))
    found = execute(plan, job.sources, LIMITS, lambda _: None, key=KEY)
    rows = np.array(table_rows(found["said"].table))
    told = table_rows(found["h"].table)[-1][-1]
    assert told == pytest.approx(math.sqrt(np.mean((rows[:, 0] - rows[:, 1]) ** 2)), rel=1e-5)


def test_two_matrices_draw_two_noises_and_two_trainings_on_one_matrix_the_same(job):
    first, second = job.matrix(noisy=WILD), job.matrix(noisy=WILD, label="m")
    wanted = ((first, 0.3), (first, 0.1), (second, 0.3))
    models = [job.train({"max_depth": 5, "eta": eta}, 2, m, controls=PUBLIC) for m, eta in wanted]
    named = dict(zip("abc", models, strict=True))
    found = execute(job.check(**named), job.sources, LIMITS, lambda _: None, key=KEY)
    for name, place in (("a", 0), ("b", 0), ("c", 1)):
        splits = splits_of(found[name].raw)
        assert splits <= edges_of(WILD, place)
        assert not splits <= edges_of(WILD, 1 - place)


def edges_of(noisy, place):
    data = pooled(1)
    return {
        (n.feature, e)
        for n in noisy
        for e in draw_edges(n, data[n.feature].astype(np.float32), KEY, place).numbers
    }


def splits_of(raw):
    frame = xgboost.Booster(model_file=bytearray(raw)).trees_to_dataframe().dropna(subset=["Split"])
    pairs = zip(frame["Feature"], frame["Split"], strict=True)
    return {(f, float(np.float32(s))) for f, s in pairs if s < 1e38}


def test_what_is_read_is_what_was_written(job):
    operation = job.builder.operation(job.matrix(noisy=NOISY[:2], edges=(Edges("z", ("1.0",)),)))
    fields = Fields(operation.json(), "a matrix")
    assert Matrix.read(fields) == operation
    fields.done()
    for name, wrong in (
        ("cells", "64"), ("cells", 1), ("edges", True), ("epsilon", 0.5), ("low", None), ("more", 1)
    ):  # fmt: skip
        said = operation.json()
        said["edges"] = {**said["edges"], "x": {**said["edges"]["x"], name: wrong}}
        with pytest.raises(FormatError):
            Matrix.read(Fields(said, "a matrix"))


def test_a_kept_model_tells_nothing_of_how_its_edges_were_drawn(job):
    matrix = job.matrix(noisy=NOISY)
    shape = job.builder.shape(job.train({}, 1, matrix, controls=PUBLIC))
    facts = facts_of(shape, job.builder.operation(matrix), "encrypted")
    assert not facts.matrix.noisy
    assert ModelFacts.read(facts.json()) == facts


def test_two_attempts_in_other_forms_draw_the_same(job):
    """The last stage of a plan in stages names its matrices as the whole plan does."""
    matrices = [job.matrix(noisy=WILD, label=label) for label in ("m", "t")]
    models = {
        name: job.train({"max_depth": 5}, 2, m, controls=PUBLIC)
        for name, m in zip("ba", matrices, strict=True)
    }
    checked = job.check(**models)
    run = StageRun(checked, job.sources, partitions=3, key=KEY)
    assert len(run.stages.stages) > 1
    spread = run.run()
    for place, name in enumerate("ba"):
        assert splits_of(spread[name].raw) <= edges_of(WILD, place)
        assert not splits_of(spread[name].raw) <= edges_of(WILD, 1 - place)


def test_without_a_key_nothing_is_drawn(job):
    model = job.train({}, 1, job.matrix(noisy=NOISY), controls=PUBLIC)
    with pytest.raises(EngineError, match="key of 32 bytes"):
        job.model(model)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"feature": "nope"}, "no feature with amounts"),
        ({"epsilon": "0.0"}, "epsilon"),
        ({"epsilon": "-1.0"}, "epsilon"),
        ({"epsilon": "NaN"}, "epsilon"),
        ({"epsilon": "Infinity"}, "epsilon"),
        ({"epsilon": "1"}, "spelling"),
        ({"low": "2.0"}, "do not rise"),
        ({"low": "3.0"}, "do not rise"),
        ({"low": "-Infinity"}, "numbers of 32 bits"),
        ({"high": "1e+39"}, "numbers of 32 bits"),
        ({"low": "1.9999998"}, "do not rise"),
        ({"cells": 8}, "fewer edges than cells"),
        ({"cells": 5000}, "fewer edges than cells"),
        ({"edges": 0}, "fewer edges than cells"),
    ],
)
def test_declarations_are_checked(job, change, words):
    with pytest.raises(PlanError, match=words):
        job.matrix(noisy=(replace(NOISY[0], **change),))


def test_noisy_edges_are_for_trainings_that_split_at_edges_alone(job):
    matrix = job.matrix(noisy=NOISY)
    with pytest.raises(PlanError, match="thresholds lie at edges alone"):
        job.train({}, 1, matrix)
    with pytest.raises(PlanError, match="no public edges, and no noisy ones"):
        job.train({}, 1, job.matrix(noisy=NOISY[:1]), controls=PUBLIC)
    other = tuple(replace(n, epsilon="1.0") for n in NOISY)
    evals = [("u", job.matrix(noisy=other))]
    with pytest.raises(PlanError, match="noisy edges of the matrix"):
        job.train({}, 1, matrix, controls=PUBLIC, evals=evals)
    with pytest.raises(PlanError, match="cross-validation takes no noisy edges"):
        job.add(CrossValidate(matrix, (), 1, parts=2))
    with pytest.raises(PlanError, match="twice"):
        job.matrix(noisy=(NOISY[0], NOISY[0]))
