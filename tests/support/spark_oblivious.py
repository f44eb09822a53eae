"""Oblivious mode on a real Spark, in an environment that has it: what happened, as JSON.

build/spark/bin/python -m tests.support.spark_oblivious MASTER FOLDER answers|queries|training
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
from bench import tpch

from mc2.errors import EngineError
from mc2.formats.result import Result
from mc2.spark.backend import SparkBackend
from tests.support.differential import rows_of
from tests.support.enclave_jobs import Job, open_model
from tests.support.oblivious_jobs import Seen, SeenTasks, padded_result, seal_shop, shop_job
from tests.support.oblivious_shop import Shop, mixed
from tests.support.shared_trainings import together_job
from tests.support.spark_driver import Driver, enclaves_of
from tests.support.spark_jobs import Attempt, ThreadJobs, policy_of

QUERIES = (1, 3)
SCALE = 0.004
ANSWERS_SCALE = 0.01
"""From here on no query is empty, and all keys that are said to be unique are."""
MEMORY = 256 << 20
SETTINGS = {"objective": "binary:logistic", "max_depth": 2, "max_bin": 8}
ROWS, PLACES = (36_000, 30_000), 16_000
DEATH = 5
"""At which step of a training an enclave dies."""


class Stored(SeenTasks):
    """What the storage holds at the end is written down as well, and one enclave may die."""

    steps = 0
    kill_at = 0
    driver: Driver

    def assign(self, name: str, task: Any, workers: Any) -> None:
        if hasattr(task, "order"):
            self.seen.order(task)
        self.honest.assign(name, task, workers)
        self.steps += 1
        if self.steps == self.kill_at:
            os.kill(enclaves_of(self.driver.one_keeper()[1])[0], signal.SIGKILL)

    def ended(self, *, wait: bool) -> Any:
        return self.honest.ended(wait=wait)

    def close(self) -> None:
        folder = self.seen_in / self.honest.folder
        if folder.exists():
            self.seen.moved = Counter(("stands", p.stat().st_size) for p in folder.iterdir())
        self.honest.close()

    @property
    def seen_in(self) -> Path:
        return self.driver.folder / "blocks"


def run(driver: Driver, job: Job, backend: Any, kill_at: int = 0) -> tuple[Attempt, Stored, Any]:
    """One attempt, and what was seen of it; the outcome is an error of the engine, or it is not."""
    watched: list[Stored] = []

    def wrap(tasks: Any) -> Any:
        watched.append(Stored(tasks, Seen()))
        watched[0].driver, watched[0].kill_at = driver, kill_at
        return watched[0]

    attempt = Attempt(job, driver.leader, backend, driver.folder, wrap=wrap)
    outcome = None
    with suppress(EngineError):
        outcome = attempt.run()
    driver.leader.close()
    return attempt, watched[0], outcome


def queries(driver: Driver) -> dict[str, Any]:
    """Two queries over two sets of tables of the same shape."""
    shop = Shop(SCALE, "ada")
    own = seal_shop(shop)
    other = seal_shop(shop, {n: mixed(t, 1) for n, t in shop.tables.items()})
    policy = policy_of(driver.root, driver.leader.ready.code)
    found: dict[str, Any] = {}
    with duckdb.connect() as oracle:
        for name, table in shop.tables.items():
            oracle.register(name, table)
        for number in QUERIES:
            job = shop_job(shop, own, number, policy)
            attempt, one, outcome = run(driver, job, driver.backend)
            answer = padded_result(job, Result.parse(outcome.results[f"q{number:02}"]))
            wanted = rows_of(oracle.sql(tpch.query(number)).to_arrow_table())
            _, two, _ = run(driver, shop_job(shop, other, number, policy), driver.backend)
            found[str(number)] = {
                "right": rows_of(answer) == wanted,
                "members": len(attempt.members),
                "tasks": len(one.seen.tasks),
                "through_spark": len(one.seen.orders),
                "same_tasks": one.seen.tasks == two.seen.tasks,
                "same_sizes": one.seen.moved == two.seen.moved and len(one.seen.moved) > 0,
            }
    return found


def answers(driver: Driver) -> dict[str, Any]:
    """All of TPC-H's queries, once."""
    shop = Shop(ANSWERS_SCALE, "ada")
    sealed = seal_shop(shop)
    policy = policy_of(driver.root, driver.leader.ready.code)
    found: dict[str, Any] = {}
    with duckdb.connect() as oracle:
        for name, table in shop.tables.items():
            oracle.register(name, table)
        for number in tpch.QUERIES:
            job = shop_job(shop, sealed, number, policy)
            _, seen, outcome = run(driver, job, driver.backend)
            wanted = rows_of(oracle.sql(tpch.query(number)).to_arrow_table())
            right = False
            if outcome is not None and wanted:
                answer = padded_result(job, Result.parse(outcome.results[f"q{number:02}"]))
                right = rows_of(answer) == wanted
            found[str(number)] = {"right": right, "through_spark": len(seen.seen.orders)}
    return found


def training(driver: Driver) -> dict[str, Any]:
    """One model three times: by the leader alone, with executors, with one that dies."""
    policy = policy_of(driver.root, driver.leader.ready.code)
    models, found = [], []
    with SparkBackend(ThreadJobs([]), driver.backend._settings) as nobody:
        for backend, kill_at in ((nobody, 0), (driver.backend, 0), (driver.backend, DEATH)):
            job = together_job(ROWS, PLACES, SETTINGS, contract={"attestation": policy})
            attempt, seen, outcome = run(driver, job, backend, kill_at)
            model = Result.parse(outcome.results["model"])
            models.append(open_model(model, job.parties["cy"], job.stored))
            assert attempt.receipt is not None
            found.append(
                {
                    "members": len(attempt.members),
                    "shared": attempt.receipt.tasks is not None,
                    "steps": seen.steps,
                    "lost": any("was lost" in text for text in attempt.said),
                }
            )
    return {"runs": found, "same": [model == models[0] for model in models]}


def spark_saw(folder: Path) -> dict[str, Any]:
    """Of the event log: the jobs' names, how many tasks each has, and bytes that Spark moved."""
    names: Counter[str] = Counter()
    tasks: set[int] = set()
    moved = 0
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        for line in path.read_text().splitlines():
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("Event") == "SparkListenerJobStart":
                names[event["Properties"]["spark.job.description"]] += 1
                tasks |= {stage["Number of Tasks"] for stage in event["Stage Infos"]}
            metrics = event.get("Task Metrics") or {}
            moved += metrics.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
            moved += metrics.get("Output Metrics", {}).get("Bytes Written", 0)
    return {"names": dict(names), "tasks": sorted(tasks), "moved": moved}


def main() -> int:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    master, folder, scenario = sys.argv[1:]
    driver = Driver(master, Path(folder), {}, MEMORY)
    try:
        found = {"answers": answers, "queries": queries, "training": training}[scenario](driver)
    finally:
        driver.stop()
    found["spark"] = spark_saw(Path(folder) / "events")
    print("\n" + json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
