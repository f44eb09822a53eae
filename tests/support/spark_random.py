"""What Spark gives for random queries: run by the Python that has PySpark and Spark itself.

    python -m tests.support.spark_random FOLDER

The folder holds tables as Arrow files named `party.table.arrow` and `queries.json`, a list of
queries. Each answer becomes an Arrow file with the number of its query, or none if Spark refuses.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pyarrow as pa


def main(folder: Path) -> None:
    """Write an answer to each query."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    from pyspark.errors import PySparkException

    from tests.support.spark_queries import session

    tables = {}
    for path in folder.glob("*.arrow"):
        with pa.OSFile(str(path)) as file:
            tables[path.stem] = pa.ipc.open_file(file).read_all()
    spark = session(str(folder / "spark"), tables)
    for number, query in enumerate(json.loads((folder / "queries.json").read_text())):
        try:
            found = spark.sql(query).toArrow()
        except PySparkException:
            continue
        answer = folder / f"answer-{number}"
        with pa.OSFile(str(answer), "wb") as file, pa.ipc.new_file(file, found.schema) as writer:
            writer.write_table(found)
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
