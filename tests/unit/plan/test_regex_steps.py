"""Patterns as steps over bytes: what Python's `re` finds, where both mean the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.errors import PlanError
from mc2.plan.regex_steps import pattern_steps

PATTERNS = [
    "a", "abc", "^ab", "b$", "^a.*b$", "(a|bc)+d", "a{2,3}b?", "[^a]b", "^$", "a|^b|c$", "\\d{2}-\\w+",
    "^(ab|c){2,}$", "x?y*z+", "[a-c\u00e9]+$", "\u00e9.", "a(b|)c", "^\\S+@\\S+\\.com$", "(?s)a.b", "",
    "[^\\n]z", "a*", "^[\\u4e00-\\u9fff]+$", "[\U0001f600-\U0001f64f]", "(a{0,2}b){2}", "a{0}b",
    "(?:ab?){1,3}c", "(?<n>a)|b+?c", "[\u07f0-\u0810]", "[\uff00-\U00010400]a",
]  # fmt: skip
TEXTS = st.text(
    st.sampled_from("abcdxyz019-@. \necom\u00e9\u4e2d\U0001f600\u07ff\uffff"), max_size=9
)


def found(steps, text):
    """The steps taken one byte after the other."""
    reached, hit = set(), steps.empty
    for byte in (-1, *text.encode(), -2):
        reached = {
            p
            for p, ranges in enumerate(steps.sets)
            if any(low <= byte <= high for low, high in ranges)
            and (p in steps.first or steps.before[p] & reached)
        }
        hit = hit or bool(steps.last & reached)
    return hit


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=TEXTS)
def test_what_is_found_is_what_python_finds(pattern, text):
    written = pattern.replace("$", "\\Z").replace("(?<", "(?P<")
    assert found(pattern_steps(pattern), text) == bool(re.search(written, text, re.ASCII))


@pytest.mark.parametrize(
    "pattern",
    [
        "(?i)a",
        "\\bx",
        "\\p{L}",
        "(^a)*",
        "($|b)+",
        "^^a",
        "a$$",
        "$^",
        "a{300}",
        "(a|b|c|d){60}" * 2,
    ],
)
def test_what_has_no_steps_is_refused(pattern):
    with pytest.raises(PlanError, match="oblivious mode has no") as raised:
        pattern_steps(pattern)
    assert raised.value.hint
