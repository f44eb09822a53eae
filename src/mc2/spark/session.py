"""Starts a Spark application for a coordinator, with settings that suit enclaves.

One Spark task at a time for each executor: the enclave beside it uses all its processors.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Mapping
from typing import Any, Final

from mc2.errors import UsageError, WorkerError

_LOCAL: Final = re.compile(r"local\[(\d+|\*)\]")
_TRIES: Final = 4

DEFAULTS: Final[Mapping[str, str]] = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.task.maxFailures": str(_TRIES),
    # A task that hangs is tried elsewhere as well: both runs are harmless.
    "spark.speculation": "true",
    "spark.speculation.task.duration.threshold": "600s",
    # Spark keeps nothing of ours in its own storage: no blocks to find again on a lost executor.
    "spark.python.worker.reuse": "true",
}


def start_spark(master: str, settings: Mapping[str, str], *, python: str = "") -> Any:
    """A classic `pyspark.sql.SparkSession`. `settings` override ours.

    `python`: the interpreter beside executors; without one, `PYSPARK_PYTHON` or this one.

    Raises: UsageError without PySpark or Java; WorkerError if Spark does not start.
    """
    check_spark_installed()
    if python:
        os.environ["PYSPARK_PYTHON"] = python
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    os.environ.pop("SPARK_REMOTE", None)
    os.environ.pop("SPARK_CONNECT_MODE_ENABLED", None)
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("mc2").master(with_retries(master))
    for name, value in {**DEFAULTS, **one_task_each(settings), **settings}.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except Exception as error:  # noqa: BLE001  of many types, from Java and Python alike
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise WorkerError(
            f"Spark does not start at {master}: {reason[0]}",
            hint="see the log; check the master's address and that Java 17 is installed",
        ) from None


def with_retries(master: str) -> str:
    """A local master tries a task once unless it is told otherwise."""
    found = _LOCAL.fullmatch(master)
    return f"local[{found[1]},{_TRIES}]" if found else master


def one_task_each(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings by which an executor has one task at a time, where its size is known."""
    cores = settings.get("spark.executor.cores")
    return {} if cores is None else {"spark.task.cpus": cores}


def check_spark_installed() -> None:
    """Whether Spark can start here. Raises: UsageError."""
    if importlib.util.find_spec("pyspark") is None or importlib.util.find_spec("py4j") is None:
        raise UsageError(
            "Apache Spark is not installed",
            hint="pip install 'mc2[spark]' in an environment without pyspark-client",
        )
    if "JAVA_HOME" not in os.environ and shutil.which("java") is None:
        raise UsageError("Spark needs Java", hint="install Java 17, or set JAVA_HOME")
