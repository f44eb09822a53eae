"""Groups of the pairs of a join of many with many, with pairs and without, in oblivious mode.

    python -m bench.oblivious.pairs --rows 262144 --few 4096 --repeats 3

Two tables with as many rows each, four of each key; count and sum by a group of the first.
CPU time of one thread, medians, nanoseconds a row of both tables. Pairs are made in room for all of
them (of `--few` rows, since there is no more room), and under a bound of exactly as many as there
are, which a script must know; without pairs nobody needs to know how many there are.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from decimal import Decimal
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from tests.support.oblivious import facts_of, padded
from tests.support.plans import NO_DIGEST

from mc2.engine.oblivious.run import execute
from mc2.formats.arrow import schema_of
from mc2.operators.run import Run
from mc2.plan import oblivious_rewrites
from mc2.plan.build import PlanBuilder
from mc2.plan.check import CheckedPlan, check_plan
from mc2.plan.expressions import ColumnRef, call
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.relations import Aggregate, AggregateColumn, Join, RowBound, Scan

EACH = 4
"""Rows of one key in each table."""
GROUPS = 1000


def tables(rows: int) -> dict[str, pa.Table]:
    """Both tables, in no order."""
    rng = np.random.default_rng(1)
    keys = [rng.permutation(np.arange(rows) // EACH) for _ in range(2)]
    cents = [Decimal(int(n)).scaleb(-2) for n in rng.integers(0, 10**6, rows)]
    first = {"k": keys[0], "g": rng.integers(0, GROUPS, rows)}
    second = {"m": keys[1], "cost": pa.array(cents, pa.decimal128(15, 2))}
    return {"a.t": pa.table(first), "a.u": pa.table(second)}


def plan_of(found: dict[str, pa.Table], bound: int | None) -> CheckedPlan:
    """The plan over the tables, with room for so many pairs."""
    inputs = tuple(
        PlanInput(
            dataset=name,
            owner="a",
            manifest=NO_DIGEST,
            schema=schema_of(table.schema),
            row_bound=table.num_rows,
            sizes="padded",
            facts=facts_of(table),
        )
        for name, table in found.items()
    )
    builder = PlanBuilder(inputs)
    sides = [builder.add(Scan(place, source.schema.names)) for place, source in enumerate(inputs)]
    pairs = builder.add(Join(*sides, "inner", call("eq", ColumnRef("k"), ColumnRef("m"))))
    if bound is not None:
        pairs = builder.add(RowBound(pairs, bound))
    cost = (ColumnRef("cost"),)
    wanted = (
        AggregateColumn("pairs", "count_star", ()),
        AggregateColumn("total", "sum", cost),
    )
    groups = builder.add(Aggregate(pairs, ("g",), wanted))
    output = PlanOutput(name="out", node=groups, kind="table", recipients=("a",))
    nodes, outputs = builder.finish([output])
    plan = Plan(
        title="pairs",
        mode="oblivious",
        contract=NO_DIGEST,
        script_name="pairs.py",
        script="",
        packages={},
        inputs=inputs,
        nodes=nodes,
        outputs=outputs,
    )
    return check_plan(plan)


def nanoseconds(rows: int, bound: int | None, repeats: int, *, written: bool) -> float:
    """CPU nanoseconds a row; as the plan is `written`, or as it is run."""
    found = tables(rows)
    checked = plan_of(found, bound)
    sources = {
        name: padded(table, checked.plan.inputs[place].facts, rows_per_chunk=1 << 16)
        for place, (name, table) in enumerate(found.items())
    }
    opened = {name: replace(source) for name, source in sources.items()}
    rewrites = () if written else oblivious_rewrites.REWRITES
    taken = []
    with patch.object(oblivious_rewrites, "REWRITES", rewrites):
        for _ in range(repeats + 1):
            start = time.process_time_ns()
            execute(checked, opened, lambda _: None, Run())
            taken.append(time.process_time_ns() - start)
    return statistics.median(taken[1:]) / (2 * rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1 << 18)
    parser.add_argument("--few", type=int, default=1 << 12)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print("| rows of each table | pairs made | with room for | ns a row |")
    print("| --- | --- | --- | --- |")
    for rows, bound, written in (
        (given.few, None, True),
        (given.few, None, False),
        (given.rows, given.rows * EACH, True),
        (given.rows, None, False),
    ):
        taken = nanoseconds(rows, bound, given.repeats, written=written)
        room = rows * rows if bound is None else bound
        made = f"yes | {room:,}" if written else "no | none"
        print(f"| {rows:,} | {made} | {taken:,.0f} |")


if __name__ == "__main__":
    main()
