"""LibSVM files: `label index:value index:value …`, one row a line, as dense columns.

Columns are `label`, perhaps `qid`, and `f0`, `f1`, … up to the largest index; what a line leaves
out is NULL, which XGBoost takes for missing. Spec: docs/spec/schema.md, section "LibSVM".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from mc2.client.sources.source import FileStamp, unchanged
from mc2.client.sources.typed import TypedSource
from mc2.errors import DatasetError
from mc2.formats.limits import LIMITS
from mc2.formats.schema import Column

_STEP_ROWS: Final = 1 << 13
_NUMBER: Final = rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_LINE: Final = re.compile(
    rb"(?P<label>" + _NUMBER + rb")(?P<qid> qid:[0-9]{1,18})?(?P<cells>(?: [0-9]{1,9}:"
    + _NUMBER + rb")*) *"
)  # fmt: skip
_Row = tuple[float, int | None, list[int], list[float]]


def from_libsvm(path: Path, declared: Mapping[str, Column]) -> TypedSource:
    """A LibSVM file, perhaps compressed. Raises: UsageError, DatasetError."""
    stamp = FileStamp.of(path)
    with unchanged(path, stamp):
        width, ranked = _survey(path)
    names = ["label", *(["qid"] if ranked else []), *(f"f{i}" for i in range(width))]
    kinds = [pa.float64(), *([pa.int64()] if ranked else []), *[pa.float64()] * width]
    schema = pa.schema(list(zip(names, kinds, strict=True)))

    def read(_: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with unchanged(path, stamp):
            rows: list[_Row] = []
            for row in _rows(path):
                rows.append(row)
                if len(rows) == _STEP_ROWS:
                    yield _batch(rows, schema, width, ranked=ranked)
                    rows = []
            if rows:
                yield _batch(rows, schema, width, ranked=ranked)

    return TypedSource(path.name, schema, read, declared)


def _survey(path: Path) -> tuple[int, bool]:
    """How many features there are, and whether rows belong to queries. Raises: DatasetError."""
    width, qids, count = 0, 0, 0
    for _, qid, indices, _ in _rows(path):
        width = max(width, indices[-1] + 1 if indices else 0)
        qids += qid is not None
        count += 1
    if not count or qids not in {0, count}:
        problem = "has a qid in some lines only" if count else "is empty"
        raise DatasetError(f"{path.name} {problem}", hint="write `label qid:1 0:0.5 …` everywhere")
    if width + 2 > LIMITS.columns:
        raise DatasetError(
            f"{path.name} has features beyond number {LIMITS.columns - 3}",
            hint="a table has a column for each feature: renumber them, or leave some out",
        )
    return width, qids > 0


def _rows(path: Path) -> Iterator[_Row]:
    with pa.input_stream(str(path), compression="detect") as file:
        for number, line in enumerate(_lines(file), 1):
            text = line.partition(b"#")[0].rstrip(b"\r\n\t ").replace(b"\t", b" ")
            if text:
                yield _row(path.name, number, text)


def _lines(file: pa.NativeFile) -> Iterator[bytes]:
    rest = b""
    while found := file.read(1 << 20):
        *whole, rest = (rest + found).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _row(name: str, number: int, text: bytes) -> _Row:
    found = _LINE.fullmatch(text)
    if found is None:
        raise DatasetError(
            f"{name}: line {number} is not `label index:value …`",
            hint="single spaces, indices without sign, plain decimal numbers",
        )
    cells = [cell.split(b":") for cell in found["cells"].split()]
    indices = [int(index) for index, _ in cells]
    if any(a >= b for a, b in pairwise(indices)):
        raise DatasetError(
            f"{name}: the indices in line {number} do not rise", hint="sort them, each once"
        )
    qid = None if found["qid"] is None else int(found["qid"][5:])
    label, values = float(found["label"]), [float(value) for _, value in cells]
    if not all(map(isfinite, (label, *values))):
        raise DatasetError(f"{name}: a number in line {number} is too large for a double")
    return label, qid, indices, values


def _batch(rows: list[_Row], schema: pa.Schema, width: int, *, ranked: bool) -> pa.RecordBatch:
    dense = np.zeros((width, len(rows)))
    absent = np.ones((width, len(rows)), dtype=bool)
    for place, (_, _, indices, values) in enumerate(rows):
        dense[indices, place] = values
        absent[indices, place] = False
    columns = [pa.array([label for label, *_ in rows], pa.float64())]
    if ranked:
        columns.append(pa.array([qid for _, qid, *_ in rows], pa.int64()))
    columns += [pa.array(v, mask=m) for v, m in zip(dense, absent, strict=True)]
    return pa.record_batch(columns, schema=schema)
