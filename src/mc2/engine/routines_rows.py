"""Routines that compute row by row in Python: for what DuckDB lacks or means otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from mc2.engine.routines import Routine
from mc2.engine.sql_types import engine_arrow_type, sql_type
from mc2.formats.schema import DataType, parse_type


def _of_arity(count: int, run: Callable[..., pa.Array]) -> Callable[..., pa.Array]:
    """DuckDB counts the parameters of a function, and takes none with any number of them."""

    def one(a: pa.Array) -> pa.Array:
        return run(a)

    def two(a: pa.Array, b: pa.Array) -> pa.Array:
        return run(a, b)

    def three(a: pa.Array, b: pa.Array, c: pa.Array) -> pa.Array:
        return run(a, b, c)

    def four(a: pa.Array, b: pa.Array, c: pa.Array, d: pa.Array) -> pa.Array:
        return run(a, b, c, d)

    return (one, two, three, four)[count - 1]


def row_by_row(
    name: str, parameters: str | tuple[DataType, ...], result: str | DataType,
    compute: Callable[..., Any], *, strict: bool = True,
) -> Routine:  # fmt: skip
    """A routine from a function of single values; if `strict`, NULL gives NULL.

    Types are those of plans; `parameters` may be text such as `string int32`.
    """
    kinds = (
        tuple(map(parse_type, parameters.split())) if isinstance(parameters, str) else parameters
    )
    given = parse_type(result) if isinstance(result, str) else result

    def run(*columns: pa.Array) -> pa.Array:
        rows = zip(*(c.to_pylist() for c in columns), strict=True)
        found = [None if strict and None in row else compute(*row) for row in rows]
        return pa.array(found, engine_arrow_type(given))

    fixed = _of_arity(len(kinds), run)
    return Routine(f"mc2_{name}", tuple(map(sql_type, kinds)), sql_type(given), fixed)


def type_name(kind: DataType) -> str:
    """A type as part of a routine's name."""
    return "".join(c if c.isalnum() else "_" for c in str(kind))
