"""Tables of every column type, drawn by hypothesis; a place for ciphertext; an owner's keys."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
from hypothesis import strategies as st

from mc2.client.seal import NewVersion, OwnerKeys, Sealed, SealOptions, seal_table
from mc2.client.sources.open import open_source
from mc2.crypto.digest import digest
from mc2.crypto.secret import SigningKey
from mc2.formats.arrow import arrow_schema, arrow_type
from mc2.formats.schema import Column as SchemaColumn
from mc2.formats.schema import DataType, Schema, decimal, parse_type

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECRET = bytes(range(32))
SIGNER = SigningKey(bytes(range(32, 64)))
OWNER = OwnerKeys(secret=SECRET, signer=SIGNER)

SIMPLE = (
    "boolean", "int8", "int16", "int32", "int64", "float", "double",
    "string", "binary", "date", "timestamp", "timestamp_utc",
)  # fmt: skip


class MemoryBlobs:
    """A sink that keeps ciphertext in memory."""

    def __init__(self):
        self.blobs = {}

    def has(self, names):
        return frozenset(n for n in names if n in self.blobs)

    def put(self, name, raw):
        raw = bytes(raw)
        assert digest(raw) == name
        self.blobs[name] = raw

    def get(self, name):
        return self.blobs[name]


def seal(table, sink=None, *, version=1, progress=None, **options) -> tuple[Sealed, MemoryBlobs]:
    sink = MemoryBlobs() if sink is None else sink
    source = open_source(table) if not hasattr(table, "survey") else table
    new = NewVersion(dataset="ada.table", version=version, created=NOW)
    extra = () if progress is None else (progress,)
    return seal_table(source, new, OWNER, sink, SealOptions(**options), *extra), sink


def fresh_owner() -> OwnerKeys:
    return OwnerKeys(secret=secrets.token_bytes(32), signer=SigningKey.generate())


def decimals() -> st.SearchStrategy[DataType]:
    return st.integers(1, 38).flatmap(lambda p: st.integers(0, p).map(lambda s: decimal(p, s)))


def flat_types() -> st.SearchStrategy[DataType]:
    return st.one_of(st.sampled_from(SIMPLE).map(parse_type), decimals())


def any_types() -> st.SearchStrategy[DataType]:
    names = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
    return st.recursive(
        flat_types(),
        lambda inner: st.one_of(
            inner.map(lambda t: DataType("list", element=t)),
            st.lists(st.tuples(names, inner), min_size=1, max_size=3, unique_by=lambda f: f[0]).map(
                lambda fields: DataType("struct", fields=tuple(fields))
            ),
        ),
        max_leaves=4,
    )


COLUMN_NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8
)


def schemas(types=any_types, most=4) -> st.SearchStrategy[Schema]:
    column = st.builds(SchemaColumn, COLUMN_NAMES, types(), st.booleans())
    return st.lists(column, min_size=1, max_size=most, unique_by=lambda c: c.name.casefold()).map(
        lambda columns: Schema(tuple(columns))
    )


_DAY = 86_400_000_000
_FIRST, _LAST = -719162, 2932896


def values(kind: DataType) -> st.SearchStrategy:
    """Raw values for pyarrow: dates and times as integers, to reach every one of them."""
    bits = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
    if kind.name in bits:
        half = 1 << (bits[kind.name] - 1)
        return st.integers(-half, half - 1)
    if kind.name == "decimal":
        most = 10**kind.precision - 1
        edges = st.sampled_from([-most, most, 0, 1, -1])
        return st.one_of(edges, st.integers(-most, most)).map(
            lambda n: Decimal((int(n < 0), tuple(map(int, str(abs(n)))), -kind.scale))
        )
    if kind.name == "list":
        return st.lists(st.none() | values(kind.element), max_size=3)
    if kind.name == "struct":
        return st.fixed_dictionaries({n: st.none() | values(t) for n, t in kind.fields})
    return {
        "boolean": st.booleans(),
        "float": st.floats(width=32),
        "double": st.floats(),
        "string": st.text(st.characters(codec="utf-8"), max_size=12),
        "binary": st.binary(max_size=12),
        "date": st.integers(_FIRST, _LAST),
        "timestamp": st.integers(_FIRST * _DAY, (_LAST + 1) * _DAY - 1),
        "timestamp_utc": st.integers(_FIRST * _DAY, (_LAST + 1) * _DAY - 1),
    }[kind.name]


def column_values(column: SchemaColumn, rows: int) -> st.SearchStrategy[list]:
    one = values(column.type)
    return st.lists(st.none() | one if column.nullable else one, min_size=rows, max_size=rows)


@st.composite
def tables(draw, types=any_types, most_rows=12, schema=None) -> tuple[Schema, pa.Table]:
    schema = draw(schemas(types)) if schema is None else schema
    rows = draw(st.integers(0, most_rows))
    arrays = [pa.array(draw(column_values(c, rows)), arrow_type(c.type)) for c in schema.columns]
    return schema, pa.Table.from_arrays(arrays, schema=arrow_schema(schema))


def identical(a: pa.Table, b: pa.Table) -> bool:
    """Equal in schema, order, NULLs and every bit of every value, NaN and -0.0 included."""
    return a.schema.equals(b.schema, check_metadata=True) and _spelled(a) == _spelled(b)


def _spelled(table: pa.Table) -> str:
    # repr tells -0.0 from 0.0 and shows NaN as equal text; Arrow's own equality does neither.
    return repr([column.to_pylist() for column in table.columns]) + repr(table.num_rows)
