"""What decides what, and how few keys decide all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mc2.plan.deciding import closure, fewest, known_of, restricted

NAMES = "abcdef"
SETS = st.frozensets(st.sampled_from(NAMES), max_size=3)
DECIDES = st.frozensets(st.tuples(SETS, SETS), max_size=6)


def of(*pairs: tuple[str, str]):
    return frozenset((frozenset(a), frozenset(b)) for a, b in pairs)


def test_steps_follow_one_another():
    assert closure(frozenset("a"), of(("a", "b"), ("bc", "d"), ("b", "c"))) == frozenset("abcd")
    assert closure(frozenset("b"), of(("a", "b"))) == frozenset("b")


def test_a_constant_is_decided_by_nothing():
    assert closure(frozenset(), of(("", "a"))) == frozenset("a")


def test_what_leads_over_a_column_that_is_gone_still_holds():
    assert restricted(of(("a", "b"), ("b", "c")), frozenset("ac")) == of(("a", "c"))


def test_wide_texts_are_left_out_before_numbers():
    both = of(("a", "b"), ("b", "a"))
    assert fewest(["a", "b"], both, {"a": 40}) == ("b",)
    assert fewest(["a", "b"], both, {"b": 40}) == ("a",)
    assert fewest(["a", "b"], both, {}) == ("a",)


def test_a_key_stays_if_all_are_constants():
    assert len(fewest(["a", "b"], of(("", "ab")), {})) == 1


def test_a_unique_key_decides_its_row():
    assert known_of([frozenset("a")], frozenset("abc")) == of(("a", "bc"))
    assert known_of([frozenset("ab")], frozenset("ab")) == frozenset()


@given(SETS, DECIDES)
def test_a_closure_is_closed(columns, decides):
    found = closure(columns, decides)
    assert columns <= found
    assert closure(found, decides) == found
    assert all(others <= found for key, others in decides if key <= found)


@given(st.lists(st.sampled_from(NAMES), min_size=1, unique=True), DECIDES)
def test_fewest_decide_all_and_none_can_go(columns, decides):
    kept = fewest(columns, decides, {})
    assert closure(frozenset(kept), decides) >= set(columns)
    for name in kept:
        rest = frozenset(kept) - {name}
        assert not rest or not set(columns) <= closure(rest, decides)


@given(DECIDES, st.frozensets(st.sampled_from(NAMES)))
def test_restricted_says_nothing_new(decides, names):
    for key, others in restricted(decides, names):
        assert key <= names
        assert others <= closure(key, decides) & names
