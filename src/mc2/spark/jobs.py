"""The little that the backend asks of Spark: run a function over some items, one task each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

from mc2.errors import WorkerError

_log = logging.getLogger(__name__)

A = TypeVar("A")
B = TypeVar("B")

_REASON_LENGTH: Final = 300


class SparkJobs(Protocol):
    """Runs functions on executors. Thread-safe."""

    @property
    def slots(self) -> int:
        """How many tasks run side by side at the moment, at least 1."""
        ...

    def run(
        self, function: Callable[[A], B], items: Sequence[A], *, group: str, name: str
    ) -> list[B]:
        """The function's answers; `name` is what Spark's pages show.

        Raises: WorkerError if Spark gave up, or the group was cancelled.
        """
        ...

    def cancel(self, group: str) -> None:
        """End all jobs of a group."""
        ...

    def run_in_thread(self, name: str, target: Callable[[], None]) -> threading.Thread:
        """Start a thread that may call `run`."""
        ...


class ContextJobs:
    """Spark jobs over a SparkContext: `context` is a `pyspark.SparkContext`."""

    def __init__(self, context: Any) -> None:
        self._context = context

    @property
    def slots(self) -> int:
        """How many tasks run side by side."""
        cpus = int(self._context.getConf().get("spark.task.cpus", "1"))
        return max(1, int(self._context.defaultParallelism) // cpus)

    def run(
        self, function: Callable[[A], B], items: Sequence[A], *, group: str, name: str
    ) -> list[B]:
        """Run one Spark job. Raises: WorkerError."""
        self._context.setJobGroup(group, name, True)
        try:
            found = self._context.parallelize(list(items), len(items)).map(function).collect()
        except Exception as error:  # noqa: BLE001  Py4J's are of many types and mean the same
            reason = str(error).strip().splitlines() or [type(error).__name__]
            _log.warning("Spark gave up %s: %s", name, error)
            raise WorkerError(
                f"Spark gave up {name}: {reason[0][:_REASON_LENGTH]}",
                hint="see the Spark driver's log",
            ) from None
        return list(found)

    def cancel(self, group: str) -> None:
        """End all jobs of a group."""
        try:
            self._context.cancelJobGroup(group)
        except Exception as error:  # noqa: BLE001  a context that has stopped runs no job
            _log.warning("Spark does not cancel %s: %s", group, type(error).__name__)

    def run_in_thread(self, name: str, target: Callable[[], None]) -> threading.Thread:
        """Start a thread that has a thread of the JVM of its own, and so its own job group."""
        import pyspark

        thread = pyspark.InheritableThread(target=target, name=name, daemon=True)
        thread.start()
        return thread
