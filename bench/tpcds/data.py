"""TPC-DS's tables and query texts, from DuckDB's extension; in an environment of its own.

    uv venv ds && uv pip install -p ds/bin/python duckdb==1.5.5 duckdb-extension-tpcds==1.5.5
    ds/bin/python bench/tpcds/data.py --scale 0.1 FOLDER

FOLDER gets `<table>.parquet` and `queries/q01.sql` to `q99.sql`, in DuckDB's SQL.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb
import duckdb_extension_tpcds


def main() -> None:
    """Make both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("folder", type=Path)
    wanted = parser.parse_args()
    queries = wanted.folder / "queries"
    queries.mkdir(parents=True, exist_ok=True)
    package = Path(duckdb_extension_tpcds.__file__).parent
    connection = duckdb.connect()
    connection.load_extension(str(next(package.rglob("*.duckdb_extension"))))
    connection.execute(f"CALL dsdgen(sf={wanted.scale})")
    for number, text in connection.sql("SELECT query_nr, query FROM tpcds_queries()").fetchall():
        (queries / f"q{number:02}.sql").write_text(text)
    for (name,) in connection.sql("SELECT table_name FROM duckdb_tables()").fetchall():
        path = wanted.folder / f"{name}.parquet"
        connection.execute(f"COPY {name} TO '{path}'")


if __name__ == "__main__":
    main()
