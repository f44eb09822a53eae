"""Windows in oblivious mode: what the encrypted engine gives, in every frame, and what is refused."""

from decimal import Decimal

import pytest
from tests.support.differential import rows_of
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.plans import Job, Source, schema

from mc2.errors import EngineError, PlanError
from mc2.plan.expressions import ColumnRef, Literal, call, literal
from mc2.plan.oblivious_windows import check_window
from mc2.plan.relations import SortKey
from mc2.plan.types import INT32, INT64, STRING
from mc2.plan.windows import SO_FAR, WHOLE, Bound, Frame, Window, WindowColumn

NAN = float("nan")
ROWS = [
    ("a", 1, 1e16, "x", Decimal("1.00")),
    ("a", 1, 1.0, None, Decimal("-2.50")),
    ("a", 3, -1e16, "zzzzzzzzzzz", None),
    ("a", None, -0.0, "", Decimal("7.25")),
    ("a", 5, 0.1, "y", Decimal("1.00")),
    (None, 2, NAN, "x", None),
    (None, 2, None, None, None),
    ("b", -7, 0.0, "q", Decimal("999.99")),
]
KINDS = schema(g="string", k="int64", d="double", s="string", n="decimal(5,2)")
G, K, D, S, N = (ColumnRef(n) for n in "gkdsn")


def at(unit, start, end):
    def bound(place, word):
        if place is None:
            return Bound("unbounded_preceding" if word == "preceding" else "unbounded_following")
        if place == 0:
            return Bound("current_row")
        return Bound("following" if place > 0 else "preceding", literal(abs(place), INT32))

    return Frame(unit, bound(start, "preceding"), bound(end, "following"))


FRAMES = {
    "whole": WHOLE,
    "so far": SO_FAR,
    "rows so far": at("rows", None, 0),
    "all before": at("rows", None, -1),
    "up to the next": at("rows", None, 2),
    "from here on": at("rows", 0, None),
    "equals on": at("range", 0, None),
    "equals": at("range", 0, 0),
    "near": at("rows", -1, 1),
    "before": at("rows", -3, -2),
    "after": at("rows", 1, 2),
    "nothing": at("rows", -1, -2),
    "wide": at("rows", -100, 100),
    "from before on": at("rows", -1, None),
}
AGGREGATES = {
    "count_star": (), "count": (S,), "sum": (K,), "avg": (N,), "min": (S,), "max": (D,),
}  # fmt: skip


SPREADS = ("stddev_pop", "stddev_samp", "var_pop", "var_samp")


def job(rows=ROWS):
    return Job(t=Source(KINDS, rows, bound=0))


BY_K = (SortKey(K, False, True),)


def agree(columns, keys=("g",), order=BY_K, rows=ROWS):
    made = job(rows)
    node = made.add(Window(made.scan("t"), keys, order, columns))
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert fast.schema == slow.schema
    assert rows_of(fast) == rows_of(slow)


@pytest.mark.parametrize("frame", FRAMES.values(), ids=list(FRAMES))
def test_frames_hold_the_rows_that_they_say(frame):
    columns = [WindowColumn(name, name, given, frame) for name, given in AGGREGATES.items()]
    columns += [
        WindowColumn("exact", "sum", (D,), frame),
        *(WindowColumn(n, n, (D,), frame) for n in SPREADS),
        WindowColumn("some", "sum", (N,), frame, where=call("is_not_null", G)),
    ]
    if frame.unit == "rows":
        for nulls in (False, True):
            columns += [
                WindowColumn(f"first{nulls}", "first_value", (S,), frame, ignore_nulls=nulls),
                WindowColumn(f"last{nulls}", "last_value", (N,), frame, ignore_nulls=nulls),
            ]
    agree(tuple(columns))


@pytest.mark.parametrize("keys", [("g",), (), ("g", "d")])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], []], ids=["some", "one", "none"])
def test_places_and_neighbours(keys, rows):
    one, four = literal(1, INT32), literal(4, INT32)
    none, text = Literal(None, INT64), literal("a long default", STRING)
    names = ("row_number", "rank", "dense_rank", "percent_rank", "cume_dist")
    columns = [WindowColumn(name, name, ()) for name in names]
    columns += [WindowColumn(f"part{n}", "ntile", (literal(n, INT32),)) for n in (1, 2, 3, 100)]
    columns += [
        WindowColumn("before", "lag", (K, one, none)),
        WindowColumn("after", "lead", (S, one, text)),
        WindowColumn("known", "lag", (S, one, text), ignore_nulls=True),
        WindowColumn("far", "lead", (K, four, K), ignore_nulls=True),
        WindowColumn("back", "lag", (K, literal(-1, INT32), K)),
    ]
    agree(tuple(columns), keys, (SortKey(K, True, False), SortKey(D, False, True)), rows)


def test_nth_value_counts_from_the_start_of_a_partition_or_frame():
    two = literal(2, INT32)
    columns = [
        WindowColumn(f"{place}{nulls}", "nth_value", (S, two), frame, ignore_nulls=nulls)
        for place, frame in enumerate((WHOLE, FRAMES["near"], FRAMES["rows so far"]))
        for nulls in (False, True)
    ]
    agree(tuple(columns))


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (
            WindowColumn("w", "lag", (K, literal(65, INT32), K), ignore_nulls=True),
            "past NULLs",
        ),
        (WindowColumn("w", "skewness", (D,), SO_FAR), "no skewness over a window"),
    ],
)
def test_what_there_is_not_is_refused(column, words):
    made = job()
    node = made.add(Window(made.scan("t"), ("g",), BY_K, (column,)))
    with pytest.raises(PlanError, match=words):
        obliviously(made.plan(out=node), made)


def test_wide_frames_of_sums_cost_no_room():
    """A sum of whole numbers moves as two running sums; a variance is a group for each row."""
    around = Frame(
        "rows",
        Bound("preceding", literal(10**6, INT32)),
        Bound("following", literal(10**6, INT32)),
    )
    big = frozenset({"sum", "avg", "count"})
    agree(tuple(WindowColumn(n, n, (K,), around) for n in sorted(big)))
    columns = {c.name: c for c in KINDS.columns}
    for name, given in (("sum", K), ("avg", N), ("count", S)):
        check_window(_window(WindowColumn("w", name, (given,), around)), columns, 10**6)
    for name in ("stddev_pop", "sum", "max"):
        with pytest.raises(PlanError, match="more room"):
            check_window(_window(WindowColumn("w", name, (D,), around)), columns, 10**6)
    with pytest.raises(PlanError, match="more room"):
        check_window(_window(WindowColumn("w", "var_samp", (D,), SO_FAR)), columns, 10**6)


def _window(column):
    return Window(0, ("g",), BY_K, (column,))


def test_sums_that_do_not_fit_fail_the_job():
    rows = [("a", 2**62, None, None, None)] * 2
    with pytest.raises(EngineError, match="does not fit"):
        agree((WindowColumn("w", "sum", (K,), WHOLE),), rows=rows)


NESTED = schema(
    g="string", k="int64", l="list<string>", r="struct<a:int32,b:list<decimal(20,2)>>"
)  # fmt: skip
LISTS = [None, [], ["x"], [None, "a long text of two words"], ["", "y", "y"]]
STRUCTS = [None, {"a": None, "b": []}, {"a": 7, "b": None}, {"a": -1, "b": [Decimal("1.50"), None]}]
NESTED_ROWS = [
    ("ab"[place % 2], place // 3, LISTS[place * 3 % 5], STRUCTS[place * 3 % 4])
    for place in range(11)
]


@pytest.mark.parametrize("frame", FRAMES.values(), ids=list(FRAMES))
def test_lists_and_structs_stand_in_windows(frame):
    one, two = literal(1, INT32), literal(2, INT32)
    columns = []
    for name in ("l", "r"):
        value = ColumnRef(name)
        columns += [
            WindowColumn(f"count{name}", "count", (value,), frame),
            WindowColumn(f"before{name}", "lag", (value, one, value)),
            WindowColumn(f"known{name}", "lead", (value, two, value), ignore_nulls=True),
            *(WindowColumn(f"{f}{name}", f, (value,), frame) for f in ("min", "max")),
        ]
        if frame.unit == "rows":
            columns += [
                WindowColumn(f"{f}{name}{nulls}", f, (value, *more), frame, ignore_nulls=nulls)
                for f, more in (("first_value", ()), ("last_value", ()), ("nth_value", (two,)))
                for nulls in (False, True)
            ]
    made = Job(t=Source(NESTED, NESTED_ROWS, bound=0))
    node = made.add(Window(made.scan("t"), ("g",), BY_K, tuple(columns)))
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert fast.schema == slow.schema
    assert fast.to_pylist() == slow.to_pylist()
