"""Secret tables as the plaintexts of blocks, which one task hands on to another. And back.

::

    0   4  magic "MC2S"
    4   4  places, unsigned, little-endian: public
    8   8  the flags of everything that the task computed: secret
    16     the run's bits, if it keeps any, 8 bytes for each 64: as many as all its tasks keep
           planes: for each column each of its words, then bits for what is there and not NULL

Every word has a place of its own, whatever rows there are: how many places, and so the size of a
block, follow from public shapes. A block is opened only as its task sealed it, so nothing is
checked here but its size. Spec: docs/spec/block.md, section "Oblivious mode".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from mc2.errors import FormatError
from mc2.operators.handles import (
    Layout,
    SecretColumn,
    SecretMarks,
    SecretTable,
)
from mc2.operators.planes import flatten, layouts_of, plane_count, rebuild
from mc2.operators.run import Run

MAGIC: Final = b"MC2S"
_FLAGS_AT: Final = 8
_MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_PLACES: Final = 131_072


def write_blocks(run: Run, table: SecretTable) -> Iterator[tuple[bytes, int]]:
    """The plaintexts of a table and how many places each has: at least one, of one place.

    All that the run computes must be done: the flags of now stand in each.
    """
    table = _not_empty(table)
    planes = flatten(run, table)
    size = max(1, min(_MOST_PLACES, _MOST_BYTES // (8 * len(planes))))
    for start in range(0, table.rows, size):
        rows = min(size, table.rows - start)
        parts = [plane[start : start + rows].astype("<u8").tobytes() for plane in planes]
        flags = run.flags().astype("<u8").tobytes()
        yield b"".join([MAGIC, rows.to_bytes(4, "little"), flags, *parts]), rows


def read_blocks(run: Run, layouts: Mapping[str, Layout], plains: Sequence[bytes]) -> SecretTable:
    """One table of all blocks, in their order; what their tasks flagged is flagged here.

    Raises: FormatError if a block is not as long as its places and columns say.
    """
    count, kept = plane_count(layouts), len(run.flags())
    start = _FLAGS_AT + 8 * kept
    found = []
    for plain in plains:
        rows = int.from_bytes(plain[4:8], "little")
        if plain[:4] != MAGIC or not rows or len(plain) != start + 8 * rows * count:
            raise FormatError("a block is not as long as its columns and places say")
        run.add_flags(np.frombuffer(plain, "<u8", kept, _FLAGS_AT).astype(np.uint64))
        words = np.frombuffer(plain, "<u8", offset=start).astype(np.uint64)
        found.append(words.reshape(count, rows))
    if not found:
        raise FormatError("a task handed on no block")
    planes = [np.concatenate([block[place] for block in found]) for place in range(count)]
    return rebuild(run, layouts, planes)


def _not_empty(table: SecretTable) -> SecretTable:
    """The table, or in place of none one row that is not there: its block carries the flags."""
    return table if table.rows else absent_row(layouts_of(table))


def absent_row(layouts: Mapping[str, Layout]) -> SecretTable:
    """A table of one place without a row."""
    nothing = np.zeros(1, dtype=np.uint8)
    columns = {
        name: SecretColumn(layout, np.zeros((1, layout.words), dtype=np.uint64), nothing.copy())
        for name, layout in layouts.items()
    }
    return SecretTable(columns, SecretMarks(nothing))
