"""docs/reference/functions.md lists every function of a query, and no other."""

from __future__ import annotations

from tools.functions_page import FAMILIES, PAGE, page

from mc2.planner.calls import FUNCTIONS


def test_the_page_is_the_one_that_the_tables_give():
    assert PAGE.read_text() == page()


def test_every_function_has_a_family():
    assert {name for rules in FAMILIES.values() for name in rules} == set(FUNCTIONS)
