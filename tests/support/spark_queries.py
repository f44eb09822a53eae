"""Whole queries in Spark's SQL, and what Spark itself gives for them over four small tables.

`tests/golden/spark_queries/*.txt` hold them, each on a line of its own, and below it, indented, the
types of its columns and its rows as JSON, or what Spark refuses or where it fails. Rows count as a
multiset, but for queries that start with `/* in order */`.
`python -m tests.support.spark_queries` asks Spark anew, with pyspark in the Python that runs it.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.support.spark_rows import plan_type, read, shown

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "spark_queries"
IN_ORDER = "/* in order */"

D = Decimal
NAN = math.nan


def _at(day: int, hour: int) -> datetime:
    return datetime(2024, 3, day, hour, 30, tzinfo=UTC)


T = pa.table(
    {
        "k": pa.array([1, 1, 2, 2, 3, None, 4, None, 2], pa.int32()),
        "g": ["a", "a", "b", None, "b", "a", "", None, "b"],
        "x": [0.0, -0.0, NAN, 1.5, None, -2.5, NAN, 1.5, 1.5],
        "n": pa.array([10, 20, 20, None, -5, 7, 0, 7, 10], pa.int64()),
        "m": pa.array(
            [D("1.10"), D("2.20"), None, D("-3.30"), D("1.10"), D("0.00"), D("9.99"), None, D("2.20")],
            pa.decimal128(8, 2),
        ),
        "d": pa.array(
            [date(2024, 1, 30), date(2024, 2, 29), date(2024, 1, 30), None, date(2024, 3, 1),
             date(2024, 3, 31), date(2023, 12, 31), None, date(2024, 2, 1)], pa.date32(),
        ),
        "b": [True, False, None, True, True, False, None, True, False],
    }
)  # fmt: skip
U = pa.table(
    {
        "k": pa.array([1, 2, 2, None, 5, 3], pa.int32()),
        "g": ["a", "b", None, "a", "z", "b"],
        "y": [-0.0, NAN, 1.5, None, 0.0, -2.5],
        "w": pa.array([1, 20, 20, 4, None, -5], pa.int64()),
        "z": pa.array(
            [_at(1, 0), _at(1, 6), None, _at(2, 0), _at(31, 23), _at(2, 0)],
            pa.timestamp("us", "UTC"),
        ),
    }
)
V = pa.table(
    {
        "i": pa.array([1, 2, 3, 4, 5], pa.int32()),
        "a": pa.array([[3, 1, None], [], None, [2, 2], [None]], pa.list_(pa.int32())),
        "r": pa.array(
            [{"p": 1, "q": "x"}, {"p": None, "q": "x"}, None, {"p": 1, "q": None}, {"p": 1, "q": "x"}],
            pa.struct([("p", pa.int32()), ("q", pa.string())]),
        ),
        "o": pa.array(
            [[{"e": 1.5}, {"e": None}], [{"e": -0.0}], None, [{"e": 0.0}], [{"e": NAN}]],
            pa.list_(pa.struct([("e", pa.float64())])),
        ),
    }
)  # fmt: skip
W = U.slice(0, 0)
TABLES = {"p.t": T, "p.u": U, "q.v": V, "q.w": W}


def answer(kinds: Iterable[str], rows: Iterable[Iterable[Any]], *, in_order: bool) -> str:
    """Types of columns and rows as a line."""
    listed = [json.dumps([shown(v) for v in row], ensure_ascii=False) for row in rows]
    return f"{', '.join(kinds)}: [{', '.join(listed if in_order else sorted(listed))}]"


def expected(found: str) -> str:
    """Spark's answer with types as plans spell them."""
    kinds, _, rows = found.partition(": [")
    return f"{plan_type(kinds)}: [{rows}"


def session(folder: str, tables: Mapping[str, pa.Table] = TABLES) -> Any:
    """Spark with some tables."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]")
    settings = {
        "spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true", "spark.sql.shuffle.partitions": "1",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={folder}",
    }  # fmt: skip
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    for name, table in tables.items():
        spark.sql(f"CREATE DATABASE IF NOT EXISTS {name.partition('.')[0]}")
        spark.createDataFrame(table).write.mode("overwrite").saveAsTable(name)
    return spark


def _plain(value: Any) -> Any:
    """A value with dicts for structs, of which two columns may have one name."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value.asDict(recursive=True) if hasattr(value, "asDict") else value


def asked(spark: Any, query: str) -> str:
    """What Spark gives for a query."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        table = spark.sql(query)
        kinds = [f.dataType.simpleString() for f in table.schema.fields]
        rows = [[_plain(value) for value in row] for row in table.collect()]
    except Py4JJavaError:
        return "breaks"
    except PySparkException as error:
        refused = type(error).__name__ in {"AnalysisException", "ParseException"}
        return f"refused {error.getCondition()}" if refused else "fails"
    return answer(kinds, rows, in_order=query.startswith(IN_ORDER))


def main() -> None:
    """Write what Spark gives into all files."""
    import os
    import tempfile
    import time

    os.environ["TZ"] = "UTC"
    time.tzset()
    with tempfile.TemporaryDirectory() as folder:
        spark = session(folder)
        for path in sorted(FOLDER.glob("*.txt")):
            if sys.argv[1:] and path.stem not in sys.argv[1:]:
                continue
            head = [line for line in path.read_text().splitlines() if line.startswith("#")]
            pairs = [(q, asked(spark, q)) for q, _ in read(path)]
            lines = [*head, *(line for q, a in pairs for line in (q, f"    {a}"))]
            path.write_text("\n".join(lines) + "\n")
        spark.stop()


if __name__ == "__main__":
    main()
