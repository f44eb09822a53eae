import pytest

from mc2.errors import PlanError
from mc2.formats.schema import parse_type
from mc2.plan.types import (
    add_decimals,
    as_decimal,
    average_type,
    common_type,
    divide_decimals,
    has_parts,
    holds_floats,
    integer_range,
    multiply_decimals,
    remainder_decimals,
    round_decimal,
    sum_type,
)


def kinds(*texts):
    return [parse_type(f"decimal({t})" if t[0].isdigit() else t) for t in texts]


# Results as Apache Spark's DecimalPrecision and DecimalType give them.
@pytest.mark.parametrize(
    ("rule", "a", "b", "result"),
    [
        (add_decimals, "10,2", "12,4", "13,4"),
        (add_decimals, "38,10", "38,10", "38,9"),
        (add_decimals, "38,0", "7,2", "38,2"),
        (add_decimals, "38,38", "1,0", "38,36"),
        (multiply_decimals, "15,2", "16,2", "32,4"),
        (multiply_decimals, "32,4", "16,2", "38,6"),
        (multiply_decimals, "38,10", "38,10", "38,6"),
        (multiply_decimals, "20,10", "18,10", "38,19"),
        (divide_decimals, "12,2", "12,2", "27,15"),
        (divide_decimals, "38,2", "7,1", "38,6"),
        (divide_decimals, "5,0", "3,0", "11,6"),
        (divide_decimals, "38,20", "38,0", "38,20"),
        (remainder_decimals, "10,2", "5,4", "5,4"),
        (remainder_decimals, "38,0", "38,38", "38,38"),
    ],
)
def test_decimal_arithmetic(rule, a, b, result):
    assert rule(*kinds(a, b)) == kinds(result)[0]


@pytest.mark.parametrize(
    ("kind", "digits", "result"),
    [("10,3", 1, "9,1"), ("10,3", 5, "11,3"), ("10,3", 0, "8,0"), ("10,3", -2, "8,0"),
     ("3,1", -9, "10,0"), ("38,38", 0, "1,0"), ("38,0", 0, "38,0")],
)  # fmt: skip
def test_rounding_a_decimal(kind, digits, result):
    assert round_decimal(kinds(kind)[0], digits) == kinds(result)[0]


@pytest.mark.parametrize(
    ("kind", "total", "mean"),
    [("int8", "int64", "double"), ("int64", "int64", "double"), ("float", "double", "double"),
     ("10,2", "20,2", "14,6"), ("38,4", "38,4", "38,8"), ("38,36", "38,36", "38,38")],
)  # fmt: skip
def test_sums_and_means(kind, total, mean):
    (kind,), (total,), (mean,) = kinds(kind), kinds(total), kinds(mean)
    assert (sum_type(kind), average_type(kind)) == (total, mean)


@pytest.mark.parametrize(
    ("a", "b", "common"),
    [("int8", "int64", "int64"), ("int32", "int16", "int32"), ("int32", "double", "double"),
     ("float", "int32", "double"), ("float", "double", "double"), ("float", "5,2", "double"),
     ("int32", "5,2", "12,2"), ("int64", "38,10", "38,10"), ("5,2", "10,4", "10,4"),
     ("date", "timestamp", "timestamp"), ("date", "timestamp_utc", "timestamp_utc"),
     ("timestamp", "timestamp_utc", "timestamp_utc"), ("string", "string", "string")],
)  # fmt: skip
def test_common_types(a, b, common):
    (a, b), (common,) = kinds(a, b), kinds(common)
    assert common_type(a, b) == common == common_type(b, a)


@pytest.mark.parametrize(
    ("a", "b"), [("string", "int32"), ("boolean", "int8"), ("date", "int32"), ("binary", "string")]
)
def test_no_common_type(a, b):
    with pytest.raises(PlanError, match="no common type") as caught:
        common_type(*kinds(a, b))
    assert "CAST" in caught.value.hint


def test_integers():
    assert integer_range(parse_type("int8")) == (-128, 127)
    assert integer_range(parse_type("int64")) == (-(2**63), 2**63 - 1)
    assert as_decimal(parse_type("int64")) == parse_type("decimal(20,0)")


def test_lists_have_no_order():
    assert not has_parts(parse_type("binary"))
    assert has_parts(parse_type("list<int8>"))
    assert has_parts(parse_type("struct<a:int8>"))
    assert holds_floats(parse_type("list<struct<a:int8,b:list<float>>>"))
    assert not holds_floats(parse_type("struct<a:int8,b:decimal(8,2)>"))
