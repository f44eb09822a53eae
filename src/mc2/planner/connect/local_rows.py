"""Rows of the client's own process (`createDataFrame`) as a step that holds them.

They stand in the script and in the plan, before everybody's eyes. So `mc2 connect` takes them only
if whoever started it said so; the review calls them PUBLIC.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any, Final

from mc2.errors import FormatError, PlanError
from mc2.formats.schema import Column, DataType, parse_type
from mc2.plan.relations import VALUES_ROWS
from mc2.planner.connect.frame import Frame, quoted, unique
from mc2.planner.connect.literals import double_sql, text_sql
from mc2.planner.connect.message import Message, unsupported
from mc2.planner.connect.translator import Translator
from mc2.planner.connect.types import sql_type

_REFUSED: Final = (
    "a DataFrame of rows of this process",
    (
        "its rows would stand in the plan, which every party and the coordinator read; seal them "
        "with mc2 upload and read them by name, or start mc2 connect with --public-rows"
    ),
)
_LARGER: Final = "upload a larger one as a dataset: mc2 upload"
_NAMES: Final = {
    "byte": "int8", "short": "int16", "integer": "int32", "long": "int64", "string": "string",
    "float": "float", "double": "double", "boolean": "boolean", "date": "date",
    "timestamp": "timestamp_utc", "timestamp_ntz": "timestamp", "binary": "binary",
}  # fmt: skip
"""Types in the client's JSON of a schema."""


def local_rows(self: Translator, message: Message) -> Frame:
    """A DataFrame of rows that the client holds. Raises: PlanError."""
    if not self.program.public_rows:
        raise unsupported(*_REFUSED)
    raw, declared = message.take("data", ""), message.take("schema", "")
    columns, rows = _read(base64.b64decode(raw), str(declared))
    names = [c.name for c in columns]
    if unique(names) != names:
        raise PlanError("two columns of the rows have one name", hint="rename one")
    if len(rows) > VALUES_ROWS:
        raise PlanError(f"a plan holds at most {VALUES_ROWS} rows of a client", hint=_LARGER)
    return self.program.public(_text(columns, rows))


def too_many(_self: Translator, _message: Message) -> Frame:
    """Rows that the client would send apart, because they are many. Raises: PlanError."""
    what, hint = _REFUSED
    raise unsupported(what, f"{hint}; these are too many for either: {_LARGER}")


def _read(raw: bytes, declared: str) -> tuple[list[Column], list[tuple[Any, ...]]]:
    import pyarrow as pa

    from mc2.formats.arrow import schema_of

    wanted = _declared(declared) if declared else None
    if not raw:  # no rows at all: the schema alone says what they would be
        return [Column(name, parse_type(kind)) for name, kind in wanted or []], []
    try:
        with pa.ipc.open_stream(raw) as stream:
            table = stream.read_all()
        columns = list(schema_of(table.schema).columns)
    except FormatError as error:
        raise PlanError(f"the rows of the client: {error}", hint=error.hint) from None
    except pa.ArrowInvalid:
        raise PlanError("the rows of the client cannot be read") from None
    if wanted is not None and wanted != [(c.name, str(c.type)) for c in columns]:
        raise unsupported("rows in other types than their schema says", "make the values fit it")
    return columns, list(zip(*(c.to_pylist() for c in table.columns), strict=True))


def _declared(text: str) -> list[tuple[str, str]]:
    """Names and types in the client's JSON of a schema. Raises: PlanError."""
    try:
        fields = json.loads(text)["fields"]
        found = [(f["name"], _NAMES.get(f["type"], f["type"])) for f in fields]
        return [(name, str(parse_type(kind))) for name, kind in found]
    except (ValueError, KeyError, TypeError, FormatError):
        raise unsupported(
            "a schema of these types", "name plain columns in a StructType, without lists"
        ) from None


def _text(columns: list[Column], rows: list[tuple[Any, ...]]) -> str:
    items = ", ".join(
        f"{_named(f'col{place}', c.type)} AS {quoted(c.name)}" for place, c in enumerate(columns, 1)
    )
    if not rows:
        nulls = ", ".join(f"CAST(NULL AS {_sql(c.type)}) AS {quoted(c.name)}" for c in columns)
        return f"SELECT * FROM (SELECT {nulls}) WHERE false"
    lines = (
        f"({', '.join(_value(v, c.type) for v, c in zip(row, columns, strict=True))})"
        for row in rows
    )
    return f"SELECT {items} FROM VALUES {', '.join(lines)}"


def _sql(kind: DataType) -> str:
    return sql_type(kind).upper()


def _named(name: str, kind: DataType) -> str:
    return f"CAST({name} AS FLOAT)" if kind.name == "float" else name


def _value(value: Any, kind: DataType) -> str:  # noqa: PLR0911 - one answer for each type
    held = DataType("double") if kind.name == "float" else kind
    if value is None:
        return f"CAST(NULL AS {_sql(held)})"
    match held.name:
        case "boolean":
            return "true" if value else "false"
        case "string":
            return text_sql(value)
        case "double":
            if math.isnan(value) or math.isinf(value):
                raise PlanError("rows of a client hold no NaN and no infinity")
            return double_sql(value)
        case "binary":
            return f"X'{value.hex()}'"
        case "list" | "struct":
            raise unsupported(f"{held} in rows of the client", "make it of plain columns")
        case "timestamp" | "timestamp_utc":
            return f"CAST('{value.replace(tzinfo=None).isoformat(' ')}' AS {_sql(held)})"
        case _:
            text = format(value, "f") if held.name == "decimal" else str(value)
            shown = f"'{text}'" if held.name in {"decimal", "date"} else text
            return f"CAST({shown} AS {_sql(held)})"
