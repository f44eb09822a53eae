"""Rows as XGBoost takes them: features in 32-bit floats, categories by name, labels, weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xgboost

from mc2.errors import EngineError
from mc2.formats.arrow import arrow_schema
from mc2.plan.literals import parse_float
from mc2.plan.shapes import Feature, MatrixShape
from mc2.plan.types import STRING

_CATEGORY_CODES: Final = 1 << 24  # XGBoost's codes are 32-bit floats, exact up to here

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MatrixData:
    """A matrix: what XGBoost reads, and the rows it was made of, one after the other.

    `categories` are the names that occur in each feature whose categories have names.
    """

    rows: pa.Table
    data: Any
    categories: Mapping[str, frozenset[str]]

    @property
    def is_empty(self) -> bool:
        """XGBoost takes no matrix without rows, so there is no `data` then."""
        return bool(self.rows.num_rows == 0)


def build(shape: MatrixShape, sources: Sequence[pa.Table], threads: int) -> MatrixData:
    """A matrix over the rows of relations. Raises: EngineError."""
    target = arrow_schema(shape.schema)  # one source's column may hold NULL, another's not
    rows = pa.concat_tables([pa.table(s.select(target.names).columns, target) for s in sources])
    if rows.num_rows == 0:
        return MatrixData(rows, None, {})
    missing = parse_float(shape.operation.missing)
    named = {
        f.name: _names(rows.column(f.name))
        for f in shape.features
        if f.categorical and f.type == STRING
    }
    columns = [_feature(rows.column(f.name), f, missing, named) for f in shape.features]
    data = xgboost.DMatrix(
        pa.table(columns, names=[f.name for f in shape.features]),
        label=_amounts(rows, shape.operation.label, "label"),
        weight=_amounts(rows, shape.operation.weight, "weight"),
        feature_names=[f.name for f in shape.features],
        feature_types=[f.kind for f in shape.features],
        enable_categorical=True,
        nthread=threads,
    )
    return MatrixData(rows, data, {name: frozenset(found) for name, found in named.items()})


def check_categories(data: MatrixData, known: Mapping[str, frozenset[str]]) -> None:
    """Refuse a category that no row had on which the model was trained.

    XGBoost notices some of them and takes others for the next known name, in silence.

    Raises: EngineError.
    """
    for name, found in data.categories.items():
        if not found <= known[name]:
            raise EngineError(
                f"a category in {name!r} does not occur in the rows that the model was trained on",
                hint="leave such rows out, or turn rare categories into one",
            )


def _feature(
    column: pa.ChunkedArray, feature: Feature, missing: float, named: Mapping[str, Sequence[str]]
) -> pa.Array:
    # XGBoost reads Arrow buffers from their start whatever the array's offset, so each column is
    # made anew.
    if not feature.categorical:
        return pa.array(_numbers(column, missing), pa.float32())
    if feature.name in named:
        return _named_categories(column, named[feature.name])
    return pa.array(_codes(column, feature.name), pa.float32())


def _numbers(column: pa.ChunkedArray, missing: float = float("nan")) -> Floats:
    """The numbers of a column; NULL and `missing` are NaN, which is how XGBoost says absent."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    absent = np.asarray(column.is_null(), dtype=bool)
    filled = column.fill_null(0) if column.null_count else column
    with np.errstate(over="ignore"):  # XGBoost itself refuses infinities
        numbers = np.array(filled.to_numpy(), dtype=np.float32)
    with np.errstate(over="ignore"):
        numbers[absent | (numbers == np.float32(missing))] = np.nan
    return numbers


def _names(column: pa.ChunkedArray) -> list[str]:
    return sorted(pc.unique(column.drop_null()).to_pylist())


def _named_categories(column: pa.ChunkedArray, names: Sequence[str]) -> pa.Array:
    """Text as codes into its sorted distinct values, which XGBoost keeps in the model."""
    # XGBoost takes no dictionary without names, so a column of NULLs gets one that nothing has.
    dictionary = pa.array(names or [""], pa.string())
    codes = pc.index_in(column.combine_chunks(), value_set=dictionary)
    absent = np.asarray(codes.is_null(), dtype=bool)
    indices = np.array(codes.fill_null(0), dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=absent), dictionary)


def _codes(column: pa.ChunkedArray, name: str) -> Floats:
    values = column.drop_null()
    if len(values):
        low, high = pc.min_max(values).values()
        if low.as_py() < 0 or high.as_py() >= _CATEGORY_CODES:
            raise EngineError(
                f"the categories in {name!r} are integers outside 0 to {_CATEGORY_CODES - 1}",
                hint="cast the column to text, so that categories have names",
            )
    return _numbers(column)


def _amounts(rows: pa.Table, name: str | None, what: str) -> Floats | None:
    if name is None:
        return None
    column = rows.column(name)
    if column.null_count:
        raise EngineError(
            f"the {what} {name!r} is NULL in some row", hint=f"leave out rows without a {what}"
        )
    return _numbers(column)
