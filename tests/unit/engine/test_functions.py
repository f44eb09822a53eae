"""Each function on values chosen by hand, over columns and over constants."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from tests.support.expressions import shown
from tests.support.plans import Job, Source
from tests.support.spark_rows import called_in_golden_files

from mc2.errors import EngineError
from mc2.formats.schema import Column, Schema, parse_type
from mc2.plan.expressions import Case, Cast, ColumnRef, InList, When, call, literal
from mc2.plan.functions import FUNCTIONS
from mc2.plan.relations import NamedExpression, Project
from mc2.plan.types import BOOLEAN, DATE, DOUBLE, INT32, STRING

D = Decimal
RANGE, ZERO, CAST = "out of its type's range", "a divisor is zero", "does not fit the type"
INF, NAN = math.inf, math.nan
TEXT, PARSE = "its character set lacks", "does not fit the pattern"


def at(text):
    return datetime.fromisoformat(text)


def project(expressions, columns=(), row=()):
    """The values of some expressions over one row."""
    sure = Column("sure", BOOLEAN, nullable=False)
    job = Job(t=Source(Schema((*columns, sure)), [(*row, True)]))
    named = tuple(NamedExpression(f"y{i}", e) for i, e in enumerate(expressions))
    (found,) = job.rows(job.add(Project(job.scan("t"), named)))
    return list(found)


class Trial:
    """An operation on values: over columns that hold them, and over literals."""

    def __init__(self, make, kinds, values, place=""):
        self.columns = tuple(
            Column(f"x{place}_{i}", parse_type(k)) for i, k in enumerate(kinds.split())
        )
        self.values = tuple(values)
        self.literals = [literal(v, c.type) for v, c in zip(values, self.columns, strict=True)]
        self.references = [ColumnRef(c.name) for c in self.columns]
        self.make = make

    @property
    def both(self):
        return [self.make(self.references, self.literals), self.make(self.literals, self.literals)]


def run(trials):
    """What each trial gives, over columns and over literals."""
    found = project(
        [e for t in trials for e in t.both],
        tuple(c for t in trials for c in t.columns),
        tuple(v for t in trials for v in t.values),
    )
    return [shown(v) for v in found]


def refuses(trial, words):
    for expression in trial.both:
        with pytest.raises(EngineError, match=words) as caught:
            project([expression], trial.columns, trial.values)
        assert caught.value.hint


def call_of(name):
    def make(operands, literals):
        arguments = list(operands)
        for place in FUNCTIONS[name].literals:
            if place < len(arguments):
                arguments[place] = literals[place]
        return call(name, *arguments)

    return make


CASES = [
    # name, types, values, expected (or the words of the refusal)
    ("eq", "double double", (NAN, NAN), True),
    ("eq", "double double", (0.0, -0.0), True),
    ("eq", "string string", ("a", "A"), False),
    ("eq", "int8 int8", (None, 1), None),
    ("ne", "date date", (date(2024, 1, 1), date(2024, 1, 2)), True),
    ("lt", "double double", (INF, NAN), True),
    ("gt", "string string", ("b", "B"), True),
    ("le", "binary binary", (b"\x00", b"\xff"), True),
    ("ge", "boolean boolean", (True, False), True),
    ("same", "int8 int8", (None, None), True),
    ("same", "int8 int8", (None, 1), False),
    ("is_null", "string", (None,), True),
    ("is_not_null", "string", ("",), True),
    ("is_nan", "double", (NAN,), True),
    ("is_nan", "float", (None,), False),
    ("and", "boolean boolean", (False, None), False),
    ("and", "boolean boolean", (True, None), None),
    ("or", "boolean boolean boolean", (None, False, True), True),
    ("or", "boolean boolean", (None, False), None),
    ("not", "boolean", (None,), None),
    ("coalesce", "int8 int8 int8", (None, 2, 3), 2),
    ("murmur3", "int32", (1,), -559580957),
    ("murmur3", "int32 int32", (None, 1), -559580957),
    ("murmur3", "string", (None,), 42),
    ("xxhash64", "string", ("a",), -8582455328737087284),
    ("nullif", "int8 int8", (2, 2), None),
    ("nullif", "int8 int8", (2, None), 2),
    ("nullif", "double double", (NAN, NAN), None),
    ("greatest", "double double", (NAN, INF), NAN),
    ("greatest", "int8 int8 int8", (None, 2, 1), 2),
    ("least", "double double", (0.0, -0.0), 0.0),
    ("add", "int8 int8", (127, 1), RANGE),
    ("add", "int64 int64", (2**63 - 1, 1), RANGE),
    ("add", "int16 int16", (-5, 3), -2),
    ("add", "double double", (0.1, 0.2), 0.1 + 0.2),
    ("add", "double double", (1.7e308, 1.7e308), INF),
    ("add", "decimal(5,2) decimal(7,4)", (D("1.25"), D("0.0005")), D("1.2505")),
    ("add", "decimal(38,10) decimal(38,10)", (D("1.0000000005"), D("0.0000000000")), D("1.000000001")),
    ("add", "decimal(38,0) decimal(38,0)", (D(10**38 - 1), D(1)), RANGE),
    ("subtract", "decimal(38,0) decimal(7,2)", (D(10**37), D("0.01")), RANGE),
    ("subtract", "decimal(38,0) decimal(7,2)", (D(10**35), D("0.01")), D("9" * 35 + ".99")),
    ("subtract", "int32 int32", (-(2**31), 1), RANGE),
    ("multiply", "int32 int32", (2**16, 2**15), RANGE),
    ("multiply", "decimal(18,4) decimal(18,4)", (D("22164254198729.4025"),) * 2,
     D("491254164185893948049845418.00700625")),
    ("multiply", "decimal(15,2) decimal(16,2)", (D("9999999999999.99"), D("1.05")), D("10499999999999.9895")),
    ("multiply", "decimal(38,10) decimal(38,10)", (D("2.0000000001"), D("3.0000000001")), D("6.000000")),
    ("multiply", "decimal(38,0) decimal(38,0)", (D(10**20), D(10**20)), RANGE),
    ("divide", "double double", (1.0, 0.0), ZERO),
    ("divide", "double double", (0.0, -0.0), ZERO),
    ("divide", "double double", (None, 0.0), None),
    ("divide", "double double", (1.0, 3.0), 1 / 3),
    ("divide", "double double", (INF, 2.0), INF),
    ("divide", "decimal(5,0) decimal(3,0)", (D(2), D(3)), D("0.666667")),
    ("divide", "decimal(5,0) decimal(3,0)", (D(-1), D(8)), D("-0.125000")),
    ("divide", "decimal(5,0) decimal(3,0)", (D(1), D(0)), ZERO),
    ("divide", "decimal(38,10) decimal(38,10)", (D(1), D(3)), D("0.333333")),
    ("divide", "decimal(38,10) decimal(38,10)", (D(1), D(0)), ZERO),
    ("divide", "decimal(38,0) decimal(38,38)", (D(10**37), D("1e-38")), RANGE),
    ("integer_divide", "int64 int64", (-7, 2), -3),
    ("integer_divide", "int64 int64", (7, 0), ZERO),
    ("integer_divide", "int64 int64", (-(2**63), -1), RANGE),
    ("remainder", "int32 int32", (-7, 2), -1),
    ("remainder", "int32 int32", (7, 0), ZERO),
    ("remainder", "double double", (-7.5, 2.0), -1.5),
    ("remainder", "double double", (7.5, 0.0), ZERO),
    ("remainder", "decimal(5,2) decimal(3,1)", (D("-7.25"), D("2.0")), D("-1.25")),
    ("remainder", "decimal(5,2) decimal(3,1)", (D("-7.25"), D("0.0")), ZERO),
    ("remainder", "decimal(38,0) decimal(38,38)", (D(7), D("0.3")), D("0.1")),
    ("negate", "int8", (-128,), RANGE),
    ("negate", "int64", (-(2**63),), RANGE),
    ("negate", "double", (0.0,), -0.0),
    ("negate", "decimal(5,2)", (D("1.50"),), D("-1.50")),
    ("abs", "int8", (-128,), RANGE),
    ("abs", "decimal(5,2)", (D("-1.50"),), D("1.50")),
    ("sign", "double", (-3.5,), -1.0),
    ("sign", "double", (NAN,), NAN),
    ("round", "double int32", (2.5, 0), 3.0),
    ("round", "double int32", (-1250.0, -2), -1300.0),
    ("round", "decimal(5,2) int32", (D("-2.25"), 1), D("-2.3")),
    ("round", "decimal(5,2) int32", (D("999.99"), 0), D("1000")),
    ("round", "decimal(5,2) int32", (D("950.00"), -2), D("1000")),
    ("round", "decimal(38,0) int32", (D(10**38 - 1), -1), RANGE),
    ("floor", "double", (-1.5,), -2),
    ("floor", "double", (1e300,), CAST),
    ("ceil", "double", (NAN,), CAST),
    ("ceil", "decimal(5,2)", (D("999.01"),), D("1000")),
    ("floor", "decimal(5,2)", (D("-999.01"),), D("-1000")),
    ("sqrt", "double", (-1.0,), NAN),
    ("sqrt", "double", (2.0,), math.sqrt(2)),
    ("exp", "double", (1000.0,), INF),
    ("ln", "double", (0.0,), None),
    ("ln", "double", (math.e,), 1.0),
    ("log2", "double", (8.0,), 3.0),
    ("log10", "double", (-1.0,), None),
    ("power", "double double", (2.0, 10.0), 1024.0),
    ("power", "double double", (-8.0, 0.5), NAN),
    ("lower", "string", ("ÄB",), "äb"),
    ("upper", "string", ("äb",), "ÄB"),
    ("trim", "string", (" \ta ",), "\ta"),
    ("trim_start", "string", ("  a ",), "a "),
    ("trim_end", "string", ("  a ",), "  a"),
    ("length", "string", ("é😀",), 2),
    ("length", "binary", ("é".encode(),), 2),
    ("length", "string", ("a\x00b",), 3),
    ("substring", "string int32 int32", ("hello", 2, 3), "ell"),
    ("substring", "string int32 int32", ("hello", 0, 3), "hel"),
    ("substring", "string int32 int32", ("hello", -3, 2), "ll"),
    ("substring", "string int32 int32", ("hello", -10, 7), "he"),
    ("substring", "string int32 int32", ("hello", 2, -1), ""),
    ("substring", "string int32 int32", ("hello", 2, 2**31 - 1), "ello"),
    ("substring", "string int32 int32", ("hello", None, 2), None),
    ("concat", "string string string", ("a", "'", "b"), "a'b"),
    ("concat", "string string", ("a", None), None),
    ("like", "string string", ("a\nb", "a_b"), True),
    ("like", "string string", ("50%", "50\\%"), True),
    ("like", "string string", ("500", "50\\%"), False),
    ("like", "string string", ("a\\b", "a\\\\%"), True),
    ("like", "string string", ("A", "a"), False),
    ("contains", "string string", ("abc", ""), True),
    ("starts_with", "string string", ("abc", "ab"), True),
    ("ends_with", "string string", ("abc", "ab"), False),
    ("replace", "string string string", ("aaa", "aa", "b"), "ba"),
    ("replace", "string string string", ("abc", "", "x"), "abc"),
    ("position", "string string", ("é😀b", "b"), 3),
    ("position", "string string", ("abc", "z"), 0),
    ("year", "date", (date(2024, 2, 29),), 2024),
    ("quarter", "timestamp", (at("2024-10-01T00:00:00"),), 4),
    ("month", "date", (date(2024, 2, 29),), 2),
    ("day", "timestamp_utc", (datetime(2024, 2, 29, 23, tzinfo=UTC),), 29),
    ("day_of_week", "date", (date(2024, 1, 7),), 1),
    ("day_of_year", "date", (date(2024, 12, 31),), 366),
    ("week", "date", (date(2021, 1, 3),), 53),
    ("hour", "timestamp_utc", (datetime(2024, 2, 29, 23, tzinfo=UTC),), 23),
    ("minute", "timestamp", (at("1969-12-31T23:59:59.5"),), 59),
    ("second", "timestamp", (at("1969-12-31T23:59:59.5"),), 59),
    ("date_add", "date int32", (date(2024, 2, 28), 2), date(2024, 3, 1)),
    ("date_add", "date int32", (date(2024, 2, 28), 2**31 - 1), RANGE),
    ("date_diff", "date date", (date(2024, 1, 1), date(2024, 3, 1)), -60),
    ("add_months", "date int32", (date(2024, 1, 31), 1), date(2024, 2, 29)),
    ("add_months", "date int32", (date(2024, 2, 29), 12), date(2025, 2, 28)),
    ("add_months", "timestamp int32", (at("2024-03-31T10:00:00"), -1), at("2024-02-29T10:00:00")),
    ("add_months", "date int32", (date(2024, 2, 29), 2**31 - 1), CAST),
    ("last_day", "date", (date(2023, 2, 1),), date(2023, 2, 28)),
    ("truncate_to", "string date", ("week", date(2024, 1, 3)), date(2024, 1, 1)),
    ("truncate_to", "string timestamp", ("hour", at("2024-01-03T10:11:12.5")), at("2024-01-03T10:00:00")),
    ("truncate_to", "string timestamp_utc", ("year", datetime(2024, 5, 3, tzinfo=UTC)),
     datetime(2024, 1, 1, tzinfo=UTC)),
    ("timestamp_add", "timestamp int64", (at("2024-01-01T00:00:00"), -1), at("2023-12-31T23:59:59.999999")),
    ("timestamp_add", "timestamp int64", (at("2024-01-01T00:00:00"), 2**63 - 1), CAST),
    ("timestamp_diff", "timestamp timestamp", (at("2024-01-01T00:00:00"), at("2024-01-01T00:00:01")), -(10**6)),
    ("make_date", "int32 int32 int32", (2024, 2, 29), date(2024, 2, 29)),
    ("make_date", "int32 int32 int32", (2023, 2, 29), CAST),
    ("round", "int8 int32", (125, -1), RANGE),
    ("round_even", "int8 int32", (125, -1), 120),
    ("round_even", "int8 int32", (127, -1), RANGE),
    ("round_even", "double int32", (NAN, 1), NAN),
    ("round_even", "decimal(38,0) int32", (D(10**38 - 1), -1), RANGE),
    ("floor_to", "decimal(38,0) int32", (D(-(10**38) + 1), -1), RANGE),
    ("floor_to", "decimal(5,2) int32", (D("-1.25"), 1), D("-1.3")),
    ("ceil_to", "decimal(38,0) int32", (D(10**38 - 1), -1), RANGE),
    ("modulo", "int8 int8", (-100, -101), -100),
    ("modulo", "int64 int64", (-(2**63), 2**63 - 1), 2**63 - 2),
    ("modulo", "int64 int64", (1, 0), ZERO),
    ("modulo", "double double", (1.0, 0.0), ZERO),
    ("modulo", "decimal(5,2) decimal(3,1)", (D("-7.25"), D("2.0")), D("0.75")),
    ("modulo", "decimal(5,2) decimal(3,1)", (D("1.00"), D("0.0")), ZERO),
    ("integer_divide", "decimal(5,2) decimal(3,1)", (D("1.00"), D("0.0")), ZERO),
    ("bit_get", "int8 int32", (1, 8), RANGE),
    ("try_add", "int64 int64", (2**63 - 1, 1), None),
    ("try_divide", "double double", (1.0, 0.0), None),
    ("try_multiply", "decimal(38,0) decimal(38,0)", (D(10**20), D(10**20)), None),
    ("split_part", "string string int32", ("a,b", ",", 0), RANGE),
    ("split_part", "string string int32", (None, "", 2), None),
    ("unbase64", "string", ("?",), CAST),
    ("encode", "string string", ("é", "US-ASCII"), TEXT),
    ("decode", "binary string", (b"\xff", "UTF-8"), TEXT),
    ("regex_extract", "string string int32", ("a\u2028b", "a(.)b", 1), ""),
    ("regex_replace", "string string string", ("a1", "([a-z])", "$1$1"), "aa1"),
    ("matches", "string string", ("x\x0by", "x\\sy"), True),
    ("make_timestamp", "int32 int32 int32 int32 int32 decimal(16,6)",
     (2024, 2, 29, 1, 2, D("61.000000")), RANGE),
    ("make_timestamp", "int32 int32 int32 int32 int32 decimal(16,6)",
     (2024, 2, 30, 1, 2, D("1.000000")), CAST),
    ("parse_moment", "string string", ("2024-2-9", "yyyy-MM-dd"), PARSE),
    ("try_parse_moment", "string string", ("2024-2-9", "yyyy-MM-dd"), None),
    ("sequence", "int8 int8 int8", (1, 5, -1), RANGE),
]  # fmt: skip
REFUSALS = {RANGE, ZERO, CAST, TEXT, PARSE}


def is_refusal(expected):
    return isinstance(expected, str) and expected in REFUSALS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name):
    cases = [c[1:] for c in CASES if c[0] == name]
    sound = [c for c in cases if not is_refusal(c[2])]
    trials = [Trial(call_of(name), k, v, str(i)) for i, (k, v, _) in enumerate(sound)]
    if trials:
        assert run(trials) == [shown(e) for _, _, e in sound for _ in range(2)]
    for kinds, values, words in cases:
        if is_refusal(words):
            refuses(Trial(call_of(name), kinds, values), words)


def test_every_function_is_tried():
    """Here, or by an expression whose value Spark gave: tests/unit/planner/test_spark.py."""
    own = {"list_at_most"}  # Spark has none: tests/unit/engine/oblivious/test_lengths.py
    assert {name for name, *_ in CASES} | called_in_golden_files() | own == set(FUNCTIONS)


FAIL_ELSEWHERE = {"element", "list_at_most", "list_slice", "next_day", "format_moment"}
"""Lists have no literals, and these days no Python date: the next test, and tests/golden/spark."""


@pytest.mark.parametrize(
    "expression",
    [
        call("format_moment", call("date_add", literal(date(9999, 12, 31), DATE), literal(1, INT32)),
             literal("yyyy", STRING)),
        call("next_day", call("date_add", literal(date(1970, 1, 1), DATE),
                              literal(2**31 - 2, INT32)), literal("Mon", STRING)),
        call("element", call("list", literal(1, INT32)), literal(2, INT32)),
        call("element", call("list", literal(1, INT32)), literal(-(2**31), INT32)),
        call("list_slice", call("list", literal(1, INT32)), literal(0, INT32), literal(1, INT32)),
        call("list_at_most", call("list", *[literal(1, INT32)] * 2), literal(1, INT32)),
    ],
    ids=lambda e: e.function,
)  # fmt: skip
def test_functions_of_what_is_no_literal_fail(expression):
    with pytest.raises(EngineError, match=RANGE):
        project([expression])


@pytest.mark.parametrize(
    "name", sorted(n for n, f in FUNCTIONS.items() if f.fails and n not in FAIL_ELSEWHERE)
)
def test_every_function_that_may_fail_is_seen_to_fail(name):
    assert any(n == name and is_refusal(expected) for n, _, _, expected in CASES)


CASTS = [
    ("double", 1.9, "int32", 1),
    ("double", -1.9, "int8", -1),
    ("double", 128.0, "int8", CAST),
    ("double", NAN, "int64", CAST),
    ("double", 2.0**63, "int64", CAST),
    ("decimal(5,2)", D("-1.99"), "int8", -1),
    ("decimal(5,2)", D("999.99"), "int8", CAST),
    ("int64", 300, "int8", CAST),
    ("int64", 2**53 + 1, "double", float(2**53)),
    ("int8", 5, "decimal(3,2)", D("5.00")),
    ("int8", 12, "decimal(3,2)", CAST),
    ("double", 0.285, "decimal(5,2)", D("0.29")),
    ("double", 2.675, "decimal(5,2)", D("2.68")),
    ("double", 1e16, "decimal(20,0)", D(10**16)),
    ("double", INF, "decimal(20,0)", CAST),
    ("double", 5e-5, "decimal(4,4)", D("0.0001")),
    ("double", -1.5e-38, "decimal(38,38)", D("-2E-38")),
    ("double", 5e-300, "decimal(9,9)", D("0E-9")),
    ("double", -1.2345678901234566e17, "decimal(18,0)", D("-123456789012345660")),
    ("double", 5.1e18, "decimal(18,0)", CAST),
    ("double", 1.23e38, "decimal(38,0)", CAST),
    ("float", 2.0**-17, "decimal(6,6)", D("0.000008")),
    ("float", 0.5, "decimal(5,2)", D("0.50")),
    ("decimal(7,4)", D("2.3450"), "decimal(5,2)", D("2.35")),
    ("decimal(7,4)", D("-2.3450"), "decimal(5,2)", D("-2.35")),
    ("decimal(7,4)", D("999.9950"), "decimal(5,2)", CAST),
    ("decimal(38,10)", D("0.1"), "double", 0.1),
    ("decimal(20,20)", D("0.1"), "float", 0.10000000149011612),
    ("double", 1e300, "float", CAST),
    ("double", INF, "float", INF),
    ("boolean", True, "int8", 1),
    ("boolean", True, "double", 1.0),
    ("boolean", True, "decimal(1,1)", CAST),
    ("boolean", False, "string", "false"),
    ("double", NAN, "boolean", True),
    ("int8", 0, "boolean", False),
    ("decimal(5,2)", D("0.01"), "boolean", True),
    ("int64", -5, "string", "-5"),
    ("decimal(5,2)", D("-0.50"), "string", "-0.50"),
    ("date", date(2024, 2, 9), "string", "2024-02-09"),
    ("timestamp", at("2024-02-09T01:02:03"), "string", "2024-02-09 01:02:03"),
    ("timestamp", at("2024-02-09T01:02:03.250000"), "string", "2024-02-09 01:02:03.25"),
    ("timestamp_utc", datetime(2024, 2, 9, tzinfo=UTC), "string", "2024-02-09 00:00:00"),
    ("string", " 12\n", "int8", 12),
    ("string", "+12", "int8", 12),
    ("string", "1.5", "int8", CAST),
    ("string", "1e2", "int32", CAST),
    ("string", "1_000", "int32", CAST),
    ("string", "0x10", "int32", CAST),
    ("string", "", "int32", CAST),
    ("string", "12\n3", "int32", CAST),
    ("string", "300", "int8", CAST),
    ("string", "1e-3", "double", 0.001),
    ("string", ".5", "double", 0.5),
    ("string", "-Infinity", "double", -INF),
    ("string", "inf", "double", CAST),
    ("string", "1d", "double", CAST),
    ("string", "-1e400", "double", -INF),
    ("string", "1e39", "float", INF),
    ("string", "16777217", "float", 16777216.0),
    ("string", "1_0.5", "double", CAST),
    ("string", "1.005", "decimal(5,2)", D("1.01")),
    ("string", "-1.005", "decimal(5,2)", D("-1.01")),
    ("string", "1e2", "decimal(5,2)", CAST),
    ("string", "1000", "decimal(5,2)", CAST),
    ("string", "YES", "boolean", True),
    ("string", " f ", "boolean", False),
    ("string", "on", "boolean", CAST),
    ("string", "2", "boolean", CAST),
    ("string", "2024-2-9", "date", date(2024, 2, 9)),
    ("string", "2024-02-30", "date", CAST),
    ("string", "2024-02-09T00:00:00", "date", CAST),
    ("string", "2024-02-09", "timestamp", at("2024-02-09T00:00:00")),
    ("string", "2024-02-09 01:02:03.5", "timestamp", at("2024-02-09T01:02:03.500000")),
    ("string", "2024-02-09T01:02:03Z", "timestamp", CAST),
    ("string", "2024-02-09T01:02:03Z", "timestamp_utc", datetime(2024, 2, 9, 1, 2, 3, tzinfo=UTC)),
    ("string", "2024-02-09T01:02:03+01", "timestamp_utc", CAST),
    ("string", "é", "binary", "é".encode()),
    ("date", date(2024, 2, 9), "timestamp_utc", datetime(2024, 2, 9, tzinfo=UTC)),
    ("timestamp", at("1969-12-31T23:59:59.5"), "date", date(1969, 12, 31)),
    ("timestamp_utc", datetime(2024, 2, 9, 5, tzinfo=UTC), "timestamp", at("2024-02-09T05:00:00")),
]  # fmt: skip


def cast_to(kind, *, strict):
    return lambda operands, _literals: Cast(operands[0], parse_type(kind), strict)


@pytest.mark.parametrize("source", dict.fromkeys(c[0] for c in CASTS))
def test_casts(source):
    trials, expected = [], []
    for i, (_, value, kind, result) in enumerate(c for c in CASTS if c[0] == source):
        if result is CAST:
            refuses(Trial(cast_to(kind, strict=True), source, (value,)), CAST)
        else:
            trials.append(Trial(cast_to(kind, strict=True), source, (value,), f"s{i}"))
            expected += [shown(result)] * 2
        trials.append(Trial(cast_to(kind, strict=False), source, (value,), f"l{i}"))
        expected += [None if result is CAST else shown(result)] * 2
    assert run(trials) == expected


def test_a_lenient_cast_hides_no_other_failure():
    inner = call("integer_divide", literal(1, parse_type("int64")), literal(0, parse_type("int64")))
    with pytest.raises(EngineError, match=ZERO):
        project([Cast(inner, parse_type("int8"), strict=False)])


def test_case_guards_what_it_does_not_choose():
    wrong = Cast(literal("x", STRING), INT32)
    never = Case((When(literal(False, BOOLEAN), wrong),), literal(1, INT32))
    assert project([never]) == [1]
    condition = Case(
        (When(Cast(literal("x", STRING), BOOLEAN), literal(1, INT32)),), literal(2, INT32)
    )
    chosen = When(ColumnRef("sure"), literal(3, INT32))
    assert project([Case((chosen,), condition)]) == [3]


def test_coalesce_guards_what_it_does_not_need():
    """DuckDB would compute the cast, which stands in IN and so more than once, before the rest."""
    s = Column("s", STRING)
    listed = InList(Cast(ColumnRef("s"), INT32), tuple(literal(i, INT32) for i in (1, 2)))
    assert project([call("coalesce", ColumnRef("sure"), listed)], (s,), ("x",)) == [True]
    nothing = call("nullif", ColumnRef("sure"), ColumnRef("sure"))
    assert project([call("coalesce", nothing, listed)], (s,), ("2",)) == [True]


def test_nested_functions_do_not_grow_without_bounds():
    """Each level names its operand twice; written out, 45 levels would be terabytes."""
    x = Column("x", DOUBLE)
    deep = ColumnRef("x")
    for _ in range(15):
        quotient = call("divide", deep, call("nullif", ColumnRef("x"), literal(7.0, DOUBLE)))
        deep = call("ln", call("nullif", quotient, literal(7.0, DOUBLE)))
    assert project([deep], (x,), (1.0,)) == [None]
