"""Which inputs are held follows from the plan and public sizes."""

from itertools import pairwise

import pytest
from tests.support.plans import Job, Source, schema

from mc2.engine.inputs import held_bytes, inputs_to_hold, read_inputs
from mc2.plan.check import uses
from mc2.plan.expressions import ColumnRef, call
from mc2.plan.relations import Join, Union

PLENTY = 1 << 30


def job(**tables):
    return Job(**{n: Source(schema(**{n: "int64", f"{n}2": "string"}), []) for n in tables})


def held(made, root, memory=PLENTY):
    plan = made.plan(o=root)
    counts = uses(plan.nodes, plan.outputs)
    reads = read_inputs(plan, counts)
    return inputs_to_hold(plan, reads, counts, memory), plan, reads


def joined(made, *names):
    root = made.scan(names[0])
    for before, name in pairwise(names):
        on = call("eq", ColumnRef(before), ColumnRef(name))
        root = made.add(Join(root, made.scan(name), "inner", on))
    return root


def test_what_is_read_once_and_not_joined_streams():
    made = job(a=1)
    assert held(made, made.scan("a"))[0] == frozenset()


def test_what_is_read_twice_is_held():
    made = job(a=1)
    assert held(made, made.add(Union((made.scan("a"), made.scan("a")))))[0] == {0}


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_what_a_query_joins_is_held(names):
    made = job(a=1, b=1, c=1)
    assert held(made, joined(made, *names))[0] == set(range(len(names)))


def test_tables_that_would_fill_the_memory_stream():
    made = job(a=1, b=1, c=1)
    _, plan, reads = held(made, joined(made, "a", "b", "c"))
    needed = sum(held_bytes(plan.inputs[i], reads[i].names) for i in range(3))
    counts = uses(plan.nodes, plan.outputs)
    assert inputs_to_hold(plan, reads, counts, 4 * needed) == {0, 1, 2}
    assert inputs_to_hold(plan, reads, counts, 4 * needed - 1) == frozenset()


def test_what_no_join_reads_streams_beside_what_one_does():
    made = job(a=1, b=1, c=1)
    plan = made.plan(o=joined(made, "a", "b"), p=made.scan("c"))
    counts = uses(plan.nodes, plan.outputs)
    assert inputs_to_hold(plan, read_inputs(plan, counts), counts, PLENTY) == {0, 1}


@pytest.mark.parametrize(
    ("kind", "width"),
    [("decimal(18,2)", 8), ("decimal(19,2)", 16), ("date", 4), ("list<int8>", 64)],
)
def test_sizes_follow_from_types(kind, width):
    made = Job(a=Source(schema(x=kind), []))
    plan = made.plan(o=made.scan("a"))
    assert held_bytes(plan.inputs[0], ["x"]) == width * plan.inputs[0].row_bound
