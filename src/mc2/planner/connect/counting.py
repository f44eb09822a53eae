"""spark.range: whole numbers that stand in the script, to be joined with sealed tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mc2.errors import PlanError
from mc2.plan.relations import VALUES_ROWS
from mc2.planner.connect.frame import Frame
from mc2.planner.connect.message import Message
from mc2.planner.connect.translator import Translate, Translator


def _range(self: Translator, message: Message) -> Frame:
    start, end = message.integer("start", 0), message.integer("end", 0)
    step = message.integer("step", 1)
    message.take("num_partitions")
    if step == 0:
        raise PlanError("spark.range takes no step of 0")
    numbers = range(start, end, step)
    if not 1 <= len(numbers) <= VALUES_ROWS:
        raise PlanError(
            f"spark.range gives {len(numbers)} rows, and a script holds 1 to {VALUES_ROWS}",
            hint="upload a larger table: mc2 upload",
        )
    listed = ", ".join(f"({n})" for n in numbers)
    text = f"SELECT CAST(col1 AS BIGINT) AS id FROM VALUES {listed}"
    return self.program.user_query(text, {})


KINDS: Final[Mapping[str, Translate]] = {"range": _range}
