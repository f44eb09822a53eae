"""Expressions in Spark's SQL, and what Spark itself gives for them over a small table.

`tests/golden/spark/*.txt` hold them: an expression on a line of its own, and below it, indented, the
type and the values that Spark gave, one for each row, as JSON, or `fails`.
`python -m tests.support.spark_rows` asks Spark anew, with pyspark in the Python that runs it.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "spark"
COLUMNS = (
    ("i", "int"), ("j", "int"), ("l", "bigint"), ("x", "double"), ("y", "double"),
    ("m", "decimal(8,2)"), ("k", "decimal(20,4)"), ("s", "string"), ("t", "string"),
    ("d", "date"), ("e", "date"), ("z", "timestamp"), ("w", "timestamp"), ("b", "boolean"),
    ("h", "binary"), ("a", "array<int>"), ("c", "array<string>"), ("r", "struct<p:int,q:string>"),
)  # fmt: skip
TYPES = {
    "int": "int32", "bigint": "int64", "smallint": "int16", "tinyint": "int8",
    "timestamp": "timestamp_utc", "timestamp_ntz": "timestamp", "array": "list",
}  # fmt: skip
"""Spark's types, as plans call them."""


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


D = Decimal
ROWS: tuple[tuple[Any, ...], ...] = (
    (5, 3, 10**12, 2.5, -1.5, D("12.35"), D("1000.0001"), "Spark sql", "a", date(2024, 2, 29),
     date(2023, 12, 31), _at("2024-02-29T13:14:15.678901"), _at("2023-01-31T00:00:00"), True,
     b"Spark", [3, 1, 2], ["b", "a", "b"], {"p": 1, "q": "x"}),
    (-7, 2, -1, -0.0, 3.0, D("-0.05"), D("-99999.5000"), "", "", date(1969, 12, 31),
     date(1970, 1, 1), _at("1969-12-31T23:59:59.999999"), _at("1970-01-01T00:00:00"), False,
     b"", [], [], {"p": None, "q": ""}),
    (0, 1, 2**63 - 1, math.nan, 0.1, D("0.00"), D("0.0000"), "é😀a,b,,c", ",", date(2021, 1, 3),
     date(2020, 2, 29), _at("2021-01-03T00:00:00"), _at("2020-12-31T23:00:00"), None,
     b"\x00\xff", [1, None, 1], ["x", None], None),
    (None,) * 18,
    (2147483647, -5, 255, 1e300, math.inf, D("999999.99"), D("0.0001"), "  a-1 B22  ", "B",
     date(9998, 6, 15), date(2, 3, 1), _at("2024-12-30T12:00:00"), _at("2024-11-30T12:00:00.5"),
     True, b"abc", [None], ["%", "_"], {"p": -3, "q": None}),
)  # fmt: skip


def read(path: Path) -> Iterator[tuple[str, str]]:
    """Expressions, each with its answer."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    expression = None
    for line in lines:
        if line.startswith("    "):
            assert expression is not None
            yield expression, line.strip()
            expression = None
        else:
            if expression is not None:
                yield expression, ""
            expression = line
    if expression is not None:
        yield expression, ""


def shown(value: Any) -> Any:
    """A value as JSON has it, the same for Spark's rows and ours."""
    match value:
        case bool() | None | int() | str():
            return value
        case float():
            # Digits beyond these differ between Java's and C's libraries of mathematics.
            return float(f"{value:.13g}") + 0.0 if math.isfinite(value) else str(value)
        case bytes() | bytearray():
            return bytes(value).hex()
        case datetime():
            return value.replace(tzinfo=None).isoformat(" ")
        case list():
            return [shown(v) for v in value]
        case dict():
            return {k: shown(v) for k, v in value.items()}
        case _:
            return str(value)


def answer(kind: str, values: list[Any]) -> str:
    """Type and values as a line."""
    return f"{kind}: {json.dumps([shown(v) for v in values], ensure_ascii=False)}"


def plan_type(kind: str) -> str:
    """A type of Spark as plans spell it."""
    return re.sub(
        r"\b(?<!<)[a-z_]+\b(?!:)|(?<=<)[a-z_]+\b(?!:)", lambda m: TYPES.get(m[0], m[0]), kind
    )


def called_in_golden_files() -> set[str]:
    """The functions of plans that expressions with values call."""
    from mc2.plan.expressions import Call, walk
    from mc2.plan.relations import Project
    from mc2.planner.script import compile_here
    from tests.support.catalogs import PACKAGES, catalog

    known = catalog({"p.rows": {name: plan_type(kind) for name, kind in COLUMNS}})
    found: set[str] = set()
    for path in FOLDER.glob("*.txt"):
        pairs = (p for p in read(path) if ": " in p[1])
        items = ", ".join(f"{e} AS v{i}" for i, (e, _) in enumerate(pairs))
        script = (
            "import mc2\njob = mc2.Job('t')\n"
            f"job.release('r', job.sql({f'SELECT {items} FROM p.rows'!r}), to='institute')\n"
        )
        plan = compile_here(script, name="t.py", catalog=known, packages=PACKAGES)
        for node in plan.nodes:
            if isinstance(node.operation, Project):
                for column in node.operation.columns:
                    inner = walk(column.expression)
                    found |= {e.function for e in inner if isinstance(e, Call)}
    return found


def _spark() -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    settings = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true",
                "spark.sql.shuffle.partitions": "1"}  # fmt: skip
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    schema = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
    session.createDataFrame(ROWS, schema).repartition(1).createOrReplaceTempView("rows")
    return session


def asked(session: Any, expression: str, *, grouped: bool) -> str:
    """What Spark gives for an expression."""
    from pyspark.errors import PySparkException

    try:
        table = session.sql(f"SELECT {expression} AS v FROM rows")
        kind = table.schema.fields[0].dataType.simpleString()
        values = [
            row.asDict(recursive=True)["v"]
            for row in (table if grouped else table.coalesce(1)).collect()
        ]
    except PySparkException as error:
        refused = type(error).__name__ in {"AnalysisException", "ParseException"}
        return f"refused {error.getCondition()}" if refused else "fails"
    except (OverflowError, ValueError):  # a date that Python does not hold
        return "beyond"
    return answer(kind, values)


def main() -> None:
    """Write what Spark gives into all files."""
    import os
    import time

    os.environ["TZ"] = "UTC"
    time.tzset()
    session = _spark()
    for path in sorted(FOLDER.glob("*.txt")):
        if sys.argv[1:] and path.stem not in sys.argv[1:]:
            continue
        head = [line for line in path.read_text().splitlines() if line.startswith("#")]
        pairs = [(e, asked(session, e, grouped=False)) for e, _ in read(path)]
        lines = [*head, *(line for e, a in pairs for line in (e, f"    {a}"))]
        path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
