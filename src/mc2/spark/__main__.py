"""`python -m mc2.spark`: a coordinator whose jobs run their tasks on Apache Spark.

It takes the options of `python -m mc2.coordinator`, and those about Spark.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from mc2.coordinator.__main__ import parser as coordinator_parser
from mc2.coordinator.__main__ import read_options
from mc2.coordinator.cluster import LARGEST_CLUSTER
from mc2.coordinator.server import Coordinator
from mc2.errors import Mc2Error, UsageError
from mc2.spark.backend import START_SECONDS, TASK_SECONDS, backend
from mc2.spark.session import start_spark
from mc2.spark.shipping import (
    SHIPPED_PYTHON,
    check_master,
    pack,
    shipped_command,
    shipped_settings,
)

ARCHIVE: Final = "mc2-packages.tar.gz"
"""What executors are sent, in the coordinator's folder."""


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit code of the error that ended it, or 0."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("py4j").setLevel(logging.WARNING)
    try:
        _serve(options)
    except Mc2Error as error:
        sys.stderr.write(f"mc2 coordinator: {error}\n")
        if error.hint:
            sys.stderr.write(f"  next: {error.hint}\n")
        return error.exit_code
    return 0


def _serve(options: argparse.Namespace) -> None:
    config = read_options(options)
    if not options.workers_per_job:
        config = replace(config, workers_per_job=LARGEST_CLUSTER)
    settings = _settings(options.spark_conf)
    if options.ship:
        check_master(options.master)
        options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        archive = pack(options.folder.resolve() / ARCHIVE)
        settings |= shipped_settings(archive, settings.get("spark.archives", ""))
    python = SHIPPED_PYTHON if options.ship else ""
    spark = start_spark(options.master, settings, python=python)
    try:
        with _backend(spark, options) as found:
            Coordinator(config, backend=found).serve()
    finally:
        spark.stop()


def _backend(spark: Any, options: argparse.Namespace) -> Any:
    place = options.block_storage or str((options.folder / "blocks").resolve())
    enclave: Sequence[str] = shlex.split(options.executor_command or options.worker_command)
    if options.ship and not options.executor_command:
        enclave = shipped_command(enclave)
    return backend(
        spark,
        storage=place,
        enclave=enclave,
        start_seconds=options.start_seconds,
        task_seconds=options.task_seconds,
    )


def _settings(given: list[str]) -> dict[str, str]:
    """`name=value` texts. Raises: UsageError."""
    found = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not mark or not name.startswith("spark."):
            raise UsageError(f"{text} is no setting of Spark", hint="write spark.NAME=VALUE")
        found[name] = value
    return found


def _parser() -> argparse.ArgumentParser:
    found = coordinator_parser("python -m mc2.spark")
    found.description = "Run a coordinator whose jobs run on Apache Spark."
    found.add_argument("--master", default="local[*]", help="Spark's master")
    found.add_argument("--spark-conf", action="append", default=[], help="spark.NAME=VALUE")
    found.add_argument("--block-storage", default="", help="a path or URL that all hosts share")
    found.add_argument("--executor-command", default="", help="how to start an executor's enclave")
    found.add_argument("--ship", action="store_true", help="executors get mc2 from here")
    found.add_argument("--start-seconds", type=int, default=START_SECONDS)
    found.add_argument("--task-seconds", type=int, default=TASK_SECONDS)
    return found


if __name__ == "__main__":
    sys.exit(main())
