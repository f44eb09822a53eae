"""The Spark backend of a coordinator: `backend(spark)` for a session that is there.

Spark schedules, retries and balances; it holds orders, receipts and sealed blocks, and no key. The
first enclave of a job, its leader, is still one of the coordinator's own workers.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from mc2.coordinator.backend import TaskNeeds
from mc2.errors import UsageError
from mc2.spark.fleet import SparkFleet
from mc2.spark.jobs import ContextJobs, SparkJobs
from mc2.spark.settings import KeeperSettings
from mc2.spark.tasks import ATTEMPT, SparkTasks
from mc2.spark.wire import TOKEN_BYTES
from mc2.storage import open_storage

START_SECONDS: Final = 120
TASK_SECONDS: Final = 3600


class SparkBackend:
    """Where the tasks of a coordinator's jobs run, while its block lasts."""

    def __init__(
        self,
        jobs: SparkJobs,
        settings: KeeperSettings,
        *,
        task_seconds: int = TASK_SECONDS,
    ) -> None:
        self._jobs = jobs
        self._settings = settings
        self._task_seconds = task_seconds
        self._storage = open_storage(settings.storage)
        self.place = settings.storage
        """Where sealed blocks stand while jobs run."""
        self.members = SparkFleet(jobs, settings, seconds=2.0 * settings.start_seconds)

    def __enter__(self) -> Self:
        # What a driver that died left behind: its attempts are over, and their keys are gone.
        for folder in self._storage.folders():
            if folder.startswith(ATTEMPT):
                self._storage.clear(folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.members.stop()

    def tasks(self, needs: TaskNeeds) -> SparkTasks:
        """What carries the tasks of one attempt."""
        return SparkTasks(
            self._jobs, self._storage, self._settings, needs, task_seconds=self._task_seconds
        )


def backend(
    spark: Any,
    *,
    storage: str,
    enclave: Sequence[str] = ("mc2-enclave",),
    start_seconds: int = START_SECONDS,
    task_seconds: int = TASK_SECONDS,
) -> SparkBackend:
    """The backend over a `pyspark.sql.SparkSession` of the classic kind.

    `storage`: an absolute path that all hosts share, or a URL of fsspec's, for this coordinator
    alone: what attempts of an earlier one left there is removed. `enclave`: the command
    that starts an enclave beside an executor, or the address where one listens on each host.

    Raises: UsageError for a session of Spark Connect, which gives no access to executors.
    """
    context = getattr(spark, "_sc", None)
    if context is None:
        raise UsageError(
            "a Spark Connect session cannot place enclaves",
            hint="use a classic session, which runs the driver in this process",
        )
    local = str(context.master).startswith("local") and "cluster" not in str(context.master)
    settings = KeeperSettings(
        enclave=tuple(enclave),
        token=secrets.token_hex(TOKEN_BYTES),
        storage=storage,
        driver="" if local else str(context.getConf().get("spark.driver.host")),
        application=str(context.applicationId),
        start_seconds=start_seconds,
    )
    return SparkBackend(ContextJobs(context), settings, task_seconds=task_seconds)
