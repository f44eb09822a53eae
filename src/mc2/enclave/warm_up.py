"""Uses all that a job may need once, on made-up rows, while the process may still open files.

Engines load parts of themselves on first use, and once confined a process cannot even import a
module. The first owners would otherwise find that out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import digest
from mc2.crypto.secret import DataKey, ReceivingKey, SigningKey
from mc2.engine.limits import EngineLimits
from mc2.engine.run import execute
from mc2.formats.arrow import schema_of
from mc2.formats.chunk import pack_rows, unpack_rows
from mc2.formats.manifest import COMPRESSIONS
from mc2.formats.schema import Schema
from mc2.plan.build import PlanBuilder
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.models import Evaluation, History, Matrix, Predict, Train
from mc2.plan.packages import package_versions
from mc2.plan.parameters import read_parameters
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Distinct,
    Filter,
    Join,
    Limit,
    NamedExpression,
    Project,
    Scan,
    Sort,
    SortKey,
    Union,
)
from mc2.plan.types import INT64, STRING

_NAME: Final = "warm.up"
_ROWS: Final = 64


def warm_up(limits: EngineLimits) -> None:
    """Seal, open and compute something small by every way that a job may go."""
    table = _table()
    _use_crypto(table)
    rows = _Rows(table)
    plan = _plan(rows.schema)
    execute(check_plan(plan), {_NAME: rows}, limits, lambda _: None)


class _Rows:
    """The made-up rows as an input."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.schema = schema_of(table.schema)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows."""
        yield from self._table.to_batches()


def _table() -> pa.Table:
    numbers = range(_ROWS)
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    return pa.table(
        {
            "n": pa.array(numbers, pa.int64()),
            "x": pa.array([i / 7 for i in numbers], pa.float64()),
            "name": pa.array([f"name {i % 3}" if i % 5 else None for i in numbers], pa.string()),
            "at": pa.array([moment] * _ROWS, pa.timestamp("us", "UTC")),
            "amount": pa.array(list(numbers), pa.decimal128(12, 2)),
            "label": pa.array([i % 2 for i in numbers], pa.int32()),
        }
    )


def _use_crypto(table: pa.Table) -> None:
    (batch,) = table.to_batches()
    with DataKey.generate() as key:
        cipher = ChunkCipher(key.raw)
        for compression in COMPRESSIONS:
            plain = cipher.open(0, cipher.seal(0, pack_rows(batch, compression), b""), b"")
            unpack_rows(plain, schema_of(table.schema), compression)
        receiving, signing = ReceivingKey.generate(), SigningKey.generate()
        receiving.open(receiving.public.seal(key.raw, b"info"), b"info")
        signing.public.verify(signing.sign(b"message"), b"message")


def _plan(schema: Schema) -> Plan:
    source = PlanInput(
        dataset=_NAME, owner="warm", manifest=digest(b""), schema=schema, row_bound=_ROWS
    )
    builder = PlanBuilder([source])
    scan = builder.add(Scan(0, schema.names))
    outputs = [*_relations(builder, scan), *_models(builder, scan)]
    nodes, kept = builder.finish(outputs)
    return Plan(
        title="",
        mode="encrypted",
        contract=digest(b""),
        script_name="",
        script="",
        packages=package_versions(),
        inputs=(source,),
        nodes=nodes,
        outputs=kept,
    )


def _relations(builder: PlanBuilder, scan: int) -> list[PlanOutput]:
    n, name, at = ColumnRef("n"), ColumnRef("name"), ColumnRef("at")
    kept = builder.add(Filter(scan, call("gt", n, literal(3, INT64))))
    pattern = call("like", name, literal("%1", STRING))
    left = builder.add(
        Project(
            kept,
            (
                NamedExpression("k", n),
                NamedExpression("day", call("truncate_to", literal("day", STRING), at)),
                NamedExpression("loud", call("upper", name)),
                NamedExpression("one", pattern),
            ),
        )
    )
    joined = builder.add(Join(left, scan, "left", call("eq", ColumnRef("k"), n)))
    both = builder.add(Distinct(builder.add(Union((joined, joined)))))
    grouped = builder.add(
        Aggregate(
            both,
            ("loud", "day"),
            (
                AggregateColumn("rows", "count_star", ()),
                AggregateColumn("mean", "avg", (ColumnRef("x"),)),
                AggregateColumn("total", "sum", (ColumnRef("amount"),)),
                AggregateColumn("spread", "stddev_samp", (ColumnRef("x"),)),
            ),
        )
    )
    key = SortKey(ColumnRef("loud"), descending=True, nulls_first=False)
    last = builder.add(Limit(builder.add(Sort(grouped, (key,))), 2, 1))
    return [_output("rows", last, "table")]


def _models(builder: PlanBuilder, scan: int) -> list[PlanOutput]:
    matrix = builder.add(
        Matrix((scan,), ("x", "name"), label="label", weight="n", categorical=("name",))
    )
    parameters = read_parameters(
        {"objective": "binary:logistic", "max_depth": 2, "eval_metric": ["auc", "logloss"]}
    )
    model = builder.add(
        Train(matrix, parameters, 3, (Evaluation("seen", matrix),), early_stopping_rounds=2)
    )
    said = builder.add(Predict(model, matrix, keep=("n",)))
    history = builder.add(History(model))
    return [
        _output("history", history, "table"),
        _output("model", model, "model"),
        _output("said", said, "table"),
    ]


def _output(name: str, node: int, kind: str) -> PlanOutput:
    return PlanOutput(name=name, node=node, kind=kind, recipients=("warm",))
