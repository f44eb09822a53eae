"""Operators on truth values and comparisons against Python with None for NULL."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.secrets import opened, secret

from mc2.formats.schema import DataType, decimal
from mc2.operators import comparisons, logic
from mc2.operators.constants import constant, words_of_value
from mc2.operators.handles import Layout, marks_of
from mc2.operators.run import Run

TEXT = Layout(DataType("string"), 10)
INT = Layout(DataType("int64"))
REAL = Layout(DataType("double"))
WIDE = Layout(decimal(38, 3))
LAYOUTS = {
    INT: st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2),
    WIDE: st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-2, 2),
    REAL: st.floats() | st.sampled_from([0.0, -0.0, math.nan]),
    TEXT: st.binary(max_size=10) | st.sampled_from([b"", b"a", b"a\0", b"ab"]),
}


def truths(column):
    return [None if v is None else bool(v[0]) for v in opened(column)]


def booleans(values):
    return secret(logic.TRUTH, values)


TRIPLES = st.lists(st.tuples(*[st.sampled_from([True, False, None])] * 2), min_size=1, max_size=9)


@given(TRIPLES)
def test_truth_values(rows):
    run = Run()
    a, b = booleans([r[0] for r in rows]), booleans([r[1] for r in rows])

    def conjunction(x, y):
        return False if False in (x, y) else None if None in (x, y) else True

    def disjunction(x, y):
        return True if True in (x, y) else None if None in (x, y) else False

    assert truths(logic.both(run, a, b)) == [conjunction(*r) for r in rows]
    assert truths(logic.either(run, a, b)) == [disjunction(*r) for r in rows]
    assert truths(logic.negation(run, a)) == [None if x is None else not x for x, _ in rows]
    assert truths(logic.is_null(run, a)) == [x is None for x, _ in rows]
    assert truths(logic.is_null(run, a, negated=True)) == [x is not None for x, _ in rows]
    assert marks_of(logic.is_true(run, a)).tolist() == [int(x is True) for x, _ in rows]
    kept = logic.restrict(run, logic.is_true(run, a), b)
    assert marks_of(kept).tolist() == [int(x is True and y is True) for x, y in rows]


def place(value):
    if isinstance(value, float):
        return (1, 0.0) if math.isnan(value) else (0, value)
    return value


def nullable(test):
    return lambda x, y: None if x is None or y is None else test(place(x), place(y))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda x: str(x.type))
@given(data=st.data())
def test_comparisons(layout, data):
    values = st.one_of(st.none(), LAYOUTS[layout])
    rows = data.draw(st.lists(st.tuples(values, values), min_size=1, max_size=9))
    run = Run()
    a, b = secret(layout, [r[0] for r in rows]), secret(layout, [r[1] for r in rows])
    for operator, test in (
        (comparisons.equal, lambda x, y: x == y),
        (comparisons.unequal, lambda x, y: x != y),
        (comparisons.less, lambda x, y: x < y),
        (comparisons.at_most, lambda x, y: x <= y),
    ):
        assert truths(operator(run, a, b)) == [nullable(test)(*r) for r in rows]
    assert truths(comparisons.same(run, a, b)) == [
        (x is None) == (y is None) and (x is None or place(x) == place(y)) for x, y in rows
    ]
    for operator, best in ((comparisons.greatest, max), (comparisons.least, min)):
        for found, pair in zip(opened(operator(run, a, b)), rows, strict=True):
            there = [v for v in pair if v is not None]
            expected = best(there, key=place, default=None)
            equals = [  # where equal values become one, -0.0 becomes 0.0, and NaNs become one too
                tuple(words_of_value(layout, math.nan if place(v) == (1, 0.0) else v or type(v)()))
                for v in there
                if place(v) == place(expected)
            ]
            assert found in equals or (found is None and expected is None)
    first = logic.coalesce(run, a, b)
    assert opened(first) == [x or y for x, y in zip(opened(a), opened(b), strict=True)]


def test_constants():
    assert truths(constant(logic.TRUTH, True, 2)) == [True, True]
    assert opened(constant(INT, None, 2)) == [None, None]
    assert opened(constant(INT, -1, 1)) == [(2**64 - 1,)]
    with pytest.raises(ValueError, match="longer"):
        constant(TEXT, b"x" * 11, 1)


def test_calls_are_recorded_by_shape_alone():
    records = []
    for values in ([1, 2, None], [None, None, 7]):
        run = Run(record=True)
        comparisons.same(run, secret(INT, values), secret(INT, [2, 2, 2]))
        records.append(run.calls)
    assert records[0] == records[1]
    assert ("compare", (0, False, (3,), (3,), (3,))) in records[0]
