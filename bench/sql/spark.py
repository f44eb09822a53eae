"""TPC-H in Spark SQL on plaintext Parquet; run by `bench.sql.run` in an environment of its own.

    uv venv classic && uv pip install -p classic/bin/python pyspark==4.2.0 'pandas<3' pyarrow
    classic/bin/python bench/sql/spark.py FOLDER REPEATS QUERIES...

FOLDER has `<table>.parquet` and `<query>.sql`; prints a JSON object of medians in seconds.
"""

import json
import statistics
import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession


def main() -> None:
    """Run all queries, each once to warm up."""
    folder, repeats, queries = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.memory", "4g")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    for path in folder.glob("*.parquet"):
        spark.read.parquet(str(path)).createOrReplaceTempView(path.stem)
    found = {}
    for query in queries:
        text = (folder / f"{query}.sql").read_text()
        spark.sql(text).collect()
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            spark.sql(text).collect()
            seconds.append(time.perf_counter() - began)
        found[query] = statistics.median(seconds)
        print(query, round(found[query], 3), file=sys.stderr, flush=True)
    print(json.dumps(found))
    spark.stop()


if __name__ == "__main__":
    main()
