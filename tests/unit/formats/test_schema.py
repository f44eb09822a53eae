import pytest
from hypothesis import given
from tests.support.tables import any_types, schemas

from mc2.errors import FormatError
from mc2.formats.schema import Column, DataType, Schema, decimal, parse_type


@pytest.mark.parametrize(
    "text",
    [
        "", "int", "INT8", "uint8", " int8", "int8 ", "decimal", "decimal(5)", "decimal(0,0)",
        "decimal(39,0)", "decimal(5,6)", "decimal(05,1)", "decimal(5,01)", "decimal(5, 1)",
        "decimal(5,-1)", "decimal(+5,1)", "list", "list<>", "list<int8", "list<int8>>", "list <int8>",
        "struct<>", "struct<a>", "struct<a:>", "struct<:int8>", "struct<1a:int8>", "struct<a:int8,>",
        "struct<a:int8,a:int16>", "struct<a:int8;b:int8>", "timestamp(6)", "int8\n", "int8\x00",
        "list<" * 9 + "int8" + ">" * 9, "struct<" + "a" * 64 + ":int8>", "x" * 5000, "d\u0456te",
    ],
)  # fmt: skip
def test_refuses_other_spellings(text):
    with pytest.raises(FormatError):
        parse_type(text)


@given(any_types())
def test_a_type_has_one_spelling(kind):
    assert parse_type(str(kind)) == kind


def test_nesting_stops_at_eight():
    assert str(parse_type("list<" * 8 + "int8" + ">" * 8)).count("list") == 8


@pytest.mark.parametrize("size", [(0, 0), (39, 0), (3, 4), (3, -1)])
def test_decimals_stay_within_38_digits(size):
    with pytest.raises(FormatError):
        decimal(*size)


@given(schemas())
def test_a_schema_reads_back(schema):
    assert Schema.read(schema.json()) == schema
    assert Schema.read(schema.json()).digest == schema.digest


def column(**changes):
    return {"name": "a", "type": "int8", "nullable": True} | changes


@pytest.mark.parametrize(
    "bad",
    [
        column(name=""),
        column(name="a\nb"),
        column(name="a\x00"),
        column(name="x" * 256),
        column(name=1),
        column(type="int"),
        column(type=None),
        column(nullable=1),
        column(nullable="true"),
        column(more=1),
        {"name": "a", "type": "int8"},
        [],
        "a",
        None,
    ],
)
def test_refuses_a_column_that_is_none(bad):
    with pytest.raises(FormatError):
        Column.read(bad)


@pytest.mark.parametrize(
    "columns",
    [
        [],
        [column(), column()],
        [column(), column(name="A")],
        [column(name="\u00df"), column(name="SS")],
    ],
)
def test_a_table_has_columns_and_they_have_different_names(columns):
    with pytest.raises(FormatError):
        Schema.read(columns)


def test_a_table_has_at_most_4096_columns():
    many = [column(name=f"c{i}") for i in range(4097)]
    with pytest.raises(FormatError):
        Schema.read(many)
    assert len(Schema.read(many[:4096])) == 4096


@pytest.mark.parametrize(
    "changed",
    [
        (Column("b", DataType("int8")),),
        (Column("a", DataType("int16")),),
        (Column("a", DataType("int8"), nullable=False),),
        (Column("a", DataType("int8")), Column("b", DataType("int8"))),
    ],
)
def test_the_digest_names_every_part(changed):
    assert Schema(changed).digest != Schema((Column("a", DataType("int8")),)).digest


def test_the_order_of_columns_is_part_of_the_digest():
    a, b = Column("a", DataType("int8")), Column("b", DataType("int8"))
    assert Schema((a, b)).digest != Schema((b, a)).digest
