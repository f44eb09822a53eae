"""Distinct values, spread and sums of doubles over several tasks: the bits of one task."""

from __future__ import annotations

import math
from contextlib import suppress
from random import Random

import pytest
from tests.support.expressions import shown
from tests.support.oblivious import opened, run_obliviously
from tests.support.oblivious_plans import obliviously
from tests.support.oblivious_stages import ObliviousStages
from tests.support.plans import LIMITS, Job, Source, schema

from mc2.engine.run import execute
from mc2.errors import EngineError
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.relations import Aggregate, AggregateColumn, Filter
from mc2.plan.types import INT64

FEW, MANY = 3, 5
ROWS, GROUPS = 700, 2
K, T, X, D = (ColumnRef(n) for n in "ktxd")
HUGE = [1e308, 1e308, -1e308, 5e-324, -5e-324, 1.0, -0.0, 0.0, 2.0**-1022, 1e-300, 0.1, 3.3e200]
SPECIAL = [*HUGE, math.inf, -math.inf, math.nan]
KINDS = ("few", "one", "nulls", "huge", "special", "none")


def rows_of(kind: str, seed: int = 1):
    random = Random(seed)

    def number():
        match kind:
            case "huge":
                return random.choice(HUGE)
            case "special":
                return random.choice(SPECIAL) if random.random() < 0.05 else random.random()
            case "nulls":
                return None if random.random() < 0.9 else random.gauss(1e9, 1e-3)
            case _:
                return random.gauss(0, 1e6)

    def key():
        return 1 if kind == "one" else None if kind == "nulls" else random.randrange(GROUPS)

    def text():
        return None if random.random() < 0.1 else f"t{random.randrange(9)}"

    rows = [
        (key(), text(), None if kind == "nulls" else random.randrange(40), number())
        for _ in range(ROWS)
    ]
    return [(k, t, -1, d) for k, t, _, d in rows] if kind == "none" else rows  # all left out


def where():
    return call("gt", X, literal(10, INT64))


WHAT = {
    "doubles": [
        AggregateColumn("s", "sum", (D,)),
        AggregateColumn("a", "avg", (D,)),
        AggregateColumn("w", "sum", (D,), where=where()),
        AggregateColumn("g", "max", (D,)),
    ],
    "distinct": [
        AggregateColumn("n", "count_star", ()),
        AggregateColumn("ct", "count", (T,), distinct=True),
        AggregateColumn("cx", "count", (X,), distinct=True),
        AggregateColumn("sx", "sum", (X,), distinct=True),
        AggregateColumn("ax", "avg", (X,), distinct=True, where=where()),
        AggregateColumn("sd", "sum", (D,), distinct=True),
    ],
    "spread": [
        AggregateColumn("v", "var_samp", (D,)),
        AggregateColumn("p", "stddev_pop", (D,), where=where()),
        AggregateColumn("n", "count", (D,)),
    ],
    "many": [
        AggregateColumn("n", "count_star", ()),
        AggregateColumn("s", "sum", (X,), where=where()),
        AggregateColumn("ct", "count", (T,), distinct=True),
        AggregateColumn("ax", "avg", (X,), distinct=True, where=where()),
        AggregateColumn("sx", "sum", (X,), distinct=True, where=where()),
    ],
}


def job_of(kind: str, what: str, keys, seed: int = 1):
    rows = rows_of(kind, seed)
    widest = [(0, "tt", 0, 0.5)]
    job = Job(t=Source(schema(k="int64", t="string", x="int64", d="double"), [*widest, *rows]))
    kept = job.add(Filter(job.scan("t"), call("ge", X, literal(0, INT64))))
    source = job.scan("t") if kind == "nulls" else kept
    plan = job.plan(found=job.add(Aggregate(source, keys, tuple(WHAT[what]))))
    few = {"ranges": {"k": (0, GROUPS - 1)}}
    return plan, job, {"a.t": {} if what == "many" else few}


def bits(table):
    return list(zip(*([shown(v) for v in c.to_pylist()] for c in table.columns), strict=True))


def ways(cut) -> set[str]:
    """How tasks share an aggregate: groups of their own rows, or all groups in one order."""
    found = {"own" for s in cut.stages.stages for e in s.exchanges if e.partial is not None}
    steps = [s for stage in cut.stages.stages for s in stage.steps]
    return found | {"order" for s in steps if s.work == "finish" and s.part is None}


CASES = [
    (kind, what) for kind in KINDS for what in WHAT if what != "many" or kind in {"few", "nulls"}
]


@pytest.mark.parametrize(("kind", "what"), CASES)
@pytest.mark.parametrize("keys", [(), ("k",)])
def test_tasks_give_the_bits_of_one(kind, what, keys):
    plan, job, facts = job_of(kind, what, keys)
    checked, sources = obliviously(plan, job, facts)
    wanted, _ = run_obliviously(checked, sources)
    for tasks in (FEW, MANY) if kind == "few" else (FEW,):
        cut = ObliviousStages(checked, sources, tasks)
        if tasks == FEW:  # states of sums are handed on if they are fewer than rows
            assert ways(cut) == {"order" if what == "many" and keys else "own"}
        assert bits(opened(cut.run()["found"])) == bits(wanted["found"])
    if kind != "special":  # an infinite sum and NaN are shown otherwise
        fast = execute(check_plan(plan), job.sources, LIMITS, lambda _: None)["found"].table
        assert sorted(bits(fast), key=repr) == sorted(bits(wanted["found"]), key=repr)


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("keys", [(), ("k",)])
def test_other_rows_hand_on_blocks_of_the_same_sizes(what, keys):
    seen = []
    for kind in ("few", "one", "special"):
        plan, job, facts = job_of(kind, what, keys, seed=KINDS.index(kind))
        checked, sources = obliviously(plan, job, facts)
        cut = ObliviousStages(checked, sources, 3, record=True)
        with suppress(EngineError):
            cut.run()
        seen.append(cut.seen)
    assert seen[0]
    assert seen[0] == seen[1] == seen[2]
