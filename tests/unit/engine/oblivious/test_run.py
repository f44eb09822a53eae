"""What an oblivious run refuses, finds out at its end, and lets be known."""

from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pytest
from tests.support.oblivious import facts_of, opened, padded, run_obliviously
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.plans import Job, Source, schema

from mc2.engine.oblivious.expressions import COMPUTED
from mc2.engine.oblivious.part import Part, PartSettings
from mc2.engine.oblivious.run import execute
from mc2.errors import EngineError, FormatError, PlanError
from mc2.formats.facts import TableFacts
from mc2.formats.fixed import header
from mc2.formats.schema import Column, Schema, parse_type
from mc2.operators.grouping import FUNCTIONS as GROUPED
from mc2.operators.run import Run
from mc2.plan.check import check_plan
from mc2.plan.expressions import Cast, ColumnRef, call, literal
from mc2.plan.oblivious import AGGREGATES, FUNCTIONS
from mc2.plan.oblivious_functions import STATISTICS
from mc2.plan.oblivious_lists import COLLECTING
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Filter,
    Join,
    Mark,
    NamedExpression,
    Project,
    RowBound,
    SortKey,
)
from mc2.plan.stages import InputSize, layout_of
from mc2.plan.stages_cut import cut
from mc2.plan.types import DOUBLE, INT32, STRING
from mc2.plan.windows import Window, WindowColumn

ROWS = [(1, "a", Decimal("1.00")), (2, "b", None), (2, None, Decimal("-2.50")), (None, "é", None)]


def job(rows=ROWS):
    return Job(t=Source(schema(k="int64", s="string", n="decimal(5,2)"), rows, bound=0))


def run_with(made, node, facts=None, change=lambda chunks: chunks):
    """Run a node over inputs that an owner sealed as it liked."""
    checked, sources = obliviously(made.plan(out=node), made)
    (name,) = sources
    source = sources[name]
    if facts is not None:
        plan = checked.plan
        inputs = (replace(plan.inputs[0], facts=facts),)
        checked = check_plan(replace(plan, inputs=inputs))
        source = padded(source.table, facts, source.form.row_bound, rows_per_chunk=3)

    class Sealed:
        form = source.form

        def plains(self):
            return change(list(source.plains()))

    return opened(execute(checked, {name: Sealed()}, lambda _: None)["out"])


def widths(**changes):
    return replace(facts_of(job().sources["a.t"].table), **changes)


def test_the_engine_computes_what_plans_may_hold():
    assert COMPUTED == FUNCTIONS
    assert set(GROUPED) | STATISTICS | COLLECTING == AGGREGATES


def test_declared_facts_that_are_true_change_no_answer():
    made = job()
    facts = widths(ranges={"k": (1, 2)}, domains={"s": ("a", "b", "é")}, unique=(("k", "s"),))
    assert run_with(made, made.scan("t"), facts).num_rows == 4


@pytest.mark.parametrize(
    "changes",
    [{"ranges": {"k": (1, 1)}}, {"ranges": {"k": (2, 9)}}, {"domains": {"s": ("a", "b")}}],
)
def test_false_ranges_and_domains_fail_the_job(changes):
    made = job()
    with pytest.raises(EngineError, match="domain") as raised:
        run_with(made, made.scan("t"), widths(**changes))
    assert "é" not in str(raised.value)


def test_facts_of_columns_that_are_not_read_are_not_looked_at():
    made = job()
    assert run_with(made, made.scan("t", "n"), widths(ranges={"k": (1, 1)})).num_rows == 4


def test_a_key_that_is_not_unique_fails_the_join_that_relies_on_it():
    made = Job(t=Source(schema(k="int64"), [(2,), (2,)], bound=0),
               u=Source(schema(p="int64"), [(1,), (2,)], bound=0))  # fmt: skip
    on = call("eq", ColumnRef("k"), ColumnRef("p"))
    joined = made.add(Join(made.scan("u"), made.scan("t"), "inner", on))
    checked, sources = obliviously(made.plan(out=joined), made)
    facts = TableFacts(unique=(("k",),))
    inputs = [replace(i, facts=facts) if i.dataset == "a.t" else i for i in checked.plan.inputs]
    sources["a.t"] = padded(sources["a.t"].table, facts, 4, rows_per_chunk=3)
    checked = check_plan(replace(checked.plan, inputs=tuple(inputs)))
    with pytest.raises(EngineError, match="unique"):
        run_obliviously(checked, sources)


def test_a_key_that_is_not_unique_fails_the_window_whose_order_relies_on_it():
    """Which of two rows with one key comes first, no other column would say."""
    rows = [(2, "a", 7), (2, "b", 7), (1, "c", 7)]
    made = Job(t=Source(schema(k="int64", s="string", v="int64"), rows, bound=0))
    by = (SortKey(ColumnRef("v"), descending=False, nulls_first=True),)
    numbered = made.add(Window(made.scan("t"), (), by, (WindowColumn("w", "row_number", ()),)))
    shown = tuple(NamedExpression(n, ColumnRef(n)) for n in ("w", "s"))
    out = made.add(Project(numbered, shown))
    true = replace(facts_of(made.sources["a.t"].table), unique=(("s",),))
    assert run_with(made, out, true).num_rows == 3
    with pytest.raises(EngineError, match="unique"):
        run_with(made, out, replace(true, unique=(("k",),)))


def altered(at, value):
    def change(chunks):
        first = bytearray(chunks[0])
        first[at : at + len(value)] = value
        return [bytes(first), *chunks[1:]]

    return change


def places():
    return padded(job().sources["a.t"].table, widths(), 6, rows_per_chunk=3).form.places


@pytest.mark.parametrize(
    "change",
    [
        altered(0, header(4)),  # more rows than places
        altered(0, header(2)),  # rows behind a chunk that is not full
        altered(places().columns[1].lengths, b"\x03"),  # longer than its width
        altered(places().columns[1].values + 1, b"x"),  # behind the end of a text
        altered(places().columns[1].values, b"\xff"),  # no UTF-8
        altered(places().columns[2].values, (10**5).to_bytes(8, "little")),  # too many digits
    ],
)
def test_rows_that_no_owner_may_seal_fail_the_job(change):
    made = job()
    with pytest.raises(EngineError, match="domain"):
        run_with(made, made.scan("t"), change=change)


def test_chunks_of_another_kind_are_refused():
    made = job()
    for change in (
        altered(0, b"MC2C"),
        lambda chunks: chunks[:-1],
        lambda chunks: [c[8:] for c in chunks],
    ):
        with pytest.raises(FormatError):
            run_with(made, made.scan("t"), change=change)


@pytest.mark.parametrize(("leak", "known"), [("none", []), ("sizes", [3]), ("rounded", [4])])
def test_a_bound_tells_what_it_says(leak, known):
    made = job()
    some = made.add(Filter(made.scan("t"), call("is_not_null", ColumnRef("k"))))
    out = made.add(RowBound(some, 5, leak))
    checked, sources = obliviously(made.plan(out=out), made)
    trace = Run(record=True)
    output = execute(checked, sources, lambda _: None, trace)["out"]
    assert opened(output).num_rows == 3
    assert output.row_bound == (known[0] if known else 5)
    assert len(trace.declassified) == 1 + len(known)


def test_more_rows_than_a_bound_fail_the_job_in_both_modes():
    made = job()
    out = made.add(RowBound(made.scan("t"), 3))
    with pytest.raises(EngineError, match="bound"):
        made.rows(out)
    with pytest.raises(EngineError, match="bound"):
        run_with(made, out)
    enough = made.add(RowBound(made.scan("t"), 4))
    ((_, fast, slow),) = both_ways(made.plan(out=enough), made)
    assert fast.to_pylist() == slow.to_pylist()


def test_what_cannot_be_done_is_refused_with_a_next_step():
    made = job()
    scan = made.scan("t")
    value = Cast(ColumnRef("k"), DOUBLE, strict=True)
    total = AggregateColumn("v", "skewness", (value,), distinct=True)
    found = call("regex_count", ColumnRef("s"), literal("a", STRING))
    turned = call("eq", found, literal(1, INT32))
    for node, words in (
        (made.add(Aggregate(scan, (), (total,))), "no skewness of distinct"),
        (made.add(Filter(scan, turned)), "no function regex_count"),
    ):
        with pytest.raises(PlanError, match=words) as raised:
            obliviously(made.plan(out=node), made)
        assert raised.value.hint


def test_names_that_read_like_a_part_of_another_column_are_refused():
    """Widths are named by paths: `x.y` is a column, and a part of the column `x`."""
    kinds = Schema((Column("x", parse_type("struct<y:string>")), Column("x.y", STRING)))
    made = Job(t=Source(kinds, [({"y": "a"}, "b")], bound=0))
    with pytest.raises(PlanError, match="read like a part of one"):
        obliviously(made.plan(out=made.scan("t")), made)


def test_in_takes_one_pair_of_columns_that_could_be_null():
    made = Job(
        t=Source(schema(k="int64", s="string"), [], bound=0),
        u=Source(schema(p="int64", o="string"), [], bound=0),
    )
    on = [call("eq", ColumnRef(a), ColumnRef(b)) for a, b in ("kp", "so")]
    node = made.add(Mark(made.scan("t"), made.scan("u"), "m", call("and", *on)))
    with pytest.raises(PlanError, match="several columns that could be NULL") as raised:
        obliviously(made.plan(out=node), made)
    assert "NULL out" in raised.value.hint


def test_a_source_that_is_another_than_the_plan_says_is_refused():
    made = job()
    checked, sources = obliviously(made.plan(out=made.scan("t")), made)
    (name,) = sources
    for facts in (widths(widths={"s": 9}), widths(ranges={"k": (1, 2)})):
        other = padded(sources[name].table, facts, sources[name].form.row_bound)
        with pytest.raises(EngineError, match="other columns than the plan"):
            execute(checked, {name: other}, lambda _: None)


def test_tasks_that_keep_other_bits_are_of_another_computation():
    one, other = Run(), Run()
    other.keep_bits(65)
    with pytest.raises(ValueError, match="the same bits"):
        one.add_flags(other.flags())


def test_products_that_are_too_large_are_refused():
    made = Job(
        t=Source(schema(k="int64"), [], bound=2**20), u=Source(schema(p="int64"), [], bound=2**20)
    )
    on = call("eq", ColumnRef("k"), ColumnRef("p"))
    joined = made.add(Join(made.scan("t"), made.scan("u"), "inner", on))
    marked = made.add(
        Mark(made.scan("t"), made.scan("u"), "m", call("lt", ColumnRef("k"), ColumnRef("p")))
    )
    assert made.check(out=joined)
    inputs = tuple(replace(i, sizes="padded") for i in made.inputs)
    plan = replace(made.plan(out=joined), inputs=inputs, mode="oblivious")
    with pytest.raises(PlanError, match="reserves room") as raised:
        check_plan(plan)
    assert "unique" in raised.value.hint
    with pytest.raises(PlanError):
        check_plan(replace(made.plan(out=marked), inputs=inputs, mode="oblivious"))


def test_inputs_that_are_not_padded_are_refused():
    made = job()
    with pytest.raises(PlanError, match="padded") as raised:
        check_plan(replace(made.plan(out=made.scan("t")), mode="oblivious"))
    assert "--padded" in raised.value.hint


def test_a_plan_of_one_mode_never_runs_in_the_other():
    made = job()
    plan = made.plan(out=made.scan("t"))
    with pytest.raises(PlanError, match="another mode"):
        execute(check_plan(plan), {}, lambda _: None)
    stages = cut(check_plan(plan), layout_of([InputSize(1, 1, 1, 1)], 1))
    checked, _ = obliviously(plan, made)
    with pytest.raises(PlanError, match="another mode"):
        Part(checked, stages, 0, [], PartSettings())


def test_an_empty_table_gives_what_it_must():
    made = job([])
    scan = made.scan("t")
    count = AggregateColumn("n", "count_star", ())
    total = AggregateColumn("s", "sum", (ColumnRef("n"),))
    for node in (
        scan,
        made.add(Aggregate(scan, (), (count, total))),
        made.add(Aggregate(scan, ("k",), (count,))),
    ):
        ((_, fast, slow),) = both_ways(made.plan(out=node), made)
        assert fast.to_pylist() == slow.to_pylist()
    assert isinstance(slow, pa.Table)
