"""Casts of text and functions of texts in oblivious mode: what the encrypted engine gives."""

from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, Context, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.differential import rows_of
from tests.support.oblivious import run_obliviously
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.plans import Job, Source, schema

from mc2.errors import EngineError, PlanError
from mc2.formats.schema import DataType, decimal
from mc2.plan.expressions import Cast, ColumnRef, call, literal
from mc2.plan.relations import NamedExpression, Project
from mc2.plan.types import BOOLEAN, DATE, DOUBLE, INT8, INT32, INT64, STRING

KINDS = schema(
    s="string", t="string", i="int64", j="int32", k="int8", b="boolean", d="date", ts="timestamp",
    u="timestamp_utc", n="decimal(9,2)", w="decimal(38,10)", p="decimal(3,3)", x="double",
    q="decimal(38,0)", z="decimal(38,38)",
)  # fmt: skip
S, T, A, J, K, B, D, TS, U, N, W, P, X, Q, Z = (ColumnRef(c.name) for c in KINDS.columns)
READ = (INT8, INT32, INT64, decimal(9, 2), decimal(38, 3), decimal(3, 3), BOOLEAN, DATE,
        DataType("timestamp"), DataType("timestamp_utc"))  # fmt: skip
WRITTEN = [
    "12", "-7", " +5\t", "1.50", "2024-2-9", "2024-02-30", "true", " YES ", "n", "0", "+", "-", ".",
    "1999-12-31 23:59:59.5", "2024-2-9T1:02:03Z", "99999999999999999999999", "-0.005", ".5", "5.",
    "9.995", "-9999999.995", "0.9995", "2024-02-09 24:00:00", "2024-02-09 24:00:01", "1e3", "é",
    "2024-02-09 1:60:00", "2024-13-01", "128", "-128", "9" * 38, "0" * 45 + "7", "", "12 3", None,
    "2024-2-9 ", "2024-2-9 1:2:3", "12024-02-09", "2024-2-9 1:02:03.1234567", "\n1\r", "T", "fals",
]  # fmt: skip
UNEQUAL = st.text(st.sampled_from("ab, \u00e9\u20ac\U0001f600"), max_size=9)
DAYS = [date(1, 1, 1), date(9999, 12, 31), date(1970, 1, 1), date(2024, 2, 29), None]
TIMES = [
    *map(
        datetime.fromisoformat,
        ("0001-01-01", "2024-02-09T01:02:03.25", "9999-12-31T23:59:59.000001",
         "1969-12-31T23:59:59.999999", "2000-01-01T10:00:00"),
    ),
    None,
]  # fmt: skip
WIDES = ["-9999999999999999999999999999.9999999999", "0.0000000001", "12345678901234567890.1", "0"]


def row(place, text):
    moment = TIMES[place % len(TIMES)]
    return (
        text,
        ["a", "bc", "", "c", "abcabcabcabc", None][place % 6],
        [0, -1, 5, -(2**63), 2**63 - 1, None][place % 6],
        [0, 1, -3, 2, 7, 100, -100][place % 7],
        [0, -128, 127, None][place % 4],
        [True, False, None][place % 3],
        DAYS[place % len(DAYS)],
        moment,
        None if moment is None else moment.replace(tzinfo=UTC),
        [Decimal("0.00"), Decimal("-9999999.99"), Decimal("0.05"), Decimal("-0.50"), None][
            place % 5
        ],
        [None, *map(Decimal, WIDES)][place % 5],
        [Decimal("0.001"), Decimal("-0.999"), Decimal("0.000"), None][place % 4],
        [0.0, -0.0, 1.0, float("nan"), None, -2.5][place % 6],
        None,
        None,
    )


GROUPED = (
    "0", "0.001", "0.004", "0.005", "0.015", "0.025", "0.5", "1.5", "2.5", "9.995", "9.5", "99.99", "100", "999", "999.9",
    "1000", "12345.678", "999999.99", "1000000", "0." + "9" * 38, "9" * 38, "9" * 28 + ".9999999999", "1" + "0" * 37,
    "12345678901234567890.5", "0.000000000000000000000000000000000000005", "1234567890123456789.00005",
)  # fmt: skip


def fitting(number, kind):
    """The number cut to a decimal's digits, or nothing if it does not fit."""
    context = Context(prec=80, rounding=ROUND_DOWN)
    cut = number.quantize(Decimal(1).scaleb(-kind.scale), context=context)
    return cut if abs(cut.scaleb(kind.scale, context)) < 10**kind.precision else None


ROWS = [row(place, text) for place, text in enumerate(WRITTEN)]


def both(expression, rows=ROWS):
    made = Job(t=Source(KINDS, rows, bound=0))
    node = made.add(Project(made.scan("t"), (NamedExpression("r", expression),)))
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert fast.schema == slow.schema
    assert rows_of(fast) == rows_of(slow)
    assert [repr(v) for v in fast["r"].to_pylist()] == [repr(v) for v in slow["r"].to_pylist()]


@pytest.mark.parametrize("kind", READ, ids=str)
def test_texts_are_read_alike(kind):
    both(Cast(S, kind, strict=False))


@pytest.mark.parametrize("value", [A, J, K, B, D, TS, U, N, W, P], ids=lambda v: v.name)
def test_values_are_written_alike_and_read_again(value):
    both(Cast(value, STRING, strict=True))
    kind = next(c.type for c in KINDS.columns if c.name == value.name)
    both(Cast(Cast(value, STRING, strict=True), kind, strict=True))


@pytest.mark.parametrize(
    "expression",
    [
        *(Cast(v, BOOLEAN, strict=True) for v in (A, K, N, W, X)),
        *(Cast(v, DOUBLE, strict=True) for v in (N, W, P)),
    ],
)
def test_other_casts_agree(expression):
    both(expression)


def text_of(value):
    return literal(value, STRING)


def number_of(value):
    return literal(value, INT32)


OF_ANY_TEXT = [
    call("replace", S, text_of("9"), text_of("xyzw123456")), call("replace", S, text_of("-"), text_of("")),
    call("replace", S, text_of(""), text_of("q")), call("replace", S, text_of("99"), text_of("é")),
    call("contains", S, T), call("starts_with", S, T), call("ends_with", S, T),
    call("lower", S), call("upper", S), call("capitalize", S), call("capitalize", T),
    call("contains", T, T), call("starts_with", T, T), call("ends_with", T, T),
    call("trim", S, text_of("29 ")), call("trim_start", S, text_of("-2")),
    call("trim_end", S, text_of("95")), call("trim", S, text_of("")),
    call("concat_with", T, S, T), call("concat_with", text_of(", "), T, S, T, T),
    call("concat_with", T, S), call("concat_with", literal(None, STRING), S, T),
    call("day_name", D), call("month_name", TS), call("day_name", U),
]  # fmt: skip
OF_CHARACTERS = [
    call("substring", S, number_of(-2), number_of(1)), call("reverse", S), call("position", S, text_of("e")),
    call("like", S, text_of("_")), call("like", S, text_of("%_2_%")),
    call("split_part", S, text_of("-"), number_of(-1)), call("split_part", S, text_of("99"), number_of(-2)),
    call("split_part", S, text_of("\u00e9"), number_of(1)),
    *(call("substring_index", S, text_of(m), number_of(n)) for m in ("9", "99", "") for n in (2, -3, 0)),
    call("trim", S, text_of("\u00e9\u20ac1")), call("translate", S, text_of("2\u00e9e"), text_of("\u20ace")),
    call("pad_start", S, number_of(3), text_of("\u20acx")), call("pad_end", S, number_of(4), S),
    call("substring", T, J, J), call("substring", T, number_of(2), J),
    call("substring", T, J, number_of(3)), call("position", T, text_of("bc")),
    call("position", T, T), call("reverse", T), call("pad_start", T, number_of(5), text_of("xy")),
    call("pad_end", T, number_of(17), text_of("-")), call("pad_end", T, number_of(2), text_of("")),
    call("pad_start", T, number_of(0), text_of("x")), call("pad_end", T, number_of(-1), text_of("x")),
    call("repeat", T, number_of(3)), call("repeat", T, number_of(0)),
    *(call("split_part", T, text_of(m), number_of(n)) for m in ("b", "ca", "") for n in (1, 2, 4)),
    call("translate", T, text_of("abz"), text_of("XY")),
    call("replace", T, text_of("bc"), T), call("replace", T, T, text_of("xyz")),
    call("replace", T, call("substring", T, number_of(1), number_of(2)), text_of("")),
    call("pad_start", T, number_of(7), T), call("pad_end", text_of("q"), number_of(14), T),
    call("pad_end", T, number_of(3), literal(None, STRING)),
    call("translate", T, text_of("aab"), text_of("123")),
]  # fmt: skip


@pytest.mark.parametrize(
    "pattern",
    [
        "9", "^[0-9]+$", "^-?\\d*\\.\\d+$", "e|E|\u00e9", "^.$", "^$", "\\s", "", "[^0-9]$", "(\\d{2}:){2}",
        "^(true|fals?e?)$", "\\d{4}-\\d\\d?-\\d", "[\u00e0-\u00ff]", "(?s)^.{1,3}$", "^",
    ],
)  # fmt: skip
def test_patterns_are_found_alike(pattern):
    both(call("matches", S, text_of(pattern)))
    both(call("matches", T, text_of(pattern)))


@pytest.mark.parametrize("value", [N, W, P, Q, Z], ids=lambda v: v.name)
def test_numbers_are_grouped_alike(value):
    drawn = [Decimal(f"{sign}{n}") for sign in ("", "-") for n in GROUPED]
    kind = next(c.type for c in KINDS.columns if c.name == value.name)
    fit = [v for n in drawn if (v := fitting(n, kind)) is not None]
    rows = [tuple(v if c.name == value.name else None for c in KINDS.columns) for v in (*fit, None)]
    for digits in (0, 1, 2, 4, 10, 38):
        both(call("format_number", value, number_of(digits)), rows)


REALS = [
    0.0, -0.0, 0.5, 1.5, 2.5, -2.5, 0.125, 0.375, -0.005, 0.015, 1.005, 2.675, 1e15, 999.995, 1e17 + 16,
    123456789.123456789, 5e-324, -1e-7, 1e-6, 0.1, 0.45, 0.049999999999999996, 9007199254740993.0, 1e23 / 7,
    float("nan"), float("inf"), float("-inf"), None, 0.00005, 4.5e-10, 1e16, 99999.95, 0.25, 0.35,
]  # fmt: skip


def doubles_both(numbers, digits):
    rows = [tuple(v if c.name == "x" else None for c in KINDS.columns) for v in numbers]
    both(call("format_number", X, number_of(digits)), rows)


@pytest.mark.parametrize("digits", [0, 1, 2, 3, 5, 10, 15])
def test_doubles_are_grouped_alike(digits):
    doubles_both(REALS, digits)


@settings(max_examples=10)
@given(
    st.lists(
        st.floats(-1e17, 1e17)
        | st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 9)).map(
            lambda t: t[0] / 10 ** t[1]
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from([0, 2, 4, 20]),
)
def test_random_doubles_are_grouped_alike(numbers, digits):
    doubles_both(numbers, digits)


def test_doubles_of_too_many_digits_fail_the_job():
    made = Job(
        t=Source(KINDS, [tuple(1e36 if c.name == "x" else None for c in KINDS.columns)], bound=0)
    )
    shown = call("format_number", X, number_of(2))
    node = made.add(Project(made.scan("t"), (NamedExpression("r", shown),)))
    checked, sources = obliviously(made.plan(out=node), made)
    with pytest.raises(EngineError, match="the computation failed"):
        run_obliviously(checked, sources)


@pytest.mark.parametrize("expression", [*OF_ANY_TEXT, *OF_CHARACTERS])
def test_functions_agree(expression):
    both(expression)


@settings(max_examples=15)
@given(st.lists(st.tuples(UNEQUAL, UNEQUAL, st.integers(-9, 9)), min_size=1, max_size=12))
def test_functions_agree_on_random_texts(drawn):
    rows = [(a, b, 0, n, *row(0, "")[4:]) for a, b, n in drawn]
    made = Job(t=Source(KINDS, rows, bound=0))
    wanted = [
        call("position", S, T), call("substring", S, J, number_of(4)), call("contains", S, T),
        call("starts_with", S, T), call("ends_with", S, T), call("trim", S, text_of("a,")),
        call("replace", S, text_of("aa"), text_of("b")), call("replace", S, text_of("ab"), text_of("aab")),
        call("split_part", S, text_of(", "), number_of(2)), call("reverse", S),
        call("pad_start", S, number_of(6), text_of("ab")), call("pad_end", S, number_of(5), T),
        call("replace", S, T, text_of("xy")), call("concat_with", T, S, T, S),
        call("like", S, text_of("%_a_%")), call("substring_index", S, text_of("aa"), number_of(-2)),
        call("split_part", S, text_of("aa"), number_of(-2)), call("trim", S, text_of("\u00e9a")),
        call("translate", S, text_of("\u20aca\u00e9"), text_of("a\u20ac")),
        call("translate", S, text_of("ab"), text_of("b")),
        call("upper", S), call("lower", call("upper", S)), call("capitalize", S),
    ]  # fmt: skip
    columns = tuple(NamedExpression(f"c{n}", e) for n, e in enumerate(wanted))
    node = made.add(Project(made.scan("t"), columns))
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert rows_of(fast) == rows_of(slow)


@settings(max_examples=15)
@given(
    st.lists(
        st.text(st.sampled_from("019+-. :T5Ztrue"), max_size=12)
        | st.integers(-(2**70), 2**70).map(str)
        | st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str)
        | st.datetimes().map(str),
        min_size=1,
        max_size=12,
    )
)
def test_random_texts_are_read_alike(texts):
    rows = [row(place, text) for place, text in enumerate(texts)]
    for kind in (INT64, decimal(20, 3), BOOLEAN, DATE, DataType("timestamp_utc")):
        both(Cast(S, kind, strict=False), rows)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (Cast(S, INT8, strict=True), "128"),
        (Cast(S, decimal(4, 2), strict=True), "99.995"),
        (Cast(S, DATE, strict=True), "2023-02-29"),
        (Cast(S, BOOLEAN, strict=True), "maybe"),
    ],
)
def test_what_has_no_answer_fails_the_job(expression, text):
    made = Job(t=Source(KINDS, [row(0, text)], bound=0))
    node = made.add(Project(made.scan("t"), (NamedExpression("r", expression),)))
    checked, sources = obliviously(made.plan(out=node), made)
    with pytest.raises(EngineError, match="the computation failed"):
        run_obliviously(checked, sources)


@pytest.mark.parametrize(
    "expression",
    [
        call("replace", call("repeat", S, number_of(3)), T, text_of("a")),
        call("pad_start", S, J, text_of(" ")), call("pad_end", S, number_of(509), text_of(" ")),
        call("split_part", S, text_of(","), number_of(0)), call("trim", S, T),
        call("pad_start", S, number_of(128), T), call("substring_index", S, T, number_of(1)),
        call("repeat", S, number_of(1000)), call("format_number", X, number_of(21)),
    ],
)  # fmt: skip
def test_what_there_is_not_is_refused(expression):
    made = Job(t=Source(KINDS, ROWS, bound=0))
    node = made.add(Project(made.scan("t"), (NamedExpression("r", expression),)))
    with pytest.raises(PlanError) as raised:
        obliviously(made.plan(out=node), made)
    assert raised.value.hint
