"""Costs of oblivious operators: more rows and words cost more, and what an order saves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.plan.facts import Facts
from mc2.plan.oblivious_costs import (
    Side,
    few_cost,
    is_few,
    look_up_cost,
    match_cost,
    merge_cost,
    sort_cost,
)
from mc2.plan.oblivious_uniques import Uniques

SIDES = st.builds(
    Side, st.integers(0, 1 << 20), st.integers(0, 2000), st.just(False), st.integers(0, 50)
)


@given(SIDES, SIDES)
def test_what_is_in_order_costs_no_more(left, right):
    both = replace(left, ascends=True), replace(right, ascends=True)
    assert look_up_cost(*both) <= look_up_cost(left, right)


@given(SIDES, SIDES)
def test_more_rows_or_bits_cost_no_less(left, right):
    for cost in (look_up_cost, few_cost, lambda a, b: match_cost(a, b, 1000)):
        assert cost(left, right) <= cost(replace(left, rows=2 * left.rows), right)
        assert cost(left, right) <= cost(left, replace(right, bits=right.bits + 64))


def test_a_merge_costs_less_than_a_sort_and_a_few_rows_less_than_both():
    large, small = Side(600_000, 150), Side(25, 20)
    assert 3 * merge_cost(600_000, 3) < sort_cost(600_000, 3)
    assert 3 * few_cost(large, small) < look_up_cost(large, small)


@pytest.mark.parametrize(
    ("left", "right", "bits"),
    [
        (Side(10, 8), Side(25, 8), 8),
        (Side(100, 8), Side(65, 8), 8),
        (Side(100, 8), Side(25, 8), 65),
        (Side(100, 8), Side(25, 2000), 8),
    ],
    ids=["more right rows", "many right rows", "wide keys", "wide rows"],
)
def test_not_every_small_side_is_looked_at_whole(left, right, bits):
    assert not is_few(left, right, bits)
    assert is_few(Side(100, 8), Side(25, 8), 8)


# --- what is unique of joined leaves

ORDERS = Facts(100, frozenset({frozenset({"order"})}), decides=frozenset())
LINES = Facts(900, frozenset({frozenset({"line", "number"})}), decides=frozenset())
PEOPLE = Facts(9, frozenset({frozenset({"person"})}), decides=frozenset())
CLASSES = [["order", "line"], ["buyer", "person"]]


def test_a_join_is_unique_where_that_decides_a_row_of_each_leaf():
    known = Facts(
        100, ORDERS.unique, decides=frozenset({(frozenset({"order"}), frozenset({"buyer"}))})
    )
    found = Uniques([known, LINES, PEOPLE], CLASSES)
    assert found.is_unique(0b011, ["line", "number"])
    assert found.is_unique(0b111, ["order", "number"])
    assert not found.is_unique(0b011, ["line"])
    assert not found.is_unique(0b111, ["person", "number"])


def test_without_what_an_order_decides_its_buyer_is_any():
    assert not Uniques([ORDERS, LINES, PEOPLE], CLASSES).is_unique(0b111, ["order", "number"])
