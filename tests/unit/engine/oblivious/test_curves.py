"""Curves, angles, buckets and factorials in both modes: equal but for the platform's last places."""

import math

import pytest
from tests.support.oblivious import run_obliviously
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.plans import Job, Source, schema

from mc2.errors import EngineError
from mc2.operators.curves import ANGLES, CURVES, OF_TWO
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.relations import NamedExpression, Project
from mc2.plan.types import DOUBLE, INT64

KINDS = schema(x="double", y="double", z="double", k="int32", n="int64")
INF, NAN, MOST = math.inf, math.nan, 2**63 - 1
ROWS = [
    (0.25, 2.0, 10.0, 0, 4),
    (-0.0, 0.0, -0.0, 1, 5),
    (5.35, 0.024, 10.06, 20, 5),
    (1e22, -0.5, 0.5, 21, 2**52),
    (-0.999, 10.0, 0.0, -1, 10),
    (10.0, 10.0, 0.0, -(2**31), 10),
    (0.0, 10.0, 0.0, 2**31 - 1, 3),
    (INF, 1.0, 3.0, 5, 2),
    (-INF, 1.0, 3.0, 6, 2),
    (NAN, 1.0, 3.0, 7, 2),
    (2.0, INF, 3.0, 12, 2),
    (2.0, 1.0, NAN, 13, 2),
    (2.0, 3.0, 3.0, 19, 0),
    (2.0, 1.0, 3.0, 18, MOST),
    (3.0, 1.0, 3.0, 2, -1),
    (None, 0.3, 1.0, None, 1),
    (0.7, None, 0.5, 3, 4),
    (1.0, 1.0, None, 4, None),
    (1e308, -1e308, 1e307, 8, 5),
    (5e-324, 0.0, 5e-324, 9, 2),
]
X, Y, Z, K, N = (ColumnRef(c.name) for c in KINDS.columns)


def projected(expression, rows):
    made = Job(t=Source(KINDS, rows, bound=0))
    node = made.add(Project(made.scan("t"), (NamedExpression("r", expression),)))
    return made, made.plan(out=node)


def both(expression, rows=ROWS):
    made, plan = projected(expression, rows)
    ((_, fast, slow),) = both_ways(plan, made)
    assert fast.schema == slow.schema
    assert fast.num_rows == len(rows)
    return list(zip(fast["r"].to_pylist(), slow["r"].to_pylist(), strict=True))


def near(wanted, found):
    if not isinstance(wanted, float) or not math.isfinite(wanted) or wanted == 0:
        return repr(wanted) == repr(found)
    return found is not None and math.isclose(wanted, found, rel_tol=2.0**-50, abs_tol=5e-324)


@pytest.mark.parametrize("what", [*CURVES, *ANGLES, *OF_TWO, "atan2"])
def test_curves_and_angles(what):
    for arguments in [(X, Y), (Y, Z)] if what in {*OF_TWO, "atan2"} else [(X,), (Y,)]:
        answers = both(call(what, *arguments))
        assert all(near(*pair) for pair in answers), [p for p in answers if not near(*p)]


@pytest.mark.parametrize(
    "expression",
    [
        call("factorial", K),
        call("width_bucket", X, Y, Z, N),
        call("width_bucket", X, Z, Y, N),
        call("width_bucket", Z, X, Y, N),
        call("width_bucket", X, literal(-3.5, DOUBLE), literal(11.25, DOUBLE), literal(7, INT64)),
    ],
)
def test_what_is_exact_is_equal(expression):
    exact = [row for row in ROWS if row[0] != 1e308]
    assert all(repr(wanted) == repr(found) for wanted, found in both(expression, exact))


def test_a_bucket_beyond_all_doubles_fails_the_job():
    made, plan = projected(call("width_bucket", X, Y, Z, N), [(1e308, -1e308, 1.5e308, 1, 5)])
    checked, sources = obliviously(plan, made)
    with pytest.raises(EngineError, match="the computation failed"):
        run_obliviously(checked, sources)
