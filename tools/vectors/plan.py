"""Vectors of plans: one with every operation and kind of expression, and what must not pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

from mc2.crypto.digest import digest
from mc2.formats.canonical import decode, encode
from mc2.formats.result import MODEL_COLUMNS
from mc2.formats.schema import Column, Schema, parse_type
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import (
    Case,
    Cast,
    ColumnRef,
    InList,
    Lambda,
    Parameter,
    When,
    call,
    literal,
)
from mc2.plan.formulas import Formula, Step
from mc2.plan.kept_models import ModelFacts
from mc2.plan.linear_models import Apply, FitClusters, FitLinear
from mc2.plan.models import (
    Annotate,
    CrossValidate,
    Evaluation,
    History,
    Inspect,
    Matrix,
    Predict,
    Recall,
    Slice,
    Stopping,
    Train,
)
from mc2.plan.parameters import parameters
from mc2.plan.plan import Plan, PlanInput, PlanOutput
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
from mc2.plan.types import DATE, DOUBLE, INT32, INT64, STRING
from mc2.plan.windows import SO_FAR, Bound, Frame, Window, WindowColumn

CaseOf = dict[str, str]
Edit = Callable[[Any], None]
_LIMIT = 1 << 24


def cases() -> Iterator[CaseOf]:
    """All cases, in a fixed order."""
    raw = whole_plan().encode()
    yield _case("whole", raw, "", "every operation, and every expression but lambdas")
    yield _case("small", small_plan().encode(), "", "one scan of one column")
    yield _case("kept", kept_plan().encode(), "", "reads a kept result, and keeps another")
    for name, (edit, error, comment) in _EDITS.items():
        value = decode(raw, _LIMIT, "a plan")
        edit(value)
        yield _case(name, encode(value), error, comment)
    lambdas = lambda_plan().encode()
    yield _case("lambdas", lambdas, "", "functions of elements, one inside of the other")
    for name, (edit, error, comment) in _LAMBDA_EDITS.items():
        value = decode(lambdas, _LIMIT, "a plan")
        edit(value)
        yield _case(name, encode(value), error, comment)
    spelled = raw.replace(b'"count":2', b'"count":2.0')
    yield _case("float", spelled, "FormatError", "a floating-point number")
    spelled = raw.replace(b'{"contract"', b'{ "contract"')
    yield _case("space", spelled, "FormatError", "a space that the canonical form does not have")


def _case(name: str, raw: bytes, error: str, comment: str) -> CaseOf:
    case = {"format": "plan", "name": name, "comment": comment, "text": raw.decode()}
    return case | ({"expect": "reject", "error": error} if error else {"expect": "accept"})


def _input(dataset: str, **columns: str) -> PlanInput:
    return PlanInput(
        dataset=dataset,
        owner=dataset.partition(".")[0],
        manifest=digest(dataset.encode()),
        schema=Schema(tuple(Column(n, parse_type(t)) for n, t in columns.items())),
        row_bound=1000,
    )


def _plan(inputs: tuple[PlanInput, ...], builder: PlanBuilder, outputs: list[PlanOutput]) -> Plan:
    nodes, sorted_outputs = builder.finish(outputs)
    return Plan(
        title="Vector",
        mode="encrypted",
        contract=digest(b"contract"),
        script_name="vector.py",
        script="# what the plan was compiled from\n",
        packages={"duckdb": "2.0.0"},
        inputs=inputs,
        nodes=nodes,
        outputs=sorted_outputs,
    )


def _table(name: str, node: int, *recipients: str) -> PlanOutput:
    return PlanOutput(name=name, node=node, kind="table", recipients=recipients or ("ada",))


def small_plan() -> Plan:
    """The least a plan can be."""
    inputs = (_input("ada.visits", x="int64"),)
    builder = PlanBuilder(inputs)
    return _plan(inputs, builder, [_table("all", builder.add(Scan(0, ("x",))))])


def lambda_plan() -> Plan:
    """Lists in which elements are chosen, changed with their places, and added up."""
    inputs = (_input("ada.visits", id="int64", costs="list<double>"),)
    add = (builder := PlanBuilder(inputs)).add
    scan = add(Scan(0, ("id", "costs")))
    cost, place, total = (Parameter(p) for p in ("cost", "place", "total"))
    dear = Lambda(("dear",), call("gt", Parameter("dear"), literal(0.5, DOUBLE)))
    kept = call("list_filter", ColumnRef("costs"), dear)
    sums = Lambda(("total", "other"), call("add", total, call("divide", Parameter("other"), cost)))
    last = Lambda(("total",), total)
    inner = call("list_reduce", kept, Cast(place, DOUBLE), sums, last)
    columns = (
        NamedExpression("id", ColumnRef("id")),
        NamedExpression(
            "sums", call("list_map", ColumnRef("costs"), Lambda(("cost", "place"), inner))
        ),
    )
    return _plan(inputs, builder, [_table("sums", add(Project(scan, columns)))])


def kept_plan() -> Plan:
    """Reads what two owners keep, and keeps what comes of it."""
    read = PlanInput(
        dataset="kept.base",
        owner="kept",
        manifest=digest(b"result"),
        schema=Schema((Column("x", INT64),)),
        row_bound=1000,
        kept=("ada", "bob"),
    )
    builder = PlanBuilder((read,))
    kept = PlanOutput(
        name="more", node=builder.add(Scan(0, ("x",))), kind="table", recipients=(), keep=True
    )
    return _plan((read,), builder, [kept])


def _kept_model() -> PlanInput:
    """Trees over one feature, which two owners keep."""
    facts = ModelFacts(
        operation=Train(0, parameters({"objective": "binary:logistic"}), 8),
        matrix=Matrix((0,), ("age",)),
        features=Schema((Column("age", DOUBLE, nullable=False),)),
        margins=1,
        values=1,
        rounds=8,
        has_best=True,
    )
    return PlanInput(
        dataset="kept.risk",
        owner="kept",
        manifest=digest(b"model"),
        schema=MODEL_COLUMNS,
        row_bound=1,
        kept=("ada", "bob"),
        model=facts,
    )


def whole_plan() -> Plan:
    """Two owners' tables, joined, summed up and learned from."""
    inputs = (
        _input(
            "ada.visits",
            id="int64",
            site="string",
            cost="decimal(9,2)",
            day="date",
            y="boolean",
            codes="list<string>",
        ),
        _input("bob.people", person="int64", age="double", city="string"),
        _kept_model(),
    )
    add = (builder := PlanBuilder(inputs)).add
    visits = add(Scan(0, ("id", "site", "cost", "day", "y")))
    people = add(Scan(1, ("person", "age", "city")))
    recent = add(Filter(visits, call("ge", ColumnRef("day"), _date("2024-01-31"))))
    both = add(Join(recent, people, "inner", call("eq", ColumnRef("id"), ColumnRef("person"))))
    old = Case(
        (When(call("gt", ColumnRef("age"), literal(64.5, DOUBLE)), _text("old")),), _text("young")
    )
    known = InList(ColumnRef("city"), (literal("Ulm", STRING), literal(None, STRING)))
    columns = (
        NamedExpression("site", ColumnRef("site")),
        NamedExpression("group", old),
        NamedExpression("known", known),
        NamedExpression("cost", Cast(ColumnRef("cost"), DOUBLE)),
        NamedExpression("age", ColumnRef("age")),
        NamedExpression("y", Cast(ColumnRef("y"), INT64, strict=False)),
    )
    flat = add(Project(both, columns))
    dear = call("gt", ColumnRef("cost"), literal(0.1, DOUBLE))
    summary = add(
        Aggregate(
            flat,
            ("site", "group"),
            (
                AggregateColumn("n", "count_star", ()),
                AggregateColumn("total", "sum", (ColumnRef("cost"),), where=dear),
                AggregateColumn("ages", "count", (ColumnRef("age"),), distinct=True),
            ),
        )
    )
    few = add(RowBound(summary, 50, "rounded"))
    top = add(Limit(add(Sort(few, (SortKey(ColumnRef("n"), True, False),))), 2, 1))
    twice = add(Distinct(add(Union((summary, top)))))
    sure = add(Filter(flat, call("is_not_null", ColumnRef("y"))))
    rows = add(Matrix((sure,), ("site", "cost", "age"), "y", None, ("site",), "-999.0"))
    settings = parameters({"objective": "binary:logistic", "eta": 0.1, "max_depth": 3})
    model = add(Train(rows, settings, 20, (Evaluation("train", rows),), Stopping(5)))
    said = add(Predict(model, rows, ("group",), "risk", "value", "best"))
    history = add(History(model))
    boosters = _boosters(builder, rows, model)
    ranks = _looked_up(builder, people)
    return _plan(
        inputs,
        builder,
        [
            _table("groups", twice, "ada", "bob"),
            *boosters,
            _table("history", history),
            _table("ranks", ranks),
            _table("risks", said),
            PlanOutput(name="model", node=model, kind="model", recipients=("bob",)),
        ],
    )


def _boosters(builder: PlanBuilder, rows: int, model: int) -> list[PlanOutput]:
    """What else can be done with models."""
    margin, label = Step("input", (), "prediction"), Step("input", (), "label")
    gap = Step("subtract", (0, 1))
    own = Formula((margin, label, gap, Step("number", (), "1.0")), (2, 3))
    bias = Formula((margin, label, gap, Step("mean", (2,))), (3,), "bias")
    more = builder.add(
        Train(rows, (), 2, objective=own, metric=bias, learning_rates=("0.5", "0.1"))
    )
    part = builder.add(Slice(builder.add(Train(rows, (), 3, start=more)), 0, 4, 2))
    marked = builder.add(Annotate(part, (("purpose", "trial"),)))
    checked = builder.add(CrossValidate(rows, parameters({"max_depth": 2}), 3, 5, seed=7))
    scores = builder.add(Inspect(model, kinds=("gain", "weight")))
    found = [_table("checked", checked, "ada"), _table("scores", scores, "bob")]
    return [
        *found,
        PlanOutput(name="part", node=marked, kind="model", recipients=("ada",)),
        *_linear(builder, rows),
    ]


def _linear(builder: PlanBuilder, rows: int) -> list[PlanOutput]:
    """A regression and clusters over other matrices of the same rows."""
    trained = builder.operation(rows)
    assert isinstance(trained, Matrix)
    plain = replace(trained, features=("age",), categorical=(), missing="NaN")
    labelled = builder.add(plain)
    curve = builder.add(FitLinear(labelled, "logistic", "0.25", intercept=True, rounds=50))
    bare = builder.add(replace(plain, label=None))
    centres = builder.add(FitClusters(bare, 2, 100, 0, 1, ("20.0", "60.0")))
    said = builder.add(Apply(curve, labelled, (), "p", "probability"))
    recalled = builder.add(Predict(builder.add(Recall(2)), labelled, (), "r", "value", "best"))
    return [
        PlanOutput(name="middles", node=centres, kind="model", recipients=("ada",)),
        _table("likely", said, "ada"),
        _table("recalled", recalled, "ada"),
    ]


def _looked_up(builder: PlanBuilder, people: int) -> int:
    """What subqueries and window functions become."""
    add = builder.add
    codes = add(Scan(0, ("id", "codes")))
    each = add(Explode(codes, ColumnRef("codes"), "code", "place", outer=True))
    listed = add(Values(("listed",), ((_text("a"),), (literal(None, STRING),))))
    marked = add(
        Mark(each, listed, "is_listed", call("eq", ColumnRef("code"), ColumnRef("listed")))
    )
    ages = add(
        Aggregate(people, ("person",), (AggregateColumn("oldest", "max", (ColumnRef("age"),)),))
    )
    aged = add(Join(marked, ages, "single", call("same", ColumnRef("id"), ColumnRef("person"))))
    near = Frame("rows", Bound("preceding", literal(1, INT32)), Bound("current_row"))
    order = (SortKey(ColumnRef("oldest"), descending=True, nulls_first=False),)
    functions = (
        WindowColumn("rank", "rank", ()),
        WindowColumn("before", "lag", (ColumnRef("code"), literal(1, INT32), _text("none"))),
        WindowColumn("first", "first_value", (ColumnRef("code"),), SO_FAR, ignore_nulls=True),
        WindowColumn("sum", "sum", (ColumnRef("oldest"),), near, where=ColumnRef("is_listed")),
    )
    return add(Window(aged, ("id",), order, functions))


def _date(text: str) -> Any:
    return literal(date.fromisoformat(text), DATE)


def _text(text: str) -> Any:
    return literal(text, STRING)


def _node(plan: Any, op: str) -> Any:
    return next(n for n in plan["nodes"] if n["op"] == op)


def _set(path: str, value: Any, op: str = "") -> Edit:
    """An edit that sets a field: `inputs.0.owner` of the plan, or of its first `op` node."""

    def edit(plan: Any) -> None:
        at = _node(plan, op) if op else plan
        *way, last = path.split(".")
        for step in way:
            at = at[int(step) if step.isdigit() else step]
        at[int(last) if last.isdigit() else last] = value

    return edit


def _drop(path: str, op: str = "") -> Edit:
    def edit(plan: Any) -> None:
        at = _node(plan, op) if op else plan
        *way, last = path.split(".")
        for step in way:
            at = at[int(step) if step.isdigit() else step]
        del at[int(last) if last.isdigit() else last]

    return edit


def _unused_node(plan: Any) -> None:
    plan["nodes"].append(
        {**plan["nodes"][0], "columns": ["id"], "schema": plan["nodes"][0]["schema"][:1]}
    )


def _unused_input(plan: Any) -> None:
    plan["inputs"].insert(2, {**plan["inputs"][0], "dataset": "cy.more", "owner": "cy"})
    _node(plan, "recall")["input"] = 3


def _deep(plan: Any) -> None:
    item: Any = {"kind": "column", "name": "y"}
    for _ in range(60):
        item = {"kind": "call", "function": "not", "arguments": [item]}
    _node(plan, "filter")["predicate"] = item


def _place(plan: Any, op: str) -> int:
    return next(i for i, n in enumerate(plan["nodes"]) if n["op"] == op)


def _inspect_recalled(plan: Any) -> None:
    _node(plan, "inspect")["model"] = _place(plan, "recall")
    plan["nodes"].sort(key=lambda node: node["op"] == "inspect")  # the model comes first
    inspected = _place(plan, "inspect")
    for output in plan["outputs"]:
        output["node"] = inspected if output["name"] == "scores" else output["node"]


def _release_recalled(plan: Any) -> None:
    plan["outputs"][-1] |= {"kind": "model", "node": _place(plan, "recall")}


def _keep_recalled(plan: Any) -> None:
    _release_recalled(plan)
    plan["outputs"][-1] |= {"keep": True, "recipients": []}


def _lied_schema(plan: Any) -> None:
    _node(plan, "aggregate")["schema"][2]["nullable"] = True


_CALL = {"kind": "call", "function": "is_null", "arguments": [{"kind": "column", "name": "id"}]}

_MAP = "columns.1.expression.arguments.1"
_INNER = f"{_MAP}.body.arguments"
_LAMBDA_EDITS: dict[str, tuple[Edit, str, str]] = {
    "lambda_free_parameter": (
        _set(f"{_INNER}.1.value.name", "dear", "project"),
        "PlanError", "a parameter of a lambda that does not stand around it"),
    "lambda_shadows": (
        _set(f"{_INNER}.0.arguments.1.parameters", ["cost"], "project"),
        "PlanError", "a parameter with the name of one around it"),
    "lambda_parameter_twice": (
        _set(f"{_INNER}.2.parameters", ["other", "other"], "project"),
        "PlanError", "two parameters with one name"),
    "lambda_without_parameters": (
        _set(f"{_MAP}.parameters", [], "project"), "PlanError", "a lambda that is given nothing"),
    "lambda_with_three": (
        _set(f"{_MAP}.parameters", ["cost", "place", "more"], "project"),
        "FormatError", "more parameters than any lambda has"),
    "lambda_with_more_than_given": (
        _set(f"{_INNER}.3.parameters", ["total", "place_2"], "project"),
        "PlanError", "more parameters than this lambda is given"),
    "lambda_parameter_in_capitals": (
        _set(f"{_MAP}.parameters.0", "Cost", "project"), "FormatError", "no name of a parameter"),
    "lambda_missing": (
        _set(_MAP, {"kind": "column", "name": "id"}, "project"),
        "PlanError", "a column in the place of a lambda"),
    "lambda_alone": (
        _set("columns.1.expression.arguments.0", {
            "kind": "lambda", "parameters": ["x"], "body": {"kind": "parameter", "name": "x"},
        }, "project"),
        "PlanError", "a lambda in the place of a list"),
    "lambda_of_another_type": (
        _set(f"{_INNER}.2.body", {"kind": "column", "name": "id"}, "project"),
        "PlanError", "a step that gives another type than it starts with"),
    "lambda_no_truth": (
        _set(f"{_INNER}.0.arguments.1.body", {"kind": "parameter", "name": "dear"}, "project"),
        "PlanError", "a filter that gives a number"),
    "lambda_unknown_field": (
        _set(f"{_MAP}.types", [], "project"), "FormatError", "a field that is not known"),
}  # fmt: skip

_EDITS: dict[str, tuple[Edit, str, str]] = {
    "other_type": (_set("type", "mc2/plan/v2"), "FormatError", "another version"),
    "unknown_field": (_set("note", "x"), "FormatError", "a field that is not known"),
    "no_title": (_drop("title"), "FormatError", "a field is missing"),
    "unknown_mode": (_set("mode", "plain"), "FormatError", "a mode that there is not"),
    "inputs_unsorted": (
        lambda plan: plan["inputs"].reverse(), "FormatError", "inputs out of order"),
    "input_of_another": (_set("inputs.0.owner", "bob"), "FormatError", "ada.visits is not bob's"),
    "input_twice": (
        lambda plan: plan["inputs"].append(plan["inputs"][1]), "FormatError", "one input twice"),
    "huge_bound": (_set("inputs.0.row_bound", 2**41), "FormatError", "a row bound out of range"),
    "no_outputs": (_set("outputs", []), "FormatError", "a plan that releases nothing"),
    "no_recipients": (_set("outputs.0.recipients", []), "FormatError", "an output for nobody"),
    "kept_with_recipients": (_set("outputs.0.keep", True), "FormatError", "kept, and for somebody"),
    "keep_missing": (_drop("outputs.0.keep"), "FormatError", "a field is missing"),
    "kept_by_one_who_owns": (
        _set("inputs.0.kept", ["ada"]), "FormatError", "a dataset has one owner"),
    "kept_by_nobody": (_set("inputs.0.kept", []), "FormatError", "a kept input without owners"),
    "model_of_an_owner": (
        _set("inputs.1.model", {}), "FormatError", "the facts of a model have fields"),
    "model_of_rows": (_set("inputs.2.row_bound", 2), "FormatError", "a kept model is one row"),
    "model_with_other_columns": (
        _set("inputs.2.schema.0.name", "file"), "FormatError", "a kept model has one column"),
    "model_missing": (_drop("inputs.2.model"), "FormatError", "a field is missing"),
    "model_with_evaluations": (
        _set("inputs.2.model.operation.evaluations", [{"name": "a", "matrix": 0}]),
        "FormatError", "facts that say more than how a model predicts"),
    "model_over_rows": (
        _set("inputs.2.model.matrix.sources", [1]), "FormatError", "facts that name nodes"),
    "model_of_a_category": (
        _set("inputs.2.model.matrix.categorical", ["age"]), "FormatError", "a category"),
    "model_of_other_features": (
        _set("inputs.2.model.matrix.features", ["cost"]), "FormatError", "features without types"),
    "model_not_learnt": (
        _set("inputs.2.model.operation.op", "scan"), "FormatError", "a model of no training"),
    "recall_of_a_table": (_set("input", 0, "recall"), "PlanError", "a table as a kept model"),
    "recall_of_nothing": (_set("input", 7, "recall"), "PlanError", "an input that is not there"),
    "scan_of_a_model": (_set("input", 2, "scan"), "PlanError", "a kept model as a table"),
    "recalled_and_inspected": (_inspect_recalled, "PlanError", "a kept model only predicts"),
    "recalled_and_released": (_release_recalled, "PlanError", "a kept model never leaves"),
    "recalled_and_kept": (_keep_recalled, "PlanError", "a kept model never leaves"),
    "recalled_with_other_facts": (
        _set("inputs.2.model.features.0.type", "int32"),
        "PlanError", "the rows have not the features of the kept model"),
    "recalled_without_a_best_round": (
        _set("inputs.2.model.has_best", False), "PlanError", "nobody knows which round is best"),
    "recipients_unsorted": (
        _set("outputs.0.recipients", ["bob", "ada"]), "FormatError", "recipients out of order"),
    "unknown_operation": (_set("nodes.0.op", "sample"), "FormatError", "no such operation"),
    "unknown_join": (_set("how", "outer", "join"), "FormatError", "no such kind of join"),
    "node_field_missing": (
        _drop("aggregates.0.where", "aggregate"), "FormatError", "a field is missing"),
    "deep_expression": (_deep, "FormatError", "an expression that nests too deep"),
    "empty_in": (_set("columns.2.expression.items", [], "project"), "FormatError", "IN of nothing"),
    "in_of_a_column": (
        _set("columns.2.expression.items.0", {"kind": "column", "name": "city"}, "project"),
        "FormatError", "IN compares with literals only"),
    "case_without_branch": (
        _set("columns.1.expression.branches", [], "project"), "FormatError", "CASE of nothing"),
    "negative_limit": (_set("count", -1, "limit"), "FormatError", "a negative number of rows"),
    "forward_reference": (_set("source", 30, "filter"), "PlanError", "a node that comes later"),
    "self_reference": (_set("source", 2, "filter"), "PlanError", "a node that reads itself"),
    "unknown_input": (_set("input", 7, "scan"), "PlanError", "an input that is not there"),
    "unknown_column": (_set("columns.0", "nobody", "scan"), "PlanError", "no such column"),
    "column_twice": (_set("columns.1", "id", "scan"), "PlanError", "one column twice"),
    "unknown_function": (
        _set("predicate.function", "system", "filter"), "PlanError", "no such function"),
    "wrong_arguments": (
        _set("predicate.arguments.1", {"kind": "literal", "type": "int64", "value": "1"}, "filter"),
        "PlanError", "a date compared with an integer"),
    "predicate_not_boolean": (
        _set("predicate", {"kind": "column", "name": "id"}, "filter"), "PlanError", "no predicate"),
    "predicate_of_another": (
        _set("predicate", {**_CALL, "arguments": [{"kind": "column", "name": "age"}]}, "filter"),
        "PlanError", "a column of another relation"),
    "literal_respelled": (
        _set("predicate.arguments.1.value", "2024-1-31", "filter"),
        "PlanError", "another spelling"),
    "literal_double_respelled": (
        _set("columns.1.expression.branches.0.when.arguments.1.value", "64.50", "project"),
        "PlanError", "not the shortest spelling of a double"),
    "literal_of_another_type": (
        _set("predicate.arguments.1.type", "timestamp", "filter"),
        "PlanError", "a spelling of another type"),
    "cast_not_allowed": (
        _set("columns.3.expression.type", "date", "project"), "PlanError", "no such cast"),
    "join_names_clash": (_set("right", 0, "join"), "PlanError", "one name on both sides"),
    "cross_with_condition": (_set("how", "cross", "join"), "PlanError", "a cross join has none"),
    "unknown_aggregate": (
        _set("aggregates.1.function", "median", "aggregate"), "PlanError", "no such aggregate"),
    "unknown_key": (_set("keys.0", "nobody", "aggregate"), "PlanError", "no such key"),
    "lied_schema": (_lied_schema, "PlanError", "a schema that the node does not have"),
    "schema_missing": (_set("nodes.0.schema", None), "PlanError", "a relation without its schema"),
    "schema_of_a_model": (
        _set("schema", [{"name": "x", "nullable": True, "type": "int8"}], "train"),
        "PlanError", "a model has no schema"),
    "union_of_different": (_set("sources.1", 0, "union"), "PlanError", "columns of other types"),
    "matrix_as_model": (
        _set("model", 11, "predict"), "PlanError", "a matrix where a model belongs"),
    "unused_node": (_unused_node, "PlanError", "a node that no output needs"),
    "unused_input": (_unused_input, "PlanError", "an input that no node reads"),
    "output_not_there": (_set("outputs.0.node", 999), "PlanError", "an output of no node"),
    "output_of_another_kind": (_set("outputs.0.kind", "model"), "PlanError", "a table as a model"),
    "penalty_negative": (_set("penalty", "-1.0", "fit_linear"), "PlanError", "a negative penalty"),
    "penalty_respelled": (_set("penalty", "0.250", "fit_linear"), "PlanError", "another spelling"),
    "unknown_family": (_set("family", "cubic", "fit_linear"), "FormatError", "no such regression"),
    "centres_too_few": (_set("centres", ["20.0"], "fit_clusters"), "PlanError", "a centre too few"),
    "model_says_no_such": (_set("what", "cluster", "apply"), "PlanError", "a regression's cluster"),
    "categories_out_of_order": (
        _set("categories", {"site": ["b", "a"]}, "matrix"), "PlanError", "categories not in order",
    ),
    "categories_of_numbers": (
        _set("categories", {"age": 5}, "matrix"), "PlanError", "categories of an amount",
    ),
    "codes_of_text": (
        _set("categories", {"site": 5}, "matrix"), "PlanError", "a number of codes for text",
    ),
    "label_twice": (_set("more_labels", ["y"], "matrix"), "PlanError", "one label twice"),
    "label_that_is_a_feature": (
        _set("more_labels", ["cost"], "matrix"), "PlanError", "a feature as one more label",
    ),
    "text_feature": (_set("categorical", [], "matrix"), "PlanError", "text that is no category"),
    "label_is_a_feature": (_set("features.0", "y", "matrix"), "PlanError", "a column in two roles"),
    "label_missing": (_set("label", None, "matrix"), "PlanError", "training without a label"),
    "missing_respelled": (_set("missing", "-999", "matrix"), "PlanError", "another spelling"),
    "unknown_parameter": (
        _set("parameters.max_dept", 3, "train"), "PlanError", "a misspelt training parameter"),
    "gpu": (_set("parameters.device", "cuda", "train"), "PlanError", "an enclave has no GPU"),
    "parameter_alias": (
        _set("parameters.learning_rate", "0.1", "train"), "PlanError", "an alias beside the name"),
    "parameter_respelled": (
        _set("parameters.eta", "0.10", "train"), "PlanError", "not the one spelling of a float"),
    "stopping_without_evaluation": (
        _set("evaluations", [], "train"), "PlanError", "early stopping that looks at nothing"),
    "mark_names_clash": (_set("right", 0, "mark"), "PlanError", "one name on both sides"),
    "mark_name_taken": (_set("name", "CODE", "mark"), "PlanError", "a mark under a column's name"),
    "mark_not_boolean": (
        _set("on", {"kind": "column", "name": "code"}, "mark"), "PlanError", "no condition"),
    "explode_of_text": (
        _set("expression", {"kind": "column", "name": "id"}, "explode"), "PlanError", "no list"),
    "values_uneven": (_set("rows.1", [], "values"), "PlanError", "a row with too few values"),
    "values_of_two_types": (
        _set("rows.1.0.type", "int64", "values"), "PlanError", "two types in one place"),
    "values_of_columns": (
        _set("rows.0.0", {"kind": "column", "name": "id"}, "values"),
        "FormatError", "values are literals"),
    "unknown_window_function": (
        _set("columns.0.function", "median", "window"), "PlanError", "no such window function"),
    "window_without_order": (_set("order", [], "window"), "PlanError", "a rank without an order"),
    "window_key_unknown": (_set("keys.0", "nobody", "window"), "PlanError", "no such key"),
    "frame_missing": (_set("columns.2.frame", None, "window"), "PlanError", "a frame is missing"),
    "frame_of_a_rank": (
        _set("columns.0.frame", SO_FAR.json(), "window"), "PlanError", "a rank has no frame"),
    "frame_backwards": (
        _set("columns.3.frame.end", {"at": "unbounded_preceding", "offset": None}, "window"),
        "PlanError", "a frame that ends before it starts"),
    "frame_offset_missing": (
        _set("columns.3.frame.start.offset", None, "window"), "PlanError", "how many rows before?"),
    "frame_offset_negative": (
        _set("columns.3.frame.start.offset.value", "-1", "window"),
        "PlanError", "a negative number of rows"),
    "lag_of_a_column": (
        _set("columns.1.arguments.1", {"kind": "column", "name": "place"}, "window"),
        "PlanError", "how far is a literal"),
    "rank_ignores_null": (
        _set("columns.0.ignore_nulls", True, "window"), "PlanError", "a rank looks at no value"),
    "keep_unknown": (_set("keep", ["nobody"], "predict"), "PlanError", "no such column"),
}  # fmt: skip
