"""How many partitions a job has: it follows from public sizes, and adapts to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.errors import FormatError
from mc2.plan.stages import PARTITIONS, InputSize, Layout, choose_layout, layout_of

MB = 1 << 20
ROOM = 6
"""docs/spec/task.md: how many times its sealed inputs a job may need."""

sizes = st.builds(
    InputSize,
    rows=st.integers(0, 10**9),
    chunks=st.integers(1, 1000),
    size=st.integers(0, 1 << 40),
    chunk_rows=st.integers(1, 1 << 20),
)
inputs = st.lists(sizes, min_size=1, max_size=4)


def one(size: int) -> list[InputSize]:
    return [InputSize(10**6, 100, size, 10**4)]


@pytest.mark.parametrize(
    ("size", "members", "memory", "partitions"),
    [
        (10 * MB, 1, 64 * MB, 1),  # fits one enclave
        (10 * MB, 8, 64 * MB, 1),  # and is not worth sharing
        (11 * MB, 1, 64 * MB, 2),  # does not fit
        (11 * MB, 3, 64 * MB, 3),  # every enclave has one
        (100 * MB, 4, 1024 * MB, 4),  # fits, but is worth sharing
        (100 * MB, 1, 1024 * MB, 1),
        (1024 * MB, 4, 1024 * MB, 8),  # two rounds of four
        (1 << 40, 63, 64 * MB, PARTITIONS),
    ],
)
def test_partitions_adapt_to_bytes_memory_and_members(
    size: int, members: int, memory: int, partitions: int
) -> None:
    assert choose_layout(one(size), members, memory).partitions == partitions


@given(inputs, st.integers(1, 64), st.integers(64 * MB, 1 << 40))
def test_what_a_task_gets_fits_its_enclave_as_far_as_there_may_be_partitions(
    found: list[InputSize], members: int, memory: int
) -> None:
    layout = choose_layout(found, members, memory)
    need = ROOM * sum(i.size for i in found)
    assert layout.partitions == PARTITIONS or need <= layout.partitions * memory
    whole_rounds = layout.partitions % members == 0
    assert layout.partitions in {1, PARTITIONS} or whole_rounds
    more = choose_layout(found, members, 2 * memory)
    assert more.partitions <= layout.partitions


@given(inputs, st.integers(2, PARTITIONS))
def test_small_inputs_and_those_of_one_chunk_are_read_by_one_task(
    found: list[InputSize], partitions: int
) -> None:
    layout = layout_of(found, partitions)
    for size, split in zip(found, layout.split, strict=True):
        assert split == (size.chunks > 1 and size.rows > layout.broadcast_rows)
    assert not any(layout_of(found, 1).split)


def test_layouts_that_nobody_means_are_refused() -> None:
    for partitions in (0, PARTITIONS + 1):
        with pytest.raises(FormatError, match="partitions"):
            Layout(
                partitions=partitions,
                chunks=(1,),
                split=(False,),
                broadcast_rows=1,
                rooms=(1,),
                piece_rows=1,
            )
    with pytest.raises(FormatError, match="every input"):
        Layout(
            partitions=1, chunks=(1, 2), split=(False,), broadcast_rows=1, rooms=(1,), piece_rows=1
        )
