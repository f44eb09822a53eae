"""Frames by distance in oblivious mode, and what counts from a frame's start: as encrypted mode."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.differential import rows_of
from tests.support.oblivious_plans import both_ways
from tests.support.plans import Job, Source, schema

from mc2.errors import PlanError
from mc2.formats.schema import decimal
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.oblivious_windows import check_window
from mc2.plan.relations import SortKey
from mc2.plan.types import DOUBLE, INT32, INT64
from mc2.plan.windows import Bound, Frame, Window, WindowColumn

KINDS = schema(
    g="int64", i="int64", d="double", n="decimal(9,2)", w="decimal(30,4)", y="date", m="timestamp",
    s="string",
)  # fmt: skip
G, I64, D, N, W, Y, M, S = (ColumnRef(c.name) for c in KINDS.columns)
OFFSETS = {
    "i": (INT64, [0, 1, 3, 2**63 - 1]),
    "d": (DOUBLE, [0.0, 0.1, 2.5, 1e308]),
    "n": (decimal(9, 2), [Decimal("0.00"), Decimal("0.01"), Decimal("9999999.99")]),
    "w": (decimal(30, 4), [Decimal("0.0000"), Decimal("1.5000"), Decimal("1E25").quantize(1)]),
    "y": (INT32, [0, 1, 40]),
    "m": (INT64, [0, 1, 86_400_000_000]),
}
VALUES = {
    "i": [0, 1, 2, 4, -3, 2**63 - 1, -(2**63)],
    "d": [0.0, -0.0, 0.1, 2.6, -2.5, 1e16, float("nan"), float("inf"), float("-inf")],
    "n": [Decimal("0.00"), Decimal("0.01"), Decimal("-0.01"), Decimal("9999999.99")],
    "w": [Decimal("0.0000"), Decimal("1.5000"), Decimal("-1.0000"), Decimal("1E24").quantize(1)],
    "y": [date(2020, 2, 28), date(2020, 2, 29), date(2020, 4, 1), date(1, 1, 1), date(9999, 12, 31)],
    "m": [datetime.fromisoformat(f"2020-02-{t}") for t in ("28", "29", "29T00:00:00.000001")],
}  # fmt: skip
NULLS = {n: st.none() | st.sampled_from(v) for n, v in VALUES.items()}
ROWS = st.lists(
    st.tuples(st.none() | st.integers(0, 1), *NULLS.values(), st.sampled_from([None, "a", "bb"])),
    max_size=12,
)
SMALL = call("lt", I64, literal(100, INT64))
SUMMED = [("sum", (N,)), ("avg", (N,)), ("sum", (D,)), ("sum", (W,)), ("var_pop", (D,))]
OTHERS = [
    ("count_star", ()), ("count", (S,)), ("min", (D,)), ("max", (S,)), ("min", (W,)),
    ("bool_or", (SMALL,)),
]  # fmt: skip
PICKS = [("first_value", (S,)), ("last_value", (N,)), ("nth_value", (S, literal(2, INT32)))]


@st.composite
def frames(draw):
    key = draw(st.sampled_from(list(OFFSETS)))
    kind, offsets = OFFSETS[key]
    ends = []
    for extreme in ("unbounded_preceding", "unbounded_following"):
        at = draw(st.sampled_from([extreme, "preceding", "current_row", "following", "following"]))
        far = at in {"preceding", "following"}
        ends.append(Bound(at, literal(draw(st.sampled_from(offsets)), kind) if far else None))
    order = ("unbounded_preceding", "preceding", "current_row", "following", "unbounded_following")
    ends.sort(key=lambda b: order.index(b.at))
    if all(b.offset is None for b in ends):
        ends[1] = Bound("following", literal(offsets[1], kind))
        if ends[0].at == "unbounded_following":
            ends[0] = Bound("current_row")
    return key, Frame("range", *ends)


def agree(rows, key, frame, columns, *, down=False, first=True):
    made = Job(t=Source(KINDS, rows, bound=0))
    by = (SortKey(ColumnRef(key), down, first),)
    node = made.add(Window(made.scan("t"), ("g",), by, tuple(columns)))
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert fast.schema == slow.schema
    assert rows_of(fast) == rows_of(slow)


def functions(frame, listed, **more):
    return [WindowColumn(f"{p}{n}", n, given, frame, **more) for p, (n, given) in enumerate(listed)]


@settings(max_examples=20)
@given(ROWS, frames(), st.booleans(), st.booleans())
def test_frames_by_distance_agree(rows, chosen, down, first):
    key, frame = chosen
    columns = [
        *functions(frame, [*SUMMED, *OTHERS]),
        WindowColumn("some", "max", (N,), frame, where=call("is_not_null", S)),
    ]
    agree(rows, key, frame, columns, down=down, first=first)


@settings(max_examples=20)
@given(ROWS, frames(), st.booleans(), st.booleans(), st.booleans())
def test_picks_of_frames_by_distance_agree(rows, chosen, down, first, ignore):
    key, frame = chosen
    agree(rows, key, frame, functions(frame, PICKS, ignore_nulls=ignore), down=down, first=first)


FROM_INSIDE = [
    *(Frame("rows", Bound("preceding", literal(n, INT32)), Bound("unbounded_following")) for n in (0, 2)),
    *(Frame("rows", Bound("following", literal(n, INT32)), Bound("unbounded_following")) for n in (1, 99)),
    Frame("rows", Bound("current_row"), Bound("unbounded_following")),
    Frame("range", Bound("current_row"), Bound("unbounded_following")),
]  # fmt: skip


@settings(max_examples=5)
@given(ROWS, st.booleans())
def test_nth_value_counts_from_inside_a_partition(rows, ignore):
    columns = [
        WindowColumn(f"{p}{n}", "nth_value", (S, literal(n, INT32)), frame, ignore_nulls=ignore)
        for p, frame in enumerate(FROM_INSIDE)
        for n in (1, 2, 3)
    ]
    agree(rows, "i", None, columns)


def test_what_compares_all_pairs_takes_few_rows():
    columns = {c.name: c for c in KINDS.columns}
    near = Bound("preceding", literal(1, INT64))
    by = (SortKey(I64, False, True),)

    def check(function, argument):
        frame = Frame("range", near, Bound("current_row"))
        one = WindowColumn("w", function, (argument,), frame)
        check_window(Window(0, ("g",), by, (one,)), columns, 10**6)

    for function, argument in (("sum", N), ("avg", I64), ("max", D), ("first_value", S)):
        check(function, argument)
    for function, argument in (("sum", D), ("sum", W), ("var_samp", D)):
        with pytest.raises(PlanError, match="more room"):
            check(function, argument)
