"""Sheets: rows in order, in blocks that tell nothing but how many places there are."""

from __future__ import annotations

import numpy as np
import pytest

from mc2.errors import FormatError
from mc2.operators.planes import SIGNED, Key
from mc2.operators.run import Flag, Run
from mc2.operators.sheets import (
    Sheet,
    cut_sheet,
    joined_sheets,
    merged,
    read_sheet,
    sorted_sheet,
    write_sheet,
)


def words(*values: int):
    return np.array(values, dtype=np.uint64)


def sheet_of(*values: int, places: int = 0, keys: int = 1) -> Sheet:
    same = [Key(words(*(7 for _ in values)), SIGNED)] * (keys - 1)
    found = [*same, Key(words(*values), SIGNED)]
    return sorted_sheet(Run(), found, [words(*(v * 10 for v in values))], places or len(values))


def rows(sheet: Sheet) -> list[tuple[int, int]]:
    flips, planes = Sheet._open(sheet)
    return list(zip(planes[len(flips) - 1].tolist(), planes[-1].tolist(), strict=True))


@pytest.mark.parametrize("keys", [1, 8, 9])
def test_sheets_are_merged_in_order(keys):
    parts = [sheet_of(5, 1, 3, keys=keys), sheet_of(4, 2, keys=keys), sheet_of(9, keys=keys)]
    found = merged(Run(), parts)
    assert rows(found) == [(i, i * 10) for i in (1, 2, 3, 4, 5, 9)]


def test_a_sheet_has_zeros_where_no_row_is():
    assert sorted(rows(sheet_of(3, 1, places=4))) == [(0, 0), (0, 0), (1, 10), (3, 30)]
    with pytest.raises(ValueError, match="no places"):
        sheet_of(1, 2, 3, places=2)


def test_blocks_give_the_sheet_back_and_its_flags():
    run, other = Run(), Run()
    run.add_flags(words(int(Flag.OVERFLOW)))
    sheet = sheet_of(2, 1, 3)
    written = list(write_sheet(run, sheet, [slice(0, 2), slice(0, 0), slice(2, 3)]))
    assert [[n for _, n in part] for part in written] == [[2], [], [1]]
    found = read_sheet(other, [raw for part in written for raw, _ in part])
    assert rows(found) == rows(sheet)
    assert other.flags().tolist() == [int(Flag.OVERFLOW)]


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: b"MC2S" + raw[4:],
        lambda raw: raw[:4] + b"\0\0\0\0" + raw[8:],
        lambda raw: raw[:16] + b"\0\0\0\0" + raw[20:],
        lambda raw: raw[:16] + b"\2\0\0\0" + raw[20:],
        lambda raw: raw[:20] + b"\1\0\0\0" + raw[24:],
        lambda raw: raw[:12],
        lambda _: b"",
    ],
)
def test_a_reader_rejects(change):
    ((raw, _),) = next(write_sheet(Run(), sheet_of(1, 2), [slice(None)]))
    with pytest.raises(FormatError):
        read_sheet(Run(), [change(raw)])


def test_blocks_of_two_kinds_and_none_are_rejected():
    blocks = [next(write_sheet(Run(), sheet_of(1, keys=k), [slice(None)]))[0][0] for k in (1, 2)]
    with pytest.raises(FormatError, match="different keys"):
        read_sheet(Run(), blocks)
    with pytest.raises(FormatError, match="no block"):
        read_sheet(Run(), [])


def test_cut_and_join_are_inverse():
    sheet = sheet_of(*range(1, 8))
    parts = [cut_sheet(sheet, slice(i, i + 2)) for i in range(0, 7, 2)]
    assert rows(joined_sheets(parts)) == rows(sheet)
