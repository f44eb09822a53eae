"""Functions of texts against Python's."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.secrets import everywhere, secret, values

from mc2.errors import EngineError
from mc2.operators import comparisons, texts
from mc2.operators.handles import Layout, SecretColumn, known_of, words_of
from mc2.operators.run import Run
from mc2.plan.types import BINARY, STRING

WORDS = st.text(st.sampled_from("abB %_\\z"), max_size=11)
COLUMN = st.lists(st.none() | WORDS, min_size=1, max_size=6)
PIECES = st.sampled_from(["a", "b", "%", "_", "\\%", "\\_", "\\\\", " ", "B"])


def column(rows, size=11):
    return secret(Layout(STRING, size), [None if v is None else v.encode() for v in rows])


def decoded(found):
    return [None if v is None else v.decode() for v in values(found)]


@given(COLUMN, st.lists(PIECES, max_size=6))
def test_like(rows, pieces):
    parts = {"%": ".*", "_": ".", "\\%": "%", "\\_": "_", "\\\\": r"\\"}
    expression = re.compile("".join(parts.get(p, re.escape(p)) for p in pieces), re.DOTALL)
    a, run = column(rows), Run()
    found = values(texts.matches(run, a, texts.like_steps("".join(pieces))))
    assert found == [None if v is None else int(bool(expression.fullmatch(v))) for v in rows]
    run.finish()


@given(COLUMN, st.lists(WORDS, min_size=1, max_size=3))
def test_texts_among_constants_by_words_and_by_codes(rows, listed):
    domain = sorted({v.encode() for v in rows if v is not None} | {b"a"})
    plain, run = column(rows), Run()
    codes = [0 if v is None else domain.index(v.encode()) for v in rows]
    coded = SecretColumn(
        plain.layout, words_of(plain), known_of(plain), None, tuple(domain),
        np.array(codes, dtype=np.uint64),
    )  # fmt: skip
    for one in (plain, coded):
        found = values(comparisons.equal_constant(run, one, *(v.encode() for v in listed)))
        assert found == [None if v is None else int(v in listed) for v in rows]
    run.finish()


def test_a_pattern_that_ends_with_its_escape_is_refused():
    with pytest.raises(EngineError, match="escape"):
        texts.like_steps("a\\")
    assert texts.like_steps("a!%", "!") == texts.literal_steps("a%")


@given(COLUMN, st.integers(-14, 14), st.integers(0, 14))
def test_parts_and_changes(rows, start, count):
    a, run = column(rows), Run()
    counts = everywhere(a)

    def each(rule):
        return [None if v is None else rule(v) for v in rows]

    def part(value):
        first = len(value) + start if start < 0 else max(start - 1, 0)
        return value[max(first, 0) : max(first + count, 0)]

    found = texts.substring(run, a, start, count)
    assert decoded(found) == each(part)
    assert found.layout.text_bytes == min(11, 4 * max(count, 1))
    assert decoded(texts.change_case(run, a, counts, lower=True)) == each(str.lower)
    assert decoded(texts.trim(run, a, start=True, end=True)) == each(lambda v: v.strip(" "))
    assert values(texts.count_characters(run, a)) == each(len)
    assert decoded(texts.fitted(a, 40)) == rows
    assert decoded(texts.concat(run, a, texts.fitted(a, 20), counts)) == each(lambda v: v + v)
    run.finish()


def test_lengths_of_binaries_are_in_bytes():
    a = secret(Layout(BINARY, 8), ["é".encode(), None])
    assert values(texts.count_characters(Run(), a)) == [2, None]


def test_letters_beyond_ascii_have_no_case():
    a, run = column(["é"]), Run()
    texts.change_case(run, a, everywhere(a), lower=True)
    with pytest.raises(EngineError, match="ASCII"):
        run.finish()


def test_texts_are_never_cut():
    with pytest.raises(ValueError, match="not cut"):
        texts.fitted(column(["a"], 40), 8)
