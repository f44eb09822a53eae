"""DataFrames as values: `scalar()`, `exists()`, `isin(df)`, of DataFrames that stand by themselves.

The client sends such DataFrames beside the one that names them by number. Each becomes steps of its
own, and its place in the expression a query over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mc2.errors import PlanError
from mc2.planner.connect.frame import Frame, quoted
from mc2.planner.connect.message import Message, unsupported
from mc2.planner.connect.program import Program

_KINDS: Final = ("SCALAR", "EXISTS", "IN")
_ONE_COLUMN: Final = "a DataFrame that is a value has one column, and this one has"


def filled(value: Any, frames: Mapping[int, Frame], program: Program) -> Any:
    """A message in which numbers of DataFrames became queries over them. Raises: PlanError."""
    if isinstance(value, Mapping):
        found = {
            name: _query(inner, frames, program)
            if name == "subquery_expression"
            else filled(inner, frames, program)
            for name, inner in value.items()
        }
        return {("subquery" if n == "subquery_expression" else n): v for n, v in found.items()}
    if isinstance(value, (list, tuple)):
        return [filled(inner, frames, program) for inner in value]
    return value


def _query(inner: Any, frames: Mapping[int, Frame], program: Program) -> dict[str, Any]:
    message = Message(inner, "a DataFrame as a value")
    kind = message.text("subquery_type").removeprefix("SUBQUERY_TYPE_")
    frame = frames.get(message.integer("plan_id", -1))
    values = filled(message.items("in_subquery_values"), frames, program)
    message.done()
    if kind not in _KINDS:
        raise unsupported("a DataFrame as an argument that is a table", "use spark.sql")
    if frame is None:
        raise PlanError("a DataFrame that is a value is missing in what the client sent")
    shown = frame.visible
    if kind != "EXISTS" and len(shown) != 1:
        raise PlanError(f"{_ONE_COLUMN} {len(shown)}", hint="select the one that is meant")
    if kind == "IN" and len(values) != 1:
        raise unsupported("isin of several columns at once", "join with the DataFrame")
    columns = "*" if kind == "EXISTS" else quoted(shown[0].inner)
    return {"kind": kind, "sql": f"(SELECT {columns} FROM {program.nested(frame)})",
            "values": values}  # fmt: skip
