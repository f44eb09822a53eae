"""A plan reads exactly the kept results that it names, of its own contract, by their owners."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.plans import schema
from tools.vectors import world

from mc2.crypto.digest import digest
from mc2.errors import ContractError, DatasetError, PolicyError
from mc2.formats.manifest import ChunkRef, UsagePolicy
from mc2.formats.release import JobContext
from mc2.formats.result import Kept, Result
from mc2.plan.build import PlanBuilder
from mc2.plan.check import check_plan
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.relations import Scan
from mc2.plan.rules import check_against

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CONTRACT = world.contract("ada", "bo", "cy")
COLUMNS = schema(a="int64")
KEPT = Kept(
    row_bound=10,
    policy=UsagePolicy(recipients=("cy",)),
    origins={"ada.t": digest(b"t"), "bo.u": digest(b"u")},
    shares={"ada": "01" * 32, "bo": "02" * 32},
)
RESULT = Result(
    context=JobContext(
        contract=CONTRACT.digest,
        policy=digest(b"policy"),
        plan=digest(b"plan"),
        job_id="00" * 16,
        attempt=1,
    ),
    output="joined",
    kind="table",
    schema=COLUMNS,
    key_commitment="03" * 32,
    keys={"ada": b"share", "bo": b"share"},
    chunks=(ChunkRef(digest(b"chunk"), 100),),
    kept=KEPT,
)


def check(result: Result = RESULT, recipient: str = "cy", **changes: Any) -> None:
    """Check a plan that releases `RESULT`'s rows, where the store serves another result."""
    source = PlanInput(
        dataset=RESULT.dataset,
        owner="kept",
        manifest=RESULT.digest,
        schema=COLUMNS,
        row_bound=10,
        kept=("ada", "bo"),
    )
    builder = PlanBuilder((source,))
    rows = builder.add(Scan(0, ("a",)))
    outputs = [PlanOutput(name="rows", node=rows, kind="table", recipients=(recipient,))]
    nodes, outputs = builder.finish(outputs)
    plan = Plan(
        title="t",
        mode="encrypted",
        contract=CONTRACT.digest,
        script_name="s.py",
        script="",
        packages={},
        inputs=(source,),
        nodes=nodes,
        outputs=outputs,
    )
    kept = changes.get("kept", {RESULT.dataset: result})
    check_against(check_plan(plan), CONTRACT, {}, NOW, kept)


def test_the_kept_result_that_the_plan_names_is_read():
    check()


@pytest.mark.parametrize("kept", [{}, {"kept.other": RESULT}, {"kept.a": RESULT}])
def test_kept_results_are_exactly_those_of_the_inputs(kept):
    if kept:
        kept = {RESULT.dataset: RESULT, **kept}
    with pytest.raises(DatasetError, match="not exactly those of the plan's inputs"):
        check(kept=kept)


def test_another_result_does_not_stand_in():
    with pytest.raises(DatasetError, match="another result, or not kept"):
        check(replace(RESULT, output="other"))
    with pytest.raises(DatasetError, match="another result, or not kept"):
        check(replace(RESULT, kept=None))


def test_what_another_contract_kept_is_not_read():
    other = replace(RESULT.context, contract=digest(b"another"))
    with pytest.raises(ContractError, match="kept under another contract"):
        check(replace(RESULT, context=other))


@pytest.mark.parametrize(
    ("result", "what"),
    [
        (replace(RESULT, schema=schema(a="int64!")), "columns"),
        (replace(RESULT, kept=replace(KEPT, row_bound=11)), "row bound"),
        (replace(RESULT, context=replace(RESULT.context, attempt=2)), "version"),
        (replace(RESULT, kept=replace(KEPT, policy=UsagePolicy())), "version"),
        (
            replace(
                RESULT,
                keys={**RESULT.keys, "cy": b""},
                kept=replace(KEPT, shares={**KEPT.shares, "cy": "04" * 32}),
            ),
            "owners",
        ),
    ],
)
def test_a_kept_result_that_differs_is_refused_by_what_differs(result, what):
    with pytest.raises(DatasetError, match=f"not the one in the plan: another {what}"):
        check(result)


def test_the_policy_that_was_kept_binds_those_who_receive():
    with pytest.raises(PolicyError):
        check(recipient="bo")
