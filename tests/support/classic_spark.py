"""What classic PySpark, with its own JVM, gives for the snippets: `tests/golden/pyspark.json`.

PySpark and its client cannot be installed side by side, so this runs in an environment of its own:

    uv venv classic && uv pip install -p classic/bin/python pyspark==4.2.0 'pandas<3' pyarrow
    classic/bin/python -m tests.support.classic_spark

The file is checked in; `tests/unit/client/connect` compares our answers with it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.support.dataframes import SNIPPETS, TABLES, plain

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "pyspark.json"


def main() -> int:
    """Run all snippets and write the file."""
    from pyspark.sql import SparkSession, Window, functions

    with tempfile.TemporaryDirectory() as folder:
        spark = (
            SparkSession.builder.master("local[1]")
            .config("spark.sql.warehouse.dir", f"{folder}/warehouse")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.shuffle.partitions", "1")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.extraJavaOptions", f"-Dderby.system.home={folder}")
            .getOrCreate()
        )
        names = {"spark": spark, "F": functions, "W": Window}
        for name, table in TABLES.items():
            schema, _, plain_name = name.partition(".")
            spark.sql(f"CREATE DATABASE IF NOT EXISTS {schema}")
            spark.createDataFrame(table).write.saveAsTable(name)
            names[plain_name] = spark.read.table(name)
        names["people"].filter("age > 40").createOrReplaceTempView("elders")
        found = {s.code: _answer(s.code, names) for s in SNIPPETS}
        GOLDEN.write_text(json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
        spark.stop()
    return 0


def _answer(code: str, names: dict) -> dict:
    try:
        frame = eval(code, dict(names))  # noqa: S307 - this repository's own code
        table = frame.toArrow()
    except Exception as error:  # noqa: BLE001 - what Spark refuses is part of the answer
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}
    rows = [[plain(c[i].as_py()) for c in table.columns] for i in range(table.num_rows)]
    types = [field.dataType.simpleString() for field in frame.schema]
    return {"columns": frame.columns, "types": types, "rows": rows}


if __name__ == "__main__":
    sys.exit(main())
