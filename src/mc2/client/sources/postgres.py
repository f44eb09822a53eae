"""A query over a PostgreSQL database, read once, as text, in one read-only transaction.

The server casts each column to text, so that nothing is lost between its types and ours; numbers
whose digits it does not declare get their type from all values, as in CSV. The rows go into an
encrypted spool. Spec: docs/spec/schema.md, section "Databases".
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import csv

from mc2.client.sources.spool import Spool
from mc2.client.sources.text_table import TextTable
from mc2.errors import DatasetError, UsageError
from mc2.formats.schema import DECIMAL_DIGITS, Column, DataType, decimal

SCHEMES: Final = ("postgresql://", "postgres://")
_BLOCK_BYTES: Final = 4 << 20
_NAME: Final = "the query"
_SECRETS: Final = frozenset({"password", "sslpassword", "oauth_client_secret"})
_INSTALL: Final = "pip install 'mc2[postgres]'"
_TYPES: Final = {
    "bool": DataType("boolean"),
    "int2": DataType("int16"),
    "int4": DataType("int32"),
    "int8": DataType("int64"),
    "float4": DataType("float"),
    "float8": DataType("double"),
    "date": DataType("date"),
    "timestamp": DataType("timestamp"),
    "timestamptz": DataType("timestamp_utc"),
    "bytea": DataType("binary"),
}
_TEXTS: Final = frozenset({"text", "varchar", "bpchar", "name", "uuid", "json", "jsonb", "citext"})
_SETTINGS: Final = """
    SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL timezone = 'UTC'; SET LOCAL bytea_output = 'hex';
    SET LOCAL extra_float_digits = 1; SET LOCAL client_encoding = 'UTF8'
"""


def from_postgres(url: str, query: str, declared: Mapping[str, Column]) -> TextTable:
    """What a query gives. `url` names server, database and user, and never a password.

    Raises: UsageError, DatasetError.
    """
    options = connection_options(url, os.environ)
    try:
        import psycopg
    except ImportError:
        raise UsageError("the driver of PostgreSQL is not installed", hint=_INSTALL) from None
    try:
        with psycopg.connect(url, **options) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return _read(connection, query.strip().rstrip(";"), declared)
    except psycopg.Error as error:
        raise _refused(error) from None
    except pa.ArrowException:
        raise DatasetError(
            f"a row of the query is longer than {_BLOCK_BYTES} bytes",
            hint="select less of it, or bring the table as Parquet",
        ) from None


def connection_options(url: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """What to connect with, beside the address; a server elsewhere must prove its name.

    Raises: UsageError.
    """
    parts = urlsplit(url)
    named = {p.partition("=")[0] for p in parts.query.split("&")}
    if parts.password is not None or named & _SECRETS:
        raise UsageError(
            "the address of a database holds a password, which others can read there",
            hint="leave it out, and put it into ~/.pgpass or the variable PGPASSWORD",
        )
    options = {"application_name": "mc2"}
    chosen = "sslmode" in named or "PGSSLMODE" in environment
    if not chosen and not _is_here(parts.hostname or environment.get("PGHOST", "")):
        options["sslmode"] = "verify-full"
        if "sslrootcert" not in named and "PGSSLROOTCERT" not in environment:
            options["sslrootcert"] = "system"
    return options


def _is_here(host: str) -> bool:
    """Whether the server is on this machine: a socket in the file system, or loopback."""
    if not host or host.startswith(("/", "%2F", "%2f", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _read(connection: Any, query: str, declared: Mapping[str, Column]) -> TextTable:
    from psycopg import sql

    with connection.cursor() as cursor:
        cursor.execute(_SETTINGS)
        inner = sql.SQL("SELECT * FROM ({}\n) AS mc2").format(sql.SQL(query))
        # A wrapped query is one SELECT: anything else is a syntax error there.
        cursor.execute(sql.SQL("{} LIMIT 0").format(inner))
        found = {c.name: _column(connection, c) for c in cursor.description}
        if len(found) != len(cursor.description):
            raise UsageError("the query gives two columns of one name", hint="name them: … AS a")
        names = tuple(found)
        texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(n)) for n in names)
        copy = sql.SQL("COPY (SELECT {} FROM ({}\n) AS mc2) TO STDOUT (FORMAT csv)").format(
            texts, sql.SQL(query)
        )
        spool = Spool(pa.schema([pa.field(n, pa.string()) for n in names]))
        with cursor.copy(copy) as stream:
            for batch in _batches(stream, names):
                spool.append(batch)
    typed = {name: column for name, column in found.items() if column is not None}
    return TextTable(_NAME, names, lambda: iter(spool), {**typed, **declared})


def _column(connection: Any, described: Any) -> Column | None:
    """The column that holds a column of the server; None where its values decide."""
    info = connection.adapters.types.get(described.type_code)
    name = "" if info is None else info.name
    if name == "numeric":
        digits, scale = described.precision, described.scale
        if digits is None or not 0 <= scale <= digits <= DECIMAL_DIGITS:
            return None
        return Column(described.name, decimal(digits, scale))
    if name in _TYPES:
        return Column(described.name, _TYPES[name])
    if name in _TEXTS:
        return Column(described.name, DataType("string"))
    raise UsageError(
        f"column {described.name!r} has a type of the server that no column has here"
        f" ({name or described.type_code})",
        hint="cast it in the query, for instance column::text",
    )


class _Copied(io.RawIOBase):
    """What COPY sends, as a file."""

    def __init__(self, copy: Any) -> None:
        self._copy = copy
        self._rest = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def peek(self) -> bytes:
        """The first bytes, which are still to be read; none for no rows."""
        self._rest = self._rest or bytes(self._copy.read())
        return self._rest

    def read(self, size: int = -1, /) -> bytes:
        """Exactly so many bytes, fewer only at the end."""
        parts, have = [self._rest], len(self._rest)
        while have < size and (found := bytes(self._copy.read())):
            parts.append(found)
            have += len(found)
        whole = b"".join(parts)
        self._rest = whole[size:]
        return whole[:size]


def _batches(copy: Any, names: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    file = _Copied(copy)
    if not file.peek():
        return  # for Arrow a file without a row has no columns
    yield from csv.open_csv(
        pa.PythonFile(file, mode="r"),
        read_options=csv.ReadOptions(
            block_size=_BLOCK_BYTES, column_names=list(names), use_threads=False
        ),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=len(names) != 1),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _refused(error: Any) -> DatasetError:
    """The server's complaint by its code: its text may quote values."""
    code = getattr(error, "sqlstate", None)
    if code is None:
        return DatasetError(
            "the database cannot be reached, or does not let this user in",
            hint="try the same address with psql; a server elsewhere must prove its name by TLS",
        )
    return DatasetError(
        f"the database refuses the query: {type(error).__name__} ({code})",
        hint="the query is one SELECT without a semicolon, and only reads: try it in psql",
    )
