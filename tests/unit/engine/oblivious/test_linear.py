"""Linear models and clusters in oblivious plans: the bytes of encrypted mode, and equal traces."""

import numpy as np
import pytest
from tests.support.oblivious import opened
from tests.support.oblivious_plans import obliviously
from tests.support.plans import LIMITS, Job, Source, schema

from mc2.engine import run as encrypted
from mc2.engine.oblivious.run import execute
from mc2.errors import EngineError
from mc2.operators.run import Run
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.linear_models import Apply, FitClusters, FitLinear
from mc2.plan.models import Matrix
from mc2.plan.relations import Filter
from mc2.plan.types import INT64

COLUMNS = {"id": "int64!", "s": "string", "x": "double", "n": "int32", "b": "boolean!", "y": "double!", "w": "float!", "k": "int32!"}  # fmt: skip
CENTRES = ("0.5", "-1.0", "0.0", "-0.5", "2.0", "1.0")


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for place in range(count):
        x, n, b = float(rng.normal()), int(rng.integers(-5, 6)), bool(rng.random() < 0.5)
        y = float(2 * x + 0.3 * n - b + rng.normal() > 0)
        kind = int(np.digitize(x - 0.2 * n + rng.normal(), [-1.0, 1.0]))
        found.append((place, f"s{place % 7}", x, n, b, y, float(rng.integers(1, 4)), kind))
    return found


def job(count=150, seed=0, other=30):
    return Job(
        t=Source(schema(**COLUMNS), rows(count, seed)),
        u=Source(schema(**COLUMNS), rows(other, seed + 1)),
    )


def matrix(made, *sources, label="y", of="", **more):
    return made.add(Matrix(sources, ("x", "n", "b"), label=of or label, **more))


def learnt(made):
    """All kinds of models over two tables, and all that they say."""
    t, u = made.scan("t"), made.scan("u")
    own, bare = matrix(made, t, u, weight="w"), matrix(made, u, t, label=None)
    line = made.add(FitLinear(own, "linear", "0.0"))
    ridge = made.add(FitLinear(own, "linear", "2.5", intercept=False))
    curve = made.add(FitLinear(own, "logistic", "1.0", rounds=12))
    sparse = made.add(FitLinear(own, "linear", "0.5", sparsity="4.0", per_weight=True))
    thin = made.add(FitLinear(own, "logistic", "0.5", rounds=12, sparsity="4.0"))
    kinds = made.add(FitLinear(matrix(made, t, u, of="k"), "logistic", "1.0", rounds=12, classes=3))
    centres = made.add(FitClusters(bare, 2, 15, centres=CENTRES))
    return {
        "line": line,
        "ridge": ridge,
        "curve": curve,
        "centres": centres,
        "sparse": sparse,
        "thin": thin,
        "kinds": kinds,
        "likelier": made.add(Apply(kinds, bare, ("id",), "p", "probability")),
        "likeliest": made.add(Apply(kinds, bare, ("id",), "k", "class")),
        "value": made.add(Apply(line, bare, ("id", "s"))),
        "margin": made.add(Apply(curve, bare, ("id",), "m", "margin")),
        "likely": made.add(Apply(curve, bare, ("x",), "p", "probability")),
        "kind": made.add(Apply(curve, bare, (), "k", "class")),
        "cluster": made.add(Apply(centres, bare, ("id",), "c", "cluster")),
    }


def run(made, **outputs):
    checked, sources = obliviously(made.plan(**outputs), made)
    trace = Run(record=True)
    found = execute(checked, sources, lambda _: None, trace, key=bytes(32))
    return {n: o.raw if hasattr(o, "raw") else opened(o) for n, o in found.items()}, trace


def test_both_modes_give_the_same_bytes():
    made = job()
    outputs = learnt(made)
    slow, trace = run(made, **outputs)
    fast = encrypted.execute(check_plan(made.plan(**outputs)), made.sources, LIMITS, lambda _: None)
    for name, found in fast.items():
        if hasattr(found, "raw"):
            assert slow[name] == found.raw, name
        else:
            assert slow[name].to_pydict() == found.table.to_pydict(), name
    assert trace.declassified.count("the model is an output") == 14  # numbers, inertia of each


def test_only_rows_that_are_there_count():
    made = job()
    kept = made.add(Filter(made.scan("t"), call("lt", ColumnRef("id"), literal(80, INT64))))
    found, _ = run(made, m=made.add(FitLinear(matrix(made, kept), "logistic", "1.0", rounds=10)))
    few = job(80)
    wanted, _ = run(
        few, m=few.add(FitLinear(matrix(few, few.scan("t")), "logistic", "1.0", rounds=10))
    )
    assert found == wanted


def test_drawn_centres_are_those_of_encrypted_mode_over_one_table():
    made = job()
    model = made.add(FitClusters(matrix(made, made.scan("t"), label=None), 3, 20, 7, 2))
    found, _ = run(made, m=model)
    assert found["m"] == made.model(model)


@pytest.mark.parametrize("kept", [True, False])
def test_runs_over_other_rows_look_the_same(kept):
    def record(seed):
        made = job(seed=seed)
        outputs = learnt(made)
        if not kept:  # nothing is made public but whether it failed
            outputs = {
                n: v for n, v in outputs.items() if n in {"value", "kind", "cluster", "likeliest"}
            }
        _, trace = run(made, **outputs)
        return trace.calls, trace.declassified

    one, other = record(3), record(4)
    assert one == other
    assert ("the model is an output" in one[1]) == kept


def broken(place, value):
    found = rows(60)
    found[5] = (*found[5][:place], value, *found[5][place + 1 :])
    return Job(t=Source(schema(**COLUMNS), found))


def constant():
    return Job(t=Source(schema(**COLUMNS), [(*r[:3], int(r[4]), *r[4:]) for r in rows(60)]))


WRONG = [
    (broken(2, None), "linear", "0.0", "declared domain"),
    (broken(2, float("inf")), "linear", "0.0", "declared domain"),
    (broken(6, -1.0), "linear", "0.0", "declared domain"),
    (broken(5, 2.0), "logistic", "1.0", "declared domain"),
    (broken(5, 0.5), "multinomial", "1.0", "declared domain"),
    (constant(), "linear", "0.0", "division by zero"),
]


@pytest.mark.parametrize(("made", "family", "penalty", "message"), WRONG, ids=range(len(WRONG)))
def test_what_rows_cannot_give_fails_at_the_end(made, family, penalty, message):
    own = matrix(made, made.scan("t"), weight="w")
    several = {"classes": 3} if family == "multinomial" else {}
    family = "logistic" if several else family
    model = made.add(FitLinear(own, family, penalty, rounds=5, **several))
    with pytest.raises(EngineError, match=message):
        run(made, m=model)


def test_too_few_rounds_fail():
    made = job()
    own = matrix(made, made.scan("t"))
    with pytest.raises(EngineError, match="division by zero"):
        run(made, m=made.add(FitLinear(own, "logistic", "1.0", rounds=2)))
