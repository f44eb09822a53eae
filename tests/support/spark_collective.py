"""Stock XGBoost over executors of a real Spark, in an environment that has it: what happened, as JSON.

build/spark/bin/python -m tests.support.spark_collective MASTER FOLDER
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from mc2.formats.result import Result
from mc2.spark.backend import SparkBackend
from tests.support.collective_jobs import pooled_losses, training
from tests.support.enclave_jobs import open_table
from tests.support.spark_driver import Driver
from tests.support.spark_jobs import Attempt, ThreadJobs, make_large_job

MEMORY = 64 << 20
"""Of each enclave: less than the job wants in one piece."""


class Counted:
    """The backend's tasks; steps of trainings are counted."""

    def __init__(self, honest: Any) -> None:
        self.honest = honest
        self.steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.honest, name)

    def assign(self, name: str, task: Any, workers: Any) -> None:
        self.steps += not hasattr(task, "order")
        self.honest.assign(name, task, workers)


def trained(driver: Driver, backend: Any) -> dict[str, Any]:
    """One training: who took part, and its losses."""
    job = training(make_large_job(driver.root, driver.leader.ready.code))
    watched: list[Counted] = []

    def wrap(tasks: Any) -> Any:
        watched.append(Counted(tasks))
        return watched[0]

    attempt = Attempt(job, driver.leader, backend, driver.folder, wrap=wrap)
    outcome = attempt.run()
    driver.leader.close()
    history = Result.parse(outcome.results["history"])
    losses = open_table(history, job.parties["cy"], job.stored).column("value").to_pylist()
    return {"members": len(attempt.members), "steps": watched[0].steps, "losses": losses}


def main() -> int:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    master, folder, _ = sys.argv[1:]
    driver = Driver(master, Path(folder), {}, MEMORY)
    try:
        with SparkBackend(ThreadJobs([]), driver.backend._settings) as nobody:
            found = {"alone": trained(driver, nobody), "together": trained(driver, driver.backend)}
    finally:
        driver.stop()
    print("\n" + json.dumps({**found, "stock": pooled_losses()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
