import pytest

from mc2.errors import PlanError
from mc2.formats.schema import Column, parse_type
from mc2.plan.aggregates import AGGREGATES, aggregate
from mc2.plan.expressions import Case, Cast, ColumnRef, InList, Literal, When, call, literal
from mc2.plan.functions import FUNCTIONS, function
from mc2.plan.signatures import Argument, signature
from mc2.plan.types import BOOLEAN, DATE, DOUBLE, INT32, INT64, STRING
from mc2.plan.typing import CASTS, type_of

KINDS = (
    "boolean", "int8", "int16", "int32", "int64", "float", "double", "string", "binary", "date",
    "timestamp", "timestamp_utc", "decimal(9,2)", "list<int8>",
)  # fmt: skip
COLUMNS = {f"{k}": Column(k, parse_type(k)) for k in KINDS} | {
    f"{k}!": Column(f"{k}!", parse_type(k), nullable=False) for k in KINDS
}


def col(name):
    return ColumnRef(name)


def typed(expression):
    found = type_of(expression, COLUMNS)
    return str(found.type) + ("" if found.nullable else "!")


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        ("eq", "int8 int8", "boolean"),
        ("eq", "int8! int8!", "boolean!"),
        ("same", "string string", "boolean!"),
        ("is_null", "list<int8>", "boolean!"),
        ("is_nan", "float", "boolean!"),
        ("and", "boolean! boolean! boolean!", "boolean!"),
        ("or", "boolean boolean!", "boolean"),
        ("coalesce", "int8 int8!", "int8!"),
        ("coalesce", "list<int8> list<int8>", "list<int8>"),
        ("nullif", "int8! int8!", "int8"),
        ("greatest", "date date!", "date!"),
        ("add", "int16! int16!", "int16!"),
        ("add", "decimal(9,2) decimal(9,2)", "decimal(10,2)"),
        ("multiply", "decimal(9,2) decimal(9,2)", "decimal(19,4)"),
        ("divide", "double double", "double"),
        ("divide", "decimal(9,2) decimal(9,2)", "decimal(21,12)"),
        ("integer_divide", "int64! int64!", "int64!"),
        ("floor", "double!", "int64!"),
        ("ceil", "decimal(9,2)", "decimal(8,0)"),
        ("ln", "double!", "double"),
        ("length", "binary!", "int32!"),
        ("substring", "string! int32! int32!", "string!"),
        ("year", "timestamp_utc!", "int32!"),
        ("hour", "timestamp", "int32"),
        ("add_months", "timestamp_utc! int32!", "timestamp_utc!"),
        ("timestamp_diff", "timestamp! timestamp!", "int64!"),
    ],
)
def test_functions(function, arguments, result):
    assert typed(call(function, *map(col, arguments.split()))) == result


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("eq", "int8 int16"), ("lt", "list<int8> list<int16>"), ("eq", "int8"), ("eq", "int8 int8 int8"),
        ("and", "boolean"), ("and", "boolean int8"), ("not", "int8"), ("coalesce", "int8 int16"),
        ("add", "int8 double"), ("add", "string string"), ("add", "int8 decimal(9,2)"),
        ("divide", "int8 int8"), ("divide", "float float"), ("integer_divide", "int32 int32"),
        ("sqrt", "int32"), ("sqrt", "float"), ("hour", "date"), ("timestamp_add", "date int64"),
        ("timestamp_diff", "timestamp timestamp_utc"), ("length", "int8"), ("concat", "string"),
        ("like", "string string"), ("round", "double int32"), ("truncate_to", "string date"),
        ("is_nan", "int8"),
    ],
)  # fmt: skip
def test_wrong_arguments(function, arguments):
    with pytest.raises(PlanError):
        typed(call(function, *map(col, arguments.split())))


def test_a_refusal_says_what_would_have_worked():
    with pytest.raises(PlanError, match=r"divide takes no \(int64, int64\)") as caught:
        typed(call("divide", col("int64"), col("int64")))
    assert "double, double -> double" in caught.value.hint


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("round", (col("double"), Literal(None, INT32))),
        ("round", (col("double"), literal(39, INT32))),
        ("like", (col("string"), literal("50\\", STRING))),
        ("like", (col("string"), literal("\\a", STRING))),
        ("truncate_to", (literal("fortnight", STRING), col("date"))),
        ("truncate_to", (literal("hour", STRING), col("date"))),
    ],
)
def test_wrong_literals(function, arguments):
    with pytest.raises(PlanError):
        typed(call(function, *arguments))


def test_literals_that_functions_need():
    assert typed(call("like", col("string!"), literal("\\%\\_\\\\%", STRING))) == "boolean!"
    assert typed(call("truncate_to", literal("hour", STRING), col("timestamp!"))) == "timestamp!"
    assert typed(call("round", col("decimal(9,2)"), literal(1, INT32))) == "decimal(9,1)"
    assert typed(call("round", col("decimal(9,2)"), literal(-1, INT32))) == "decimal(8,0)"


def test_literals():
    assert typed(literal(5, INT64)) == "int64!"
    assert typed(Literal(None, DATE)) == "date"
    with pytest.raises(PlanError):
        typed(Literal("05", INT64))


def test_columns():
    with pytest.raises(PlanError, match="no column 'nobody'"):
        typed(col("nobody"))


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_casts(source, kind):
    expression = Cast(col(f"{source}!"), parse_type(kind))
    # Lists are cast element by element, so to lists alone.
    allowed = kind == source or parse_type(kind).name in CASTS.get(parse_type(source).name, ())
    if not allowed:
        with pytest.raises(PlanError, match="cannot be cast"):
            typed(expression)
        return
    assert typed(expression) == f"{kind}!"
    assert typed(Cast(col(f"{source}!"), parse_type(kind), strict=False)) == kind


def test_case():
    branch = When(col("boolean"), col("int8!"))
    assert typed(Case((branch,), col("int8!"))) == "int8!"
    assert typed(Case((branch,), col("int8"))) == "int8"
    with pytest.raises(PlanError, match="CASE gives"):
        typed(Case((branch,), col("int16")))
    with pytest.raises(PlanError, match="not boolean"):
        typed(Case((When(col("int8"), col("int8")),), col("int8")))


def test_in():
    five = literal(5, INT64)
    assert typed(InList(col("int64!"), (five,))) == "boolean!"
    assert typed(InList(col("int64!"), (five, Literal(None, INT64)))) == "boolean"
    for item in (literal(5, INT32), Literal("05", INT64)):
        with pytest.raises(PlanError):
            typed(InList(col("int64"), (item,)))
    with pytest.raises(PlanError, match="IN compares"):
        typed(InList(col("list<int8>"), (five,)))


def test_the_tables_are_whole():
    for name, entry in (FUNCTIONS | AGGREGATES).items():
        assert entry.name == name
        assert entry.meaning
        assert entry.signatures
    with pytest.raises(PlanError, match="no function 'eval'"):
        function("eval")
    with pytest.raises(PlanError, match="no aggregate function 'eval'"):
        aggregate("eval")


@pytest.mark.parametrize(
    ("name", "arguments", "empty", "result"),
    [
        ("count_star", "", True, "int64!"),
        ("count", "list<int8>", True, "int64!"),
        ("sum", "int8!", False, "int64!"),
        ("sum", "int8!", True, "int64"),
        ("sum", "float", False, "double"),
        ("sum", "decimal(9,2)!", False, "decimal(19,2)!"),
        ("avg", "decimal(9,2)!", False, "decimal(13,6)!"),
        ("avg", "int64!", False, "double!"),
        ("min", "string!", False, "string!"),
        ("stddev_samp", "double!", False, "double"),
        ("stddev_pop", "double!", False, "double!"),
        ("bool_and", "boolean", False, "boolean"),
    ],
)
def test_aggregates(name, arguments, empty, result):
    columns = [COLUMNS[a] for a in arguments.split()]
    given = tuple(Argument(c.type, c.nullable) for c in columns)
    kind, nullable = aggregate(name).type(given, may_be_empty=empty)
    assert str(kind) + ("" if nullable else "!") == result


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("sum", "string"), ("avg", "boolean"), ("min", ""), ("count", ""), ("count_star", "int8"),
     ("stddev_pop", "float"), ("bool_or", "int8"), ("sum", "int8 int8")],
)  # fmt: skip
def test_wrong_aggregates(name, kinds):
    given = tuple(Argument(parse_type(k), nullable=True) for k in kinds.split())
    with pytest.raises(PlanError, match=f"{name} takes no"):
        aggregate(name).type(given, may_be_empty=True)


def test_signatures_read_as_they_are_written():
    found = signature("T, T... -> boolean where T: ordered")
    assert (found.parameters, found.repeats, found.result) == (("T", "T"), True, "boolean")
    assert found.letters == {"T": "ordered"}
    assert signature("double -> double").match((Argument(DOUBLE, nullable=True),)) == DOUBLE
    assert found.match((Argument(BOOLEAN, nullable=True),)) is None
