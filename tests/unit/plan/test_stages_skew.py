"""How a part is cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.plan.stages_skew import share

BLOCKS = st.lists(st.integers(1, 1000), max_size=12)


@given(
    blocks=BLOCKS,
    others=st.integers(0, 20_000),
    parts=st.integers(2, 9),
    least=st.integers(0, 9000),
)
def test_pieces_have_all_blocks_once_and_in_order(blocks, others, parts, least):
    runs = share(blocks, sum(blocks) + others, parts, least)
    assert [b for run in runs for b in run] == list(range(len(blocks)))
    assert len(runs) == 1 or all(runs)
    assert len(runs) <= min(max(1, len(blocks)), parts)
    if sum(blocks) < least:
        assert len(runs) == 1


@given(blocks=BLOCKS.filter(bool), others=st.integers(0, 20_000), parts=st.integers(2, 9))
def test_no_piece_is_much_larger_than_the_mean_of_all_parts(blocks, others, parts):
    rows = sum(blocks) + others
    runs = share(blocks, rows, parts, 0)
    largest = max(sum(blocks[i] for i in run) for run in runs)
    assert largest <= max(3 * rows / (2 * parts), rows / parts + max(blocks))


@pytest.mark.parametrize(
    ("blocks", "rows", "parts", "pieces"),
    [
        ([10] * 9, 100, 2, 2),  # even with two parts, of which one has nearly all
        ([10] * 7, 100, 2, 1),
        ([10] * 9, 100, 4, 4),
        ([90], 100, 4, 1),  # a block is not cut
        ([10] * 3, 120, 4, 1),
        ([], 0, 4, 1),
    ],
)
def test_how_many_pieces_there_are(blocks, rows, parts, pieces):
    assert len(share(blocks, rows, parts, 0)) == pieces
