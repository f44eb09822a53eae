"""Lineage leaves nothing out: what it does not name can change as it likes, and no output does."""

from __future__ import annotations

from random import Random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.support.expressions import shown
from tests.support.interpreter import EvaluationError, Interpreter
from tests.support.random_plans import cell, random_job


def bits(rows):
    return [[shown(v) for v in row] for row in rows]


def values(rows, place):
    """The values of one column, whatever the order of rows."""
    return sorted(repr(shown(row[place])) for row in rows)


def results(checked, tables):
    try:
        twin = Interpreter(checked, tables)
    except EvaluationError:
        return None
    return {o.name: twin.output(o.name) for o in checked.plan.outputs}


def with_other_values(random, source, name, rows):
    """The rows with other values in one column."""
    column = source.schema.by_name()[name]
    place = source.schema.names.index(name)
    return [(*row[:place], cell(random, column), *row[place + 1 :]) for row in rows]


@settings(max_examples=300, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_columns_outside_the_lineage_change_nothing(seed):
    random = Random(seed)
    job, nodes = random_job(random, values=True)
    checked = job.check(**{f"o{i}": node for i, node in enumerate(nodes)})
    tables = {name: source.rows for name, source in job.sources.items()}
    before = results(checked, tables)
    if before is None:
        return
    for source in checked.plan.inputs:
        for name in source.schema.names:
            changed = with_other_values(random, source, name, tables[source.dataset])
            after = results(checked, {**tables, source.dataset: changed})
            if after is not None:
                check_unchanged(checked, before, after, (source.dataset, name))


def check_unchanged(checked, before, after, origin):
    for output in checked.plan.outputs:
        lineage = checked.lineage(output)
        old, new = before[output.name], after[output.name]
        if origin not in lineage.influences:
            assert bits(old) == bits(new), origin
        for place, column in enumerate(checked.schema(output).columns):
            if origin not in lineage.of(column.name):
                assert values(old, place) == values(new, place), (origin, column.name)


@settings(max_examples=150, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_datasets_outside_the_lineage_change_nothing(seed):
    random = Random(seed)
    job, nodes = random_job(random, values=True)
    checked = job.check(**{f"o{i}": node for i, node in enumerate(nodes)})
    tables = {name: source.rows for name, source in job.sources.items()}
    before = results(checked, tables)
    if before is None:
        return
    for source in checked.plan.inputs:
        more = [
            tuple(cell(random, c) for c in source.schema.columns)
            for _ in range(random.randint(0, 9))
        ]
        after = results(checked, {**tables, source.dataset: more})
        if after is None:
            continue
        for output in checked.plan.outputs:
            if source.dataset not in checked.lineage(output).datasets:
                assert bits(before[output.name]) == bits(after[output.name])


@settings(max_examples=100, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_row_bounds_hold(seed):
    random = Random(seed)
    job, nodes = random_job(random, values=True)
    checked = job.check(**{f"o{i}": node for i, node in enumerate(nodes)})
    tables = {name: source.rows for name, source in job.sources.items()}
    try:
        twin = Interpreter(checked, tables)
    except EvaluationError:
        return
    for rows, shape in zip(twin.rows, checked.shapes, strict=True):
        assert len(rows) <= shape.row_bound
        for place, column in enumerate(shape.schema.columns):
            assert column.nullable or all(row[place] is not None for row in rows)
