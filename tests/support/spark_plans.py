"""Plans of a test as jobs on a real Spark, whose application is a process of its own.

The environment of the tests has no Spark; `tests.support.spark_plans_driver` has.
"""

from __future__ import annotations

import pickle
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mc2.engine.outputs import Output
from mc2.errors import Mc2Error
from mc2.plan.plan import Plan


@dataclass(frozen=True)
class Ran:
    """What a job gave, and what took part in it."""

    outputs: dict[str, Output]
    members: int
    tasks: int


class SparkPlans:
    """An application in a process of its own. Thread-safe."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], folder: Path, root: Path
    ) -> None:
        self._lock = threading.Lock()
        self._log = folder / "plans.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, str(folder)],
                cwd=root,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def outputs(self, plan: Plan, tables: Mapping[str, pa.Table]) -> Mapping[str, Output]:
        """What a plan gives. Raises: the Mc2Error that the job ended with."""
        return self.run(plan, tables).outputs

    def run(self, plan: Plan, tables: Mapping[str, pa.Table]) -> Ran:
        """Run a plan. Raises: the Mc2Error that the job ended with."""
        used = {i.dataset: tables[i.dataset] for i in plan.inputs}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            with self._lock:
                pickle.dump((plan, used), self._process.stdin)
                self._process.stdin.flush()
                found = pickle.load(self._process.stdout)  # noqa: S301  a process of ours
        except (EOFError, BrokenPipeError):
            raise AssertionError(self._log.read_text()[-4000:]) from None
        if isinstance(found, Mc2Error):
            raise found
        assert isinstance(found, Ran)
        return found

    def end(self) -> None:
        """End the application, and all that it started."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait(60)
