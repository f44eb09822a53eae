"""Columns of one name, told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.planner.names import as_written, told_apart


@pytest.mark.parametrize(
    ("names", "apart"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "A", "a"], ["a", "A#2", "a#3"]),
        (["a", "a", "a#2"], ["a", "a#3", "a#2"]),
        (["a#2", "a", "a"], ["a#2", "a", "a#3"]),
    ],
)
def test_what_comes_again_gets_a_number(names, apart):
    assert told_apart(names) == apart


def test_a_number_counts_only_beside_its_name():
    assert as_written(["a", "A#2", "b#2", "a#x"]) == ["a", "A", "b#2", "a#x"]


@given(st.lists(st.sampled_from(["a", "A", "b", "a#2", "a#3", "a#2#2"]), max_size=8))
def test_told_apart_names_are_different_and_keep_what_was_written(names):
    apart = told_apart(names)
    assert len({n.casefold() for n in apart}) == len(names)
    for name, new in zip(names, apart, strict=True):
        assert new == name or new.startswith(f"{name}#")
    if not any("#" in n for n in names):
        assert as_written(apart) == names
