import pyarrow as pa
import pytest
from hypothesis import given
from tests.support.tables import any_types, schemas

from mc2.errors import FormatError
from mc2.formats.arrow import arrow_schema, arrow_type, data_type, schema_of
from mc2.formats.schema import parse_type

PAIRS = {
    "boolean": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "decimal(38,4)": pa.decimal128(38, 4),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamp_utc": pa.timestamp("us", "UTC"),
    "list<int8>": pa.list_(pa.int8()),
    "struct<a:int8,b:list<string>>": pa.struct([("a", pa.int8()), ("b", pa.list_(pa.string()))]),
}

FOREIGN = (
    pa.uint8(), pa.uint64(), pa.float16(), pa.large_string(), pa.string_view(), pa.large_binary(),
    pa.binary(16), pa.date64(), pa.timestamp("ns"), pa.timestamp("us", "Europe/Paris"),
    pa.timestamp("us", "+00:00"), pa.time64("us"), pa.duration("us"), pa.null(),
    pa.decimal256(38, 2), pa.decimal64(5, 2), pa.decimal128(5, -1), pa.dictionary(pa.int8(), pa.string()),
    pa.large_list(pa.int8()), pa.list_(pa.int8(), 2), pa.list_view(pa.int8()),
    pa.map_(pa.int8(), pa.int8()), pa.run_end_encoded(pa.int32(), pa.int8()), pa.uuid(),
    pa.list_(pa.field("item", pa.int8(), nullable=False)),
    pa.struct([pa.field("a", pa.int8(), nullable=False)]),
    pa.list_(pa.uint8()), pa.struct([("a", pa.uint8())]),
)  # fmt: skip


@pytest.mark.parametrize("text", PAIRS)
def test_each_type_is_one_arrow_type(text):
    assert arrow_type(parse_type(text)) == PAIRS[text]
    assert data_type(PAIRS[text]) == parse_type(text)


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
def test_any_other_arrow_type_is_refused(foreign):
    with pytest.raises(FormatError):
        data_type(foreign)


def test_a_refusal_names_the_column():
    with pytest.raises(FormatError, match=r"'age'.*uint8") as caught:
        schema_of(pa.schema([("age", pa.uint8())]))
    assert caught.value.hint


def test_metadata_is_left_out():
    arrow = pa.schema([pa.field("a", pa.int8(), metadata={"x": "y"})], metadata={"pandas": "{}"})
    assert arrow_schema(schema_of(arrow)).metadata is None
    assert arrow_schema(schema_of(arrow)).field(0).metadata is None


@given(any_types())
def test_types_go_there_and_back(kind):
    assert data_type(arrow_type(kind)) == kind


@given(schemas())
def test_schemas_go_there_and_back(schema):
    assert schema_of(arrow_schema(schema)) == schema
