"""Which aggregates go below a join, and which do not."""

from dataclasses import replace

import pytest
from tests.support.plans import Job, Source, schema

from mc2.client.plan_words import step_words
from mc2.errors import Mc2Error, PlanError
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, Literal, call
from mc2.plan.models import Matrix
from mc2.plan.oblivious_eager import aggregate_early
from mc2.plan.oblivious_rewrites import as_run
from mc2.plan.plan import Plan
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Filter,
    Join,
    NamedExpression,
    PairBound,
    Project,
    RowBound,
)
from mc2.plan.types import INT64

MANY = 1 << 20
T = schema(k="int64", g="int32", x="decimal(15,2)", n="int64!", d="double")
U = schema(m="int64", h="int32", y="int64", w="decimal(38,2)", v="decimal(24,8)")
V = schema(p="int64", q="int64")


class Written(Job):
    """A job over empty tables of many rows."""

    def __init__(self, bound=MANY):
        kinds = {"t": T, "u": U, "v": V}
        super().__init__(**{n: Source(kind, [], bound=bound) for n, kind in kinds.items()})

    def pairs(self, how="inner", *more):
        on = call("eq", ColumnRef("k"), ColumnRef("m"))
        on = call("and", on, *more) if more else on
        return self.add(Join(self.scan("t"), self.scan("u"), how, on))

    def grouped(self, source, *aggregates, keys=("g",)):
        return self.add(Aggregate(source, keys, aggregates))

    def oblivious(self, node) -> Plan:
        plan = self.plan(out=node)
        inputs = (replace(i, sizes="padded") for i in plan.inputs)
        return replace(plan, mode="oblivious", inputs=tuple(inputs))


def aggregate(function, *arguments, distinct=False, where=None):
    columns = tuple(ColumnRef(a) if isinstance(a, str) else a for a in arguments)
    return AggregateColumn("r", function, columns, distinct, where)


COUNT = aggregate("count_star")


def operations(plan):
    return [] if plan is None else [n.operation for n in plan.nodes]


def joins(plan):
    return [o for o in operations(plan) if isinstance(o, Join)]


@pytest.mark.parametrize(
    "wanted",
    [
        COUNT,
        aggregate("count", "y"),
        aggregate("count", "x", distinct=True),
        aggregate("sum", "x"),
        aggregate("sum", "y"),
        aggregate("avg", "x"),
        aggregate("avg", "n"),
        aggregate("min", "d"),
        aggregate("sum", "d", distinct=True),
        aggregate("bits_or_of", "h"),
        aggregate("sum", "n", where=call("gt", ColumnRef("k"), ColumnRef("n"))),
    ],
)
@pytest.mark.parametrize("how", ["inner", "left", "right", "full"])
def test_a_plan_that_had_no_room_is_run(wanted, how):
    job = Written()
    plan = job.oblivious(job.grouped(job.pairs(how), wanted))
    checked = check_plan(plan)
    run = as_run(checked)
    assert run.plan != plan
    assert max(f.rows for f in run.facts) <= 3 * MANY
    assert checked.plan == plan
    assert run.schema(run.plan.outputs[0]) == checked.schema(plan.outputs[0])


@pytest.mark.parametrize(
    "wanted",
    [
        aggregate("sum", "d"),  # rounded once, of all pairs
        aggregate("stddev_pop", "d"),
        aggregate("sum", "w"),  # its products could have more than 38 digits
        aggregate("percentile", "d", Literal("0.5", T.by_name()["d"].type)),
        aggregate("bits_xor_of", "h"),
        aggregate("collect_list", "g", Literal("9", T.by_name()["g"].type)),
    ],
)
def test_what_is_not_exact_below_needs_pairs(wanted):
    job = Written()
    plan = job.oblivious(job.grouped(job.pairs(), wanted))
    assert aggregate_early(plan) is None
    with pytest.raises(PlanError, match="more than 268,435,456 rows"):
        check_plan(plan)


def test_pairs_that_something_else_reads_are_made():
    job = Written(1 << 10)
    pairs = job.pairs()
    counted = job.grouped(pairs, COUNT)
    assert aggregate_early(job.oblivious(counted)) is not None
    plan = replace(job.plan(a=counted, b=pairs), mode="oblivious")
    assert aggregate_early(plan) is None


def test_keys_of_both_sides_that_are_as_many_as_rows_save_nothing():
    job = Written()
    plan = job.oblivious(job.grouped(job.pairs(), COUNT, keys=("g", "h")))
    assert aggregate_early(plan) is None


def test_a_side_that_is_unique_is_not_grouped():
    job = Written(1 << 10)
    once = job.grouped(job.scan("u"), aggregate("max", "y"), keys=("m",))
    on = call("eq", ColumnRef("k"), ColumnRef("m"))
    pairs = job.add(Join(job.scan("t"), once, "inner", on))
    assert aggregate_early(job.oblivious(job.grouped(pairs, aggregate("sum", "n")))) is None


def test_several_joins_are_grouped_one_after_the_other():
    job = Written()
    on = call("eq", ColumnRef("y"), ColumnRef("p"))
    pairs = job.add(Join(job.pairs(), job.scan("v"), "inner", on))
    plan = job.oblivious(job.grouped(pairs, aggregate("sum", "g"), keys=("k",)))
    run = as_run(check_plan(plan))
    assert len(joins(run.plan)) == 2
    assert max(f.rows for f in run.facts) <= MANY


def test_conditions_on_one_side_go_below():
    job = Written()
    pairs = job.pairs("inner", call("gt", ColumnRef("h"), ColumnRef("g")))
    positive = call("gt", ColumnRef("y"), Literal("0", INT64))
    kept = job.add(Filter(pairs, positive))
    named = job.add(Project(kept, (NamedExpression("z", ColumnRef("k")),)))
    plan = job.oblivious(job.add(Aggregate(named, ("z",), (COUNT,))))
    found = operations(aggregate_early(plan))
    (filter_,) = [o for o in found if isinstance(o, Filter)]
    assert filter_.predicate == positive
    below = [o for o in found if isinstance(o, Aggregate)]
    assert {frozenset(o.keys) for o in below[:-1]} <= {frozenset("mh"), frozenset("kg")}


def test_a_bound_counts_the_pairs_for_which_rows_stand():
    job = Written()
    bound = job.add(RowBound(job.pairs(), 1 << 27, "none"))
    plan = job.oblivious(job.grouped(bound, COUNT))
    run = as_run(check_plan(plan)).plan
    found = operations(run)
    (counted,) = [o for o in found if isinstance(o, PairBound)]
    assert counted.rows == 1 << 27
    words = [step_words(run, index) for index in range(len(run.nodes))]
    assert any("more than 134,217,728 rows, where each stands for" in w for w in words)
    assert RowBound(counted.source, counted.rows) != counted
    leaking = job.add(RowBound(job.pairs(), 1 << 27, "sizes"))
    assert aggregate_early(job.oblivious(job.grouped(leaking, COUNT))) is None


def test_nobody_can_sign_what_counts_pairs():
    job = Written()
    bound = job.add(PairBound(job.pairs(), 10, counts=Literal("1", INT64)))
    with pytest.raises(Mc2Error):
        check_plan(job.plan(out=job.grouped(bound, COUNT)))


def test_plans_with_models_are_run_as_they_are_written():
    job = Written(1 << 10)
    pairs = job.pairs()
    totals = job.grouped(pairs, aggregate("sum", "n"))
    matrix = job.add(Matrix(sources=(totals,), features=("r",)))
    plan = replace(job.plan(out=totals), mode="oblivious")
    nodes = (*plan.nodes, replace(plan.nodes[-1], operation=job.builder.operation(matrix)))
    assert aggregate_early(replace(plan, nodes=nodes)) is None
