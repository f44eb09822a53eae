import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.errors import PlanError
from mc2.formats.schema import parse_type
from mc2.plan.literals import float_text, literal_text, literal_value, parse_float

EXAMPLES = [
    ("boolean", True, "true"),
    ("int8", -128, "-128"),
    ("int64", 2**63 - 1, "9223372036854775807"),
    ("double", 0.1, "0.1"),
    ("double", -0.0, "-0.0"),
    ("double", 1e16, "1e+16"),
    ("double", math.inf, "Infinity"),
    ("double", -math.inf, "-Infinity"),
    ("float", 0.5, "0.5"),
    ("decimal(5,2)", Decimal("1.5"), "1.50"),
    ("decimal(38,0)", Decimal(10**38 - 1), "9" * 38),
    ("decimal(38,38)", Decimal("0.00000000000000000000000000000000000001"), "0." + "0" * 37 + "1"),
    ("decimal(3,1)", Decimal("-0.0"), "0.0"),
    ("decimal(3,0)", 7, "7"),
    ("string", "it's", "it's"),
    ("binary", b"\x00\xff", "AP8="),
    ("date", date(2024, 2, 29), "2024-02-29"),
    ("timestamp", datetime.fromisoformat("2024-02-29T01:02:03"), "2024-02-29T01:02:03"),
    (
        "timestamp",
        datetime.fromisoformat("2024-02-29T01:02:03.000005"),
        "2024-02-29T01:02:03.000005",
    ),
    ("timestamp_utc", datetime(2024, 2, 29, tzinfo=UTC), "2024-02-29T00:00:00Z"),
]


@pytest.mark.parametrize(("kind", "value", "text"), EXAMPLES)
def test_one_spelling(kind, value, text):
    kind = parse_type(kind)
    assert literal_text(value, kind) == text
    assert literal_value(text, kind) == value


def test_other_zones_become_utc():
    moment = datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert literal_text(moment, parse_type("timestamp_utc")) == "2024-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("boolean", "True"), ("boolean", "1"),
        ("int8", "128"), ("int8", "+1"), ("int8", "01"), ("int8", "-0"), ("int8", " 1"), ("int8", ""),
        ("int64", "9223372036854775808"), ("int64", "1" * 1000), ("int64", "1_0"), ("int64", "\u0661"),
        ("double", "0.10"), ("double", "1"), ("double", "1e16"), ("double", "nan"), ("double", "inf"),
        ("double", "+1.0"), ("double", "1_0.0"), ("double", "1e999"), ("double", ""),
        ("float", "0.1"), ("float", "1e+300"),
        ("decimal(5,2)", "1.5"), ("decimal(5,2)", "1.500"), ("decimal(5,2)", "1000.00"),
        ("decimal(5,2)", "-0.00"), ("decimal(5,2)", "1E2"), ("decimal(5,2)", "01.00"),
        ("decimal(38,0)", "1" + "0" * 38), ("decimal(5,2)", "NaN"), ("decimal(5,2)", "1" * 9999),
        ("binary", "AP8"), ("binary", "AP9="), ("binary", "é"),
        ("date", "2024-2-29"), ("date", "2023-02-29"), ("date", "20240229"), ("date", "2024-W09-4"),
        ("timestamp", "2024-02-29 01:02:03"), ("timestamp", "2024-02-29"),
        ("timestamp", "2024-02-29T01:02:03.500"), ("timestamp", "2024-02-29T01:02:03Z"),
        ("timestamp_utc", "2024-02-29T01:02:03"), ("timestamp_utc", "2024-02-29T01:02:03+00:00"),
        ("timestamp_utc", "2024-02-29T01:02:03+00:00Z"),
        ("list<int8>", "[]"),
    ],
)  # fmt: skip
def test_rejects_other_spellings(kind, text):
    with pytest.raises(PlanError):
        literal_value(text, parse_type(kind))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int8", 128), ("int32", True), ("boolean", 1), ("double", 1), ("float", 0.1),
        ("decimal(5,2)", Decimal("1.234")), ("decimal(5,2)", Decimal("Infinity")),
        ("decimal(5,2)", Decimal("1e99999")), ("decimal(5,2)", Decimal(1000)), ("string", 5),
        ("date", datetime.fromisoformat("2024-01-01")), ("timestamp", datetime(2024, 1, 1, tzinfo=UTC)),
        ("timestamp_utc", datetime.fromisoformat("2024-01-01")), ("int8", "5"),
    ],
)  # fmt: skip
def test_rejects_values_that_the_type_does_not_hold(kind, value):
    with pytest.raises(PlanError):
        literal_text(value, parse_type(kind))


@given(st.floats(allow_nan=False))
def test_doubles_survive(value):
    assert parse_float(float_text(value)).hex() == value.hex()


def test_nan():
    assert math.isnan(parse_float(float_text(math.nan)))


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=10, min_value=-(10**20), max_value=10**20
    )
)
def test_decimals_survive(value):
    kind = parse_type("decimal(38,10)")
    assert literal_value(literal_text(value, kind), kind) == value
