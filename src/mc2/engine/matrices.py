"""Rows as XGBoost takes them: features in 32-bit floats, categories by name, labels, weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xgboost

from mc2.errors import EngineError
from mc2.formats.arrow import arrow_schema
from mc2.plan.literals import parse_float
from mc2.plan.models import Edges, Matrix
from mc2.plan.shapes import Feature, MatrixShape
from mc2.plan.types import STRING

_CATEGORY_CODES: Final = 1 << 24  # XGBoost's codes are 32-bit floats, exact up to here

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MatrixData:
    """A matrix: what XGBoost reads, and the rows it was made of, one after the other.

    `categories` are the names that occur in each feature whose categories have names. `origins`
    says of each row from which source it came. `edges` are those that its numbers were cut to.
    """

    rows: pa.Table
    data: Any
    categories: Mapping[str, frozenset[str]]
    origins: npt.NDArray[np.int32]
    edges: tuple[Edges, ...] = ()

    @property
    def is_empty(self) -> bool:
        """XGBoost takes no matrix without rows, so there is no `data` then."""
        return bool(self.rows.num_rows == 0)


def build(shape: MatrixShape, sources: Sequence[pa.Table], threads: int) -> MatrixData:
    """A matrix over the rows of relations. Raises: EngineError."""
    target = arrow_schema(shape.schema)  # one source's column may hold NULL, another's not
    rows = pa.concat_tables([pa.table(s.select(target.names).columns, target) for s in sources])
    counts = [s.num_rows for s in sources]
    origins = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    if rows.num_rows == 0:
        return MatrixData(rows, None, {}, origins)
    groups = None
    if shape.operation.group is not None:
        order, groups = _grouped(rows.column(shape.operation.group), shape.operation.group)
        rows, origins = rows.take(pa.array(order)), origins[order]
    missing = parse_float(shape.operation.missing)
    named = {
        f.name: _names(rows.column(f.name), f)
        for f in shape.features
        if f.categorical and f.type == STRING
    }
    edges = {e.feature: np.array(e.numbers, dtype=np.float32) for e in shape.operation.edges}
    columns = [_feature(rows.column(f.name), f, missing, named, edges) for f in shape.features]
    data = xgboost.DMatrix(
        pa.table(columns, names=[f.name for f in shape.features]),
        feature_names=[f.name for f in shape.features],
        feature_types=[f.kind for f in shape.features],
        enable_categorical=True,
        nthread=threads,
        qid=groups,
        **_information(shape.operation, rows, groups),
    )
    known = {name: frozenset(found) for name, found in named.items()}
    return MatrixData(rows, data, known, origins, shape.operation.edges)


def cut(shape: MatrixShape, data: MatrixData, edges: Sequence[Edges], threads: int) -> MatrixData:
    """The same rows, with values of more features cut to edges. Raises: EngineError."""
    more = tuple(sorted((*shape.operation.edges, *edges), key=lambda e: e.feature))
    operation = replace(shape.operation, edges=more, noisy=())
    found = build(replace(shape, operation=operation), [data.rows], threads)
    return replace(found, origins=data.origins)


def values_of(shape: MatrixShape, data: MatrixData, feature: str) -> Floats:
    """The numbers of a feature as they stand in the rows; NaN is no value."""
    return _numbers(data.rows.column(feature), parse_float(shape.operation.missing))


def _information(
    operation: Matrix, rows: pa.Table, groups: npt.NDArray[np.int64] | None
) -> dict[str, Any]:
    """Labels, weights and the like, by the names that XGBoost has for them."""
    weight = _amounts(rows, operation.weight, "weight")
    if weight is not None and groups is not None:
        weight = _group_weights(weight, groups)
    margins = [_numbers_of(rows, name, "base margin") for name in operation.base_margin]
    labels = [_numbers_of(rows, name, "label") for name in operation.labels]
    found: dict[str, Any] = {
        "label": None if not labels else np.stack(labels, axis=1),
        "weight": weight,
        "label_lower_bound": _amounts(rows, operation.lower_bound, "lower bound"),
        "label_upper_bound": _bounds(rows, operation.upper_bound),
        "base_margin": None if not margins else np.stack(margins, axis=1),
        "feature_weights": None,
    }
    if len(labels) == 1:
        found["label"] = labels[0]
    if len(margins) == 1:
        found["base_margin"] = margins[0]
    if operation.feature_weights:
        weights = [parse_float(w) for w in operation.feature_weights]
        found["feature_weights"] = np.array(weights, dtype=np.float32)
    return found


def _grouped(
    column: pa.ChunkedArray, name: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows in order of their groups, equal ones as they stood, and the number of each's."""
    if column.null_count:
        raise EngineError(f"the group {name!r} is NULL in some row", hint="leave out such rows")
    names = pc.unique(column)
    ranks = np.empty(len(names), dtype=np.int64)
    ranks[np.asarray(pc.array_sort_indices(names))] = np.arange(len(names))
    codes = ranks[np.asarray(pc.index_in(column.combine_chunks(), value_set=names))]
    order = np.argsort(codes, kind="stable")
    return order, codes[order]


def _group_weights(weight: Floats, groups: npt.NDArray[np.int64]) -> Floats:
    """A weight for each group, as XGBoost ranks with. Raises: EngineError if rows differ in it."""
    firsts = np.flatnonzero(np.diff(groups, prepend=-1))
    found = weight[firsts]
    if not np.array_equal(found[groups], weight):
        raise EngineError(
            "the rows of a group have different weights", hint="a ranking weighs whole groups"
        )
    return found


def _bounds(rows: pa.Table, name: str | None) -> Floats | None:
    """A bound of survival times. An upper one that is NULL says that nobody knows: infinite."""
    if name is None:
        return None
    found = _numbers(rows.column(name))
    found[np.asarray(rows.column(name).is_null(), dtype=bool)] = np.inf
    return found


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
    column: pa.ChunkedArray,
    feature: Feature,
    missing: float,
    named: Mapping[str, Sequence[str]],
    edges: Mapping[str, Floats],
) -> pa.Array:
    # XGBoost reads Arrow buffers from their start whatever the array's offset, so each column is
    # made anew.
    if not feature.categorical:
        numbers = _numbers(column, missing)
        if feature.name in edges:
            numbers = _snapped(numbers, edges[feature.name])
        return pa.array(numbers, pa.float32())
    if feature.name in named:
        return _named_categories(column, named[feature.name])
    return pa.array(_codes(column, feature), pa.float32())


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


def _snapped(numbers: Floats, edges: Floats) -> Floats:
    """Each number as the greatest edge not above it; below all edges, something just less."""
    steps = np.concatenate(([np.nextafter(edges[0], np.float32(-np.inf))], edges))
    found = steps[np.searchsorted(edges, numbers, side="right")]
    return np.where(np.isnan(numbers), np.float32(np.nan), found).astype(np.float32)


def _names(column: pa.ChunkedArray, feature: Feature) -> list[str]:
    """The names of categories: all that occur, or all that are declared."""
    found = sorted(pc.unique(column.drop_null()).to_pylist())
    if feature.categories is None:
        return found
    if not set(found) <= set(feature.categories.names):
        raise _undeclared(feature)
    return list(feature.categories.names)


def _undeclared(feature: Feature) -> EngineError:
    return EngineError(
        f"a category in {feature.name!r} is none of those that the plan declares",
        hint="leave such rows out, or declare it: DMatrix(…, categories=)",
    )


def _named_categories(column: pa.ChunkedArray, names: Sequence[str]) -> pa.Array:
    """Text as codes into its sorted distinct values, which XGBoost keeps in the model."""
    # XGBoost takes no dictionary without names, so a column of NULLs gets one that nothing has.
    dictionary = pa.array(names or [""], pa.string())
    codes = pc.index_in(column.combine_chunks(), value_set=dictionary)
    absent = np.asarray(codes.is_null(), dtype=bool)
    indices = np.array(codes.fill_null(0), dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=absent), dictionary)


def _codes(column: pa.ChunkedArray, feature: Feature) -> Floats:
    values, name = column.drop_null(), feature.name
    if len(values):
        low, high = pc.min_max(values).values()
        if feature.categories is not None and not 0 <= low.as_py() <= high.as_py() < (
            feature.categories.count
        ):
            raise _undeclared(feature)
        if low.as_py() < 0 or high.as_py() >= _CATEGORY_CODES:
            raise EngineError(
                f"the categories in {name!r} are integers outside 0 to {_CATEGORY_CODES - 1}",
                hint="cast the column to text, so that categories have names",
            )
    return _numbers(column)


def _amounts(rows: pa.Table, name: str | None, what: str) -> Floats | None:
    return None if name is None else _numbers_of(rows, name, what)


def _numbers_of(rows: pa.Table, name: str, what: str) -> Floats:
    column = rows.column(name)
    if column.null_count:
        raise EngineError(
            f"the {what} {name!r} is NULL in some row", hint=f"leave out rows without a {what}"
        )
    return _numbers(column)
