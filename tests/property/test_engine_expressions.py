"""Every expression gives in DuckDB what the slow twin gives, bit for bit, or fails there as well."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.support.expressions import COLUMNS, TYPES, expression, rows, shown
from tests.support.interpreter import EvaluationError, Evaluator, UnknownDateError
from tests.support.interpreter import naive as inside
from tests.support.plans import Job, Source

from mc2.errors import EngineError
from mc2.formats.schema import Schema
from mc2.plan.relations import NamedExpression, Project

TABLE = Schema(COLUMNS)
GROUPS = (TYPES[0:5], TYPES[5:7], TYPES[7:9], TYPES[9:12], TYPES[12:16])


def evaluate(item, table, *, lenient=False):
    value = Evaluator(TABLE, lenient=lenient)
    return [shown(value(item, tuple(map(inside, row)))) for row in table]


def engine(table, *chosen):
    source = Source(TABLE, table, batch=2)
    job = Job(t=source)
    columns = tuple(NamedExpression(f"y{i}", e) for i, e in enumerate(chosen))
    found = job.rows(job.add(Project(job.scan("t"), columns)))
    return [[shown(v) for v in column] for column in zip(*found, strict=True)]


@pytest.mark.parametrize("kinds", GROUPS, ids=lambda kinds: kinds[0].name)
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_engine_agrees_with_its_twin(kinds, seed):
    random = Random(seed)
    table = rows(random, COLUMNS, 4)
    chosen = [expression(random, COLUMNS, kind) for kind in kinds for _ in range(3)]
    expected, sound, failing = [], [], []
    for item in chosen:
        try:
            expected.append(evaluate(item, table))
            sound.append(item)
        except UnknownDateError:
            continue
        except EvaluationError:
            failing.append(item)
    if sound:
        assert engine(table, *sound) == expected
    if failing:
        check_failure(table, failing[0])


def check_failure(table, item):
    """The engine fails too, unless something else decides the value (spec, "Failures")."""
    try:
        (found,) = engine(table, item)
    except EngineError:
        return
    try:
        expected = evaluate(item, table, lenient=True)
    except EvaluationError:
        # DuckDB found a way around the failing part: x * 2 <> 0 needs no product. That each
        # function fails where it should is tested one by one in tests/unit/engine.
        return
    assert found == expected
