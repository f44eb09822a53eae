"""Which trainings are shared, and how their chunks are cut: the same for everybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.enclave_jobs import make_job
from tests.support.shared_trainings import together_job

from mc2.errors import PlanError
from mc2.plan.check import check_plan
from mc2.plan.trained_together import Chunks, Partitions, shared_trainings

CHECKED = check_plan(together_job().plan)
(SHARED,) = shared_trainings(CHECKED)


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=9),
    st.lists(st.integers(1, 40), min_size=1, max_size=9),
    st.data(),
)
def test_every_chunk_has_one_reader_and_no_partition_is_empty(a, b, data):
    inputs = [Chunks(tuple(a)), Chunks(tuple(b))]
    count = data.draw(st.integers(1, len(a) + len(b)))
    cut = Partitions(CHECKED, SHARED, inputs, count)
    for place, given_places in enumerate((a, b)):
        read = [i for p in range(count) for i in cut.chunks(place, p)]
        assert read == list(range(len(given_places)))
    assert cut.most == len(a) + len(b)
    assert all(places > 0 for places in cut.places)
    assert Partitions(CHECKED, SHARED, inputs, 1).places == (cut.all_rows,)


@pytest.mark.parametrize("count", [0, 6])
def test_there_are_no_more_partitions_than_chunks(count):
    with pytest.raises(PlanError, match="a chunk for each"):
        Partitions(CHECKED, SHARED, [Chunks((7, 7)), Chunks((7, 7, 7))], count)


def test_trainings_of_another_mode_are_not_shared():
    assert shared_trainings(check_plan(make_job().plan)) == ()
