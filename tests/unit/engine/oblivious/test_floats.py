"""Floats of 32 bits, and remainders of doubles, in oblivious mode: what the encrypted engine gives."""

import math
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.differential import rows_of
from tests.support.oblivious import opened, run_obliviously
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.oblivious_stages import ObliviousStages
from tests.support.plans import Job, Source, schema
from tests.support.secrets import everywhere, secret, values

from mc2.errors import EngineError
from mc2.operators.arithmetic import Operation, compute
from mc2.operators.handles import Layout
from mc2.operators.run import Run
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.relations import Aggregate, AggregateColumn, NamedExpression, Project, SortKey
from mc2.plan.types import DOUBLE, FLOAT
from mc2.plan.windows import Bound, Frame, Window, WindowColumn

KINDS = schema(g="int64", f="float", h="float", d="double", e="double")
G, F, H, D, E = (ColumnRef(c.name) for c in KINDS.columns)
LARGEST, SMALLEST = float(np.finfo(np.float32).max), float(np.float32(1e-45))
SINGLES = [0.0, -0.0, 1.0, -1.5, float(np.float32(0.1)), float(np.float32(-2.7)), 3.0, 16777217.0 - 1,
           LARGEST, -LARGEST, SMALLEST, math.inf, -math.inf, math.nan, None]  # fmt: skip
DOUBLES = [0.0, -0.0, 1.0, -1.5, 0.1, -7.0, 3.0, 2.0**53 + 2, 1e308, -1e308, 5e-324, 2.2250738585072014e-308,
           math.inf, -math.inf, math.nan, None]  # fmt: skip
DIVISORS = [1.0, -1.0, 3.0, -3.0, 0.1, 5e-324, 1e-300, 1e308, math.inf, -math.inf, math.nan, None]
BINARY = ("add", "subtract", "multiply", "try_add", "try_subtract", "try_multiply", "try_remainder")


def alike(node, made):
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert fast.schema == slow.schema
    assert rows_of(fast) == rows_of(slow)
    return [repr(row) for row in fast.to_pylist()], [repr(row) for row in slow.to_pylist()]


def projected(expressions, rows):
    made = Job(t=Source(KINDS, rows, bound=0))
    columns = tuple(NamedExpression(f"r{n}", e) for n, e in enumerate(expressions))
    return made.add(Project(made.scan("t"), columns)), made


def test_floats_are_rounded_after_every_step():
    rows = [(1, f, h, None, None) for f in SINGLES for h in SINGLES]
    both = call("multiply", call("add", F, H), F)
    one, other = alike(
        *projected(
            [*(call(n, F, H) for n in BINARY), both, call("negate", F), call("abs", F)], rows
        )
    )
    assert one == other


def test_remainders():
    singles = [float(np.float32(d)) if d is not None else None for d in DIVISORS if d != 1e308]
    singles = [d for d in singles if d != 0]
    rows = [(1, f, h, None, None) for f in SINGLES for h in singles]
    calls = [call(name, F, H) for name in ("remainder", "modulo", "try_remainder")]
    one, other = alike(*projected(calls, rows))
    assert one == other
    rows = [(1, None, None, d, e) for d in DOUBLES for e in DIVISORS]
    calls = [call(name, D, E) for name in ("remainder", "modulo", "try_remainder")]
    one, other = alike(*projected(calls, rows))
    assert one == other


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def remainder(pairs):
    run = Run()
    a, b = (secret(Layout(DOUBLE), list(numbers)) for numbers in zip(*pairs, strict=True))
    return values(compute(run, Operation.REMAINDER, a, b, DOUBLE, everywhere(a)))


@settings(max_examples=300)
@given(st.lists(st.tuples(NUMBERS, NUMBERS.filter(bool)), min_size=1, max_size=20))
@example([(1.7976931348623157e308, 5e-324), (1.7976931348623157e308, 1.5e-323)])
@example([(1e308, 3.0), (-1e308, 2.2250738585072014e-308), (6.0, -0.1), (-6.0, 6.0)])
def test_remainders_are_exact(pairs):
    found = remainder(pairs)
    wanted = [math.fmod(a, b) for a, b in pairs]
    assert [struct.pack(">d", v) for v in found] == [struct.pack(">d", v) for v in wanted]


@pytest.mark.parametrize("name", ["remainder", "modulo"])
def test_a_divisor_that_is_zero_fails_the_job(name):
    for row in ((1, 1.0, -0.0, 1.0, 0.0), (1, math.nan, 0.0, math.inf, -0.0)):
        for pair in ((F, H), (D, E)):
            node, made = projected([call(name, *pair)], [row])
            checked, sources = obliviously(made.plan(out=node), made)
            with pytest.raises(EngineError, match="division by zero"):
                run_obliviously(checked, sources)


ROWS = st.lists(
    st.tuples(st.integers(0, 2), *(st.sampled_from(SINGLES),) * 2, st.none(), st.none()),
    max_size=12,
)
WANTED = ("sum", "avg", "min", "max", "count")


@settings(max_examples=10)
@given(ROWS)
def test_groups_of_floats(rows):
    made = Job(t=Source(KINDS, rows, bound=0))
    node = made.add(
        Aggregate(made.scan("t"), ("g",), tuple(AggregateColumn(n, n, (F,)) for n in WANTED))
    )
    alike(node, made)


def test_tasks_add_floats_as_one_does():
    rows = [
        (n % 3, f, h, None, None)
        for n, (f, h) in enumerate(zip(SINGLES, SINGLES[3:] * 2, strict=False))
    ]
    made = Job(t=Source(KINDS, rows * 20, bound=0))
    summed = tuple(AggregateColumn(n, n, (F,)) for n in WANTED)
    before = Frame("rows", Bound("unbounded_preceding"), Bound("current_row"))
    running = WindowColumn("running", "sum", (F,), before)
    window = Window(made.scan("t"), ("g",), (SortKey(H, False, True),), (running,))
    for node in (made.add(Aggregate(made.scan("t"), ("g",), summed)), made.add(window)):
        checked, sources = obliviously(made.plan(out=node), made)
        wanted, _ = run_obliviously(checked, sources)
        found = opened(ObliviousStages(checked, sources, 3).run()["out"])
        assert [repr(r) for r in found.to_pylist()] == [repr(r) for r in wanted["out"].to_pylist()]


def near(distance):
    end = Bound("following", literal(0.5, FLOAT))
    return Frame("range", Bound("preceding", literal(distance, FLOAT)), end)


@settings(max_examples=10)
@given(ROWS, st.sampled_from([0.0, 0.5, float(np.float32(0.1)), LARGEST]), st.booleans())
def test_frames_by_distance_of_floats(rows, distance, descending):
    made = Job(t=Source(KINDS, rows, bound=0))
    by = (SortKey(F, descending, not descending),)
    columns = tuple(
        WindowColumn(f"{n}_{f}", n, (a,), near(distance))
        for f, a in (("f", F), ("h", H))
        for n in ("sum", "avg", "min", "max", "count")
    )
    rows_before = Frame("rows", Bound("unbounded_preceding"), Bound("current_row"))
    running = WindowColumn("running", "sum", (F,), rows_before)
    alike(made.add(Window(made.scan("t"), ("g",), by, (*columns, running))), made)
