"""Columns of few different texts as codes: each text stands once, and rows have its number.

That is Arrow's dictionary encoding, for texts of compressed rows alone. It saves a codec and an
engine most of what such columns cost. Rows that are not compressed stay as they are: their size
must not tell how many texts there are. Spec: docs/spec/dataset.md, section "Rows".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from mc2.errors import FormatError

MOST_TEXTS: Final = 1 << 15
"""So many different texts have codes of 16 bits."""

_FEWEST_ROWS: Final = 1024
"""What a dictionary's own message takes is saved by as many rows."""
_SAMPLE_ROWS: Final = 4096
_MOST_OF_SAMPLE: Final = 1024
_ROWS_A_TEXT: Final = 8
_TYPES: Final = (pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int16(), pa.string()))


def coded(array: pa.Array) -> pa.Array:
    """A column as it travels: by codes if it is of few different texts, else as it is.

    Few are one for eight rows; what the first rows show decides whether to look at all of them.
    """
    rows = len(array)
    if array.type != pa.string() or rows < _FEWEST_ROWS:
        return array
    sample = array.slice(0, _SAMPLE_ROWS)
    if pc.count_distinct(sample).as_py() > _MOST_OF_SAMPLE:
        return array
    found = array.dictionary_encode()
    texts = len(found.dictionary)
    if texts > min(MOST_TEXTS, rows // _ROWS_A_TEXT):
        return array
    width = pa.int8() if texts <= 1 << 7 else pa.int16()
    return pa.DictionaryArray.from_arrays(found.indices.cast(width), found.dictionary)


def may_be_coded(kind: pa.DataType) -> bool:
    """Whether columns of a type may travel by codes."""
    return bool(kind == pa.string())


def is_coded(kind: pa.DataType) -> bool:
    """Whether this is one of the types in which coded texts travel."""
    return kind in _TYPES


def check_codes(array: pa.DictionaryArray) -> None:
    """Check what Arrow leaves open in a validated column of codes. Raises: FormatError."""
    texts = array.dictionary
    if texts.null_count or len(texts) > MOST_TEXTS:
        raise FormatError("the texts of a column are too many, or one of them is NULL")
    if pc.count_distinct(texts).as_py() != len(texts):
        raise FormatError("a column has two codes for one text")


def spelled_bytes(columns: Sequence[pa.DictionaryArray], most: int) -> int:
    """How many bytes columns take when texts stand row by row; a bound, if that is below `most`.

    Without this check a few bytes could stand for terabytes.
    """
    bound = sum(len(c) * (pc.max(pc.binary_length(c.dictionary)).as_py() or 0) for c in columns)
    if bound <= most:
        return bound
    return sum(_spelled_bytes(c) for c in columns)


def _spelled_bytes(array: pa.DictionaryArray) -> int:
    lengths = pc.binary_length(array.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(array.indices)).as_py() or 0)


def spelled_out(array: pa.DictionaryArray) -> pa.Array:
    """The texts themselves, row by row."""
    return array.dictionary.take(array.indices)
