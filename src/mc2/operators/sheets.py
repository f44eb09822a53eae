"""Sheets: rows in order of their keys, which tasks hand each other to sort all that they have.

A sheet keeps the words of its keys beside those of its rows, so that sheets are merged without
another look at what the rows are. Rows that are not there, and places without any, come where their
zeros put them. As plaintexts of blocks::

    0   4  magic "MC2T"
    4   4  places, unsigned, little-endian: public
    8   8  the flags of everything that the task computed: secret; then the run's bits, if any
    16  4  keys, 4 planes, both public; then for each key how its words are compared, 8 bytes
           planes: those of the keys, then all others
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from mc2 import _native
from mc2.errors import FormatError
from mc2.operators.handles import (
    Layout,
    Marks,
    Opaque,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    marks_of,
    words_of,
)
from mc2.operators.lining import sides
from mc2.operators.logic import complement, conjunction
from mc2.operators.planes import SIGNED, Key, flatten, plane_count, rebuild, sort_planes
from mc2.operators.run import Flag, Run
from mc2.plan.types import INT64

MAGIC: Final = b"MC2T"
_FLAGS_AT: Final = 8
_MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_PLACES: Final = 131_072
_NETWORK_KEYS: Final = 8  # with more, rows are sorted in several passes

_AFTER: Final = 2


class Sheet(Opaque):
    """Rows in order. How many places, how many words and how they compare is public."""

    __slots__ = ("__flips", "__planes")

    def __init__(self, flips: Sequence[int], planes: Sequence[Words]) -> None:
        self.__flips = tuple(flips)
        self.__planes = tuple(planes)

    @property
    def rows(self) -> int:
        """How many places: public."""
        return len(self.__planes[0])

    @staticmethod
    def _open(sheet: Sheet) -> tuple[tuple[int, ...], tuple[Words, ...]]:
        return sheet.__flips, sheet.__planes


def _opened(sheet: Sheet) -> tuple[tuple[int, ...], tuple[Words, ...]]:
    return Sheet._open(sheet)  # noqa: SLF001 - the one place that opens sheets


def sorted_sheet(run: Run, keys: Sequence[Key], planes: Sequence[Words], places: int) -> Sheet:
    """Rows in order of their keys, and after them zeros, as rows are that are not there."""
    rows = len(planes[0])
    if rows > places:
        raise ValueError("a sheet has no places for its rows")
    more = np.zeros(places - rows, dtype=np.uint64)
    padded = [Key(np.concatenate([k.words, more]), k.flip) for k in keys]
    found = sort_planes(run, padded, [np.concatenate([p, more]) for p in planes])
    return Sheet([k.flip for k in keys], [*found[0], *found[1]])


def table_sheet(run: Run, table: SecretTable, keys: Sequence[Key], places: int) -> Sheet:
    """The rows of a table in order of their keys."""
    return sorted_sheet(run, keys, flatten(run, table), places)


def plain_sheet(run: Run, table: SecretTable) -> Sheet:
    """The places of a table as they are, which nobody merges with others."""
    return Sheet([SIGNED], [np.zeros(table.rows, dtype=np.uint64), *flatten(run, table)])


def merged(run: Run, sheets: Sequence[Sheet]) -> Sheet:
    """All rows of some sheets in order: neighbours together, until there is one."""
    while len(sheets) > 1:
        pairs = [sheets[i : i + 2] for i in range(0, len(sheets), 2)]
        sheets = [_merged(run, *pair) if len(pair) > 1 else pair[0] for pair in pairs]
    return sheets[0]


def _merged(run: Run, one: Sheet, other: Sheet) -> Sheet:
    flips, planes = _opened(joined_sheets([one, other]))
    if len(flips) <= _NETWORK_KEYS:
        run.call(_native.merge, list(planes), list(flips), one.rows)
        return Sheet(flips, planes)
    keys = [Key(words, flip) for words, flip in zip(planes, flips, strict=False)]
    found = sort_planes(run, keys, planes[len(flips) :])
    return Sheet(flips, [*found[0], *found[1]])


def joined_sheets(sheets: Sequence[Sheet]) -> Sheet:
    """One sheet after the other."""
    flips, first = _opened(sheets[0])
    every = [_opened(s)[1] for s in sheets]
    return Sheet(flips, [np.concatenate([e[i] for e in every]) for i in range(len(first))])


def cut_sheet(sheet: Sheet, places: slice) -> Sheet:
    """Some places of a sheet: public ones."""
    flips, planes = _opened(sheet)
    return Sheet(flips, [p[places].copy() for p in planes])


def key_words(sheet: Sheet) -> list[Words]:
    """The words of a sheet's keys, in the order in which they count."""
    flips, planes = _opened(sheet)
    return list(planes[: len(flips)])


def table_of(
    run: Run, sheet: Sheet, layouts: Mapping[str, Layout], keep: Marks | None = None
) -> SecretTable:
    """The rows of a sheet; of `keep`, only those with 1 are there."""
    flips, planes = _opened(sheet)
    rest = planes[len(flips) :]
    return rebuild(run, layouts, rest[: plane_count(layouts)], keep)


def refuse_equal(run: Run, sheet: Sheet, layouts: Mapping[str, Layout]) -> None:
    """Raise a flag if two rows that are there, one after the other, have the same keys."""
    flips, planes = _opened(sheet)
    starts = np.empty(sheet.rows, dtype=np.uint8)
    run.call(_native.starts, list(planes[: len(flips)]), starts)
    there = marks_of(table_of(run, sheet, layouts).present)
    equal = conjunction(run, there, complement(run, starts))
    run.raise_where(SecretMarks(equal), Flag.DUPLICATE_KEY)


# --- what belongs to a task's rows


def edge_marks(rows: int, before: int, after: int) -> SecretColumn:
    """0 at so many places of the task before, 2 at those of the task after, 1 at all others."""
    words = np.ones((rows, 1), dtype=np.uint64)
    words[:before] = 0
    words[rows - after :] = _AFTER
    return SecretColumn(Layout(INT64), words, np.ones(rows, dtype=np.uint8))


def of_own(run: Run, groups: SecretTable, first: str) -> SecretTable:
    """The groups that start at a task's own rows; `first` is the least of `edge_marks` in each."""
    own = np.empty(groups.rows, dtype=np.uint8)
    run.call(_native.equal_rows, words_of(groups.columns[first]), np.ones((1, 1), np.uint64), own)
    columns = {n: c for n, c in groups.columns.items() if n != first}
    present = conjunction(run, marks_of(groups.present), own)
    return SecretTable(columns, SecretMarks(present))


def both_sides(
    run: Run, sheet: Sheet, left: Mapping[str, Layout], right: Mapping[str, Layout]
) -> tuple[SecretTable, SecretTable]:
    """The rows of two tables that `line_up` put together; of the right ones those that match."""
    flips, planes = _opened(sheet)
    is_left, rights = sides(run, planes[len(flips) - 1])
    return table_of(run, sheet, left, is_left), table_of(run, sheet, right, rights)


def last_right(run: Run, sheet: Sheet, layouts: Mapping[str, Layout]) -> Sheet:
    """The last right row that can match, of rows that `line_up` put together, in one place."""
    flips, planes = _opened(sheet)
    _, rights = sides(run, planes[len(flips) - 1])
    starts, seen = np.zeros(sheet.rows, dtype=np.uint8), np.empty(sheet.rows, dtype=np.uint8)
    starts[:1] = 1
    found = []
    for plane in planes[len(flips) :][: plane_count(layouts)]:
        out = np.empty_like(plane)
        run.call(_native.fill_forward, starts, rights, plane, out, seen)
        found.append(out[-1:].copy())
    return plain_sheet(run, rebuild(run, layouts, found, seen[-1:].copy()))


# --- blocks


def write_sheet(
    run: Run, sheet: Sheet, parts: Sequence[slice]
) -> Iterator[list[tuple[bytes, int]]]:
    """The plaintexts of each part of a sheet, and how many places each has; none for no places.

    All that the run computes must be done: the flags of now stand in each.
    """
    for places in parts:
        yield list(_written(run, cut_sheet(sheet, places)))


def _written(run: Run, sheet: Sheet) -> Iterator[tuple[bytes, int]]:
    flips, planes = _opened(sheet)
    size = max(1, min(_MOST_PLACES, _MOST_BYTES // (8 * len(planes))))
    shape = len(flips).to_bytes(4, "little") + len(planes).to_bytes(4, "little")
    for start in range(0, sheet.rows, size):
        rows = min(size, sheet.rows - start)
        words = [plane[start : start + rows].astype("<u8").tobytes() for plane in planes]
        flags = run.flags().astype("<u8").tobytes()
        how = b"".join(flip.to_bytes(8, "little") for flip in flips)
        head = MAGIC + rows.to_bytes(4, "little") + flags + shape + how
        yield head + b"".join(words), rows


def read_sheet(run: Run, plains: Sequence[bytes]) -> Sheet:
    """All places of some blocks, in their order; what their tasks flagged is flagged here.

    Raises: FormatError if a block is not as long as it says, or of another kind than the first.
    """
    found = [_read(run, plain) for plain in plains]
    if not found:
        raise FormatError("a task handed on no block")
    shapes = {(s[0], len(s[1])) for s in map(_opened, found)}
    if len(shapes) > 1:
        raise FormatError("blocks of one exchange have different keys")
    return joined_sheets(found)


def _read(run: Run, plain: bytes) -> Sheet:
    kept = len(run.flags())
    shape = _FLAGS_AT + 8 * kept
    rows, count, width = (int.from_bytes(plain[i : i + 4], "little") for i in (4, shape, shape + 4))
    start = shape + 8 + 8 * count
    size = start + 8 * rows * width
    if plain[:4] != MAGIC or not rows or not 1 <= count < width or len(plain) != size:
        raise FormatError("a block is not as long as its keys, planes and places say")
    run.add_flags(np.frombuffer(plain, "<u8", kept, _FLAGS_AT).astype(np.uint64))
    flips = np.frombuffer(plain, "<u8", count=count, offset=shape + 8).tolist()
    words = np.frombuffer(plain, "<u8", offset=start).astype(np.uint64).reshape(width, rows)
    return Sheet(flips, list(words))
