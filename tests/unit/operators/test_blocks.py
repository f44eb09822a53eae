"""Secret tables through blocks: the same rows and flags; sizes of shapes alone, checked strictly."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.operators.test_relations import LAYOUTS, rows_of, table_of, tables

from mc2.errors import EngineError, FormatError
from mc2.operators import blocks
from mc2.operators.handles import SecretMarks
from mc2.operators.planes import layouts_of
from mc2.operators.run import Flag, Run

COLUMNS = {name: layout for name, (layout, _) in LAYOUTS.items()}
ROW = (1, b"abc", -0.0, 10**29)


def plains_of(table, run=None) -> Sequence[bytes]:
    return [plain for plain, _ in blocks.write_blocks(run or Run(), table)]


def spelled(rows):
    """Rows so that NaN is NaN, and -0 is not +0."""
    return [tuple(map(repr, row)) for row in rows]


@given(tables(), tables())
def test_blocks_of_tasks_are_read_as_one_table(first, second):
    plains = [*plains_of(first[0]), *plains_of(second[0])]
    found = blocks.read_blocks(Run(), COLUMNS, plains)
    assert layouts_of(found) == COLUMNS
    assert spelled(rows_of(found)) == spelled([*rows_of(first[0]), *rows_of(second[0])])


@given(st.integers(0, 9), st.data())
def test_sizes_follow_from_how_many_places_there_are(count, data):
    present = data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    rows = data.draw(st.lists(st.sampled_from([ROW, (None,) * 4]), min_size=count, max_size=count))
    drawn = list(blocks.write_blocks(Run(), table_of(COLUMNS, rows, present)))
    plain = list(blocks.write_blocks(Run(), table_of(COLUMNS, [ROW] * count, [1] * count)))
    assert [(len(p), places) for p, places in drawn] == [(len(p), places) for p, places in plain]


def test_a_table_without_places_has_one_block_with_one():
    ((plain, places),) = blocks.write_blocks(Run(), table_of(COLUMNS, [], []))
    assert places == 1
    found = blocks.read_blocks(Run(), COLUMNS, [plain])
    assert found.rows == 1
    assert rows_of(found) == []


def test_large_tables_are_several_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "_MOST_PLACES", 3)
    table = table_of(COLUMNS, [(n, *ROW[1:]) for n in range(8)], [1] * 8)
    found = list(blocks.write_blocks(Run(), table))
    assert [places for _, places in found] == [3, 3, 2]
    again = blocks.read_blocks(Run(), COLUMNS, [plain for plain, _ in found])
    assert rows_of(again) == rows_of(table)


def test_wide_rows_make_smaller_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "_MOST_BYTES", 100)  # of eight words a row
    found = list(blocks.write_blocks(Run(), table_of(COLUMNS, [ROW] * 3, [1] * 3)))
    assert [places for _, places in found] == [1, 1, 1]


def test_flags_go_with_every_block_and_raise_where_the_run_ends(monkeypatch):
    monkeypatch.setattr(blocks, "_MOST_PLACES", 1)
    writer = Run()
    writer.raise_where(SecretMarks(np.ones(1, dtype=np.uint8)), Flag.OVERFLOW)
    plains = plains_of(table_of(COLUMNS, [ROW] * 2, [1, 1]), writer)
    for plain in plains:
        reader = Run()
        blocks.read_blocks(reader, COLUMNS, [plain])
        assert reader.declassified == []
        with pytest.raises(EngineError, match="does not fit its type"):
            reader.finish()


def test_flags_of_two_tasks_are_joined():
    plains = []
    for flag in (Flag.OVERFLOW, Flag.DUPLICATE_KEY):
        run = Run()
        run.raise_where(SecretMarks(np.ones(1, dtype=np.uint8)), flag)
        plains += plains_of(table_of(COLUMNS, [ROW], [1]), run)
    reader = Run()
    blocks.read_blocks(reader, COLUMNS, plains)
    with pytest.raises(EngineError, match="does not fit its type; a key that was declared unique"):
        reader.finish()


PLAIN = plains_of(table_of(COLUMNS, [ROW] * 3, [1, 0, 1]))[0]


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        PLAIN[:16],
        PLAIN[:-1],
        PLAIN[:-8],
        PLAIN + b"\0",
        PLAIN + bytes(8),
        b"MC2C" + PLAIN[4:],
        PLAIN[:4] + (2).to_bytes(4, "little") + PLAIN[8:],
        PLAIN[:4] + (4).to_bytes(4, "little") + PLAIN[8:],
        PLAIN[:4] + bytes(4) + PLAIN[8:16],
    ],
    ids=[
        "nothing", "no-words", "a-byte-less", "a-word-less", "a-byte-more", "a-word-more",
        "other-magic", "fewer-places", "more-places", "no-places",
    ],
)  # fmt: skip
def test_another_length_or_magic_is_refused(plain):
    for plains in ([plain], [PLAIN, plain], [plain, PLAIN]):
        with pytest.raises(FormatError, match="not as long as its columns and places say"):
            blocks.read_blocks(Run(), COLUMNS, plains)


@pytest.mark.parametrize("names", ["itr", "itrwi", ""], ids=["fewer", "more", "none"])
def test_a_block_of_other_columns_is_refused(names):
    columns = {f"{name}{place}": COLUMNS[name] for place, name in enumerate(names)}
    with pytest.raises(FormatError, match="not as long"):
        blocks.read_blocks(Run(), columns, [PLAIN])


def test_an_exchange_without_a_block_is_refused():
    with pytest.raises(FormatError, match="no block"):
        blocks.read_blocks(Run(), COLUMNS, [])
