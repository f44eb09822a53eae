"""What a verifier wants of a receipt over rows at home: parties, their enclaves, dropouts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.support.home_trainings import ROUNDS, home_job, home_plan

from mc2.client.cluster_proof import check_homes
from mc2.crypto.digest import digest
from mc2.errors import ReceiptError
from mc2.formats.receipt import HomeShare
from mc2.plan.training import Dropout, Train

ADA, BO, LEADER = digest(b"ada"), digest(b"bo"), digest(b"leader")


def member(party, evidence):
    return SimpleNamespace(party=party, evidence=SimpleNamespace(digest=evidence))


MEMBERS = (member("ada", ADA), member("bo", BO), member(None, digest(b"hosted")))


@pytest.fixture(scope="module")
def job():
    return home_job()


def plan_of(job, least=2):
    dropout = None if least is None else Dropout(least)
    return home_plan(job.contract.digest, job.datasets, dropout=dropout)


def receipt(**homes):
    roster = (LEADER, ADA, BO, digest(b"hosted"))
    return SimpleNamespace(homes=homes, epochs=(roster,))


def node(plan):
    return next(i for i, n in enumerate(plan.nodes) if isinstance(n.operation, Train))


def test_homes_as_the_plan_has_them_pass(job):
    plan = plan_of(job)
    check_homes(receipt(ada=HomeShare(ADA, {}), bo=HomeShare(BO, {node(plan): 1})), MEMBERS, plan)
    gone = receipt(ada=HomeShare(None, {node(plan): 0}), bo=HomeShare(BO, {}))
    check_homes(gone, MEMBERS[1:], plan)


@pytest.mark.parametrize(
    ("least", "ada", "bo", "says"),
    [
        (2, (ADA, {}), None, "other parties at home"),
        (2, (BO, {}), (ADA, {}), "other enclaves at home"),
        (2, (digest(b"rogue"), {}), (BO, {}), "other enclaves at home"),
        (2, (None, {}), (BO, {}), "other enclaves at home"),
        (2, (ADA, {0: 1}), (BO, {}), "what is no training"),
        (2, (ADA, {-1: ROUNDS + 1}), (BO, {}), "a round that the training does not have"),
        (None, (ADA, {-1: 1}), (BO, {}), "the plan does not allow"),
        (2, (ADA, {-1: 1}), (BO, {-1: 2}), "the plan does not allow"),
    ],
)
def test_what_is_otherwise_is_refused(job, least, ada, bo, says):
    plan = plan_of(job, least)

    def share(said):
        return HomeShare(said[0], {node(plan) if n < 0 else n: r for n, r in said[1].items()})

    homes = {"ada": share(ada)} | ({} if bo is None else {"bo": share(bo)})
    with pytest.raises(ReceiptError, match=says):
        check_homes(receipt(**homes), MEMBERS, plan)


def test_who_never_came_dropped_out_at_once(job):
    plan = plan_of(job)
    for dropped in ({}, {node(plan): 1}):
        said = receipt(ada=HomeShare(None, dropped), bo=HomeShare(BO, {}))
        with pytest.raises(ReceiptError, match="dropouts are not those"):
            check_homes(said, MEMBERS[1:], plan)
