from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.plans import schema
from tools.vectors import world

from mc2.crypto.digest import digest
from mc2.errors import ContractError, DatasetError, PolicyError
from mc2.formats.contract import Member
from mc2.formats.manifest import ChunkRef, Manifest, ModelPolicy, UsagePolicy
from mc2.plan.build import PlanBuilder
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, call
from mc2.plan.models import Controls, Edges, Matrix, Train
from mc2.plan.noisy_edges import NoisyEdges
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.relations import Aggregate, AggregateColumn, Join, NamedExpression, Project, Scan
from mc2.plan.rules import check_against
from mc2.plan.training import NO_CONTROLS

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CONTRACT = world.contract("ada", "bo", "cy")


def manifest(dataset, policy=None, **columns):
    return Manifest(
        dataset=dataset,
        owner=dataset.partition(".")[0],
        dataset_id="00" * 16,
        version=1,
        created=NOW - timedelta(days=1),
        schema=schema(**columns),
        sizes="exact",
        compression="none",
        row_bound=100,
        rows_per_chunk=100,
        key_salt="00" * 32,
        key_commitment="00" * 32,
        policy=policy or UsagePolicy(),
        chunks=(ChunkRef(digest(b"chunk"), 4096),),
    )


class World:
    """Two owners' tables, a join of them for cy, a count of ada's for bo, a model for ada."""

    def __init__(
        self,
        *,
        ada=None,
        bo=None,
        contract=CONTRACT,
        recipient="cy",
        controls=NO_CONTROLS,
        noisy=(),
    ):
        self.controls, self.noisy = controls, noisy
        self.contract = contract
        self.manifests = {
            "ada.t": manifest("ada.t", ada, a="int64", b="int64", secret="string"),
            "bo.u": manifest("bo.u", bo, x="int64", y="int64"),
        }
        self.recipient = recipient

    def inputs(self):
        return tuple(
            PlanInput(
                dataset=n, owner=m.owner, manifest=m.digest, schema=m.schema, row_bound=m.row_bound
            )
            for n, m in self.manifests.items()
        )

    def plan(self):
        inputs = self.inputs()
        builder = PlanBuilder(inputs)
        t, u = builder.add(Scan(0, ("a", "b"))), builder.add(Scan(1, ("x", "y")))
        both = builder.add(Join(t, u, "inner", call("eq", ColumnRef("a"), ColumnRef("x"))))
        only_b = builder.add(Project(both, (NamedExpression("b", ColumnRef("b")),)))
        count = builder.add(Aggregate(t, (), (AggregateColumn("n", "count_star", ()),)))
        public = () if self.noisy else (Edges("x", ("1.0",)),)
        matrix = builder.add(Matrix((u,), ("x",), "y", edges=public, noisy=self.noisy))
        model = builder.add(Train(matrix, (), 1, controls=self.controls))
        outputs = [
            PlanOutput(name="count", node=count, kind="table", recipients=("bo",)),
            PlanOutput(name="joined", node=only_b, kind="table", recipients=(self.recipient,)),
            PlanOutput(name="model", node=model, kind="model", recipients=("ada",)),
        ]
        nodes, outputs = builder.finish(outputs)
        return Plan(
            title="t",
            mode="encrypted",
            contract=self.contract.digest,
            script_name="s.py",
            script="",
            packages={},
            inputs=inputs,
            nodes=nodes,
            outputs=outputs,
        )

    def check(self, plan=None, *, at=NOW, manifests=None):
        checked = check_plan(plan or self.plan())
        found = self.manifests if manifests is None else manifests
        check_against(checked, self.contract, found, at)


def roles(**changed):
    members = tuple(Member(m.card, changed.get(m.name, m.roles)) for m in CONTRACT.members)
    return replace(CONTRACT, members=members)


def test_allowed():
    World().check()


def test_rejects_a_plan_of_another_contract():
    plan = replace(World().plan(), contract=digest(b"another"))
    with pytest.raises(ContractError, match="another contract") as caught:
        World().check(plan)
    assert "compile" in caught.value.hint


def test_rejects_an_owner_without_the_role():
    with pytest.raises(ContractError, match=r"ada brings ada.t, and has not the role owner"):
        World(contract=roles(ada=("recipient",))).check()


def test_rejects_a_recipient_without_the_role():
    with pytest.raises(ContractError, match=r"cy receives joined, and has not the role recipient"):
        World(contract=roles(cy=("analyst",))).check()


def test_rejects_a_recipient_who_is_no_member():
    with pytest.raises(ContractError, match="eve is not a member"):
        World(recipient="eve").check()


def test_rejects_an_owner_who_is_no_member():
    with pytest.raises(ContractError, match="bo is not a member"):
        World(contract=world.contract("ada", "cy")).check()


@pytest.mark.parametrize("names", [("ada.t",), ("ada.t", "bo.u", "cy.v"), ()])
def test_rejects_other_manifests_than_the_inputs(names):
    here = World()
    manifests = {n: here.manifests.get(n, manifest("cy.v", v="int64")) for n in names}
    with pytest.raises(DatasetError, match="not exactly those"):
        here.check(manifests=manifests)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"version": 2}, "version"),
        ({"policy": UsagePolicy(columns=("a",))}, "version"),
        ({"row_bound": 99}, "row bound"),
        ({"schema": schema(a="int64", b="int64!", secret="string")}, "columns"),
        ({"dataset": "ada.other"}, "name"),
    ],
)
def test_rejects_another_manifest_than_the_plan_names(changes, what):
    here = World()
    plan = here.plan()
    here.manifests["ada.t"] = replace(here.manifests["ada.t"], **changes)
    with pytest.raises(
        DatasetError, match=rf"ada.t of ada is not the one in the plan: another {what}"
    ):
        here.check(plan)


def test_rejects_swapped_manifests():
    here = World()
    a, b = here.manifests.values()
    with pytest.raises(DatasetError):
        here.check(manifests={"ada.t": b, "bo.u": a})


def test_rejects_a_column_that_the_owner_does_not_allow():
    World(ada=UsagePolicy(columns=("a", "b"))).check()
    with pytest.raises(PolicyError, match=r"ada does not allow column 'b' of ada.t") as caught:
        World(ada=UsagePolicy(columns=("a",))).check()
    assert "(a)" in caught.value.hint


def test_a_column_counts_even_where_no_output_shows_it():
    """bo.u.x only decides which rows join: it is read all the same."""
    with pytest.raises(PolicyError, match=r"bo does not allow column 'x'"):
        World(bo=UsagePolicy(columns=("y",))).check()


def test_rejects_any_column_where_none_is_allowed():
    with pytest.raises(PolicyError) as caught:
        World(ada=UsagePolicy(columns=())).check()
    assert "(none)" in caught.value.hint


def test_rejects_a_recipient_whom_an_owner_does_not_allow():
    with pytest.raises(
        PolicyError, match=r"ada does not allow bo to receive count, which derives from ada.t"
    ):
        World(ada=UsagePolicy(recipients=("cy",))).check()


def test_every_dataset_that_influences_an_output_decides():
    """The join shows no column of bo.u, and still depends on it."""
    with pytest.raises(
        PolicyError, match=r"bo does not allow cy to receive joined, which derives from bo.u"
    ):
        World(bo=UsagePolicy(recipients=("ada", "bo"))).check()


def test_a_model_goes_only_to_whom_the_data_may_go():
    with pytest.raises(PolicyError, match=r"bo does not allow ada to receive model"):
        World(bo=UsagePolicy(recipients=("cy",))).check()


def test_an_owner_may_receive_what_derives_from_its_own_data():
    World(ada=UsagePolicy(recipients=("bo",)), recipient="ada").check()


def test_rejects_after_the_last_day():
    last = NOW + timedelta(days=1)
    World(bo=UsagePolicy(not_after=last)).check(at=last)
    with pytest.raises(PolicyError, match=r"bo allowed the use of bo.u until 2026-03-02T00:00:00Z"):
        World(bo=UsagePolicy(not_after=last)).check(at=last + timedelta(seconds=1))


MODELS = ModelPolicy(leaf_rows=10, leaf_owners=2, bare=True, public_thresholds=True)


def test_noisy_edges_are_no_public_thresholds():
    noisy = (NoisyEdges("x", "0.0", "9.0", 9, 3, "1.0"),)
    own = Controls(public_thresholds=True)
    World(controls=own, noisy=noisy).check()
    World(bo=UsagePolicy(models=ModelPolicy()), controls=own, noisy=noisy).check()
    strict = UsagePolicy(models=ModelPolicy(public_thresholds=True))
    World(bo=strict, controls=own).check()
    with pytest.raises(PolicyError, match=r"trained on bo\.u to split at numbers of the plan"):
        World(bo=strict, controls=own, noisy=noisy).check()


def test_models_keep_to_the_rules_of_each_owner():
    allowed = UsagePolicy(models=MODELS)
    World(bo=allowed, controls=Controls(10, 2, True, True)).check()
    World(ada=allowed).check()  # no model is trained on ada's rows
    for controls, words in (
        (NO_CONTROLS, "min_leaf_rows=10, min_leaf_owners=2, strip_statistics=True"),
        (Controls(9, 2, True, True), "min_leaf_rows=10"),
        (Controls(10, 1, True, True), "min_leaf_owners=2"),
        (Controls(10, 2, False, True), "strip_statistics=True"),
        (Controls(10, 2, True, False), "public_thresholds=True"),
    ):
        with pytest.raises(PolicyError, match=r"bo wants of models trained on bo\.u") as refused:
            World(bo=allowed, controls=controls).check()
        assert words in str(refused.value)
