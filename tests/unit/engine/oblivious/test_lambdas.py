"""Lambdas in oblivious mode: what the encrypted engine gives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.listed_rows import (
    KINDS,
    LL,
    ROWS,
    ST,
    D,
    L,
    M,
    P,
    S,
    T,
    W,
    X,
    Z,
    both,
    mark,
    number,
    projected,
    text,
)
from tests.support.oblivious import run_obliviously
from tests.support.oblivious_plans import obliviously
from tests.support.plans import Job, Source

from mc2.errors import EngineError, PlanError
from mc2.formats.schema import parse_type
from mc2.plan.expressions import Case, Cast, Lambda, Parameter, When, call, literal
from mc2.plan.functions import FUNCTIONS
from mc2.plan.oblivious_lists import LAMBDAS
from mc2.plan.relations import Aggregate, AggregateColumn, Explode, Filter
from mc2.plan.types import BOOLEAN, DOUBLE, INT32, INT64, STRING

E, H, Q, R = (Parameter(n) for n in ("e", "i", "q", "r"))
ZERO, ONE = (literal(n, INT64) for n in (0, 1))


def mapped(array, body, *parameters):
    return call("list_map", array, Lambda(parameters or ("e",), body))


def filtered(array, body, *parameters):
    return call("list_filter", array, Lambda(parameters or ("e",), body))


def reduced(array, start, body, *last):
    ends = (Lambda(("q",), e) for e in last)
    return call("list_reduce", array, start, Lambda(("q", "e"), body), *ends)


def test_each_element_becomes_what_the_lambda_gives():
    both(
        projected(
            mapped(L, call("add", E, X)), mapped(L, X), mapped(L, call("is_null", E)),
            mapped(L, call("add", Cast(H, INT64), E), "e", "i"), mapped(S, call("length", E)),
            mapped(S, call("concat", E, text("-"), T)), mapped(D, call("negate", E)),
            mapped(LL, call("list_size", E)), mapped(LL, E), mapped(W, call("list", E, E)),
            mapped(L, literal(None, STRING)), mapped(L, text("a constant")), mapped(L, ST),
            mapped(call("list", ST, ST), call("field", E, text("c"))),
            mapped(L, call("struct", text("of"), E, text("at"), H), "e", "i"),
        )
    )  # fmt: skip


def test_elements_stay_for_which_the_lambda_is_true():
    both(
        projected(
            filtered(L, call("gt", E, ONE)), filtered(L, call("is_null", E)),
            filtered(L, mark(True)), filtered(L, literal(None, BOOLEAN)),
            filtered(S, call("lt", H, P), "e", "i"), filtered(D, call("is_nan", E)),
            filtered(LL, call("list_contains", E, number(2))), filtered(L, call("eq", E, X)),
            call("list_contains", mapped(L, call("gt", E, X)), mark(True)),
            call("not", call("list_contains", mapped(L, call("gt", E, X)), mark(False))),
        )
    )  # fmt: skip


def test_what_comes_of_all_elements():
    longer = call("concat", Q, text(","), call("coalesce", E, text("?")))
    both(
        projected(
            reduced(L, ZERO, call("add", Q, E)),
            reduced(L, X, call("coalesce", call("add", Q, E), Q)),
            reduced(M, ONE, call("multiply", Q, E), call("multiply", Q, X)),
            reduced(S, text(""), longer), reduced(S, T, longer, call("length", Q)),
            reduced(D, literal(0.0, DOUBLE), call("add", Q, E)),
            reduced(LL, literal(None, INT32), call("greatest", Q, call("list_max", E))),
            reduced(L, ZERO, call("add", Q, ONE), call("is_null", Q)),
            reduced(S, call("list", T), call("list_append", Q, E)),
        )
    )  # fmt: skip


@pytest.mark.parametrize(("one", "two"), [(L, M), (M, L), (S, D), (D, LL), (LL, L), (W, W)])
def test_pairs(one, two):
    both(projected(call("list_zip", one, two), mapped(call("list_zip", one, two), E)))


def test_lambdas_inside_of_lambdas():
    def sum_of(pair):
        first, second = (call("field", pair, text(n)) for n in ("first", "second"))
        return call("multiply", first, second)

    below = filtered(L, call("lt", R, E), "r")
    both(
        projected(
            mapped(L, call("list_size", below)),
            mapped(LL, mapped(E, call("add", R, Cast(X, INT32)), "r")),
            mapped(L, mapped(M, call("add", call("add", E, R), X), "r")),
            reduced(mapped(call("list_zip", L, M), sum_of(E)), ZERO, call("add", Q, E)),
            filtered(L, call("gt", reduced_of(M), E), "e"),
            reduced(LL, number(0), call("add", Q, call("coalesce", call("list_max",
                    filtered(E, call("gt", R, Q), "r")), number(0)))),
        )
    )  # fmt: skip


def reduced_of(array):
    return call("list_reduce", array, ZERO, Lambda(("q", "r"), call("coalesce", R, Q)))


def test_errors_where_no_element_is_do_not_count():
    safe = call("eq", E, literal(0, INT64))
    ratio = Case((When(safe, literal(None, INT64)),), call("integer_divide", ONE, E))
    bad = call("integer_divide", ONE, call("subtract", call("coalesce", E, ONE), ZERO))
    both(
        projected(
            mapped(L, ratio), mapped(L, bad), mapped(L, call("element", call("list", E), number(1))),
            mapped(L, call("integer_divide", X, call("add", E, X))),
            call("coalesce", X, call("element", mapped(L, call("integer_divide", E, ZERO)), P)),
        ),
        [r for r in ROWS if r[4] is not None],
    )  # fmt: skip


def test_a_null_list_has_no_error_in_what_follows_the_last_element():
    nothing = filtered(L, call("gt", E, ONE))
    both(
        projected(
            reduced(call("nullif", L, L), ZERO, Q, call("integer_divide", ONE, Q)),
            reduced(nothing, ONE, call("add", Q, call("integer_divide", ONE, E))),
        )
    )


@pytest.mark.parametrize(
    "expression",
    [
        mapped(L, call("integer_divide", ONE, call("subtract", E, call("coalesce", E, ONE)))),
        filtered(L, call("gt", call("multiply", E, literal(2**62, INT64)), ZERO)),
        reduced(L, literal(2**63 - 1, INT64), call("add", Q, ONE)),
        reduced(L, ZERO, Q, call("integer_divide", ONE, Q)),
    ],
)
def test_errors_of_elements_are_told(expression):
    made = Job(t=Source(KINDS, ROWS, bound=0))
    node = projected(expression)(made, made.scan("t"))
    checked, sources = obliviously(made.plan(out=node), made)
    with pytest.raises(EngineError):
        run_obliviously(checked, sources)


def test_fields_of_structs_are_cast():
    wide = "struct<a:int64,b:string,c:list<double>>"
    kinds = [
        parse_type(k)
        for k in (wide, "struct<p:int32,q:string>", f"list<{wide}>", "struct<s:int32>")
    ]
    named = call("struct", text("s"), T)
    both(
        projected(
            Cast(ST, kinds[0]), Cast(Z, kinds[1]), Cast(call("list", ST), kinds[2]),
            Cast(named, kinds[3], strict=False),
        )
    )  # fmt: skip


def test_elements_go_on_to_other_operations():
    count = AggregateColumn("n", "count_star", ())

    def made(job, node):
        known = filtered(L, call("is_not_null", E))
        node = job.add(Filter(node, call("gt", call("list_size", known), number(1))))
        node = job.add(Explode(node, mapped(L, call("remainder", E, literal(3, INT64))), "v"))
        return job.add(Aggregate(node, ("v",), (count,)))

    both(made)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        (reduced(S, T, call("concat", Q, Q, Q, Q, Q, Q, Q)), "1016 bytes"),
        (reduced(S, T, call("concat", Q, Q, Q, Q, Q, Q, Q), call("length", Q)), "1016 bytes"),
        (mapped(call("list_repeat", X, number(200)),
                call("list_size", filtered(call("list_repeat", X, number(200)), mark(True), "r"))),
         "places of a row"),
        (mapped(call("list_repeat", X, number(500)), call("list_repeat", T, number(9))), "bytes"),
        (mapped(S, call("repeat", E, call("length", E))), "oblivious mode"),
    ],
)  # fmt: skip
def test_what_takes_too_much_room_is_refused(expression, why):
    made = Job(t=Source(KINDS, ROWS, bound=0))
    with pytest.raises(PlanError, match=why):
        obliviously(made.plan(out=projected(expression)(made, made.scan("t"))), made)


values = st.none() | st.integers(-2, 2)
lists = st.none() | st.lists(values, max_size=4)


@settings(max_examples=20)
@given(st.lists(st.tuples(lists, lists, values), min_size=1, max_size=4))
def test_any_lists_agree(found):
    rows = [(a, b, ROWS[0][2], ROWS[0][3], x, *ROWS[0][5:]) for a, b, x in found]
    pairs = call("list_zip", L, M)
    first = call("field", E, text("first"))
    both(
        projected(
            mapped(L, call("add", E, X)), filtered(L, call("gt", E, X)), pairs,
            filtered(pairs, call("same", first, call("field", E, text("second")))),
            reduced(L, ZERO, call("coalesce", call("add", Q, E), Q)),
            mapped(L, call("list_size", filtered(M, call("lt", R, E), "r"))),
        ),
        rows,
    )  # fmt: skip


def test_traces_are_those_of_the_shape():
    made = Job(t=Source(KINDS, ROWS, bound=0))
    some = filtered(L, call("gt", E, X))
    node = projected(mapped(some, call("add", E, X)), reduced(L, ZERO, call("add", Q, ONE)))
    checked, sources = obliviously(made.plan(out=node(made, made.scan("t"))), made)
    _, first = run_obliviously(checked, sources, record=True)
    (name, table), *_ = sources.items()
    other = type(table)(table.form, table.table.take([3, 1]))
    _, second = run_obliviously(checked, {name: other}, record=True)
    assert first.calls == second.calls


def test_every_function_that_takes_a_lambda_is_here():
    assert {n for n, f in FUNCTIONS.items() if f.lambdas} == LAMBDAS
