"""The proof of a job that keeps a result: by whom it is kept, and what later jobs are told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.party_jobs import (
    FakeEnclave,
    Pieces,
    identity,
    make_manifest,
    make_proof,
    simulation,
)

from mc2.client.proof import VerifiedJob, verify_proof
from mc2.crypto.digest import digest
from mc2.errors import ReceiptError
from mc2.formats.manifest import UsagePolicy
from mc2.formats.result import Kept, Result, result_share_info

SHARE = "01" * 32
RULES = UsagePolicy(recipients=("ada", "cy"))


@pytest.fixture
def pieces() -> Pieces:
    """A job that keeps its rows; ada allows them to be received by two."""
    manifests = {
        "ada.visits": make_manifest("ada.visits", policy=RULES),
        "bo.visits": make_manifest("bo.visits"),
    }
    plan = Pieces(manifests=manifests).plan
    assert plan is not None
    outputs = tuple(
        replace(o, keep=True, recipients=()) if o.name == "rows" else o for o in plan.outputs
    )
    return Pieces(manifests=manifests, plan=replace(plan, outputs=outputs))


class Keeper(FakeEnclave):
    """Keeps the rows as the plan says, but for `changes` of what it writes of them."""

    def __init__(self, pieces: Pieces, *owners: str, **changes: Any) -> None:
        super().__init__(pieces)
        self.owners, self.changes = owners or ("ada", "bo"), changes

    def results(self) -> dict[str, Result]:
        found = super().results()
        return {**found, "rows": self._kept(found["rows"])}

    def _kept(self, result: Result) -> Result:
        context = self.pieces.context
        keys = {
            name: identity(name).card.receiving_key.seal(
                bytes(32), result_share_info(context, "rows", name)
            )
            for name in self.owners
        }
        origins = {i.dataset: i.manifest for i in self.pieces.plan.inputs}
        bound = sum(i.row_bound for i in self.pieces.plan.inputs)
        shares = dict.fromkeys(self.owners, SHARE)
        kept = Kept(row_bound=bound, policy=RULES, origins=origins, shares=shares)
        return replace(result, keys=keys, kept=replace(kept, **self.changes))


def verify(pieces: Pieces, enclave: FakeEnclave) -> VerifiedJob:
    proof, _ = make_proof(pieces, enclave)
    return verify_proof(
        proof.encode(),
        contract=pieces.contract.digest,
        job_id=pieces.job_id,
        verifiers=simulation(),
    )


def test_a_result_that_is_kept_as_the_plan_implies_verifies(pieces: Pieces) -> None:
    assert verify(pieces, Keeper(pieces)).results["rows"].kept is not None


@pytest.mark.parametrize("owners", [("ada",), ("bo",), ("ada", "bo", "cy"), ("ada", "cy")])
def test_a_result_is_kept_by_exactly_all_whose_rows_are_in_it(
    pieces: Pieces, owners: tuple[str, ...]
) -> None:
    with pytest.raises(ReceiptError, match="not kept by exactly its owners"):
        verify(pieces, Keeper(pieces, *owners))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"policy": UsagePolicy()}, "policy"),
        ({"policy": UsagePolicy(recipients=("ada", "bo", "cy"))}, "policy"),
        ({"row_bound": 1 << 20}, "row bound"),
        ({"origins": {"ada.visits": digest(b"t")}}, "origins"),
    ],
)
def test_later_jobs_are_told_what_the_plan_implies(
    pieces: Pieces, changes: dict[str, Any], what: str
) -> None:
    with pytest.raises(ReceiptError, match=f"has another {what} than the plan's"):
        verify(pieces, Keeper(pieces, **changes))


def test_what_is_to_be_kept_is_for_nobody(pieces: Pieces) -> None:
    class Releasing(Keeper):
        def _kept(self, result: Result) -> Result:
            return replace(super()._kept(result), kept=None)

    with pytest.raises(ReceiptError, match="not kept by exactly its owners"):
        verify(pieces, Releasing(pieces))


def test_what_is_to_be_released_is_not_kept(pieces: Pieces) -> None:
    assert pieces.plan is not None
    outputs = tuple(
        replace(o, keep=False, recipients=("ada", "cy")) if o.name == "rows" else o
        for o in pieces.plan.outputs
    )
    released = Pieces(manifests=pieces.manifests, plan=replace(pieces.plan, outputs=outputs))
    with pytest.raises(ReceiptError, match="not for exactly the plan's recipients"):
        verify(released, Keeper(released, "ada", "cy"))
