"""A plan gives the same rows, in the same order, with the same bits, however it is cut."""

from __future__ import annotations

from random import Random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.support.expressions import shown
from tests.support.plans import table_rows
from tests.support.random_plans import random_job
from tests.support.stage_runs import stage_run

from mc2.errors import EngineError


def bits(rows):
    return [[shown(v) for v in row] for row in rows]


@settings(max_examples=120, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 2**32), partitions=st.integers(1, 5), small=st.sampled_from((0, 5, 40)))
def test_stages_give_what_one_enclave_gives(seed, partitions, small):
    job, nodes = random_job(Random(seed))
    outputs = {f"o{i}": node for i, node in enumerate(nodes)}
    cut = stage_run(job, partitions, outputs, broadcast_rows=small)
    try:
        expected = job.run(**outputs)
    except EngineError:
        return  # an engine may leave failures unnoticed, and need not meet the same ones
    found = cut.run()
    for name, output in expected.items():
        assert bits(table_rows(found[name].table)) == bits(table_rows(output.table))
