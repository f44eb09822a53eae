"""Every relational plan gives in DuckDB what the slow twin gives: same rows, same order, same bits."""

from __future__ import annotations

from random import Random

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from tests.support.expressions import shown
from tests.support.interpreter import EvaluationError, Interpreter
from tests.support.plans import LIMITS, table_rows
from tests.support.random_plans import random_job

from mc2.engine.limits import EngineLimits

ONE_THREAD = EngineLimits(memory_bytes=LIMITS.memory_bytes, threads=1)


def bits(rows):
    return [[shown(v) for v in row] for row in rows]


@settings(max_examples=250, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 2**32))
@example(seed=392)  # -0.0 beside the one row of a subquery
def test_engine_agrees_with_its_twin(seed):
    random = Random(seed)
    job, nodes = random_job(random, values=True)
    outputs = {f"o{i}": node for i, node in enumerate(nodes)}
    checked = job.check(**outputs)
    tables = {name: source.rows for name, source in job.sources.items()}
    try:
        twin = Interpreter(checked, tables)
    except EvaluationError:
        return  # where the twin fails, the engine may, see test_engine_expressions
    found = job.run(limits=random.choice((LIMITS, ONE_THREAD)), **outputs)
    for name, output in found.items():
        assert bits(table_rows(output.table)) == bits(twin.output(name))
