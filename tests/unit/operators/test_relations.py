"""Sorting, grouping and joining of secret tables against plain Python over lists of rows."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.secrets import secret, values

from mc2.errors import EngineError
from mc2.formats.schema import DataType, decimal
from mc2.operators import grouping, joining, ordering
from mc2.operators.grouping import Aggregate
from mc2.operators.handles import Layout, SecretMarks, SecretTable, marks_of
from mc2.operators.joining import On
from mc2.operators.run import Run
from mc2.plan.types import BOOLEAN, DOUBLE, INT64

LAYOUTS = {
    "i": (Layout(INT64), st.integers(-2, 2)),
    "t": (Layout(DataType("string"), 9), st.sampled_from([b"", b"a", b"a\0", b"bbbbbbbbb"])),
    "r": (Layout(DOUBLE), st.sampled_from([0.0, -0.0, 1.5, math.nan, -math.inf])),
    "w": (Layout(decimal(30, 2)), st.sampled_from([0, -1, 10**29, -(10**29)])),
}


def table_of(columns, rows, present):
    """`columns`: name to layout; `rows`: tuples; `present`: a mark each."""
    found = {
        name: secret(layout, [r[place] for r in rows])
        for place, (name, layout) in enumerate(columns.items())
    }
    return SecretTable(found, SecretMarks(np.array(present, dtype=np.uint8)))


def rows_of(table):
    """The rows that are there, in order."""
    columns = [values(c) for c in table.columns.values()]
    marks = marks_of(table.present).tolist()
    return [tuple(c[i] for c in columns) for i, mark in enumerate(marks) if mark]


def canonical(value):
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value + 0.0
    return value


def bag(rows):
    return Counter(tuple(canonical(v) for v in row) for row in rows)


def place(value):
    """SQL's order: NULL first, NaN last, one zero."""
    if value is None:
        return (0, 0)
    if isinstance(value, float):
        return (2, 0) if math.isnan(value) else (1, value)
    return (1, value)


@st.composite
def tables(draw, names="itrw", least=0, most=12):
    rows = draw(
        st.lists(
            st.tuples(*[st.none() | LAYOUTS[n][1] for n in names]), min_size=least, max_size=most
        )
    )
    present = draw(st.lists(st.integers(0, 1), min_size=len(rows), max_size=len(rows)))
    columns = {n: LAYOUTS[n][0] for n in names}
    there = [r for r, p in zip(rows, present, strict=True) if p]
    return table_of(columns, rows, present), there


@given(tables(), st.booleans(), st.booleans(), st.integers(0, 5), st.integers(0, 5))
def test_sort_and_limit(drawn, descending, nulls_first, count, offset):
    table, rows = drawn
    run = Run()
    order = ordering.Order(table.columns["r"], descending=descending, nulls_first=nulls_first)
    found = ordering.sort_table(run, table, [order])

    def key(row):
        value = place(row[2])
        null = (row[2] is None) != nulls_first
        first = (null, value if not descending else (-value[0], -value[1]))
        return (*first, *map(place, row))

    expected = sorted(rows, key=key)
    assert [tuple(map(canonical, r)) for r in rows_of(found)] == [
        tuple(map(canonical, r)) for r in expected
    ]
    part = ordering.limit(run, found, count, offset)
    assert part.rows <= count
    assert bag(rows_of(part)) == bag(expected[offset : offset + count])
    front = ordering.rows_to_front(run, table)
    assert bag(rows_of(front)) == bag(rows)
    assert marks_of(front.present).tolist() == sorted(marks_of(front.present), reverse=True)
    run.finish()


@given(tables(), st.integers(0, 12))
def test_bounds(drawn, rows):
    table, there = drawn
    run = Run()
    found = ordering.bounded(run, table, rows)
    assert found.rows == min(rows, table.rows)
    if len(there) > rows:
        with pytest.raises(EngineError, match="declared bound"):
            run.finish()
    else:
        run.finish()
        assert rows_of(found) is not None
        assert bag(rows_of(found)) == bag(there)


def test_keys_of_more_words_than_one_network_takes():
    layout = Layout(DataType("string"), 60)
    rows = [(f"{'x' * 40}{i % 7:05d}{i % 3}".encode(), i) for i in range(50)]
    table = table_of({"t": layout, "i": Layout(INT64)}, rows, [1] * 50)
    run = Run()
    assert rows_of(ordering.sort_table(run, table, [])) == sorted(rows)
    groups = grouping.group(run, table, ["t"], [Aggregate("n", "count_star", None, INT64)])
    assert bag(rows_of(groups)) == bag(Counter(r[0] for r in rows).items())


@given(tables(), st.integers(1, 14))
def test_distinct_and_union(drawn, bound):
    table, rows = drawn
    run = Run()
    twice = ordering.union_all([table, table], list(table.columns))
    assert bag(rows_of(twice)) == bag(rows + rows)
    found = grouping.distinct(run, twice, bound)
    expected = set(bag(rows))
    if len(expected) > bound:
        with pytest.raises(EngineError, match="declared bound"):
            run.finish()
    else:
        run.finish()
        assert bag(rows_of(found)) == Counter(expected)


def aggregate(function, group):
    """One aggregate of a group's arguments, NULLs among them."""
    if function == "count_star":
        return len(group)
    there = [v for v in group if v is not None]
    if function == "count":
        return len(there)
    if not there:
        return None
    if function == "sum":
        return sum(there)
    return {"min": min, "max": max}[function](there, key=place)


@pytest.mark.parametrize("keys", ["", "i", "tr", "itw"])
@given(data=st.data())
@settings(max_examples=40)
def test_groups(keys, data):
    table, rows = data.draw(tables())
    distinct = data.draw(st.booleans())
    names = "itrw"
    marks = data.draw(st.lists(st.integers(0, 1), min_size=table.rows, max_size=table.rows))
    where = np.array(marks, dtype=np.uint8)
    present = marks_of(table.present).tolist()
    kept = [m for m, p in zip(marks, present, strict=True) if p]
    wanted = [("i", "sum", INT64), ("i", "count", INT64), ("t", "min", None), ("w", "max", None),
              ("r", "min", None), ("w", "sum", decimal(38, 2))]  # fmt: skip
    run = Run()
    aggregates = [
        Aggregate(f"{f}_{n}", f, table.columns[n], k or table.columns[n].type, where, distinct)
        for n, f, k in wanted
    ]
    aggregates.append(Aggregate("n", "count_star", None, INT64))
    found = grouping.group(run, table, list(keys), aggregates)
    run.finish()
    groups = {}
    for row, keep in zip(rows, kept, strict=True):
        key = tuple(canonical(row[names.index(k)]) for k in keys)
        groups.setdefault(key, []).append((row, keep))
    if not keys:
        groups = {(): groups.get((), [])}
    expected = []
    for key, members in groups.items():
        line = list(key)
        for n, f, _ in wanted:
            arguments = [r[names.index(n)] for r, keep in members if keep]
            if distinct:
                arguments = list({canonical(a): a for a in arguments}.values())
            line.append(aggregate(f, arguments))
        expected.append((*line, len(members)))
    assert bag(rows_of(found)) == bag(expected)


@given(st.lists(st.none() | st.floats(-1e300, 1e300), max_size=9), st.booleans())
def test_sums_and_means(numbers, keyed):
    table = table_of(
        {
            "k": Layout(INT64),
            "r": Layout(DOUBLE),
            "d": Layout(decimal(12, 2)),
            "b": Layout(BOOLEAN),
        },
        [
            (1, v, None if v is None else int(v) % 1000, None if v is None else v > 0)
            for v in numbers
        ],
        [1] * len(numbers),
    )
    run = Run()
    r, d, b = (table.columns[n] for n in "rdb")
    wanted = [
        Aggregate("s", "sum", r, DOUBLE), Aggregate("m", "avg", r, DOUBLE),
        Aggregate("dm", "avg", d, decimal(16, 6)), Aggregate("im", "avg", table.columns["k"], DOUBLE),
        Aggregate("all", "bool_and", b, BOOLEAN), Aggregate("any", "bool_or", b, BOOLEAN),
    ]  # fmt: skip
    found = rows_of(grouping.group(run, table, ["k"] if keyed else [], wanted))
    run.finish()
    there = [v for v in numbers if v is not None]
    if not numbers and keyed:
        assert found == []
        return
    (row,) = found
    row = row[1:] if keyed else row
    if not there:
        assert row == (None, None, None, 1.0 if numbers else None, None, None)
        return
    total = float(sum(map(Fraction, there)))
    mean = Fraction(sum(int(v) % 1000 for v in there) * 10**4, len(there))
    assert row[:2] == (total, total / len(there))
    assert row[2] == math.floor(mean + Fraction(1, 2))
    assert row[4:] == (int(all(v > 0 for v in there)), int(any(v > 0 for v in there)))


def equal(a, b, *, nulls):
    if a is None or b is None:
        return nulls and a is None and b is None
    return canonical(a) == canonical(b)


SIDES = st.sampled_from(["i", "t", "r", "w"])


@given(tables(least=0, most=8), tables(least=0, most=8), SIDES, st.booleans())
@settings(max_examples=60)
def test_joins(left_drawn, right_drawn, key, nulls):
    left, lefts = left_drawn
    right, rights = right_drawn
    at = "itrw".index(key)
    other = SecretTable({f"{n}2": c for n, c in right.columns.items()}, right.present)
    on = [On(left.columns[key], other.columns[f"{key}2"], nulls)]
    pairs = [(p, q) for p in lefts for q in rights if equal(p[at], q[at], nulls=nulls)]
    run = Run()
    bound = max(1, left.rows * right.rows)
    assert bag(rows_of(joining.match(run, left, other, on, bound))) == bag(p + q for p, q in pairs)
    kept, found = joining.partnered(run, left, other, on)
    only = SecretTable(kept.columns, SecretMarks(found))
    expected = [p for p in lefts if any(equal(p[at], q[at], nulls=nulls) for q in rights)]
    assert bag(rows_of(only)) == bag(expected)
    assert bag(rows_of(kept)) == bag(lefts)
    crossed = joining.cross(run, left, other)
    assert bag(rows_of(crossed)) == bag(p + q for p in lefts for q in rights)
    run.finish()
    if pairs:
        joining.match(run, left, other, on, len(pairs))
        run.finish()
        if len(pairs) > 1:
            joining.match(run, left, other, on, len(pairs) - 1)
            with pytest.raises(EngineError, match="declared bound"):
                run.finish()


@given(tables(names="it"), tables(names="it"), st.booleans())
def test_joins_with_unique_keys(left_drawn, right_drawn, outer):
    left, lefts = left_drawn
    right, rights = right_drawn
    other = SecretTable({f"{n}2": c for n, c in right.columns.items()}, right.present)
    on = [On(left.columns[n], other.columns[f"{n}2"]) for n in "it"]
    run = Run()
    found = joining.join_unique(run, left, other, on, outer=outer)
    assert found.rows == left.rows
    there = Counter(q for q in rights if None not in q)
    if there and max(there.values()) > 1:
        with pytest.raises(EngineError, match="occurs twice"):
            run.finish()
        return
    run.finish()
    expected = []
    for p in lefts:
        partners = [q for q in rights if None not in p and p == q]
        expected += [p + q for q in partners] or ([(*p, None, None)] if outer else [])
    assert bag(rows_of(found)) == bag(expected)


def test_texts_of_different_widths_join():
    short = table_of({"a": Layout(DataType("string"), 4)}, [(b"x",), (b"y",)], [1, 1])
    long = table_of({"b": Layout(DataType("string"), 30)}, [(b"y",), (b"z" * 30,)], [1, 1])
    run = Run()
    on = [On(short.columns["a"], long.columns["b"])]
    assert rows_of(joining.join_unique(run, short, long, on, outer=False)) == [(b"y", b"y")]


def test_the_calls_depend_on_shapes_alone():
    records = []
    for numbers in ([1, 1, 1, 1], [4, 3, 2, 1], [1, None, 1, 2]):
        run = Run(record=True)
        table = table_of({"i": Layout(INT64)}, [(n,) for n in numbers], [1, 1, 0, 1])
        other = SecretTable({"j": table.columns["i"]}, table.present)
        on = [On(table.columns["i"], other.columns["j"])]
        joining.match(run, table, other, on, 16)
        grouping.group(run, table, ["i"], [Aggregate("n", "count_star", None, INT64)])
        ordering.sort_table(run, table, [])
        records.append(run.calls)
    assert records[0] == records[1] == records[2]


PAIRS = {"i": LAYOUTS["i"][0], "t": LAYOUTS["t"][0]}


def test_keys_that_others_decide_are_carried():
    table = table_of(PAIRS, [(1, b"a"), (2, b"b"), (1, b"a"), (None, None)], [1, 1, 1, 1])
    run = Run()
    count = Aggregate("n", "count_star", None, INT64)
    found = grouping.group(run, table, ["i", "t"], [count], 3, ["i"])
    run.finish()
    assert bag(rows_of(found)) == bag([(1, b"a", 2), (2, b"b", 1), (None, None, 1)])


@pytest.mark.parametrize("others", [(b"a", b"b"), (b"a", None), (b"", None)])
def test_keys_that_others_do_not_decide_fail_the_job(others):
    table = table_of(PAIRS, [(1, other) for other in others], [1, 1])
    run = Run()
    grouping.group(run, table, ["i", "t"], [], None, ["i"])
    with pytest.raises(EngineError, match="unique"):
        run.finish()


def test_rows_that_are_not_there_decide_nothing():
    table = table_of(PAIRS, [(1, b"a"), (1, b"b")], [1, 0])
    run = Run()
    found = grouping.group(run, table, ["i", "t"], [], None, ["i"])
    run.finish()
    assert rows_of(found) == [(1, b"a")]


@pytest.mark.parametrize(("present", "fails"), [([1, 1], True), ([1, 0], False), ([0, 0], False)])
def test_an_order_that_facts_call_unique_fails_where_it_is_not(present, fails):
    table = table_of(PAIRS, [(1, b"a"), (1, b"b")], present)
    run = Run()
    order = ordering.Order(table.columns["i"])
    ordering.sort_table(run, table, [order], ordering.Ties((), unique=True))
    if fails:
        with pytest.raises(EngineError, match="unique"):
            run.finish()
    else:
        run.finish()
