"""What is known of a kept model, and what a plan may do with one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mc2.crypto.digest import digest
from mc2.errors import FormatError, PlanError
from mc2.formats.canonical import decode, encode
from mc2.formats.result import MODEL_COLUMNS
from mc2.formats.schema import Column, Schema, parse_type
from mc2.plan.build import PlanBuilder
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, call
from mc2.plan.kept import kept_bound, kept_model, kept_owners
from mc2.plan.kept_models import ModelFacts, facts_of
from mc2.plan.linear_models import Apply, FitClusters, FitLinear
from mc2.plan.matrices import Categories, Edges
from mc2.plan.models import Annotate, Evaluation, Matrix, Predict, Recall, Slice, Stopping, Train
from mc2.plan.parameters import parameters
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.relations import Filter, Scan
from mc2.plan.training import Controls

DOUBLE, INT32 = parse_type("double"), parse_type("int32")
ROWS = Schema((Column("a", DOUBLE), Column("b", INT32), Column("y", DOUBLE)))
DATA = PlanInput(
    dataset="ada.rows", owner="ada", manifest=digest(b"rows"), schema=ROWS, row_bound=100
)
MORE = replace(DATA, dataset="bo.rows", owner="bo", manifest=digest(b"more"))


def trained(**changes):
    """A builder over two owners' rows with their matrix, and a model."""
    builder = PlanBuilder((DATA, MORE))
    tables = tuple(builder.add(Scan(i, ROWS.names)) for i in (0, 1))
    edges = (Edges("a", ("0.0", "1.0")),)
    rows = builder.add(Matrix(tables, ("a", "b"), "y", missing="-9.0", edges=edges))
    settings = parameters({"objective": "binary:logistic", "max_depth": 2})
    given = {
        "evaluations": (Evaluation("seen", rows),),
        "stopping": Stopping(2),
        "learning_rates": ("0.5", "0.25", "0.125"),
    }
    return builder, rows, builder.add(Train(rows, settings, 3, **{**given, **changes}))


def kept(node, **changes):
    return PlanOutput(name="m", node=node, kind="model", recipients=(), keep=True, **changes)


def planned(builder, inputs, outputs, mode="encrypted"):
    nodes, placed = builder.finish(outputs)
    return Plan(
        title="T",
        mode=mode,
        contract=digest(b"c"),
        script_name="s.py",
        script="",
        packages={},
        inputs=inputs,
        nodes=nodes,
        outputs=placed,
    )


def facts(builder, model):
    checked = check_plan(planned(builder, (DATA, MORE), [kept(model)]))
    (output,) = checked.plan.outputs
    assert kept_bound(checked, output) == 1
    assert kept_owners(checked, output) == ("ada", "bo")
    return kept_model(checked, output)


def test_the_facts_of_boosted_trees_are_those_that_predictions_need():
    builder, _, model = trained(controls=Controls(2, 0, True))
    found = facts(builder, model)
    assert found.operation == Train(
        0,
        parameters({"objective": "binary:logistic", "max_depth": 2}),
        3,
        controls=Controls(2, 0, True),
    )
    assert found.matrix == Matrix(
        (0,), ("a", "b"), missing="-9.0", edges=(Edges("a", ("0.0", "1.0")),)
    )
    assert [(c.name, c.type) for c in found.features.columns] == [("a", DOUBLE), ("b", INT32)]
    assert (found.margins, found.values, found.rounds, found.has_best) == (1, 1, 3, True)
    shape = builder.shape(model)
    assert found.shape == replace(shape, operation=found.operation, derived=True)
    assert ModelFacts.read(decode(encode(found.json()), 1 << 20, "facts")) == found


def test_parts_of_models_and_models_that_go_on_are_kept_with_their_rounds():
    builder, rows, model = trained()
    more = builder.add(Train(rows, (), 5, start=builder.add(Train(rows, (), 2))))
    part = builder.add(Slice(model, 0, 2, 1))
    marked = builder.add(Annotate(part, (("for", "trial"),)))
    assert facts(builder, more).rounds == 7
    found = facts(builder, marked)
    assert (found.rounds, found.has_best) == (2, False)


@pytest.mark.parametrize("fit", [FitLinear(0, "logistic", "0.5"), FitClusters(0, 3)])
def test_the_facts_of_linear_models_and_clusters(fit):
    builder, rows, _ = trained()
    plain = replace(builder.operation(rows), missing="NaN", edges=())
    if isinstance(fit, FitClusters):
        plain = replace(plain, label=None)
    found = facts(builder, builder.add(replace(fit, matrix=builder.add(plain))))
    assert found.operation == fit
    assert (found.margins, found.values, found.rounds, found.has_best) == (1, 1, 0, False)
    assert ModelFacts.read(decode(encode(found.json()), 1 << 20, "facts")) == found
    for change in ({"rounds": 1}, {"margins": 2}, {"values": 2}, {"has_best": True}):
        with pytest.raises(FormatError, match="one number a row"):
            replace(found, **change)


def test_categories_have_to_be_declared_to_be_kept():
    builder, rows, _ = trained()
    matrix = replace(builder.operation(rows), categorical=("b",), edges=())
    model = builder.add(Train(builder.add(matrix), (), 2))
    with pytest.raises(PlanError, match="the categories of 'b'"):
        facts_of(builder.shape(model), matrix, "encrypted")
    declared = replace(matrix, categories=(Categories("b", count=4),))
    model = builder.add(Train(builder.add(declared), (), 2))
    found = facts_of(builder.shape(model), declared, "encrypted")
    assert found.matrix.categories == declared.categories
    assert found.shape.features == builder.shape(model).features
    assert ModelFacts.read(decode(encode(found.json()), 1 << 20, "facts")) == found


def test_facts_that_say_more_are_refused():
    builder, _, model = trained()
    found = facts(builder, model)
    for change in (
        {"operation": replace(found.operation, matrix=1)},
        {"operation": replace(found.operation, start=0)},
        {"operation": replace(found.operation, learning_rates=("0.5", "0.25", "0.125"))},
        {"matrix": replace(found.matrix, label="y")},
        {"matrix": replace(found.matrix, sources=(0, 1))},
    ):
        with pytest.raises(FormatError, match="say more"):
            replace(found, **change)
    for change in (
        {"features": Schema(found.features.columns[:1])},
        {"features": Schema(tuple(Column(c.name, c.type) for c in found.features.columns))},
    ):
        with pytest.raises(FormatError, match="not those of its matrix"):
            replace(found, **change)
    with pytest.raises(FormatError, match="nobody declared"):
        replace(found, matrix=replace(found.matrix, categorical=("b",)))


@pytest.fixture
def recalled():
    """A builder over one owner's rows and a kept model of two owners, with a matrix."""
    builder, _, model = trained()
    source = PlanInput(
        dataset="kept.m",
        owner="kept",
        manifest=digest(b"kept"),
        schema=MODEL_COLUMNS,
        row_bound=1,
        kept=("ada", "bo"),
        model=facts(builder, model),
    )
    found = PlanBuilder((DATA, source))
    scan = found.add(Scan(0, ("a", "b")))
    return found, (DATA, source), scan, found.add(Matrix((scan,), ("a", "b")))


def table(node):
    return PlanOutput(name="p", node=node, kind="table", recipients=("cy",))


def test_what_it_predicts_derives_from_all_of_it(recalled):
    builder, inputs, _, rows = recalled
    said = builder.add(Predict(builder.add(Recall(1)), rows, ("a",), rounds="best"))
    checked = check_plan(planned(builder, inputs, [table(said)]))
    (output,) = checked.plan.outputs
    lineage = checked.lineage(output)
    assert lineage.datasets == {"ada.rows", "kept.m"}
    assert lineage.values["prediction"] >= {("kept.m", "model"), ("ada.rows", "b")}
    assert lineage.values["a"] == {("ada.rows", "a")}
    assert checked.plan.owners == ("ada", "bo")
    # What comes of predictions is the kept model's as well: a filter by them, for one.
    risky = builder.add(Filter(said, call("is_nan", ColumnRef("prediction"))))
    found = check_plan(planned(builder, inputs, [table(risky)]))
    assert ("kept.m", "model") in found.lineage(found.plan.outputs[0]).of("a")


@pytest.mark.parametrize("what", ["contribs", "leaf", "margin", "class"])
def test_it_says_whatever_its_training_allows(recalled, what):
    builder, inputs, _, rows = recalled
    said = builder.add(Predict(builder.add(Recall(1)), rows, what=what))
    check_plan(planned(builder, inputs, [table(said)]))


def test_it_never_leaves_nor_is_kept_again(recalled):
    builder, inputs, _, _ = recalled
    model = builder.add(Recall(1))
    for recipients, keep in ((("cy",), False), ((), True)):
        output = PlanOutput(name="m", node=model, kind="model", recipients=recipients, keep=keep)
        plan = planned(builder, inputs[1:], [output])
        plan = replace(plan, nodes=(replace(plan.nodes[0], operation=Recall(0)),))
        with pytest.raises(PlanError, match="a kept model, which never leaves"):
            check_plan(plan)


def test_an_oblivious_plan_reads_what_another_one_kept(recalled):
    builder, inputs, _, rows = recalled
    said = builder.add(Predict(builder.add(Recall(1)), rows))
    padded = replace(inputs[0], sizes="padded")
    with pytest.raises(PlanError, match="comes from a job in mode encrypted"):
        check_plan(planned(builder, (padded, inputs[1]), [table(said)], mode="oblivious"))
    secret = replace(inputs[1], model=replace(inputs[1].model, mode="oblivious"))
    check_plan(planned(builder, (padded, secret), [table(said)], mode="oblivious"))


def test_a_linear_one_is_applied_and_not_predicted_with():
    fit = FitLinear(0, "linear", "1.0")
    features = Schema((Column("a", DOUBLE, nullable=False),))
    made = ModelFacts(
        operation=fit,
        matrix=Matrix((0,), ("a",)),
        features=features,
        margins=1,
        values=1,
        rounds=0,
        has_best=False,
    )
    source = PlanInput(
        dataset="kept.m",
        owner="kept",
        manifest=digest(b"kept"),
        schema=MODEL_COLUMNS,
        row_bound=1,
        kept=("ada",),
        model=made,
    )
    builder = PlanBuilder((DATA, source))
    rows = builder.add(Matrix((builder.add(Scan(0, ("a",))),), ("a",)))
    model = builder.add(Recall(1))
    check_plan(planned(builder, (DATA, source), [table(builder.add(Apply(model, rows)))]))
    with pytest.raises(PlanError, match="it is a linear model"):
        builder.add(Predict(model, rows))


def test_inputs_that_are_no_kept_models(recalled):
    _, (_, source), _, _ = recalled
    for change in (
        {"owner": "ada", "dataset": "ada.m", "kept": None},
        {"schema": ROWS},
        {"row_bound": 2},
    ):
        with pytest.raises(FormatError, match="kept and read as one row"):
            replace(source, **change)
    for place, operation in ((0, Recall(0)), (1, Scan(1, ("model",))), (2, Recall(2))):
        with pytest.raises(PlanError, match=("no model", "no table", "no input")[place]):
            PlanBuilder((DATA, source)).add(operation)
