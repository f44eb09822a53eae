"""What vectors/plan.json cannot say: plans that were never bytes."""

from dataclasses import replace

import pytest
from tools.vectors.plan import small_plan, whole_plan

from mc2.errors import FormatError, PlanError
from mc2.formats.schema import Schema
from mc2.plan.build import PlanBuilder, needed, renumbered
from mc2.plan.check import check_plan, uses
from mc2.plan.models import Evaluation, History, Matrix, Predict, Train
from mc2.plan.plan import Node, Plan
from mc2.plan.relations import Distinct, Join, Limit, Scan, Union
from mc2.plan.shapes import LinearShape, ModelShape, TableShape


def test_a_checked_plan_knows_its_shapes():
    checked = check_plan(whole_plan())
    assert len(checked.shapes) == len(checked.lineages) == len(checked.plan.nodes)
    for output in checked.plan.outputs:
        expected = ModelShape | LinearShape if output.kind == "model" else TableShape
        assert isinstance(checked.shapes[output.node], expected)
        assert (checked.schema(output) is None) == (output.kind == "model")


def test_the_lineage_of_an_output():
    checked = check_plan(whole_plan())
    model = next(o for o in checked.plan.outputs if o.name == "model")
    assert checked.lineage(model).datasets == {"ada.visits", "bob.people"}
    assert ("bob.people", "age") in checked.lineage(model).influences
    # The join and the filter stand before the training, so they decide what it sees.
    assert ("ada.visits", "day") in checked.lineage(model).rows


def test_rejects_values_that_have_no_canonical_form():
    plan = small_plan()
    floating = replace(plan, inputs=(replace(plan.inputs[0], row_bound=1.0),))
    with pytest.raises(FormatError):
        check_plan(floating)
    truthy = Node(Limit(0, True), plan.nodes[0].schema)
    output = replace(plan.outputs[0], node=1)
    with pytest.raises(FormatError):
        check_plan(replace(plan, nodes=(*plan.nodes, truthy), outputs=(output,)))


def test_rejects_a_negative_reference():
    plan = small_plan()
    node = Node(Distinct(-1), plan.nodes[0].schema)
    with pytest.raises(FormatError):
        check_plan(
            replace(plan, nodes=(*plan.nodes, node), outputs=(replace(plan.outputs[0], node=1),))
        )


def test_rejects_a_schema_in_another_order():
    plan = whole_plan()
    scan = plan.nodes[0]
    shuffled = replace(scan, schema=Schema(scan.schema.columns[::-1]))
    with pytest.raises(PlanError, match="states a schema"):
        check_plan(replace(plan, nodes=(shuffled, *plan.nodes[1:])))


def test_rejects_a_script_that_is_too_long():
    with pytest.raises(FormatError):
        check_plan(replace(small_plan(), script="#" * (256 * 1024 + 1)))


def test_rejects_a_plan_that_is_too_large():
    columns = tuple(
        replace(c, name=c.name + "x" * 200) for c in small_plan().nodes[0].schema.columns
    )
    plan = replace(small_plan(), nodes=(Node(Scan(0, ("x",)), Schema(columns)),) * 16385)
    with pytest.raises(FormatError):
        Plan.parse(plan.encode())


def test_uses_count_every_reader():
    plan = whole_plan()
    counts = uses(plan.nodes, plan.outputs)
    assert min(counts) >= 1
    matrix = next(i for i, n in enumerate(plan.nodes) if isinstance(n.operation, Matrix))
    assert counts[matrix] == 5  # three trainings, a cross-validation and the prediction


def test_the_builder_drops_what_nobody_needs():
    plan = whole_plan()
    builder = PlanBuilder(plan.inputs)
    unused = builder.add(Scan(0, ("id",)))
    kept = builder.add(Scan(0, ("site",)))
    output = replace(plan.outputs[0], node=kept)
    nodes, outputs = builder.finish([output])
    assert [n.operation for n in nodes] == [Scan(0, ("site",))]
    assert outputs[0].node == 0
    assert unused == 0


def test_needed_goes_down_to_the_scans():
    plan = whole_plan()
    wanted = [o.node for o in plan.outputs]
    assert needed(plan.nodes, wanted) == list(range(len(plan.nodes)))
    assert needed(plan.nodes, [0]) == [0]


@pytest.mark.parametrize(
    ("operation", "moved"),
    [
        (Scan(3, ("x",)), Scan(3, ("x",))),
        (Distinct(0), Distinct(5)),
        (Join(0, 1, "cross", None), Join(5, 6, "cross", None)),
        (Union((0, 1, 0)), Union((5, 6, 5))),
        (Matrix((0, 1), ("x",)), Matrix((5, 6), ("x",))),
        (Train(0, (), 1, (Evaluation("e", 1),)), Train(5, (), 1, (Evaluation("e", 6),))),
        (Predict(0, 1), Predict(5, 6)),
        (History(0), History(5)),
    ],
)
def test_renumbering(operation, moved):
    assert renumbered(operation, {0: 5, 1: 6}) == moved
