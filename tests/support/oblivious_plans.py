"""The same job in both modes: what the encrypted engine gives, and what the oblivious one does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pyarrow as pa

from mc2.engine.run import execute
from mc2.plan.check import CheckedPlan, check_plan
from mc2.plan.plan import Plan
from tests.support.oblivious import PaddedTable, facts_of, padded, run_obliviously
from tests.support.plans import LIMITS, Job
from tests.support.random_plans import cell

SPARE = 2
"""Places that a padded table has beyond its rows."""


def obliviously(
    plan: Plan, job: Job, declared: Mapping[str, Any] | None = None
) -> tuple[CheckedPlan, dict[str, PaddedTable]]:
    """The plan in oblivious mode, and its inputs padded. Raises: PlanError if it is refused.

    `declared`: facts of tables beside the widths of their texts.
    """
    sources, inputs = {}, []
    for source in plan.inputs:
        table = job.sources[source.dataset].table
        facts = facts_of(table, **(declared or {}).get(source.dataset, {}))
        bound = table.num_rows + SPARE
        sources[source.dataset] = padded(table, facts, bound, rows_per_chunk=3)
        inputs.append(replace(source, sizes="padded", facts=facts, row_bound=bound))
    return check_plan(replace(plan, mode="oblivious", inputs=tuple(inputs))), sources


def both_ways(plan: Plan, job: Job) -> list[tuple[str, pa.Table, pa.Table]]:
    """Each output by the encrypted and by the oblivious engine. Raises: Mc2Error if one fails."""
    checked, sources = obliviously(plan, job)
    fast = execute(check_plan(plan), job.sources, LIMITS, lambda _: None)
    slow, _ = run_obliviously(checked, sources)
    return [(name, fast[name].table, slow[name]) for name in sorted(slow)]


def other_rows(source: PaddedTable, random: Random) -> PaddedTable:
    """Other rows, more or fewer, in the same places and of the same widths."""
    schema = source.form.schema
    rows = [
        {c.name: cell(random, c) for c in schema.columns}
        for _ in range(random.randint(0, source.form.row_bound))
    ]
    for row in rows:
        for column in schema.columns:
            if column.type.has_width and row[column.name] is not None:
                row[column.name] = row[column.name][: source.form.facts.widths[column.name]]
    return PaddedTable(source.form, pa.Table.from_pylist(rows, source.table.schema))
