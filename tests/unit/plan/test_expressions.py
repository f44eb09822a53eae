import pytest

from mc2.errors import FormatError
from mc2.formats.canonical import decode, encode
from mc2.plan.expressions import (
    EXPRESSION_DEPTH,
    Call,
    Case,
    Cast,
    ColumnRef,
    InList,
    Literal,
    When,
    call,
    children,
    columns_of,
    literal,
    read_expression,
    walk,
)
from mc2.plan.types import BOOLEAN, DOUBLE, INT64, STRING

X, Y = ColumnRef("x"), ColumnRef("y")
ONE = literal(1, INT64)
ALL = Case(
    (When(call("eq", X, ONE), Cast(Y, DOUBLE, strict=False)),),
    Cast(InList(Y, (literal("a", STRING), literal(None, STRING))), DOUBLE),
)


@pytest.mark.parametrize(
    "expression", [X, ONE, literal(None, BOOLEAN), ALL, call("not", ALL), Call("f", ())]
)
def test_survives_json(expression):
    raw = encode(expression.json())
    found = read_expression(decode(raw, 10_000, "an expression"))
    assert found == expression
    assert encode(found.json()) == raw


def test_walks_outer_before_inner():
    assert list(walk(call("add", X, call("negate", Y)))) == [
        call("add", X, call("negate", Y)), X, call("negate", Y), Y]  # fmt: skip
    assert children(ALL)[0] == call("eq", X, ONE)
    assert columns_of(ALL) == {"x", "y"}
    assert columns_of(ONE) == frozenset()


@pytest.mark.parametrize(
    "value",
    [
        None, [], "x", {"kind": "star"}, {"name": "x"}, {"kind": "column"},
        {"kind": "column", "name": "x", "table": "t"},
        {"kind": "column", "name": 5},
        {"kind": "literal", "type": "int64", "value": 1},
        {"kind": "literal", "type": "INT64", "value": "1"},
        {"kind": "literal", "type": "int64"},
        {"kind": "call", "function": "f"},
        {"kind": "call", "function": "f" * 64, "arguments": []},
        {"kind": "call", "function": "f", "arguments": {}},
        {"kind": "cast", "value": X.json(), "type": "double"},
        {"kind": "cast", "value": X.json(), "type": "double", "strict": 1},
        {"kind": "case", "branches": [], "else": X.json()},
        {"kind": "case", "branches": [{"when": X.json()}], "else": X.json()},
        {"kind": "in", "value": X.json(), "items": []},
        {"kind": "in", "value": X.json(), "items": [X.json()]},
    ],
)  # fmt: skip
def test_rejects(value):
    with pytest.raises(FormatError):
        read_expression(value)


def test_rejects_what_nests_too_deep():
    deep = X
    for _ in range(EXPRESSION_DEPTH):
        deep = call("negate", deep)
    assert read_expression(deep.json()) == deep
    with pytest.raises(FormatError, match="deeper") as caught:
        read_expression(call("negate", deep).json())
    assert "subquery" in caught.value.hint


def test_rejects_too_many_arguments():
    with pytest.raises(FormatError):
        read_expression(Call("and", (X,) * 4097).json())


def test_rejects_a_huge_literal():
    with pytest.raises(FormatError):
        read_expression(Literal("a" * 65537, STRING).json())
