"""Lists and structs in oblivious mode: what the encrypted engine gives."""

from datetime import date
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.listed_rows import (
    KINDS,
    LL,
    NAN,
    ROWS,
    ST,
    D,
    L,
    M,
    N,
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
from mc2.plan.expressions import Case, Cast, ColumnRef, When, call, literal
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Distinct,
    Explode,
    Filter,
    Join,
    Limit,
    NamedExpression,
    Project,
    Sort,
    SortKey,
    Union,
)
from mc2.plan.types import DATE, DOUBLE, INT32, INT64, STRING, list_of
from mc2.plan.windows import Window, WindowColumn

ELEMENTS = ((L, X), (M, X), (S, T), (D, literal(-0.0, DOUBLE)), (D, literal(NAN, DOUBLE)), (W, N))
PAIRS = ((L, M), (M, L), (D, D), (S, S), (LL, LL))
OF_ONE = ("list_size", "list_distinct", "list_min", "list_max", "list_compact", "reverse")
OF_TWO = (
    "list_union", "list_intersect", "list_except", "list_overlap", "eq", "ne", "same", "concat",
    "nullif",
)  # fmt: skip
WITH_ONE = ("list_contains", "list_position", "list_remove", "list_append", "list_prepend")


@pytest.mark.parametrize("name", OF_ONE)
def test_functions_of_one_list(name):
    both(projected(*(call(name, a) for a in (L, M, S, D, W))))


@pytest.mark.parametrize("name", OF_TWO)
def test_functions_of_two_lists(name):
    both(projected(*(call(name, a, b) for a, b in PAIRS)))


@pytest.mark.parametrize("name", WITH_ONE)
def test_functions_of_a_list_and_a_value(name):
    both(projected(*(call(name, a, x) for a, x in ELEMENTS)))


@pytest.mark.parametrize("list_", [L, S, D, W])
def test_elements_parts_and_orders(list_):
    places = [call("element_or_null", list_, p) for p in (P, number(2), number(0), number(-1))]
    parts = [
        call("list_slice", list_, number(start), number(count))
        for start, count in ((2, 2), (-2, 5), (-4, 1), (1, 0))
    ]
    orders = [
        call("list_sort", list_, mark(up), mark(first))
        for up in (True, False)
        for first in (True, False)
    ]
    both(projected(*places, *parts, *orders, call("list_slice", list_, number(1), ABOVE)))


ABOVE = call("abs", P)


def test_other_functions_agree():
    both(
        projected(
            call("list_join", S, text(", ")), call("list_join", S, T),
            call("list_join", S, text("-"), text("NULL")), call("list_join", S, T, T),
            call("flatten", LL), call("element_or_null", LL, P), call("list_distinct", LL),
            call("sequence", *(literal(v, INT64) for v in (1, 5, 2))),
            call("sequence", literal(date(2020, 1, 3), DATE), literal(date(2020, 1, 1), DATE), number(-1)),
            call("list_repeat", X, number(3)), call("list_repeat", T, number(0)),
            call("list_repeat", L, number(2)), call("list_contains", LL, call("list", number(1))),
            call("struct", text("u"), X, text("v"), L, text("w"), ST), call("field", ST, text("b")),
            call("field", ST, text("c")), call("eq", ST, ST), call("same", Z, Z),
            call("list", T, text("abcdef"), literal(None, STRING)), call("list", L, M),
            call("list", ST, ST), call("is_null", ST), call("coalesce", M, L),
            Case((When(call("gt", X, literal(3, INT64)), L),), M),
            Case((When(call("gt", X, literal(3, INT64)), S),), literal(None, list_of(STRING))),
        )
    )  # fmt: skip


@pytest.mark.parametrize("kind", [INT32, STRING, DOUBLE])
def test_casts_go_by_element(kind):
    both(projected(Cast(L, list_of(kind), strict=True)))


def test_elements_that_cannot_be_read_are_null():
    both(projected(Cast(S, list_of(INT32), strict=False)))


@pytest.mark.parametrize("outer", [False, True])
@pytest.mark.parametrize("list_", [L, S, LL, call("list", ST, ST), D], ids=str)
def test_explode(list_, outer):
    both(lambda made, node: made.add(Explode(node, list_, "e", "p" if outer else None, outer)))


def test_explode_of_no_rows():
    none = call("lt", X, literal(-5, INT64))
    both(lambda made, node: made.add(Explode(made.add(Filter(node, none)), L, "e", "p", True)))


def test_functions_of_no_rows():
    made = [call(name, a, b) for a, b in PAIRS for name in OF_TWO if name != "eq"]
    made += [call(name, L) for name in OF_ONE] + [call("list_slice", L, number(1), number(1))]
    both(lambda job, node: projected(*made)(job, job.add(Limit(node, 0, 0))))


def test_groups_of_elements():
    count = AggregateColumn("n", "count_star", ())
    both(lambda made, node: made.add(Aggregate(made.add(Explode(node, L, "e")), ("e",), (count,))))


@pytest.mark.parametrize("keys", [("l",), ("d", "st"), ("ll", "w"), ("z", "s")])
def test_lists_and_structs_are_keys(keys):
    sums = [
        AggregateColumn("n", "count_star", ()), AggregateColumn("x0", "sum", (X,)),
        AggregateColumn("u", "count", (ST,), distinct=True),
    ]  # fmt: skip
    sums += [AggregateColumn(f"{f}{c}", f, (ColumnRef(c),)) for f in ("min", "max") for c in "ldw"]
    sums += [AggregateColumn(f, f, (ST,)) for f in ("min", "max", "mode")]
    sums += [AggregateColumn("by", "max_by", (M, W)), AggregateColumn("by2", "min_by", (X, D))]
    both(lambda made, node: made.add(Aggregate(node, keys, tuple(sums))))
    both(lambda made, node: made.add(Distinct(made.add(Union((node, node))))))


def test_lists_and_structs_compare():
    pairs = ((L, M), (M, L), (D, D), (LL, LL), (ST, ST), (W, call("list", N)))
    both(
        projected(
            *(call(name, a, b) for a, b in pairs for name in ("lt", "le", "gt", "greatest", "least")),
            call("list_sort", LL, mark(True), mark(True)), call("list_max", LL),
            call("list_sort", call("list", L, M), mark(False), mark(False)),
        )
    )  # fmt: skip


@pytest.mark.parametrize("key", [D, ST, LL, call("list", W, W)], ids=str)
def test_lists_and_structs_sort(key):
    keys = (SortKey(key, True, False), SortKey(M, False, True))
    both(lambda made, node: made.add(Sort(node, keys)))


def test_windows_over_lists():
    ranks = WindowColumn("row", "row_number", ()), WindowColumn("rank", "rank", ())
    both(lambda made, node: made.add(Window(node, ("st",), (SortKey(L, False, True),), ranks)))


def test_lists_go_along():
    def top(made, node):
        return made.add(Limit(made.add(Sort(node, (SortKey(X, True, False),))), 3, 1))

    both(top)
    both(lambda made, node: made.add(Limit(node, 3, 0)))  # in order of all columns
    first = call("list_slice", L, number(1), number(1))

    def union(made, node):
        return made.add(Union(tuple(projected(e, ST)(made, node) for e in (first, L))))

    both(union)


@pytest.mark.parametrize("how", ["inner", "left", "full", "semi", "anti"])
@pytest.mark.parametrize("key", ["x", "w", "st"])
def test_joins(how, key):
    def joined(made, node):
        named = (NamedExpression(f"{c.name}2", ColumnRef(c.name)) for c in KINDS.columns)
        other = made.add(Project(node, tuple(named)))
        on = call("same" if key == "st" else "eq", ColumnRef(key), ColumnRef(f"{key}2"))
        return made.add(Join(node, other, how, on))

    both(joined)


values = st.none() | st.integers(-2, 2)
lists = st.none() | st.lists(values, max_size=4)


@settings(max_examples=25)
@given(st.lists(st.tuples(lists, lists, values, st.integers(-3, 3)), min_size=1, max_size=4))
def test_any_lists_agree(found):
    rows = [(a, b, ROWS[0][2], ROWS[0][3], x, i, *ROWS[0][6:]) for a, b, x, i in found]
    both(
        projected(
            *(call(name, L, M) for name in OF_TWO), *(call(name, L, X) for name in WITH_ONE),
            *(call(name, L) for name in OF_ONE), call("element_or_null", L, P),
            call("list_slice", call("concat", L, M), number(-3), number(2)),
        ),
        rows,
    )  # fmt: skip


@pytest.mark.parametrize(
    "expression",
    [
        call("element", L, number(4)), call("element", L, number(0)),
        call("list_slice", L, number(0), number(1)), call("list_slice", L, number(1), number(-1)),
    ],
)  # fmt: skip
def test_failures_are_told(expression):
    made = Job(t=Source(KINDS, ROWS, bound=0))
    node = projected(expression)(made, made.scan("t"))
    checked, sources = obliviously(made.plan(out=node), made)
    with pytest.raises(EngineError):
        run_obliviously(checked, sources)


def test_failures_of_rows_that_do_not_count_are_not():
    has = call("gt", call("list_size", L), number(1))
    second = Case((When(has, call("element", L, number(2))),), literal(None, INT64))
    both(projected(second))


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        (call("list_repeat", T, number(600)), "bytes in a row"),
        (call("list_join", call("list_repeat", T, number(300)), text(", ")), "1016 bytes"),
        (Cast(ST, KINDS.by_name()["z"].type, strict=True), "cast"),
    ],
)
def test_what_has_no_bound_is_refused(expression, why):
    made = Job(t=Source(KINDS, ROWS, bound=0))
    with pytest.raises(PlanError, match=why):
        obliviously(made.plan(out=projected(expression)(made, made.scan("t"))), made)


def test_traces_are_those_of_the_shape():
    made = Job(t=Source(KINDS, ROWS, bound=0))
    node = made.add(Explode(made.scan("t"), call("list_sort", L, mark(True), mark(True)), "e", "p"))
    node = projected(
        ColumnRef("e"), ColumnRef("p"), call("list_union", L, M), call("list_join", S, T)
    )(made, node)
    checked, sources = obliviously(made.plan(out=node), made)
    _, first = run_obliviously(checked, sources, record=True)
    (name, table), *_ = sources.items()
    order = list(range(len(ROWS)))
    Random(5).shuffle(order)
    other = type(table)(table.form, table.table.take(order[:3]))
    _, second = run_obliviously(checked, {name: other}, record=True)
    assert first.calls == second.calls
