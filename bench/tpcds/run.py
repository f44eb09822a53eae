"""How many of TPC-DS's 99 queries compile, and agree with DuckDB on the same rows.

    python -m bench.tpcds.run FOLDER                      the texts of DuckDB's extension
    python -m bench.tpcds.run FOLDER --queries SPARK      texts in Spark's SQL, `q<number>*.sql`

FOLDER is what `bench/tpcds/data.py` makes. Each query runs on the engine of mode `encrypted`, over
the tables in memory. A number counts if all of its texts do (`q14a.sql`, `q14b.sql`, ...).
"""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from bench.tpcds import PARTY, TABLES, script, specified
from bench.tpcds.answers import difference
from sqlglot import exp
from tests.support.catalogs import PACKAGES
from tests.support.differential import ArrowSource, catalog_of_tables

from mc2.engine.limits import EngineLimits
from mc2.engine.outputs import TableOutput
from mc2.engine.run import execute
from mc2.errors import Mc2Error, PlanError
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

_LIMITS: Final = EngineLimits(memory_bytes=8 << 30, threads=2)


@dataclass
class Found:
    """What came of one text: `why` says it where it does not agree."""

    name: str
    compiles: bool = False
    agrees: bool = False
    why: str = ""
    rows: int = 0
    seconds: float = 0.0
    duckdb_seconds: float = 0.0


class Bench:
    """The tables, for us and in a DuckDB of our own."""

    def __init__(self, folder: Path, dialect: str) -> None:
        self._dialect = dialect
        read = {n: pq.read_table(folder / f"{n}.parquet") for n in TABLES}
        tables = specified(read, dialect)
        self.tables = {f"{PARTY}.{n}": t for n, t in tables.items()}
        self.catalog = catalog_of_tables(self.tables)
        self.duck = duckdb.connect(config={"threads": 2})
        if dialect == "spark":
            self.duck.execute("SET default_null_order='nulls_first_on_asc_last_on_desc'")
        for name, table in tables.items():
            self.duck.register("given", table)
            self.duck.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
            self.duck.unregister("given")

    def run(self, path: Path) -> Found:
        """Compile, compute both, compare."""
        found = Found(path.stem)
        text = path.read_text()
        try:
            source = script(text, self._dialect, to="institute")
            plan = compile_here(source, name="q.py", catalog=self.catalog, packages=PACKAGES)
            checked = check_plan(plan)
            found.compiles = True
            sources = {i.dataset: ArrowSource(self.tables[i.dataset]) for i in plan.inputs}
            began = time.perf_counter()
            output = execute(checked, sources, _LIMITS, lambda _: None)["answer"]
            found.seconds = time.perf_counter() - began
        except Mc2Error as error:
            found.why = said(error)
            return found
        assert isinstance(output, TableOutput)
        found.rows = output.table.num_rows
        try:
            found.why = self._compared(found, output.table, text)
        except duckdb.Error as error:
            found.why = f"DuckDB: {error}"
        found.agrees = not found.why
        return found

    def _compared(self, found: Found, ours: pa.Table, text: str) -> str:
        tree = sqlglot.parse_one(text, dialect=self._dialect)
        assert isinstance(tree, exp.Query)
        if self._dialect == "spark":
            tree = tree.transform(_cut)
        query = tree.sql("duckdb") if self._dialect == "spark" else text.rstrip().rstrip(";")
        began = time.perf_counter()
        theirs = self.duck.sql(query).to_arrow_table()
        found.duckdb_seconds = time.perf_counter() - began
        whole = theirs
        if tree.args.get("limit") is not None:
            tree.set("limit", None)
            whole = self.duck.sql(tree.sql("duckdb")).to_arrow_table()
        return difference(ours, theirs, whole, order_keys(tree, theirs.schema.names))


def _cut(node: exp.Expr) -> exp.Expr:
    """Spark cuts numbers off where they become integers; DuckDB rounds them."""
    if isinstance(node, exp.Cast) and node.to.this == exp.DType.INT:
        node.set("this", exp.Anonymous(this="trunc", expressions=[node.this]))
    return node


def order_keys(tree: exp.Query, names: list[str]) -> list[int]:
    """The leading keys of ORDER BY that are columns of the answer, by place."""
    places = []
    selected = [e.this if isinstance(e, exp.Alias) else e for e in tree.selects]
    for key in tree.args["order"].expressions if tree.args.get("order") else ():
        value = key.this
        lowered = [n.lower() for n in names]
        if isinstance(value, exp.Literal) and value.is_int:
            places.append(int(value.this) - 1)
        elif isinstance(value, exp.Column) and value.name.lower() in lowered:
            places.append(lowered.index(value.name.lower()))
        elif value in selected:
            places.append(selected.index(value))
        else:
            break
    return places


def said(error: Mc2Error) -> str:
    """An error in one line."""
    place = f"{error.line}:{error.column} " if isinstance(error, PlanError) else ""
    return f"{type(error).__name__} {place}{error}; {error.hint}"


def summary(found: list[Found]) -> dict[str, object]:
    """Counts, by number."""
    numbers: dict[str, list[Found]] = {}
    for one in found:
        number = re.match(r"q0*(\d+)", one.name)
        assert number
        numbers.setdefault(number[1], []).append(one)
    return {
        "queries": len(numbers),
        "texts": len(found),
        "compile": sum(all(f.compiles for f in fs) for fs in numbers.values()),
        "agree": sum(all(f.agrees for f in fs) for fs in numbers.values()),
        "texts that agree": sum(f.agrees for f in found),
        "texts with rows": sum(f.rows > 0 for f in found),
    }


def main() -> None:
    """Run all, and print the counts and what does not agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=Path, help="a folder of texts in Spark's SQL")
    parser.add_argument("--only", nargs="*", help="names of texts")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    dialect = "spark" if wanted.queries else "duckdb"
    paths = sorted((wanted.queries or wanted.folder / "queries").glob("q[0-9]*.sql"))
    bench = Bench(wanted.folder, dialect)
    found = []
    for path in paths:
        if wanted.only and path.stem not in wanted.only:
            continue
        found.append(bench.run(path))
        one = found[-1]
        if not wanted.json:
            state = "agrees" if one.agrees else one.why
            print(f"{one.name}: {state} ({one.rows} rows, {one.seconds:.2f} s, "
                  f"DuckDB {one.duckdb_seconds:.2f} s)", flush=True)  # fmt: skip
    if wanted.json:
        print(json.dumps({**summary(found), "texts": [asdict(f) for f in found]}, indent=1))
    else:
        print(summary(found))


if __name__ == "__main__":
    main()
