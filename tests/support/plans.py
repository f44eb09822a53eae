"""Builds small plans, runs them in the engine, and gives rows as Python values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from mc2.crypto.digest import Digest
from mc2.engine.limits import EngineLimits
from mc2.engine.outputs import ModelOutput, TableOutput
from mc2.engine.run import execute
from mc2.formats.arrow import arrow_schema
from mc2.formats.schema import Column, Schema, parse_type
from mc2.plan.build import PlanBuilder
from mc2.plan.check import CheckedPlan, check_plan
from mc2.plan.plan import Operation, Plan, PlanInput, PlanOutput
from mc2.plan.relations import Scan

NO_DIGEST = Digest("sha256:" + "0" * 64)
LIMITS = EngineLimits(memory_bytes=512 * 1024 * 1024, threads=2)
ROWS = 1000


def schema(**columns: str) -> Schema:
    """`schema(x="int64", y="double!")`; an exclamation mark says that there is no NULL."""
    return Schema(
        tuple(
            Column(name, parse_type(kind.removesuffix("!")), not kind.endswith("!"))
            for name, kind in columns.items()
        )
    )


@dataclass
class Source:
    """A table in memory as the engine reads it, in batches of some rows."""

    schema: Schema
    rows: Sequence[Sequence[Any]]
    batch: int = 1000
    bound: int = ROWS
    reads: int = 0

    @property
    def table(self) -> pa.Table:
        target = arrow_schema(self.schema)
        columns = list(zip(*self.rows, strict=True)) or [() for _ in target]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, target, strict=True)]
        return pa.table(arrays, schema=target)

    def batches(self) -> Iterator[pa.RecordBatch]:
        self.reads += 1
        yield from self.table.to_batches(max_chunksize=self.batch)


class Job:
    """A plan over named inputs: add operations, then run."""

    def __init__(self, **tables: Source) -> None:
        self.sources = {f"a.{name}": table for name, table in sorted(tables.items())}
        self.inputs = tuple(
            PlanInput(
                dataset=name,
                owner="a",
                manifest=NO_DIGEST,
                schema=table.schema,
                row_bound=max(table.bound, len(table.rows)),
            )
            for name, table in self.sources.items()
        )
        self.builder = PlanBuilder(self.inputs)

    def scan(self, name: str, *columns: str) -> int:
        place = list(self.sources).index(f"a.{name}")
        return self.add(Scan(place, columns or self.inputs[place].schema.names))

    def add(self, operation: Operation) -> int:
        return self.builder.add(operation)

    def plan(self, **outputs: int) -> Plan:
        found = [
            PlanOutput(
                name=name,
                node=node,
                kind="table" if self.builder.is_table(node) else "model",
                recipients=("a",),
            )
            for name, node in outputs.items()
        ]
        nodes, sorted_outputs = self.builder.finish(found)
        scanned = {n.operation.input for n in nodes if isinstance(n.operation, Scan)}
        places = {old: new for new, old in enumerate(sorted(scanned))}
        nodes = tuple(
            replace(n, operation=replace(n.operation, input=places[n.operation.input]))
            if isinstance(n.operation, Scan)
            else n
            for n in nodes
        )
        return Plan(
            title="test",
            mode="encrypted",
            contract=NO_DIGEST,
            script_name="test.py",
            script="",
            packages={},
            inputs=tuple(self.inputs[i] for i in sorted(scanned)),
            nodes=nodes,
            outputs=sorted_outputs,
        )

    def check(self, **outputs: int) -> CheckedPlan:
        return check_plan(self.plan(**outputs))

    def run(
        self,
        *,
        limits: EngineLimits = LIMITS,
        progress: Callable[[str], None] = lambda _: None,
        **outputs: int,
    ) -> Mapping[str, TableOutput | ModelOutput]:
        return execute(self.check(**outputs), self.sources, limits, progress)

    def rows(self, node: int, **options: Any) -> list[tuple[Any, ...]]:
        """The rows of one relation."""
        output = self.run(out=node, **options)["out"]
        assert isinstance(output, TableOutput)
        return table_rows(output.table)

    def model(self, node: int) -> bytes:
        """The bytes of one model."""
        output = self.run(out=node)["out"]
        assert isinstance(output, ModelOutput)
        return output.raw


def table_rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(c.to_pylist() for c in table.columns), strict=True))
