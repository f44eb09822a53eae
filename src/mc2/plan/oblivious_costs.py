"""What oblivious operators cost, by public sizes: to compare plans, in nanoseconds of one thread.

The shapes of these functions follow from the algorithms, their constants were measured on kernels
with AVX2. All are whole numbers, so that everybody finds the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mc2.formats.schema import Column
from mc2.plan.facts import Facts
from mc2.plan.types import INTEGER_BITS

FEW_ROWS: Final = 64
"""Rows of a unique side that all others are compared with; `mc2.operators.joining` has it too."""

_WORD: Final = 64
_MARKS: Final = 3  # bits beside the columns
_MOST_WORDS: Final = 1 << 20
_FEW_WORDS: Final = 16
_WIDE_DIGITS: Final = 18
_BITS: Final = {**INTEGER_BITS, "boolean": 1, "date": 32}
_MERGED: Final = 3


@dataclass(frozen=True, slots=True)
class Side:
    """Rows of one side of a join: how many at most, of how many bits, and whether in its order.

    `decoding` is what it costs to make texts of the codes of a row that was moved.
    """

    rows: int
    bits: int
    ascends: bool = False
    decoding: int = 0

    @property
    def words(self) -> int:
        """How many words a row takes."""
        return min(_MOST_WORDS, max(1, -(-(self.bits + _MARKS) // _WORD)))


def bits_of(column: Column, facts: Facts) -> int:
    """How many bits a column takes where rows are packed, as far as facts tell."""
    kind = column.type
    ends = (facts.ranges or {}).get(column.name)
    if ends is not None:
        bits = max(1, (ends[1] - ends[0]).bit_length())
    elif kind.has_width:
        size = max(1, facts.width(column.name))
        bits = (8 if kind.element is None else _WORD) * size + size.bit_length()
    elif kind.name == "decimal":
        wide = kind.precision > _WIDE_DIGITS
        bits = 2 * _WORD if wide else (2 * 10**kind.precision).bit_length()
    else:
        bits = _BITS.get(kind.name, _WORD)
    return bits + column.nullable


def decoding_of(values: int, most_bytes: int) -> int:
    """What it costs to make one text of its code, where so many values are declared."""
    words = -(-most_bytes // 8) + 1
    return 4 + words + values * (4 + words) // 32


def sort_cost(rows: int, words: int) -> int:
    """A sort: (log n)² / 4 comparisons a row."""
    return rows * words * _log(rows) ** 2 // 32


def merge_cost(rows: int, words: int) -> int:
    """A merge of two runs: log n / 2 comparisons a row."""
    return rows * words * _log(rows) // 6


def look_up_cost(left: Side, right: Side) -> int:
    """The rows of the left side with a partner each, by sorting or merging both together."""
    rows, words = left.rows + right.rows, max(left.words, right.words)
    loose = [s.rows for s in (left, right) if not s.ascends]
    if sum(loose) * _MERGED > rows * (_MERGED - 1):
        cost = sort_cost(rows, words)
    else:
        cost = sum(sort_cost(n, words) for n in loose) + merge_cost(rows, words)
    moved = left.words + right.words
    decoded = left.rows * (left.decoding + right.decoding)
    return cost + compact_cost(rows, moved) + 6 * rows * moved + decoded


def compact_cost(rows: int, words: int) -> int:
    """Bringing the rows that are there to the front: log n steps a row."""
    return rows * words * _log(rows) // 6


def is_few(left: Side, right: Side, key_bits: int) -> bool:
    """Whether each left row is compared with all right rows."""
    small = right.rows <= FEW_ROWS and left.rows >= right.rows
    return small and 0 < key_bits <= _WORD and right.words <= _FEW_WORDS


def few_cost(left: Side, right: Side) -> int:
    """Comparing each left row with all right rows."""
    return left.rows * (4 + right.rows * (4 + right.words) // 32 + right.decoding)


def match_cost(left: Side, right: Side, pairs: int) -> int:
    """Many rows with many, up to so many pairs: rows are repeated, and one side is sorted anew."""
    rows, words = left.rows + right.rows, max(left.words, right.words)
    repeated = compact_cost(max(rows, pairs), left.words + right.words)
    cost = sort_cost(rows, words) + 2 * repeated + sort_cost(pairs, right.words)
    return cost + pairs * (6 * (left.words + right.words) + left.decoding + right.decoding)


def _log(rows: int) -> int:
    """The logarithm of what sorting networks are laid out for."""
    return max(1, rows - 1).bit_length()
