"""Groups of few known values: what sorted groups give, without a sort; texts by their codes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.secrets import secret, values

from mc2.errors import EngineError
from mc2.formats.schema import DataType, decimal
from mc2.operators import grouping, joining, ordering
from mc2.operators.few_groups import group_few
from mc2.operators.grouping import Aggregate
from mc2.operators.handles import (
    Layout,
    SecretColumn,
    SecretMarks,
    SecretTable,
    codes_of,
    known_of,
    marks_of,
    words_of,
)
from mc2.operators.joining import On
from mc2.operators.ordering import Order
from mc2.operators.packing import texts_of_codes, to_front
from mc2.operators.run import Run
from mc2.plan.types import DOUBLE, INT64

TEXT = Layout(DataType("string"), 9)
WIDE = decimal(30, 2)
DOMAIN = (b"", b"a long on", b"b")


def coded(texts, domain=DOMAIN, run=None):
    known = np.array([t is not None for t in texts], dtype=np.uint8)
    places = [0 if t is None else domain.index(t) for t in texts]
    codes = np.array(places, dtype=np.uint64)
    return texts_of_codes(run or Run(), TEXT, domain, codes, known)


def small(numbers, ends=(-1, 2)):
    found = secret(Layout(INT64), numbers)
    return SecretColumn(found.layout, words_of(found), known_of(found), ends)


def there(table):
    columns = [values(c) for c in table.columns.values()]
    marks = marks_of(table.present).tolist()
    return [tuple(c[i] for c in columns) for i, mark in enumerate(marks) if mark]


@st.composite
def tables(draw):
    row = st.tuples(
        st.none() | st.sampled_from(DOMAIN),
        st.none() | st.integers(-1, 2),
        st.none() | st.sampled_from([0, -1, 10**29, -(10**29), 2**64, -(2**63)]),
        st.none() | st.integers(-(2**40), 2**40),
        st.integers(0, 1),
        st.integers(0, 1),
    )
    rows = draw(st.lists(row, min_size=1, max_size=12))
    texts, numbers, wide, whole, marks, present = zip(*rows, strict=True)
    columns = {"t": coded(texts), "n": small(numbers)}
    arguments = secret(Layout(WIDE), wide), secret(Layout(INT64), whole)
    where = np.array(marks, dtype=np.uint8)
    return SecretTable(columns, SecretMarks(np.array(present, dtype=np.uint8))), arguments, where


@given(tables(), st.sampled_from([["t"], ["n"], ["n", "t"]]))
def test_groups_are_those_of_a_sort(drawn, keys):
    table, (wide, whole), where = drawn
    wanted = [
        Aggregate("rows", "count_star", None, INT64),
        Aggregate("some", "count", wide, INT64, where),
        Aggregate("sum", "sum", wide, decimal(38, 2)),
        Aggregate("mean", "avg", wide, decimal(34, 6)),
        Aggregate("total", "sum", whole, INT64, where),
        Aggregate("average", "avg", whole, DOUBLE),
    ]
    slow, fast = Run(), Run(record=True)
    expected = grouping.group(slow, table, keys, wanted)
    found = group_few(fast, table, keys, wanted)
    slow.finish()
    fast.finish()
    assert there(found) == there(expected)
    assert "sort" not in [name for name, _ in fast.calls]


def test_other_groups_are_sorted():
    table = SecretTable({"t": coded([b"b", b""])}, SecretMarks(np.ones(2, dtype=np.uint8)))
    wanted = [Aggregate("m", "min", secret(Layout(INT64), [5, 3]), INT64)]
    assert there(group_few(Run(), table, ["t"], wanted)) == [(b"", 3), (b"b", 5)]
    plain = SecretTable({"t": secret(TEXT, [b"b", b""])}, table.present)
    counted = [Aggregate("n", "count_star", None, INT64)]
    assert there(group_few(Run(), plain, ["t"], counted)) == [(b"", 1), (b"b", 1)]
    assert there(group_few(Run(), table, [], counted)) == [(2,)]


def test_more_groups_than_a_bound_fail_at_the_end():
    table = SecretTable({"t": coded([b"b", b""])}, SecretMarks(np.ones(2, dtype=np.uint8)))
    run = Run()
    group_few(run, table, ["t"], [Aggregate("n", "count_star", None, INT64)], 1)
    with pytest.raises(EngineError, match="bound"):
        run.finish()


def test_codes_come_back_as_texts_and_as_codes():
    texts = [b"b", None, b"a long on", b"", b"b"]
    present = np.array([1, 1, 0, 1, 1], dtype=np.uint8)
    table = SecretTable({"t": coded(texts)}, SecretMarks(present))
    found = to_front(Run(), table, 4)
    assert there(found) == [(b"b",), (None,), (b"",), (b"b",)]
    assert found.columns["t"].domain == DOMAIN
    assert codes_of(found.columns["t"]).tolist() == [2, 0, 0, 2]
    cut = ordering.limit(Run(), found, 1)
    assert codes_of(cut.columns["t"]).tolist() == [2]
    order = Order(table.columns["t"], descending=True, nulls_first=False)
    assert there(ordering.sort_table(Run(), table, [order])) == [(b"b",), (b"b",), (b"",), (None,)]


@pytest.mark.parametrize("rights", [3, 70])
def test_texts_of_other_domains_are_compared_as_texts(rights):
    run = Run()
    left = SecretTable({"a": coded([b"b", b"", None])}, SecretMarks(np.ones(3, dtype=np.uint8)))
    texts = [b"b", None, b"a"] + [None] * (rights - 3)
    others = coded(texts, (b"a", b"b"))
    right = SecretTable({"o": others}, SecretMarks(np.ones(rights, dtype=np.uint8)))
    on = [On(left.columns["a"], others)]
    found = joining.join_unique(run, left, right, on, outer=False)
    run.finish()
    assert there(found) == [(b"b", b"b")]


def test_codes_are_of_a_domain():
    words = np.zeros((1, 2), dtype=np.uint64)
    known, codes = np.ones(1, dtype=np.uint8), np.zeros(1, dtype=np.uint64)
    with pytest.raises(ValueError, match="domain"):
        SecretColumn(Layout(DataType("string"), 3), words, known, None, None, codes)
    with pytest.raises(ValueError, match="each row"):
        SecretColumn(
            Layout(DataType("string"), 3), words, known, None, (b"",), np.zeros(2, dtype=np.uint64)
        )
