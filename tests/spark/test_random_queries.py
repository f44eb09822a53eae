"""Random queries give the rows that Spark itself gives for them."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from tests.support.differential import direct, planned, rows_of, same_rows
from tests.support.random_sql import Queries, make_tables

ROOT = Path(__file__).resolve().parents[2]
SPARK = ROOT / "build" / "spark" / "bin" / "python"
QUERIES = 80
LEAST = 40
"""So many of them Spark must have answered."""


def random_queries(rng, tables):
    """Queries that DuckDB answers; without IN of subqueries, which Spark takes for false beside NULL."""
    found = []
    while len(found) < QUERIES:
        query = Queries(rng, subqueries=True).statement()
        if " IN (SELECT" in query or " ALL " in query:
            continue
        try:
            direct(query, tables)
        except duckdb.Error:
            continue
        found.append(query)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_random_queries_give_what_spark_gives(seed, tmp_path):
    rng = random.Random(seed)
    tables = make_tables(rng)
    for name, table in tables.items():
        with (
            pa.OSFile(str(tmp_path / f"{name}.arrow"), "wb") as file,
            pa.ipc.new_file(file, table.schema) as writer,
        ):
            writer.write_table(table)
    queries = random_queries(rng, tables)
    (tmp_path / "queries.json").write_text(json.dumps(queries))
    command = [SPARK, "-m", "tests.support.spark_random", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=1800)
    answered = 0
    for number, query in enumerate(queries):
        path = tmp_path / f"answer-{number}"
        if path.exists():
            with pa.OSFile(str(path)) as file:
                wanted = rows_of(pa.ipc.open_file(file).read_all())
            assert same_rows(planned(query, tables), wanted), query
            answered += 1
    assert answered >= LEAST
