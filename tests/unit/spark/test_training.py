"""A model that enclaves beside pretended executors train together: the bits of one enclave's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.support.enclave_jobs import open_model
from tests.support.shared_trainings import together_job
from tests.support.spark_jobs import Attempt, ThreadJobs, policy_of

from mc2.coordinator.backend import TaskBackend
from mc2.formats.result import Result
from mc2.formats.worker_tasks import Ended, TrainStep
from mc2.spark.backend import SparkBackend

SETTINGS = {"objective": "binary:logistic", "max_depth": 2, "max_bin": 8}
ROWS, PLACES = (36_000, 30_000), 16_000


class Counted:
    """A backend that counts the steps it is given, and does something after one of them."""

    def __init__(self, honest: TaskBackend, at: int, do: Callable[[], None]) -> None:
        self.honest, self.at, self.do = honest, at, do
        self.steps: list[str] = []
        self.ends: list[Ended] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.honest, name)

    def assign(self, name: str, task: object, workers: Mapping[str, Any]) -> None:
        assert isinstance(task, TrainStep)
        self.steps.append(name)
        self.honest.assign(name, task, workers)
        if len(self.steps) == self.at:
            self.do()

    def ended(self, *, wait: bool) -> Ended:
        found = self.honest.ended(wait=wait)
        self.ends.append(found)
        return found


def trained(
    fleet: Any, backend: SparkBackend, at: int = -1, do: Callable[[], None] = lambda: None
) -> tuple:
    """The model, the attempt, and what passed between leader and members."""
    contract = {"attestation": policy_of(fleet.root, fleet.leader.ready.code)}
    job = together_job(ROWS, PLACES, SETTINGS, contract=contract)
    found: list[Counted] = []

    def wrap(tasks: TaskBackend) -> Any:
        found.append(Counted(tasks, at, do))
        return found[0]

    attempt = Attempt(job, fleet.leader, backend, fleet.folder, wrap=wrap)
    outcome = attempt.run()
    fleet.leader.close()
    model = open_model(Result.parse(outcome.results["model"]), job.parties["cy"], job.stored)
    return model, attempt, found[0]


@pytest.fixture
def fleet(make_fleet):
    return make_fleet(2, memory=256 << 20)


def test_executors_train_the_model_of_one_enclave_though_one_dies(fleet) -> None:
    with SparkBackend(ThreadJobs([]), fleet.settings) as nobody:
        alone, attempt, seen = trained(fleet, nobody)
    assert attempt.receipt.tasks is None
    assert seen.steps == []
    together, attempt, seen = trained(fleet, fleet.backend)
    assert together == alone
    assert attempt.receipt.tasks is not None
    assert len(set(seen.steps)) == 2
    assert not any(end.code for end in seen.ends)
    assert fleet.jobs.runs == []  # Spark has no part in it: steps go where the rows are
    assert fleet.blocks == []
    after_a_death, attempt, seen = trained(fleet, fleet.backend, 5, fleet.keepers[0].end)
    assert after_a_death == alone
    assert attempt.receipt.tasks is not None
    assert [end.code for end in seen.ends if end.code] == ["worker"]
    assert any("was lost" in text for text in attempt.said)
