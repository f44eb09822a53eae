"""Joins by a band against the product of both sides."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.secrets import secret, values

from mc2.errors import EngineError
from mc2.formats.schema import DataType
from mc2.operators import bands
from mc2.operators.handles import Layout, SecretMarks, SecretTable, marks_of
from mc2.operators.joining import On
from mc2.operators.run import Run
from mc2.plan.types import DOUBLE, INT64

KINDS = {
    "integer": (Layout(INT64), st.integers(-4, 4)),
    "double": (Layout(DOUBLE), st.sampled_from([-1.5, -0.0, 0.0, 2.5, 7.0])),
    "text": (Layout(DataType("string"), 3), st.sampled_from([b"", b"a", b"ab", b"b"])),
}


@st.composite
def sides(draw):
    kind = draw(st.sampled_from(sorted(KINDS)))
    value = st.none() | KINDS[kind][1]
    keyed = st.none() | st.integers(0, 1)
    points = draw(st.lists(st.tuples(st.booleans(), keyed, value), max_size=9))
    ranges = draw(st.lists(st.tuples(st.booleans(), keyed, value, value), max_size=9))
    return kind, points, ranges


def table_of(rows, names, layouts):
    columns = {
        name: secret(layout, [r[place + 1] for r in rows])
        for place, (name, layout) in enumerate(zip(names, layouts, strict=True))
    }
    columns["n" if names[0] == "k" else "N"] = secret(Layout(INT64), list(range(len(rows))))
    return SecretTable(columns, SecretMarks(np.array([r[0] for r in rows], dtype=np.uint8)))


def pairs_of(table):
    marks = marks_of(table.present).tolist()
    both = zip(values(table.columns["n"]), values(table.columns["N"]), marks, strict=True)
    return Counter((n, m) for n, m, there in both if there)


def joined(drawn, keyed, strict, bound):
    kind, points, ranges = drawn
    layout = KINDS[kind][0]
    left = table_of(points, ("k", "v"), (Layout(INT64), layout))
    right = table_of(ranges, ("K", "low", "high"), (Layout(INT64), layout, layout))
    on = [On(left.columns["k"], right.columns["K"])] if keyed else []
    reach = bands.Reach(
        left.columns["v"], right.columns["low"], right.columns["high"],
        above_low=strict[0], below_high=strict[1],
    )  # fmt: skip
    run = Run()
    found = bands.match_band(run, left, right, on, reach, bound)
    run.finish()
    return pairs_of(found)


def wanted(drawn, keyed, strict):
    _, points, ranges = drawn
    found = Counter()
    for i, (here, k, v) in enumerate(points):
        for j, (there, other, low, high) in enumerate(ranges):
            if not (here and there) or None in {v, low, high}:
                continue
            if keyed and (k is None or k != other):
                continue
            if low <= v <= high and not (strict[0] and v == low) and not (strict[1] and v == high):
                found[i, j] += 1
    return found


@given(sides(), st.booleans(), st.tuples(st.booleans(), st.booleans()))
def test_all_pairs_of_a_band_are_found(drawn, keyed, strict):
    expected = wanted(drawn, keyed, strict)
    assert joined(drawn, keyed, strict, 81) == expected
    assert joined(drawn, keyed, strict, max(1, expected.total())) == expected


def test_more_pairs_than_the_bound_fail_the_job():
    drawn = "integer", [(True, 0, n) for n in range(5)], [(True, 0, 1, 3)]
    assert joined(drawn, True, (False, False), 3).total() == 3
    with pytest.raises(EngineError, match="bound"):
        joined(drawn, True, (False, False), 2)
