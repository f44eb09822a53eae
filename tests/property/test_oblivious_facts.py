"""Random plans over tables whose owners declare facts: true ones change no answer, false ones none.

A false fact may fail the job, if something relied on it. It never gives another answer, and what a
host sees tells nothing of it.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import date
from itertools import combinations
from math import isnan
from random import Random

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tests.support.differential import rows_of
from tests.support.oblivious import run_obliviously
from tests.support.oblivious_plans import obliviously, other_rows
from tests.support.plans import LIMITS
from tests.support.random_plans import random_job

from mc2.engine.oblivious.run import execute as execute_obliviously
from mc2.engine.run import execute
from mc2.errors import EngineError, Mc2Error, PlanError
from mc2.operators.run import Run
from mc2.plan.check import check_plan

SEEDS = st.integers(0, 2**32)
WHOLE = ("int64", "int32", "date")


def number(value):
    return (value - date(1970, 1, 1)).days if isinstance(value, date) else value


def declared(random, columns, rows, *, true):
    """Facts of a table: what is so, or what any owner could claim."""
    values = {c.name: [row[i] for row in rows] for i, c in enumerate(columns)}
    kinds = {c.name: c.type.name for c in columns}
    whole = [n for n in values if kinds[n] in WHOLE]
    there = {n: sorted({number(v) for v in values[n] if v is not None}) for n in whole}
    keys = [k for size in (1, 2) for k in combinations(sorted(values), size)]
    facts = {"unique": (), "ranges": {}, "domains": {}, "ascending": ()}
    for key in random.sample(keys, len(keys)):
        found = [tuple(_same(values[n][i]) for n in key) for i in range(len(rows))]
        if (not true or len(set(found)) == len(found)) and len(facts["unique"]) < 2:
            facts["unique"] = tuple(sorted({*facts["unique"], key}))
    for name in whole:
        ends = (there[name][0], there[name][-1]) if there[name] else (0, 1)
        if true:
            ends = ends[0] - random.choice((0, 3)), ends[1] + random.choice((0, 3))
        elif random.random() < 0.5:
            ends = ends[0], (ends[0] + ends[1]) // 2
        if random.random() < 0.6 and ends[0] > -(2**31) and ends[1] < 2**31:
            facts["ranges"][name] = ends
    for name in (n for n in values if kinds[n] == "string"):
        some = sorted({v for v in values[name] if v is not None} | {"a"})
        if random.random() < 0.6:
            facts["domains"][name] = tuple(some if true else random.sample(some, 1))
    rising = [n for n in whole if None not in values[n]]
    rising = [n for n in rising if values[n] == sorted(values[n])] if true else rising or whole
    facts["ascending"] = tuple(sorted(n for n in rising if random.random() < 0.6))
    return facts


def _same(value):
    """What two rows agree in: -0 is 0, and NaN itself."""
    if not isinstance(value, float):
        return value
    return "nan" if isnan(value) else value + 0.0


def in_order(random, source):
    """The table without NULLs in a column, and in the order of it."""
    place = random.choice([i for i, c in enumerate(source.schema.columns) if c.type.name in WHOLE])
    rows = [row for row in source.rows if row[place] is not None]
    return replace(source, rows=sorted(rows, key=lambda row: row[place]))


def job_of(seed, *, true):
    """A random job, and it in oblivious mode under facts; None if it is refused."""
    random = Random(seed)
    job, nodes = random_job(random, values=True)
    if random.random() < 0.5:
        job.sources["a.t"] = in_order(random, job.sources["a.t"])
    facts = {
        name: declared(random, source.schema.columns, source.rows, true=true)
        for name, source in job.sources.items()
    }
    plan = job.plan(**{f"o{i}": n for i, n in enumerate(nodes)})
    try:
        return job, plan, *obliviously(plan, job, facts)
    except PlanError:
        return None


def outcome(seed, *, true):
    """How a job went; asserts that no answer is another than without any fact."""
    made = job_of(seed, true=true)
    if made is None:
        return "refused"
    job, plan, checked, sources = made
    try:
        fast = execute(check_plan(plan), job.sources, LIMITS, lambda _: None)
    except Mc2Error as error:
        if "database failed" in str(error):
            return "failed"  # DuckDB itself broke down, which says nothing of the plan
        fast = None
    try:
        slow, _ = run_obliviously(checked, sources)
    except EngineError as error:
        told = "declared" in str(error)
        assert not (true and told and fast), "a true fact was found false"
        return "told" if told else "failed"
    assert fast is not None, "a failure went unnoticed"
    for name, table in slow.items():
        assert rows_of(table) == rows_of(fast[name].table)
    return "agreed"


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_true_facts_change_no_answer(seed):
    assume(outcome(seed, true=True) != "refused")


@settings(max_examples=60, deadline=None)
@given(SEEDS)
@example(22058)  # elements of lists in order, of rows that agree in a key
def test_false_facts_change_no_answer(seed):
    assume(outcome(seed, true=False) != "refused")


@pytest.mark.slow
@pytest.mark.parametrize("true", [True, False])
def test_very_many_facts_change_no_answer(true):
    found = Counter(outcome(seed, true=true) for seed in range(20_000, 23_000))
    assert found["agreed"] > (2000 if true else 400)


def test_facts_are_relied_on_and_false_ones_told():
    """Else the comparisons above would say little."""
    found = Counter(outcome(seed, true=False) for seed in range(60))
    assert found["told"] > 10
    assert found["agreed"] > 10


def seen_of(checked, sources):
    trace = Run(record=True)
    with suppress(EngineError):  # told when all calls have been made
        execute_obliviously(checked, sources, lambda _: None, trace)
    return trace.calls, trace.declassified


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.booleans())
def test_calls_of_kernels_do_not_tell_whether_facts_are_true(seed, true):
    made = job_of(seed, true=true)
    assume(made is not None)
    _, _, checked, sources = made
    random = Random(seed)
    others = {name: other_rows(source, random) for name, source in sources.items()}
    assert seen_of(checked, sources) == seen_of(checked, others)
