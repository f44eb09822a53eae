"""What is tested of jobs, over every backend: this host's own workers, and pretended executors.

`tests/spark` has TPC-H over a real Spark as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bench import tpch
from bench.spark.run import Bench, sealed_tables
from tests.support.enclave_jobs import open_model
from tests.support.shared_trainings import together_job
from tests.support.spark_jobs import SECONDS, Attempt, enclave_command, policy_of
from tests.support.spark_tpch import ROWS_PER_CHUNK, compare

from mc2.coordinator.backend import LocalBackend, TaskNeeds
from mc2.coordinator.worker_pool import WorkerPool, worker_commands
from mc2.formats.result import Result

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SCALE = 0.02
MEMORY = 64 << 20
TRAINING = {"objective": "binary:logistic", "max_depth": 3, "max_bin": 16}


@dataclass
class LocalWorkers:
    """Tasks run in workers of this host; what a coordinator does without a backend."""

    members: WorkerPool

    def tasks(self, needs: TaskNeeds) -> LocalBackend:
        return LocalBackend(needs.read_chunk, timeout_seconds=needs.timeout_seconds)


@dataclass
class Place:
    """A backend with two enclaves, and a leader."""

    folder: Path
    root: Path
    leader: Any
    backend: Any


@pytest.fixture(params=["local", "spark"])
def make_place(
    request: pytest.FixtureRequest, tmp_path: Path, make_fleet: Callable[..., Any]
) -> Iterator[Callable[[int], Place]]:
    with ExitStack() as stack:

        def make(memory: int) -> Place:
            local = request.param == "local"
            fleet = make_fleet(0 if local else 2, memory=memory)
            backend = fleet.backend
            if local:
                command = enclave_command(fleet.root, memory)
                pool = stack.enter_context(WorkerPool(worker_commands(2, command, tmp_path)))
                ready = [pool.acquire(timeout_seconds=SECONDS) for _ in range(2)]
                for worker in ready:  # both are up: jobs are shared by those that are
                    pool.release(worker)
                backend = LocalWorkers(pool)
            return Place(tmp_path, fleet.root, fleet.leader, backend)

        yield make


def test_all_queries_of_tpch_give_what_duckdb_gives(make_place, monkeypatch) -> None:
    place = make_place(MEMORY)
    monkeypatch.setattr("tests.support.enclave_jobs.ROWS_PER_CHUNK", ROWS_PER_CHUNK)
    tables = tpch.tables(SCALE)
    sealed = sealed_tables(tables, ROWS_PER_CHUNK)
    bench = Bench(place.folder, tables, sealed, place.backend, place.leader, place.root)
    found = compare(bench, list(tpch.QUERIES))
    assert [n for n, job in found.items() if "error" in job] == []
    # Some have no rows at this scale; DuckDB's answer is compared where there are.
    assert len([n for n, job in found.items() if job["right"]]) >= 18, found
    assert len([n for n, job in found.items() if job["tasks"]]) >= 15, found


def test_a_model_has_the_same_bits_however_it_is_trained(make_place) -> None:
    place = make_place(256 << 20)
    policy = {"attestation": policy_of(place.root, place.leader.ready.code)}
    models = []
    for share in (False, True):
        job = together_job((40_000, 30_000), 10_000, TRAINING, contract=policy)
        attempt = Attempt(job, place.leader, place.backend, place.folder, most=8 if share else 0)
        outcome = attempt.run()
        place.leader.close()
        assert attempt.receipt is not None
        assert (attempt.receipt.tasks is not None) is share
        assert len(attempt.members) == (2 if share else 0)
        found = Result.parse(outcome.results["model"])
        models.append(open_model(found, job.parties["cy"], job.stored))
    assert models[0] == models[1]
