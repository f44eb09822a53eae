"""Which inputs of a plan are held in memory while its queries run, and which are streamed.

What is held is opened once however often it is read, and DuckDB knows how many rows it has, and so
in which order to join, and of which side to make a table. A stream takes no memory. The choice
follows from public sizes, and changes no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mc2.formats.schema import DataType
from mc2.plan.plan import Plan, PlanInput
from mc2.plan.relations import Join, Mark, Scan

HELD_SHARE: Final = 4
"""Inputs that are held take at most this part of as much memory as the engine may use."""
_TEXT_BYTES: Final = 32
_NESTED_BYTES: Final = 64
_SHORT_DIGITS: Final = 18
_BYTES: Final = {
    "boolean": 1, "int8": 1, "int16": 2, "int32": 4, "date": 4, "float": 4,
    "int64": 8, "double": 8, "timestamp": 8, "timestamp_utc": 8,
    "string": _TEXT_BYTES, "binary": _TEXT_BYTES, "list": _NESTED_BYTES, "struct": _NESTED_BYTES,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class InputRead:
    """What a plan reads of an input: some columns, in the schema's order, so many times."""

    names: tuple[str, ...]
    times: int


def read_inputs(plan: Plan, uses: Sequence[int]) -> list[InputRead]:
    """What is read of each input, by how often each node is."""
    found = []
    for place, source in enumerate(plan.inputs):
        wanted: set[str] = set()
        times = 0
        for node, count in zip(plan.nodes, uses, strict=True):
            if isinstance(node.operation, Scan) and node.operation.input == place:
                wanted.update(node.operation.columns)
                times += count
        found.append(InputRead(tuple(n for n in source.schema.names if n in wanted), times))
    return found


def inputs_to_hold(
    plan: Plan, reads: Sequence[InputRead], uses: Sequence[int], memory_bytes: int
) -> frozenset[int]:
    """The inputs to hold: those read several times, and those that a query joins; all or none.

    DuckDB takes a stream for a single row: beside tables whose rows it knows that misleads it more
    than if it knew nothing of any.
    """
    wanted = {place for place, read in enumerate(reads) if read.times > 1}
    wanted |= _joined_inputs(plan, uses)
    size = sum(held_bytes(plan.inputs[p], reads[p].names) for p in wanted)
    return frozenset(wanted if size <= memory_bytes // HELD_SHARE else ())


def _joined_inputs(plan: Plan, uses: Sequence[int]) -> set[int]:
    """The inputs of queries with joins; nodes that are read more than once are tables."""
    found = set[int]()
    queries: list[tuple[bool, set[int]]] = []
    for node in plan.nodes:
        joined, places = isinstance(node.operation, Join | Mark), set[int]()
        if isinstance(node.operation, Scan):
            places.add(node.operation.input)
        for source in node.operation.sources:
            if uses[source] == 1 or isinstance(plan.nodes[source].operation, Scan):
                joined |= queries[source][0]
                places |= queries[source][1]
        queries.append((joined, places))
        if joined:
            found |= places
    return found


def held_bytes(source: PlanInput, names: Sequence[str]) -> int:
    """About how many bytes columns of an input take in memory, at its bound of rows."""
    columns = source.schema.by_name()
    return source.row_bound * sum(_width(columns[name].type) for name in names)


def _width(kind: DataType) -> int:
    if kind.name == "decimal":
        return 8 if kind.precision <= _SHORT_DIGITS else 16
    return _BYTES[kind.name]
