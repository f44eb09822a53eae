"""Window functions of the engine against a slow twin that sorts and counts in Python."""

from __future__ import annotations

import math
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.plans import LIMITS, Job, Source, schema

from mc2.engine.limits import EngineLimits
from mc2.errors import PlanError
from mc2.plan.expressions import ColumnRef, Literal, call, literal
from mc2.plan.relations import Explode, Join, SortKey, Values
from mc2.plan.types import DOUBLE, INT32, INT64, STRING
from mc2.plan.windows import SO_FAR, WHOLE, Bound, Frame, Window, WindowColumn

ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, 0, 1]),
        st.sampled_from([None, 1, 2, 3]),
        st.sampled_from([None, 0.1, 0.2, 1e16, -1e16, -0.0, math.inf]),
    ),
    max_size=12,
)
X = ColumnRef("x")
DAYS = [date(2024, 2, 27) + timedelta(days=i) for i in range(9)]
BY_N = (SortKey(ColumnRef("n"), descending=True, nulls_first=False),)


def rows_near(unit: str, before: int, after: int) -> Frame:
    def bound(number: int) -> Bound:
        size = literal(abs(number), INT32 if unit == "rows" else INT64)
        return Bound("preceding" if number <= 0 else "following", size)

    return Frame(unit, bound(before), bound(after))


def run(rows, *columns, keys=("k",), order=BY_N, limits=LIMITS):
    job = Job(t=Source(schema(k="int64", n="int64", x="double"), rows))
    return job.rows(job.add(Window(job.scan("t"), keys, order, columns)), limits=limits)


def whole_order(row):
    """All columns, NULL first, -0.0 before 0.0."""
    k, n, x = row
    sign = 0 if x is None else math.copysign(1, x)
    return (k is not None, k or 0, n is not None, n or 0, x is not None, x or 0.0, sign)


def by_n(row):
    return (row[1] is None, -(row[1] or 0))


def exact_sum(values):
    known = [v for v in values if v is not None]
    if not known:
        return None
    if any(math.isinf(v) for v in known):
        return sum(v for v in known if math.isinf(v))
    return float(sum(map(Fraction, known)))


def twin(rows, value):
    """`value(partition, place)` for each row, its partition being in order."""
    found = []
    for key in {r[0] for r in rows}:
        part = sorted(sorted((r for r in rows if r[0] == key), key=whole_order), key=by_n)
        found += [(*row, value(part, place)) for place, row in enumerate(part)]
    return sorted(found, key=repr)


def same(found, wanted):
    return [repr(r) for r in sorted(found, key=repr)] == [repr(r) for r in wanted]


@given(rows=ROWS, before=st.integers(-3, 2), after=st.integers(-1, 3))
@settings(max_examples=25, deadline=None)
def test_sums_over_rows_are_exact(rows, before, after):
    if before > after:
        return
    column = WindowColumn("s", "sum", (X,), rows_near("rows", before, after))

    def value(part, place):
        near = range(max(place + before, 0), min(place + after, len(part) - 1) + 1)
        return exact_sum(part[i][2] for i in near)

    assert same(run(rows, column), twin(rows, value))


@given(rows=ROWS)
@settings(max_examples=15, deadline=None)
def test_ranks_and_neighbours(rows):
    columns = (
        WindowColumn("place", "row_number", ()),
        WindowColumn("rank", "rank", ()),
        WindowColumn("dense", "dense_rank", ()),
        WindowColumn("next", "lead", (X, literal(1, INT32), literal(7.0, DOUBLE))),
        WindowColumn("far", "sum", (X,), SO_FAR),
        WindowColumn("all", "count", (X,), WHOLE),
    )

    def value(part, place):
        keys = [by_n(r) for r in part]
        return (
            place + 1,
            keys.index(keys[place]) + 1,
            len(set(keys[: place + 1])),
            part[place + 1][2] if place + 1 < len(part) else 7.0,
            exact_sum(r[2] for r, k in zip(part, keys, strict=True) if k <= keys[place]),
            sum(r[2] is not None for r in part),
        )

    found = [(*r[:3], r[3:]) for r in run(rows, *columns)]
    assert same(found, twin(rows, value))


@given(rows=ROWS, more=st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_rows_that_are_picked_from_ranges_do_not_depend_on_the_order_they_come_in(rows, more):
    """Equals end a range together, and yet one of them is the first."""
    columns = (
        WindowColumn("first", "first_value", (X,), SO_FAR),
        WindowColumn("last", "last_value", (X,), SO_FAR),
        WindowColumn("second", "nth_value", (X, literal(2, INT32)), SO_FAR),
        WindowColumn("known", "last_value", (X,), SO_FAR, ignore_nulls=True),
    )

    def value(part, place):
        frame = [r[2] for r in part if by_n(r) <= by_n(part[place])]
        known = [v for v in frame if v is not None]
        return (
            frame[0],
            frame[-1],
            frame[1] if len(frame) > 1 else None,
            known[-1] if known else None,
        )

    shuffled = list(rows)
    more.shuffle(shuffled)
    for given_rows in (rows, shuffled):
        found = [(*r[:3], r[3:]) for r in run(given_rows, *columns)]
        assert same(found, twin(rows, value))


@given(rows=ROWS)
@settings(max_examples=5, deadline=None)
def test_threads_do_not_matter(rows):
    columns = (WindowColumn("s", "sum", (X,), SO_FAR), WindowColumn("p", "row_number", ()))
    one = run(rows, *columns, limits=EngineLimits(memory_bytes=1 << 28, threads=1))
    assert list(map(repr, one)) == list(map(repr, run(rows, *columns)))


def test_ranges_reach_beyond_the_ends_of_their_type():
    edge = 2**63 - 1
    rows = [(0, edge, 1.0), (0, edge - 1, 2.0), (0, -edge - 1, 4.0)]
    column = WindowColumn("s", "sum", (X,), rows_near("range", -2, 2))
    assert {r[1]: r[3] for r in run(rows, column)} == {edge: 3.0, edge - 1: 3.0, -edge - 1: 4.0}


def test_ranges_of_days():
    job = Job(t=Source(schema(d="date", n="int64"), [(DAYS[0], 1), (DAYS[2], 2), (DAYS[8], 4)]))
    frame = Frame("range", Bound("preceding", literal(2, INT32)), Bound("current_row"))
    order = (SortKey(ColumnRef("d"), descending=False, nulls_first=True),)
    column = WindowColumn("s", "sum", (ColumnRef("n"),), frame)
    found = job.rows(job.add(Window(job.scan("t"), (), order, (column,))))
    assert [r[2] for r in found] == [1, 3, 4]


@pytest.mark.parametrize(
    "column",
    [
        WindowColumn("c", "rank", (X,)),
        WindowColumn("c", "ntile", (literal(0, INT32),)),
        WindowColumn("c", "ntile", (ColumnRef("n"),)),
        WindowColumn("c", "lag", (X, literal(1, INT32), literal(1, INT64))),
        WindowColumn("c", "nth_value", (X, literal(0, INT32)), WHOLE),
        WindowColumn("c", "first_value", (X,)),
        WindowColumn("c", "sum", (X,), WHOLE, ignore_nulls=True),
        WindowColumn("c", "rank", (), where=call("is_null", X)),
        WindowColumn("c", "sum", (X,), WHOLE, where=X),
        WindowColumn("c", "sum", (X,), Frame("range", WHOLE.start, WHOLE.end)),
        WindowColumn("c", "sum", (X,), Frame("rows", WHOLE.end, WHOLE.end)),
        WindowColumn("c", "sum", (X,), Frame("rows", Bound("following"), WHOLE.end)),
        WindowColumn("c", "median", (X,), WHOLE),
        WindowColumn("x", "rank", ()),
    ],
)
def test_refuses_what_has_no_meaning(column):
    with pytest.raises(PlanError):
        run([(0, 1, 1.0)], column)


def test_lists_explode():
    job = Job(t=Source(schema(n="int64", x="list<string>"), [(1, ["a", None]), (2, []), (3, None)]))
    inner = job.add(Explode(job.scan("t"), ColumnRef("x"), "e", "at"))
    assert job.rows(inner) == [(1, ["a", None], 0, "a"), (1, ["a", None], 1, None)]
    outer = job.add(Explode(job.scan("t"), ColumnRef("x"), "e", "at", outer=True))
    assert [r[2:] for r in job.rows(outer)] == [(0, "a"), (1, None), (None, None), (None, None)]


def test_values_are_rows():
    rows = ((literal(1, INT64), Literal(None, STRING)), (literal(2, INT64), literal("x", STRING)))
    job = Job(t=Source(schema(n="int64"), [(1,)]))
    pairs = job.add(Join(job.scan("t"), job.add(Values(("a", "b"), rows)), "cross", None))
    assert job.rows(pairs) == [(1, 1, None), (1, 2, "x")]
