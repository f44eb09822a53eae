"""Plans of a test as jobs on a real Spark: sealed inputs, tasks on its executors, opened results.

    build/spark/bin/python -m tests.support.spark_plans_driver MASTER FOLDER

One application serves many plans, which come as pickles on standard input; `tests.support.spark_plans` is the
other side.

Tables are sealed padded, as an owner does who hides how many rows there are: their bounds are so
large that every plan is cut, however few rows there are, and the rows stand in chunks of several
tasks. Owners sign these sizes in manifests; nothing else is different from any other job.
"""

from __future__ import annotations

import os
import pickle
import secrets
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from mc2.client.padding import padded_bytes
from mc2.coordinator.workers import Worker
from mc2.engine.outputs import ModelOutput, Output, TableOutput
from mc2.errors import Mc2Error
from mc2.formats.arrow import schema_of
from mc2.formats.result import Result
from mc2.plan.plan import Plan
from mc2.plan.stages import BROADCAST_ROWS
from tests.support.enclave_jobs import Job, Sealed, make_job, open_model, open_table
from tests.support.oblivious import facts_of
from tests.support.segments import SEGMENTS, seal_segments
from tests.support.spark_jobs import (
    MEMORY,
    Attempt,
    enclave_command,
    make_root,
    policy_of,
    start_leader,
)
from tests.support.spark_plans import Ran

ROWS = BROADCAST_ROWS // SEGMENTS + 1
"""The bound of a segment: together they are more than what every task is sent whole."""
BYTES = MEMORY // 5 // SEGMENTS
"""A segment's padded bytes: one table alone is more than an enclave takes in one piece."""


def seal_wide(name: str, table: pa.Table, folder: Path) -> Sealed:
    """Seal some rows in segments with far more places."""
    facts = facts_of(table)
    width = padded_bytes(schema_of(table.schema), facts.widths, 1 << 10) / (1 << 10)
    bound = max(ROWS, int(BYTES / width) + 1)
    return seal_segments(name, table, folder, bound=bound, chunk=-(-bound // 2))


@dataclass
class Application:
    """One Spark application, and the tables that were sealed for it."""

    folder: Path
    root: Path
    leader: Worker
    backend: Any
    sealed: dict[str, tuple[pa.Table, Sealed]] = field(default_factory=dict)

    def run(self, plan: Plan, tables: Mapping[str, pa.Table]) -> Ran:
        """Run a plan over such tables. Raises: Mc2Error."""
        job = self._job(plan, tables)
        attempt = Attempt(job, self.leader, self.backend, self.folder)
        try:
            outcome = attempt.run()
        finally:
            self.leader.close()
        outputs = {name: _opened(Result.parse(raw), job) for name, raw in outcome.results.items()}
        done = sum("tasks done" in said for said in attempt.said)
        return Ran(outputs, len(attempt.members), done)

    def _job(self, plan: Plan, tables: Mapping[str, pa.Table]) -> Job:
        """The plan's job; all inputs are ada's, who keeps their order."""
        made = make_job(contract={"attestation": policy_of(self.root, self.leader.ready.code)})
        inputs, used = [], {}
        for given in plan.inputs:
            found = self._seal(f"ada.{given.dataset.replace('.', '_')}", tables[given.dataset])
            manifest = found.manifest
            used[manifest.dataset] = found
            inputs.append(
                replace(
                    given,
                    dataset=manifest.dataset,
                    owner="ada",
                    manifest=manifest.digest,
                    row_bound=manifest.row_bound,
                    sizes=manifest.sizes,
                    facts=manifest.facts,
                )
            )
        whole = replace(
            plan,
            contract=made.contract.digest,
            inputs=tuple(inputs),
            outputs=tuple(replace(o, recipients=("cy",)) for o in plan.outputs),
            packages=made.plan.packages,
        )
        identity = secrets.token_hex(16)
        return Job(made.parties, made.contract, used, whole, job_id=identity)

    def _seal(self, name: str, table: pa.Table) -> Sealed:
        there = self.sealed.get(name)
        if there is None or not there[0].equals(table, check_metadata=True):
            there = self.sealed[name] = (table, seal_wide(name, table, self.folder / "sealed"))
        return there[1]


def _opened(result: Result, job: Job) -> Output:
    party = job.parties["cy"]
    if result.schema is None:
        return ModelOutput(open_model(result, party, job.stored))
    return TableOutput(result.schema, open_table(result, party, job.stored))


def serve(application: Application, asked: IO[bytes], answers: IO[bytes]) -> None:
    """Run what is asked for until the other side closes."""
    while True:
        try:
            plan, tables = pickle.load(asked)  # noqa: S301  from the tests' own process
        except EOFError:
            return
        found: Ran | Mc2Error
        try:
            found = application.run(plan, tables)
        except Mc2Error as error:
            found = error
        pickle.dump(found, answers)
        answers.flush()


def main() -> int:
    """Serve until standard input ends."""
    from mc2.spark import backend
    from mc2.spark.session import start_spark

    master, place = sys.argv[1:]
    # Java writes to the standard output that it inherits; answers have a descriptor of their own.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    folder = Path(place)
    (folder / "sealed").mkdir()
    root = make_root(folder)
    with ExitStack() as stack:
        spark = start_spark(
            master, {"spark.driver.memory": "512m", "spark.executor.memory": "512m"}
        )
        stack.callback(spark.stop)
        made = backend(spark, storage=str(folder / "blocks"), enclave=enclave_command(root))
        stack.enter_context(made)
        leader = start_leader(root, folder)
        stack.callback(leader.kill)
        serve(Application(folder, root, leader, made), sys.stdin.buffer, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
