"""Lists whose length a value says: in oblivious mode what the encrypted engine gives, or an error."""

from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.differential import rows_of
from tests.support.listed_rows import (
    KINDS,
    LL,
    ROWS,
    L,
    P,
    S,
    T,
    X,
    Z,
    both,
    number,
    projected,
    text,
)
from tests.support.oblivious import run_obliviously
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.plans import Job, Source, schema

from mc2.errors import EngineError, PlanError
from mc2.plan.expressions import Case, ColumnRef, Lambda, Parameter, When, call, literal
from mc2.plan.regex import plain_text
from mc2.plan.relations import Explode
from mc2.plan.types import DATE, INT64

A, B, C = (ColumnRef(n) for n in "abc")
ONE = literal(1, INT64)
LEAST, MOST = -(2**63), 2**63 - 1


def at_most(value, most):
    return call("list_at_most", value, number(most))


def cut(value, start, count):
    return call("list_slice", value, number(start), number(count))


def large(value):
    return literal(value, INT64)


def test_lists_that_are_short_enough_agree():
    day = call("field", Z, text("q"))
    up = Case((When(call("le", ONE, large(5)), ONE),), literal(-1, INT64))
    both(
        projected(
            at_most(L, 5), at_most(call("list_compact", L), 4), at_most(LL, 3), at_most(S, 3),
            at_most(call("sequence", ONE, X, ONE), 7), cut(call("sequence", ONE, X, ONE), 1, 3),
            cut(call("sequence", ONE, X, ONE), 3, 2), cut(call("sequence", X, ONE, large(-2)), 1, 0),
            call("sequence", ONE, large(5), up), call("sequence", ONE, large(5), large(2)),
            at_most(call("sequence", day, call("date_add", day, number(3)), number(2)), 2),
            cut(call("sequence", day, literal(date(2030, 1, 1), DATE), number(1)), 1, 2),
            at_most(call("list_repeat", X, P), 3), cut(call("list_repeat", T, P), 1, 2),
            cut(call("list_repeat", LL, P), 2, 1), call("list_repeat", X, number(2)),
            cut(call("list_repeat", X, number(4)), 2, 9),
        ),
        [r for r in ROWS if r[4] is None or r[4] > 0],
    )  # fmt: skip


def test_sequences_go_on_to_lambdas_and_rows():
    squares = call("list_map", at_most(call("sequence", ONE, X, ONE), 8),
                   Lambda(("e",), call("multiply", Parameter("e"), Parameter("e"))))  # fmt: skip

    def made(job, node):
        return job.add(Explode(projected(squares, X)(job, node), ColumnRef("r0"), "e", "p"))

    both(made)


TEXTS = ["", ",", ",,", "a", "a,b", "a,,b", ",a,", "ab|cd|", "a, b", "aaaa", "a.b.c", None]


@pytest.mark.parametrize("mark", [",", ", ", r"\|", "[.]", "aa"])
@pytest.mark.parametrize("limit", [-1, 0, 1, 2, 3])
def test_texts_are_split_at_a_text(mark, limit):
    made = Job(t=Source(schema(t="string"), [(t,) for t in TEXTS], bound=0))
    parts = call("split", T, text(mark), number(limit))
    node = projected(parts, cut(parts, 1, 2), cut(parts, 2, 1), at_most(parts, 6))
    ((_, fast, slow),) = both_ways(made.plan(out=node(made, made.scan("t"))), made)
    assert rows_of(fast) == rows_of(slow)


@pytest.mark.parametrize(
    ("pattern", "plain"),
    [(",", ","), (r"\|", "|"), ("[.]", "."), (r"a\.b", "a.b"), ("a+", None), (r"\d", None),
     ("[ab]", None), ("a|b", None), ("^a", None), (r"\\", "\\"), ("(?i)a", None), (r"\[", "[")],
)  # fmt: skip
def test_texts_that_patterns_are(pattern, plain):
    assert plain_text(pattern) == plain


NUMBERS = st.sampled_from([LEAST, LEAST + 1, -3, -1, 0, 1, 2, 5, MOST - 1, MOST])


@settings(max_examples=40)
@given(st.tuples(NUMBERS, NUMBERS, NUMBERS))
@example((LEAST, MOST, MOST))
@example((MOST, LEAST, LEAST))
@example((0, 99_999, 1))
@example((0, 100_000, 1))
@example((LEAST, MOST, MOST // 50_000))
@example((3, 3, 0))
@example((3, 4, 0))
def test_any_sequence_agrees_or_fails_in_both(ends):
    made = Job(t=Source(schema(a="int64", b="int64", c="int64"), [ends], bound=0))
    node = projected(cut(call("sequence", A, B, C), 1, 4))(made, made.scan("t"))
    plan = made.plan(out=node)
    first, last, step = ends
    away = (last - first) * step < 0 or (not step and first != last)
    if away or (step and (last - first) // step >= 100_000):
        checked, sources = obliviously(plan, made)
        with pytest.raises(EngineError):
            run_obliviously(checked, sources)
        return
    ((_, fast, slow),) = both_ways(plan, made)
    assert rows_of(fast) == rows_of(slow)


@pytest.mark.parametrize(
    "expression",
    [
        at_most(L, 4),
        at_most(call("sequence", ONE, X, ONE), 6),
        at_most(call("list_repeat", X, P), 2),
        at_most(call("split", T, text("b"), number(-1)), 1),
        cut(call("list_repeat", X, call("add", P, number(100_000))), 1, 1),
        cut(call("sequence", X, ONE, ONE), 1, 1),
    ],
)
def test_lists_that_are_too_long_fail_in_both(expression):
    rows = [(*r[:11], "abba" if r[11] else None) for r in ROWS]
    made = Job(t=Source(KINDS, rows, bound=0))
    plan = made.plan(out=projected(expression)(made, made.scan("t")))
    checked, sources = obliviously(plan, made)
    with pytest.raises(EngineError):
        run_obliviously(checked, sources)
    with pytest.raises(EngineError):
        both_ways(plan, made)


def test_a_list_that_does_not_count_may_be_too_long():
    short = call("le", call("list_size", L), number(3))
    both(projected(Case((When(short, at_most(L, 3)),), call("list", X))))


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        (call("sequence", X, large(5), ONE), "only values say"),
        (call("list_repeat", X, P), "only values say"),
        (call("list_size", call("sequence", ONE, X, ONE)), "only values say"),
        (cut(call("sequence", ONE, X, ONE), -1, 2), "only values say"),
        (call("list_slice", call("sequence", ONE, X, ONE), P, number(1)), "only values say"),
        (call("split", T, text("b+"), number(-1)), "a text, not at a pattern"),
        (at_most(call("sequence", ONE, X, ONE), 600), "bytes in a row"),
    ],
)
def test_what_has_no_bound_is_refused(expression, why):
    made = Job(t=Source(KINDS, ROWS, bound=0))
    with pytest.raises(PlanError, match=why):
        obliviously(made.plan(out=projected(expression)(made, made.scan("t"))), made)


def test_traces_are_those_of_the_shape():
    ascii_rows = [r for r in ROWS if (r[11] or "").isascii()]
    made = Job(t=Source(KINDS, ascii_rows, bound=0))
    node = projected(
        cut(call("sequence", ONE, X, ONE), 1, 3), cut(call("list_repeat", T, P), 1, 2),
        call("split", T, text("a"), number(-1)), at_most(L, 5),
    )  # fmt: skip
    checked, sources = obliviously(made.plan(out=node(made, made.scan("t"))), made)
    _, first = run_obliviously(checked, sources, record=True)
    (name, table), *_ = sources.items()
    other = type(table)(table.form, table.table.take([2, 0]))
    _, second = run_obliviously(checked, {name: other}, record=True)
    assert first.calls == second.calls
