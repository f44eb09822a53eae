"""Made-up rows, and a plan over them that takes every operation once: what a self-test runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pyarrow as pa

from mc2.crypto.digest import Digest
from mc2.formats.manifest import Manifest
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import (
    Cast,
    ColumnRef,
    Expression,
    Lambda,
    Parameter,
    call,
    literal,
)
from mc2.plan.formulas import Formula, Step
from mc2.plan.linear_models import Apply, FitClusters, FitLinear
from mc2.plan.models import (
    Annotate,
    Categories,
    Controls,
    CrossValidate,
    Evaluation,
    History,
    Inspect,
    Matrix,
    Predict,
    Slice,
    Stopping,
    Train,
)
from mc2.plan.packages import package_versions
from mc2.plan.parameters import read_parameters
from mc2.plan.plan import Operation, Plan, PlanInput, PlanOutput
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Distinct,
    Explode,
    Filter,
    Join,
    Limit,
    Mark,
    NamedExpression,
    Project,
    RowBound,
    Scan,
    Sort,
    SortKey,
    Union,
    Values,
)
from mc2.plan.types import INT32, INT64, STRING
from mc2.plan.windows import WHOLE, Bound, Frame, Window, WindowColumn

DATASET: Final = "warm.up"
ROWS: Final = 64
_OWNER: Final = "warm"


def made_up_rows() -> pa.Table:
    """A table with a column of each sort that engines treat in their own ways."""
    numbers = range(ROWS)
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    return pa.table(
        {
            "n": pa.array(numbers, pa.int64()),
            "x": pa.array([i / 7 for i in numbers], pa.float64()),
            "name": pa.array([f"name {i % 3}" if i % 5 else None for i in numbers], pa.string()),
            "at": pa.array([moment] * ROWS, pa.timestamp("us", "UTC")),
            "amount": pa.array(list(numbers), pa.decimal128(12, 2)),
            "label": pa.array([i % 2 for i in numbers], pa.int32()),
        }
    ).combine_chunks()


def made_up_plan(contract: Digest, manifest: Manifest) -> Plan:
    """A plan over these rows that takes every operation once."""
    source = PlanInput(
        dataset=DATASET,
        owner=_OWNER,
        manifest=manifest.digest,
        schema=manifest.schema,
        row_bound=manifest.row_bound,
    )
    builder = PlanBuilder([source])
    scan = builder.add(Scan(0, manifest.schema.names))
    nodes, outputs = builder.finish([*_relations(builder, scan), *_models(builder, scan)])
    return Plan(
        title="",
        mode="encrypted",
        contract=contract,
        script_name="",
        script="",
        packages=package_versions(),
        inputs=(source,),
        nodes=nodes,
        outputs=outputs,
    )


def oblivious_plan(contract: Digest, manifest: Manifest) -> Plan:
    """A plan over these rows, padded, that takes every operation of oblivious mode once."""
    source = PlanInput(
        dataset=DATASET,
        owner=_OWNER,
        manifest=manifest.digest,
        schema=manifest.schema,
        row_bound=manifest.row_bound,
        sizes=manifest.sizes,
        placement=manifest.placement,
        facts=manifest.facts,
    )
    builder = PlanBuilder([source])
    scan = builder.add(Scan(0, manifest.schema.names))
    said = _output("said", _obliviously(builder, scan), "table")
    nodes, outputs = builder.finish([said, *_learnt_obliviously(builder, scan)])
    return Plan(
        title="",
        mode="oblivious",
        contract=contract,
        script_name="",
        script="",
        packages=package_versions(),
        inputs=(source,),
        nodes=nodes,
        outputs=outputs,
    )


def _obliviously(builder: PlanBuilder, scan: int) -> int:
    """Every row once, by a way that is long enough to take every operator."""
    n, name = ColumnRef("n"), ColumnRef("name")
    total = AggregateColumn("total", "sum", (ColumnRef("amount"),))
    groups = builder.add(Aggregate(scan, ("name", "label"), (total,)))
    few = builder.add(RowBound(builder.add(Distinct(groups)), ROWS, "rounded"))
    keys = {"name": "of", "label": "sort", "total": "total"}
    columns = tuple(NamedExpression(new, ColumnRef(old)) for old, new in keys.items())
    other = builder.add(Project(few, columns))
    on = call(
        "and",
        call("same", name, ColumnRef("of")),
        call("eq", ColumnRef("label"), ColumnRef("sort")),
    )
    joined = builder.add(Join(scan, other, "left", on))
    listed = builder.add(Values(("listed",), ((literal("name 1", STRING),),)))
    marked = builder.add(Mark(joined, listed, "known", call("same", name, ColumnRef("listed"))))
    parts = [
        builder.add(Filter(marked, call(test, n, literal(ROWS // 2, INT64))))
        for test in ("lt", "ge")
    ]
    both = builder.add(Union(tuple(parts)))
    both = builder.add(Explode(both, _of_elements(n, n), "either", "which"))
    key = SortKey(ColumnRef("total"), descending=True, nulls_first=False)
    near = Frame("rows", Bound("preceding", literal(1, INT32)), Bound("current_row"))
    functions = (
        WindowColumn("place", "row_number", ()),
        WindowColumn("before", "lag", (n, literal(1, INT32), n), ignore_nulls=True),
        WindowColumn("first", "first_value", (name,), near),
        WindowColumn("sum", "sum", (ColumnRef("amount"),), near),
    )
    placed = builder.add(Window(both, ("label",), (key,), functions))
    return builder.add(Limit(builder.add(Sort(placed, (key,))), ROWS))


def _learnt_obliviously(builder: PlanBuilder, scan: int) -> list[PlanOutput]:
    names = (Categories("name", ("name 0", "name 1", "name 2")),)
    matrix = builder.add(
        Matrix(
            (scan,),
            ("x", "amount", "name"),
            label="label",
            weight="n",
            categorical=("name",),
            categories=names,
        )
    )
    parameters = read_parameters(
        {"objective": "binary:logistic", "max_depth": 2, "eval_metric": ["auc", "logloss"]}
    )
    whole = read_parameters({"objective": "binary:logistic", "max_depth": 2, "gamma": "1000.0"})
    first = builder.add(Train(matrix, whole, 1, controls=Controls(2, 0)))  # one leaf of all rows
    seen = (Evaluation("seen", matrix),)
    model = builder.add(Train(matrix, parameters, 2, seen, Stopping(2), start=first))
    kinds = builder.add(Predict(model, matrix, keep=("n",), what="class"))
    history = builder.add(History(model))
    leaves = builder.add(Predict(builder.add(Slice(model, 0, 1)), matrix, what="leaf"))
    return [
        _output("checked", builder.add(CrossValidate(matrix, whole, 1, 2)), "table"),
        _output("history", history, "table"),
        _output("leaves", leaves, "table"),
        _output("kinds", kinds, "table"),
        _output("model", model, "model"),
        *_linear(builder, scan),
        *_kept(builder, scan, "kept_rows"),
    ]


def _relations(builder: PlanBuilder, scan: int) -> list[PlanOutput]:
    n, name, at = ColumnRef("n"), ColumnRef("name"), ColumnRef("at")
    kept = builder.add(Filter(scan, call("gt", n, literal(3, INT64))))
    pattern = call("like", name, literal("%1", STRING))
    left = builder.add(
        Project(
            kept,
            (
                NamedExpression("k", n),
                NamedExpression("day", call("truncate_to", literal("day", STRING), at)),
                NamedExpression("loud", call("upper", name)),
                NamedExpression("one", pattern),
            ),
        )
    )
    joined = builder.add(Join(left, scan, "left", call("eq", ColumnRef("k"), n)))
    both = builder.add(Distinct(builder.add(Union((joined, joined)))))
    grouped = builder.add(
        Aggregate(
            both,
            ("loud", "day"),
            (
                AggregateColumn("rows", "count_star", ()),
                AggregateColumn("mean", "avg", (ColumnRef("x"),)),
                AggregateColumn("total", "sum", (ColumnRef("amount"),)),
                AggregateColumn("spread", "stddev_samp", (ColumnRef("x"),)),
            ),
        )
    )
    key = SortKey(ColumnRef("loud"), descending=True, nulls_first=False)
    bounded = builder.add(RowBound(grouped, ROWS))
    last = builder.add(Limit(builder.add(Sort(bounded, (key,))), 2, 1))
    return [
        _output("looked_up", _looked_up(builder, scan), "table"),
        _output("rows", last, "table"),
    ]


def _looked_up(builder: PlanBuilder, scan: int) -> int:
    """What subqueries and window functions become."""
    n, name, x = ColumnRef("n"), ColumnRef("name"), ColumnRef("x")
    few = builder.add(Values(("listed",), ((literal("name 1", STRING),), (literal(None, STRING),))))
    marked = builder.add(Mark(scan, few, "is_listed", call("eq", name, ColumnRef("listed"))))
    most = builder.add(Aggregate(scan, ("label",), (AggregateColumn("most", "max", (n,)),)))
    columns = (
        NamedExpression("key", ColumnRef("label")),
        NamedExpression("most", ColumnRef("most")),
    )
    renamed = builder.add(Project(most, columns))
    same = call("same", ColumnRef("label"), ColumnRef("key"))
    found = builder.add(Join(marked, renamed, "single", same))
    order = (SortKey(n, descending=False, nulls_first=True),)
    functions = (
        WindowColumn("place", "row_number", ()),
        WindowColumn("mean", "avg", (x,), WHOLE),
        WindowColumn("sum", "sum", (ColumnRef("amount"),), WHOLE, where=ColumnRef("is_listed")),
    )
    near = builder.add(Window(found, ("label",), order, functions))
    return builder.add(Explode(near, _of_elements(n, ColumnRef("most")), "either", "which"))


def _of_elements(n: ColumnRef, other: ColumnRef) -> Expression:
    """A list, by each function that takes a lambda."""
    total, one, place = (Parameter(p) for p in ("total", "one", "place"))
    both = call("list", n, other)
    some = call("list_filter", both, Lambda(("one",), call("is_not_null", one)))
    step = Lambda(("total", "one"), call("greatest", total, one))
    most = call("list_reduce", some, n, step, Lambda(("total",), total))
    pairs = call("list_zip", some, call("list", most))
    first = call("coalesce", call("field", one, literal("first", STRING)), Cast(place, INT64))
    return call("list_map", pairs, Lambda(("one", "place"), first))


def _models(builder: PlanBuilder, scan: int) -> list[PlanOutput]:
    matrix = builder.add(
        Matrix((scan,), ("x", "name"), label="label", weight="n", categorical=("name",))
    )
    parameters = read_parameters(
        {"objective": "binary:logistic", "max_depth": 2, "eval_metric": ["auc", "logloss"]}
    )
    seen = (Evaluation("seen", matrix),)
    model = builder.add(
        Train(matrix, parameters, 3, seen, Stopping(2), controls=Controls(1, 0, True))
    )
    said = builder.add(Predict(model, matrix, keep=("n",)))
    history = builder.add(History(model))
    return [
        _output("history", history, "table"),
        _output("model", model, "model"),
        _output("said", said, "table"),
        *_boosters(builder, scan, seen[0].matrix),
        *_linear(builder, scan),
        *_kept(builder, scan),
    ]


def _boosters(builder: PlanBuilder, scan: int, matrix: int) -> list[PlanOutput]:
    """What else can be done with models."""
    margin, label = Step("input", (), "prediction"), Step("input", (), "label")
    own = Formula((margin, label, Step("subtract", (0, 1)), Step("number", (), "1.0")), (2, 3))
    error = Formula((margin, label, Step("subtract", (0, 1)), Step("mean", (2,))), (3,), "bias")
    plain = builder.add(Matrix((scan,), ("x",), label="label", group="n"))
    first = builder.add(
        Train(matrix, (), 2, objective=own, metric=error, learning_rates=("0.5", "0.1"))
    )
    second = builder.add(Train(matrix, (), 2, start=first))
    part = builder.add(Annotate(builder.add(Slice(second, 0, 4, 2)), (("made", "up"),)))
    linear = read_parameters({"booster": "gblinear"})
    ranked = builder.add(Train(plain, read_parameters({"objective": "rank:ndcg"}), 1))
    tables: dict[str, Operation] = {
        "checked": CrossValidate(matrix, (), 2, 3, stratified=True),
        "contributions": Predict(second, matrix, what="contribs"),
        "coefficients": Inspect(builder.add(Train(plain, linear, 1)), kinds=("weight",)),
        "nodes": Inspect(part, "trees"),
        "ranks": Predict(ranked, plain),
    }
    found = [_output(name, builder.add(node), "table") for name, node in tables.items()]
    return [*found, _output("part", part, "model")]


def _linear(builder: PlanBuilder, scan: int) -> list[PlanOutput]:
    """Linear and logistic regression, and clusters."""
    rows = builder.add(Matrix((scan,), ("x",), label="label", weight="n"))
    plain = builder.add(Matrix((scan,), ("x", "n")))
    line = builder.add(FitLinear(rows, "linear", "1.0"))
    curve = builder.add(FitLinear(rows, "logistic", "1.0", sparsity="1.0"))
    kind = NamedExpression("kind", call("modulo", ColumnRef("n"), literal(3, INT64)))
    kinds = builder.add(Project(scan, (NamedExpression("x", ColumnRef("x")), kind)))
    three = builder.add(Matrix((kinds,), ("x",), label="kind"))
    several = builder.add(FitLinear(three, "logistic", "1.0", classes=3))
    centres = builder.add(FitClusters(plain, 2, 10))
    return [
        _output("centres", centres, "model"),
        _output("curve", builder.add(Apply(curve, rows, what="probability")), "table"),
        _output("line", builder.add(Apply(line, rows, ("n",))), "table"),
        _output("shares", builder.add(Apply(several, three, what="probability")), "table"),
        _output("likeliest", builder.add(Apply(several, three, what="class")), "table"),
        _output("nearest", builder.add(Apply(centres, plain, what="cluster")), "table"),
    ]


def _kept(builder: PlanBuilder, scan: int, *tables: str) -> list[PlanOutput]:
    """Models that stay sealed, of either kind of file; and `tables`, all rows each."""
    rows = builder.add(Matrix((scan,), ("x",), label="label", weight="n"))
    made: dict[str, Operation] = {
        "kept_line": FitLinear(rows, "linear", "1.0"),
        "kept_trees": Train(rows, (), 1),
    }
    nodes = {name: ("model", builder.add(how)) for name, how in made.items()}
    nodes |= dict.fromkeys(tables, ("table", scan))
    return [
        PlanOutput(name=name, node=node, kind=kind, recipients=(), keep=True)
        for name, (kind, node) in nodes.items()
    ]


def _output(name: str, node: int, kind: str) -> PlanOutput:
    return PlanOutput(name=name, node=node, kind=kind, recipients=(_OWNER,))
