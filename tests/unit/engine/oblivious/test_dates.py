"""Functions of dates and times in oblivious mode: what the encrypted engine gives."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.oblivious import run_obliviously
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.plans import LIMITS, Job, Source, schema

from mc2.engine.run import execute
from mc2.errors import EngineError, Mc2Error, PlanError
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.functions_moments import DAYS
from mc2.plan.relations import NamedExpression, Project
from mc2.plan.types import BOOLEAN, STRING

KINDS = schema(
    d="date", t="timestamp", u="timestamp_utc", v="timestamp", y="int32", mo="int32", da="int32",
    h="int32", mi="int32", s="decimal(16,6)",
)  # fmt: skip
D, T, U, V, *FIELDS = (ColumnRef(c.name) for c in KINDS.columns)
MOMENTS = [
    *map(
        datetime.fromisoformat,
        ("0001-01-01", "9999-12-31T23:59:59.999999", "1969-12-31T23:59:59.999999", "1970-01-01",
         "2024-02-29T12:00:00", "2023-02-28T00:30:59.000001", "2024-02-28T11:59:59.5", "2024-03-31",
         "2021-01-03T13:00:00", "2020-12-31T23:59:60".replace(":60", ":59"), "2019-12-30T10:11:12.120300"),
    ),
    None,
]  # fmt: skip
PATTERNS = (
    "yyyy-MM-dd HH:mm:ss.SSSSSS", "d.M.y", "EEEE, d MMMM yyyy 'um' h:mm a", "E EE EEE MMM", "yy/D DDD Q q",
    "yyyyMMddHHmmssSSS", "", "'\u20ac uro'", "H'h' m's's", "hh:mm:ss a.SS", "S", "''''yyyy''", "DDD-yyyy-Q-MM-dd-HH-mm-ss-SSS",
)  # fmt: skip


def row(one, other, number=0):
    return (
        None if one is None else one.date(),
        one,
        None if one is None else one.replace(tzinfo=UTC),
        other,
        [2024, 1, 9999, -44, 1970, None][number % 6],
        [2, 12, 1, 2][number % 4],
        [29, 31, 1, 28, 15][(number if number % 4 else 0) % 5] if number % 4 else 28,
        [0, 23, 24, 7][number % 4],
        0 if number % 4 == 2 else [59, 0, 7][number % 3],
        [Decimal("60.000000"), Decimal("0.000001"), Decimal("59.999999"), None][number % 4],
    )


ROWS = [
    row(one, MOMENTS[(place * 5 + 3) % len(MOMENTS)], place) for place, one in enumerate(MOMENTS)
]
ROWS += [row(one, one, 0) for one in MOMENTS[:3]]


def job_of(expressions, rows):
    made = Job(t=Source(KINDS, rows, bound=0))
    columns = tuple(NamedExpression(f"c{n}", e) for n, e in enumerate(expressions))
    return made, made.plan(out=made.add(Project(made.scan("t"), columns)))


def both(expressions, rows=ROWS):
    made, plan = job_of(expressions, rows)
    ((_, fast, slow),) = both_ways(plan, made)
    assert fast.schema == slow.schema
    for name in fast.column_names:
        assert exact(fast[name]) == exact(slow[name])


def exact(column):
    """Doubles by their digits, and times that Python has none for by microseconds."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return [repr(v) for v in column.to_pylist()]


def text_of(value):
    return literal(value, STRING)


def truth_of(*, value):
    return literal(value, BOOLEAN)


OF_TWO = [
    *(call("months_between", T, V, truth_of(value=v)) for v in (True, False)),
    call("months_between", V, T, truth_of(value=True)), call("whole_months", T, V),
    call("whole_months", V, T), call("whole_months", T, T),
]  # fmt: skip
OF_ONE = [
    call("exact_second", T), call("exact_second", U), call("iso_year", D), call("iso_year", T),
    call("iso_year", U), *(call("format_moment", v, text_of(p)) for v in (D, T) for p in PATTERNS),
    call("format_moment", U, text_of(PATTERNS[0])),
]  # fmt: skip


def test_functions_agree():
    both([*OF_ONE, *OF_TWO])


def test_days_and_moments_agree():
    some = [r for r in ROWS if r[1] is None or r[1].year < 9999]
    both(
        [*(call("next_day", D, text_of(day)) for day in DAYS), call("make_timestamp", *FIELDS)],
        some,
    )


EARLY = datetime.fromisoformat("0001-01-01")
MOMENT = st.datetimes(EARLY, datetime.fromisoformat("9999-09-01"))
NEAR = st.timedeltas(timedelta(-100), timedelta(100))


@settings(max_examples=10)
@given(st.lists(st.tuples(MOMENT, MOMENT | NEAR), min_size=1, max_size=12))
def test_functions_agree_on_random_moments(drawn):
    rows = []
    for place, (one, other) in enumerate(drawn):
        end = other
        if isinstance(other, timedelta):
            end = one + other if EARLY - one < other else one
        rows.append(row(one, end, place))
    both([*OF_ONE[:4], *OF_TWO, call("next_day", D, text_of("Wed")), *OF_ONE[5:8]], rows)


def fails_alike(expression, values):
    """Both modes refuse to compute it."""
    given_row = tuple(values.get(c.name) for c in KINDS.columns)
    made, plan = job_of([expression], [given_row])
    with pytest.raises(Mc2Error):
        execute(check_plan(plan), made.sources, LIMITS, lambda _: None)
    checked, sources = obliviously(plan, made)
    with pytest.raises(EngineError, match="the computation failed"):
        run_obliviously(checked, sources)


MADE = {"y": 2024, "mo": 2, "da": 29, "h": 0, "mi": 0, "s": Decimal(0)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"y": 2023}, {"mo": 13}, {"mo": 0}, {"da": 0}, {"h": 25}, {"h": 24, "mi": 1}, {"h": -1, "mi": 59},
        {"mi": 60}, {"mi": -1}, {"s": Decimal("60.000001")}, {"s": Decimal("-0.000001")},
        {"y": 300_000}, {"y": -(2**31)}, {"y": 2**31 - 1},
        {"y": 294247, "mo": 1, "da": 10, "h": 4, "s": Decimal("54.775807")},
    ],
)  # fmt: skip
def test_moments_that_there_are_not_fail_the_job(wrong):
    fails_alike(call("make_timestamp", *FIELDS), MADE | wrong)


def test_what_does_not_count_does_not_fail():
    """A row that is NULL in one field has no moment, and none that is wrong."""
    rows = [tuple((MADE | {"mo": 13, "s": None}).get(c.name) for c in KINDS.columns)]
    made, plan = job_of([call("make_timestamp", *FIELDS)], rows)
    found, _ = run_obliviously(*obliviously(plan, made))
    assert found["out"]["c0"].to_pylist() == [None]


READ = schema(t="string")
READ_BY = {
    "yyyy-MM-dd HH:mm:ss.SSS": ["2024-02-29 23:59:59.001", "0001-01-01 00:00:00.000", "2023-02-29 00:00:00.000",
        "2024-2-29 23:59:59.001", "2024-02-29 24:00:00.000", "2024-02-29 23:60:00.000", "2024-02-29 23:59:59.0011"],
    "d.M.y H:m:s": ["1.2.3 4:5:6", "31.12.9999 23:59:59", "01.02.0003 04:05:06", "111.2.3 4:5:6", "1.2.12345 1:1:1", "1.2.0 0:0:0"],
    "h:mm a": ["12:00 AM", "12:30 pm", "1:59 Pm", "0:10 am", "13:00 PM", "11:11 XM", "1:1 AM", "9:09 aM"],
    "MMMM d, yy": ["May 5, 24", "September 30, 00", "Sept 3, 11", "may 5, 24", "February 30, 24", "December 31, 99"],
    "dd-MMM-yyyy": ["05-May-2024", "31-Dec-1999", "31-Nov-1999", "05-MAY-2024", "05-Ma-2024"],
    "yyyyMMddHHmmssSSSSSS": ["20240229235959123456", "20240229235959", "2024022923595912345x"],
    "'Woche vom \u20ac 0123456789 abcdef' d/M": ["Woche vom \u20ac 0123456789 abcdef 3/4", "Woche vom \u20ac 0123456789 abcdeg 3/4"],
    "S": ["1", "9", "12"], "'x'": ["x", ""], "": ["", "x"], "a.h": ["AM.12", "PM.3", "M.3"],
}  # fmt: skip
ALIKE = [t for texts in READ_BY.values() for t in texts] + [None, "\0", "2024-02-29 23:59:59.001\0"]


def both_read(pattern, texts):
    made = Job(t=Source(READ, [(t,) for t in texts], bound=0))
    read = call("try_parse_moment", ColumnRef("t"), text_of(pattern))
    node = made.add(Project(made.scan("t"), (NamedExpression("c0", read),)))
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert exact(fast["c0"]) == exact(slow["c0"])


@pytest.mark.parametrize("pattern", READ_BY)
def test_texts_are_read_alike_by_patterns(pattern):
    both_read(pattern, ALIKE)


@settings(max_examples=12)
@given(
    st.lists(
        MOMENT.map(lambda m: f"{m.day}.{m.month}.{m.year} {m.hour}:{m.minute}")
        | st.text(st.sampled_from("0129.: -"), max_size=16),
        min_size=1,
        max_size=15,
    )
)
def test_random_texts_are_read_alike_by_patterns(texts):
    for pattern in ("d.M.y H:m", "dd.MM.yyyy HH:mm", "d.M.yy H:m"):
        both_read(pattern, texts)


@pytest.mark.parametrize("text", ["2024-02-30", "2024-2-3", "", "2024-02-03 "])
def test_texts_of_no_moment_fail_the_job(text):
    made = Job(t=Source(READ, [(text,)], bound=0))
    read = call("parse_moment", ColumnRef("t"), text_of("yyyy-MM-dd"))
    plan = made.plan(out=made.add(Project(made.scan("t"), (NamedExpression("c0", read),))))
    with pytest.raises(EngineError, match="the computation failed"):
        run_obliviously(*obliviously(plan, made))


def test_patterns_that_read_in_two_ways_are_refused():
    made = Job(t=Source(READ, [("x",)], bound=0))
    read = call("parse_moment", ColumnRef("t"), text_of("d0M"))
    plan = made.plan(out=made.add(Project(made.scan("t"), (NamedExpression("c0", read),))))
    with pytest.raises(PlanError, match="which is which") as raised:
        obliviously(plan, made)
    assert raised.value.hint
