"""Stock PySpark against the real endpoint over loopback, with the engine in this process behind it.

The endpoint, its token, the messages, the planner and the engine are the real ones; only the job
between them (proposal, approvals, enclave, receipt) is left out. `tests/world` has it all.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from mc2.client.connect.jobs import Stopped
from mc2.client.connect.server import Endpoint
from mc2.client.plan_words import step_words
from mc2.plan.plan import Plan
from mc2.planner.catalog import Catalog
from mc2.planner.script import compile_here
from tests.support.catalogs import PACKAGES
from tests.support.differential import catalog_of_tables, table_of


@dataclass
class EngineRunner:
    """Compiles scripts and runs their plans here, over tables in memory."""

    tables: Mapping[str, pa.Table]
    recipient: str = "institute"
    scripts: list[str] = field(default_factory=list)
    catalogs: int = 0
    public_rows: bool = False
    hold: Callable[[Callable[[], bool]], None] | None = None

    def catalog(self, *, fresh: bool) -> Catalog:
        self.catalogs += 1
        return catalog_of_tables(self.tables)

    def plan(self, script: str) -> Plan:
        catalog = self.catalog(fresh=False)
        return compile_here(script, name="dataframe.py", catalog=catalog, packages=PACKAGES)

    def words(self, script: str) -> str:
        plan = self.plan(script)
        return "\n".join([script, *(step_words(plan, n) for n in range(len(plan.nodes)))])

    def run(
        self, script: str, tell: Callable[[str], None], stopped: Callable[[], bool]
    ) -> pa.Table:
        self.scripts.append(script)
        if self.hold is not None:
            self.hold(stopped)
            if stopped():
                raise Stopped("stopped")
        return table_of(self.plan(script), self.tables, "result")


@contextmanager
def spark_session(runner: Any) -> Iterator[Any]:
    """A stock PySpark session over an endpoint of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PySpark's own, about pandas 3
        from pyspark.sql.connect.session import SparkSession

    with Endpoint.start(runner, lambda _: None) as endpoint:
        spark = SparkSession.builder.remote(endpoint.connection).create()
        try:
            yield spark
        finally:
            spark.stop()
