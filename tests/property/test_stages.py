"""A plan gives the same rows, in the same order, with the same bits, however it is cut."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.support.expressions import shown
from tests.support.plans import Job, Source, schema, table_rows
from tests.support.random_plans import failures, random_job
from tests.support.stage_runs import stage_run

from mc2.errors import EngineError
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.relations import Join, Union, Values
from mc2.plan.types import INT64


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
    try:
        found, failed = cut.run(), ""
    except EngineError as error:
        found, failed = {}, str(error)
    if failed:
        assert failed in failures(job, nodes)  # one enclave may have left it unnoticed
        return
    for name, output in expected.items():
        assert bits(table_rows(found[name].table)) == bits(table_rows(output.table))


V, X = ColumnRef("v"), ColumnRef("x")
LISTED = Values(("v",), tuple((literal(n, INT64),) for n in (1, 2, 2, 9)))
WITH_VALUES = {
    "a union": lambda t, v: Union((t, v)),
    "a union the other way": lambda t, v: Union((v, t)),
    **{
        f"a {how} join": lambda t, v, how=how: Join(t, v, how, call("eq", X, V))
        for how in ("inner", "left", "right", "full", "semi", "anti")
    },
    **{
        f"a {how} join the other way": lambda t, v, how=how: Join(v, t, how, call("eq", V, X))
        for how in ("inner", "left", "right", "full", "semi", "anti")
    },
}


@pytest.mark.parametrize("small", [0, 40])
@pytest.mark.parametrize("kind", WITH_VALUES)
def test_rows_of_the_script_alone_may_be_a_stage(kind, small):
    job = Job(t=Source(schema(x="int64"), [(i % 7,) for i in range(60)], batch=10))
    output = job.add(WITH_VALUES[kind](job.scan("t"), job.add(LISTED)))
    found = stage_run(job, 3, {"o": output}, broadcast_rows=small).run()["o"]
    assert sorted(table_rows(found.table), key=repr) == sorted(job.rows(output), key=repr)


def test_a_stage_of_rows_of_the_script_alone_is_among_them():
    job = Job(t=Source(schema(x="int64"), [(i % 7,) for i in range(60)], batch=10))
    output = job.add(Union((job.scan("t"), job.add(LISTED))))
    stages = stage_run(job, 2, {"o": output}).stages.stages
    assert any(not stage.sources for stage in stages)
