"""TPC-H in oblivious mode against DuckDB, our encrypted mode and plain Spark SQL.

    python -m bench.oblivious.queries --scale 0.1 --repeats 3 --spark build/spark/bin/python

All sides but Spark run in turn for each query, from memory, on one thread; CPU seconds, medians, as
a Markdown table. With `--spark`, an environment with PySpark (`make setup` makes that one), wall
times on two threads follow: Spark SQL as local[2] over plaintext Parquet, warm, in a process of its
own right after. The owner declares the primary keys, the order of rows, and what TPC-H says of
columns before any row is made: flags, the days of its calendar, the numbers of its keys.
`--keys-only` declares keys alone. What is measured is the engine, from opened chunks to opened
results; keys and sockets are not involved (bench/sql measures those).
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from bench import tpch
from tests.support.catalogs import PACKAGES
from tests.support.differential import ArrowSource, catalog_of_tables
from tests.support.oblivious import PaddedTable, facts_of, padded

from mc2.engine.limits import EngineLimits
from mc2.engine.oblivious.run import execute as run_obliviously
from mc2.engine.run import execute
from mc2.operators.run import Run, use_threads
from mc2.plan.check import CheckedPlan, check_plan
from mc2.planner.script import compile_here

LIMITS = EngineLimits(memory_bytes=8 << 30, threads=1)
CHUNK_ROWS = 1 << 16
KEYS = {
    "customer": (("c_custkey",),),
    "lineitem": (("l_linenumber", "l_orderkey"),),
    "nation": (("n_nationkey",),),
    "orders": (("o_orderkey",),),
    "part": (("p_partkey",),),
    "partsupp": (("ps_partkey", "ps_suppkey"),),
    "region": (("r_regionkey",),),
    "supplier": (("s_suppkey",),),
}


ASCENDING = {
    "customer": ("c_custkey",),
    "lineitem": ("l_orderkey",),
    "nation": ("n_nationkey",),
    "orders": ("o_orderkey",),
    "part": ("p_partkey",),
    "partsupp": ("ps_partkey",),
    "region": ("r_regionkey",),
    "supplier": ("s_suppkey",),
}
_BRANDS = tuple(sorted(f"Brand#{a}{b}" for a in range(1, 6) for b in range(1, 6)))
_SIZES, _KINDS = ("JUMBO", "LG", "MED", "SM", "WRAP"), (
    "BAG", "BOX", "CAN", "CASE", "DRUM", "JAR", "PACK", "PKG",
)  # fmt: skip
DOMAINS = {
    "customer": {
        "c_mktsegment": ("AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY"),
    },
    "lineitem": {
        "l_returnflag": ("A", "N", "R"),
        "l_linestatus": ("F", "O"),
        "l_shipinstruct": ("COLLECT COD", "DELIVER IN PERSON", "NONE", "TAKE BACK RETURN"),
        "l_shipmode": ("AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"),
    },
    "nation": {
        "n_name": (
            "ALGERIA", "ARGENTINA", "BRAZIL", "CANADA", "CHINA", "EGYPT", "ETHIOPIA", "FRANCE",
            "GERMANY", "INDIA", "INDONESIA", "IRAN", "IRAQ", "JAPAN", "JORDAN", "KENYA",
            "MOROCCO", "MOZAMBIQUE", "PERU", "ROMANIA", "RUSSIA", "SAUDI ARABIA",
            "UNITED KINGDOM", "UNITED STATES", "VIETNAM",
        ),
    },
    "orders": {
        "o_orderpriority": ("1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"),
        "o_orderstatus": ("F", "O", "P"),
    },
    "part": {
        "p_brand": _BRANDS,
        "p_container": tuple(sorted(f"{a} {b}" for a in _SIZES for b in _KINDS)),
        "p_mfgr": tuple(f"Manufacturer#{n}" for n in range(1, 6)),
    },
    "region": {"r_name": ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")},
}  # fmt: skip
_FIRST, _LAST = date(1992, 1, 1), date(1998, 12, 31)
_CALENDAR = ((_FIRST - date(1970, 1, 1)).days, (_LAST - date(1970, 1, 1)).days)


def ranges(scale: float) -> dict[str, dict[str, tuple[int, int]]]:
    """The days and the numbers that there can be at a scale."""
    parts, suppliers = (1, round(200_000 * scale)), (1, round(10_000 * scale))
    customers, orders = (1, round(150_000 * scale)), (1, round(6_000_000 * scale))
    nations, regions = (0, 24), (0, 4)
    return {
        "customer": {"c_custkey": customers, "c_nationkey": nations},
        "lineitem": {
            "l_orderkey": orders,
            "l_partkey": parts,
            "l_suppkey": suppliers,
            "l_linenumber": (1, 7),
            "l_shipdate": _CALENDAR,
            "l_commitdate": _CALENDAR,
            "l_receiptdate": _CALENDAR,
        },
        "nation": {"n_nationkey": nations, "n_regionkey": regions},
        "orders": {"o_orderkey": orders, "o_custkey": customers, "o_orderdate": _CALENDAR},
        "part": {"p_partkey": parts, "p_size": (1, 50)},
        "partsupp": {"ps_partkey": parts, "ps_suppkey": suppliers, "ps_availqty": (1, 9_999)},
        "region": {"r_regionkey": regions},
        "supplier": {"s_suppkey": suppliers, "s_nationkey": nations},
    }


class Chunks:
    """Plaintext chunks as the enclave has them once they are decrypted."""

    def __init__(self, table: PaddedTable) -> None:
        self.form = table.form
        self._plains = list(table.plains())

    def plains(self) -> Iterator[bytes]:
        """The chunks in order."""
        return iter(self._plains)


class Shop:
    """The tables of one scale, in clear and as an owner pads them."""

    def __init__(self, scale: float, *, keys_only: bool = False) -> None:
        self.tables = tpch.tables(scale)
        facts = {n: facts_of(t, unique=KEYS[n]) for n, t in self.tables.items()}
        if not keys_only:
            known = ranges(scale)
            facts = {
                n: replace(
                    f, ranges=known.get(n, {}), domains=DOMAINS.get(n, {}), ascending=ASCENDING[n]
                )
                for n, f in facts.items()
            }
        self.clear = {f"shop.{n}": ArrowSource(t) for n, t in self.tables.items()}
        self.padded = {
            f"shop.{n}": Chunks(padded(t, facts[n], rows_per_chunk=min(t.num_rows, CHUNK_ROWS)))
            for n, t in self.tables.items()
        }
        known = catalog_of_tables({f"shop.{n}": t for n, t in self.tables.items()})
        self.catalogs = {"encrypted": known}
        datasets = {
            f"shop.{n}": replace(
                known.datasets[f"shop.{n}"], sizes="padded", facts=facts[n], row_bound=t.num_rows
            )
            for n, t in self.tables.items()
        }
        self.catalogs["oblivious"] = replace(known, datasets=datasets)

    def plan(self, number: int, mode: str) -> CheckedPlan:
        """A query's plan."""
        script = tpch.script(number, "shop", to="institute")
        script = re.sub(r"(mc2\.Job\([^)]*)\)", rf'\1, mode="{mode}")', script, count=1)
        catalog = self.catalogs[mode]
        plan = compile_here(script, name="tpch.py", catalog=catalog, packages=PACKAGES)
        return check_plan(plan)


def of_two_threads(shop: Shop, queries: Sequence[int], repeats: int) -> dict[int, float]:
    """Medians of wall seconds in oblivious mode, on two threads."""
    found = {}
    for number in queries:
        plan, times = shop.plan(number, "oblivious"), []
        for _ in range(repeats):
            began = time.perf_counter()
            run_obliviously(plan, shop.padded, lambda _: None, Run(), threads=2)
            times.append(time.perf_counter() - began)
        found[number] = statistics.median(times)
    use_threads(1)
    return found


def in_spark(python: Path, shop: Shop, queries: Sequence[int], repeats: int) -> dict[int, float]:
    """Medians of wall seconds of Spark SQL, from a process of its own."""
    names = [f"q{n:02}" for n in queries]
    program = Path(__file__).parents[1] / "sql" / "spark.py"
    with tempfile.TemporaryDirectory() as place:
        for name, table in shop.tables.items():
            pq.write_table(table, f"{place}/{name}.parquet")
        for number, name in zip(queries, names, strict=True):
            Path(place, f"{name}.sql").write_text(tpch.query(number))
        command = [str(python), str(program), place, str(repeats), *names]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout.splitlines()[-1])
    return {number: found[name] for number, name in zip(queries, names, strict=True)}


def geomean(ratios: Sequence[float]) -> float:
    """The geometric mean."""
    return math.exp(statistics.mean(math.log(r) for r in ratios))


def seconds(side: Callable[[], object]) -> float:
    """CPU seconds of one run."""
    began = time.process_time()
    side()
    return time.process_time() - began


def measure(shop: Shop, repeats: int, queries: Sequence[int]) -> dict[int, dict[str, float]]:
    """Medians of each query and side."""
    connection = duckdb.connect(config={"threads": 1})
    for name, table in shop.tables.items():
        connection.register(name, table)
    found = {}
    for number in queries:
        oblivious, encrypted = shop.plan(number, "oblivious"), shop.plan(number, "encrypted")
        sides: dict[str, Callable[[], object]] = {
            "DuckDB": lambda n=number: connection.sql(tpch.query(n)).to_arrow_table(),
            "encrypted": lambda p=encrypted: execute(p, shop.clear, LIMITS, lambda _: None),
            "oblivious": lambda p=oblivious: run_obliviously(p, shop.padded, lambda _: None, Run()),
        }
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(repeats):
            for name, side in sides.items():
                times[name].append(seconds(side))
        found[number] = {name: statistics.median(t) for name, t in times.items()}
        print(f"q{number:02} done", flush=True)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keys-only", action="store_true")
    parser.add_argument("--spark", type=Path, help="the Python of an environment with PySpark")
    parser.add_argument("--queries", type=int, nargs="*", default=list(tpch.QUERIES))
    arguments = parser.parse_args()
    shop = Shop(arguments.scale, keys_only=arguments.keys_only)
    found = measure(shop, arguments.repeats, arguments.queries)
    print("| query | DuckDB s | encrypted s | oblivious s | oblivious / DuckDB |")
    print("| --- | --- | --- | --- | --- |")
    for number, row in found.items():
        ratio = row["oblivious"] / row["DuckDB"]
        cells = " | ".join(f"{row[name]:.3f}" for name in ("DuckDB", "encrypted", "oblivious"))
        print(f"| {number} | {cells} | {ratio:.1f} |")
    for name in ("encrypted", "oblivious"):
        mean = geomean([row[name] / row["DuckDB"] for row in found.values()])
        print(f"geomean of {name} / DuckDB: {mean:.1f}")
    if arguments.spark is None:
        return
    ours = of_two_threads(shop, arguments.queries, arguments.repeats)
    spark = in_spark(arguments.spark, shop, arguments.queries, arguments.repeats)
    print("| query | oblivious, wall s | Spark SQL, wall s | oblivious / Spark |")
    print("| --- | --- | --- | --- |")
    for number, taken in ours.items():
        print(f"| {number} | {taken:.3f} | {spark[number]:.3f} | {taken / spark[number]:.2f} |")
    print(f"geomean of oblivious / Spark SQL: {geomean([ours[n] / spark[n] for n in ours]):.2f}")


if __name__ == "__main__":
    main()
