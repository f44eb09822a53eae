"""Jobs in oblivious mode over pretended executors: right answers, and what a host sees of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from bench import tpch
from tests.support.differential import rows_of
from tests.support.oblivious_jobs import (
    Seen,
    SeenStorage,
    SeenTasks,
    padded_result,
    seal_shop,
    shop_job,
)
from tests.support.oblivious_shop import Shop, mixed
from tests.support.spark_jobs import Attempt, policy_of

from mc2.errors import EngineError
from mc2.formats.result import Result

SCALE = 0.004
FEW = (1, 3, 14)
"""Groups, joins and a top-k, a join and a sum."""
_NINTH = 9  # reads partsupp, whose keys are unique from scale factor 0.01 on
WORTH = 4 << 20
"""Bytes of sealed inputs below which a leader computes alone."""


@dataclass
class Watched:
    """A fleet, TPC-H's tables at home, and what a host has seen so far, job by job."""

    fleet: Any
    shop: Shop
    seen: list[Seen]

    def run(self, number: int, sealed: Any) -> tuple[Attempt, pa.Table]:
        self.seen.append(Seen())
        policy = policy_of(self.fleet.root, self.fleet.leader.ready.code)
        job = shop_job(self.shop, sealed, number, policy)
        fleet = self.fleet
        attempt = Attempt(job, fleet.leader, fleet.backend, fleet.folder)
        attempt.wrap = lambda tasks: SeenTasks(tasks, self.seen[-1])
        try:
            outcome = attempt.run()
        finally:
            fleet.leader.close()
        return attempt, padded_result(job, Result.parse(outcome.results[f"q{number:02}"]))

    def same_for_other_data(self, numbers: Any) -> None:
        """Answers are DuckDB's, and tables of the same shape pass a host alike."""
        own = seal_shop(self.shop)
        other = seal_shop(self.shop, {n: mixed(t, 1) for n, t in self.shop.tables.items()})
        with duckdb.connect() as oracle:
            for name, table in self.shop.tables.items():
                oracle.register(name, table)
            for number in numbers:
                attempt, found = self.run(number, own)
                wanted = rows_of(oracle.sql(tpch.query(number)).to_arrow_table())
                assert rows_of(found) == wanted, number
                assert attempt.receipt is not None
                if (
                    sum(c.size for d in attempt.job.datasets.values() for c in d.manifest.chunks)
                    < WORTH
                ):
                    assert attempt.receipt.tasks is None
                    assert number not in FEW
                    continue
                assert attempt.receipt.tasks is not None, number
                with suppress(EngineError):  # keys are not unique any more: told at the end alone
                    self.run(number, other)
                one, two = self.seen[-2:]
                assert one.orders, number
                assert one.tasks
                assert one.tasks == two.tasks, number
                assert one.moved == two.moved, number


@pytest.fixture
def watched(make_fleet: Callable[..., Any]) -> Watched:
    fleet = make_fleet(2, memory=256 << 20)
    found = Watched(fleet, Shop(SCALE, "ada"), [])
    for keeper in fleet.keepers:
        keeper._storage = SeenStorage(keeper._storage, found.seen)
    return found


def test_what_spark_sees_is_a_matter_of_shapes_alone(watched: Watched) -> None:
    watched.same_for_other_data(FEW)
    # Tables of another shape are told apart.
    watched.shop = Shop(SCALE * 1.5, "ada")
    watched.run(FEW[0], seal_shop(watched.shop))
    first, last = watched.seen[0], watched.seen[-1]
    assert first.tasks != last.tasks
    assert first.moved != last.moved
    # Spark itself ran tasks of each job, under names that tell the same of both.
    titles = watched.fleet.jobs.runs
    assert titles
    assert all(title.startswith("mc2 5e5e5e5e/1: stage ") for title in titles)


@pytest.mark.slow
def test_so_it_is_for_all_queries_of_tpch(watched: Watched) -> None:
    watched.same_for_other_data([n for n in tpch.QUERIES if n not in (*FEW, _NINTH)])
    watched.shop = Shop(0.01, "ada")
    watched.same_for_other_data([_NINTH])
