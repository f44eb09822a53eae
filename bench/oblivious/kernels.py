"""Oblivious kernels against libraries that hide nothing, in one run; a Markdown table.

    python bench/oblivious/kernels.py --rows 1048576 --repeats 7

Nanoseconds a row. Each step is repeated in turn, so that a busy moment hits all alike. One thread
is measured in CPU time, which other work on the machine disturbs least; two threads in wall time,
where it disturbs most. The median stands first, the fastest run behind it. Memory stays with the
process, as it does in an enclave, for all alike.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from mc2 import _native
from mc2.operators import joining, logic
from mc2.operators.handles import Layout, SecretColumn, SecretMarks, SecretTable
from mc2.operators.run import Run, keep_memory
from mc2.plan.types import INT64

UNSIGNED = 1 << 63
ENDS = (-(1 << 59), (1 << 59) - 1)
KEY = np.arange(32, dtype=np.uint8)
Step = tuple[str, str, Callable[[], Any], Callable[[Any], Any], float]
"""A group, a name, what prepares an input, what is timed, and the target (0: none)."""


def build_rivals(folder: str) -> ctypes.CDLL:
    """The C++ standard library's sort, compiled as the kernels are."""
    library = Path(folder) / "rivals.so"
    source = Path(__file__).with_name("rivals.cpp")
    flags = ["-O3", "-std=c++20", "-shared", "-fPIC"]
    subprocess.run(["g++", *flags, str(source), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def call(function: Any, rows: np.ndarray, *more: np.ndarray) -> None:
    """A C function on the addresses of arrays."""
    addresses = [ctypes.c_void_p(array.ctypes.data) for array in (rows, *more)]
    function(addresses[0], ctypes.c_size_t(len(rows)), *addresses[1:])


def sorting(count: int, rivals: ctypes.CDLL) -> list[Step]:
    """Keys alone, with a payload, and wide rows."""
    rng = np.random.default_rng(1)
    keys = rng.integers(0, 2**64, count, dtype=np.uint64)
    numbers = np.arange(count, dtype=np.uint64)
    wide = {w: rng.integers(0, 2**64, (count, w), dtype=np.uint64) for w in (2, 4, 8, 16)}
    table = pa.table({"k": keys, **{f"p{i}": wide[4][:, i].copy() for i in range(3)}})
    halves = np.concatenate([np.sort(keys[: count // 2]), np.sort(keys[count // 2 :])])

    def pair() -> list[np.ndarray]:
        return [keys.copy(), numbers.copy()]

    con = duckdb.connect()
    con.execute("SET threads = 1")
    steps: list[Step] = [
        ("sort 8 B", "mc2", keys.copy, lambda k: _native.sort([k], [UNSIGNED]), 22),
        ("sort 8 B", "std::sort", keys.copy, lambda k: call(rivals.std_sort_1, k), 0),
        ("sort 8 B", "numpy.sort", keys.copy, lambda k: k.sort(), 0),
        ("sort 8+8 B", "mc2", pair, lambda p: _native.sort(p, [UNSIGNED]), 45),
        ("sort 8+8 B", "mc2, stable", pair, lambda p: _native.sort(p, [UNSIGNED] * 2), 50),
        ("sort 8+8 B", "std::sort", wide[2].copy, lambda r: call(rivals.std_sort_2, r), 0),
        ("sort 8+8 B", "numpy.argsort, stable", keys.copy, lambda k: k.argsort(kind="stable"), 0),
        ("sort 32 B", "mc2", wide[4].copy, lambda r: _native.sort_rows(r, [UNSIGNED]), 100),
        ("sort 32 B", "std::sort", wide[4].copy, lambda r: call(rivals.std_sort_4, r), 0),
        ("sort 32 B", "DuckDB", lambda: table, lambda t: ordered(con, t), 0),
        ("sort 64 B", "mc2", wide[8].copy, lambda r: _native.sort_rows(r, [UNSIGNED]), 0),
        ("sort 128 B", "mc2", wide[16].copy, lambda r: _native.sort_rows(r, [UNSIGNED]), 0),
        (
            "merge 8+8 B",
            "mc2",
            lambda: [halves.copy(), numbers.copy()],
            lambda p: _native.merge(p, [UNSIGNED] * 2, count // 2),
            0,
        ),
        (
            "top 100 of 8+8 B",
            "mc2",
            pair,
            lambda p: _native.top(p, [UNSIGNED] * 2, [np.zeros(100, np.uint64) for _ in p]),
            0,
        ),
    ]
    if importlib.util.find_spec("polars"):
        import polars as pl

        frame = pl.from_arrow(table)
        steps.append(("sort 32 B", "polars", lambda: frame, lambda f: f.sort("k"), 0))
    return steps


def ordered(con: duckdb.DuckDBPyConnection, table: pa.Table) -> pa.Table:
    """What DuckDB makes of ORDER BY."""
    assert table is not None
    return con.sql('SELECT * FROM "table" ORDER BY k').to_arrow_table()


def moving(count: int, rivals: ctypes.CDLL) -> list[Step]:
    """Compaction, its reverses, shuffles and expansion."""
    rng = np.random.default_rng(2)
    keep = rng.integers(0, 2, count).astype(np.uint8)
    places = np.full(count, 2**32 - 1, np.uint32)
    places[: keep.sum()] = np.flatnonzero(keep)
    wide = {w: rng.integers(0, 2**64, (count, w), dtype=np.uint64) for w in (1, 2, 3, 4, 8, 16, 32)}
    steps: list[Step] = []
    for width, target in ((1, 0), (2, 8), (3, 0), (4, 12), (8, 26), (16, 0), (32, 0)):
        name, rows = f"compact {8 * width} B", wide[width]
        steps.append((name, "mc2", rows.copy, lambda r: _native.compact(r, keep), target))
        if width in (2, 4, 8):
            plain = getattr(rivals, f"filter_{width}")
            steps.append(
                (name, "plain filter", rows.copy, lambda r, plain=plain: call(plain, r, keep), 0)
            )
    for width, target in ((2, 96), (4, 150)):
        name, rows = f"shuffle {8 * width} B", wide[width]
        steps.append((name, "mc2", rows.copy, lambda r: _native.shuffle(r, KEY, 1), target))
        steps.append((name, "numpy", rows.copy, rng.shuffle, 0))
    rows = wide[4]
    steps.append(
        (
            "distribute 32 B",
            "mc2",
            lambda: (rows.copy(), places.copy()),
            lambda a: _native.distribute(*a),
            0,
        )
    )
    steps.append(("restore 32 B", "mc2", rows.copy, lambda r: _native.restore(r, keep), 0))
    counts = rng.integers(0, 3, count).astype(np.uint64)
    out = [
        np.zeros((count, 4), np.uint64),
        np.zeros(count, np.uint64),
        np.zeros(count, np.uint8),
        np.zeros(1, np.uint64),
    ]
    steps.append(
        ("expand 32 B", "mc2", lambda: None, lambda _: _native.expand(rows, counts, *out), 0)
    )
    steps.append(
        (
            "expand 32 B",
            "numpy.repeat",
            lambda: None,
            lambda _: np.repeat(rows, counts.astype(int), axis=0),
            0,
        )
    )
    return steps


def aggregates(count: int) -> list[Step]:
    """Sum, count and smallest by group: sort, scans, compaction of the groups' last rows."""
    rng = np.random.default_rng(3)
    con = duckdb.connect()
    con.execute("SET threads = 1")
    steps: list[Step] = []
    for groups in (100, 10_000, count // 2):
        name = f"group by, {groups} groups"
        keys = rng.integers(0, groups, count).astype(np.uint64)
        values = rng.integers(-(2**40), 2**40, count)
        table = pa.table({"k": keys, "v": values})
        steps.append(
            (name, "mc2", lambda k=keys, v=values: [k.copy(), v.copy()], lambda a: grouped(*a), 60)
        )
        steps.append((name, "DuckDB", lambda t=table: t, lambda t: grouped_by_duckdb(con, t), 0))
    codes = rng.integers(0, 64, count).astype(np.uint8)
    ones, values = np.ones(count, np.uint8), rng.integers(-(2**40), 2**40, count)
    sums = [np.zeros(64, np.uint64), np.zeros(64, np.int64), np.zeros(1, np.uint64)]
    steps.append(
        (
            "sum of 64 codes",
            "mc2",
            lambda: None,
            lambda _: _native.sum_by_code(codes, ones, values, *sums),
            0,
        )
    )
    return steps


def joins(count: int) -> list[Step]:
    """Joins as queries make them, from columns to columns: keys of 60 bits, values of 60 bits.

    With one partner at most: so many rows against a sixteenth as many with unique keys. Of many
    with many: half as many rows a side, each key twice a side, so that there are so many pairs.
    """
    rng = np.random.default_rng(4)
    con = duckdb.connect()
    con.execute("SET threads = 1")
    run, few, half = Run(), count // 16, count // 2
    facts = rng.integers(0, few, count), rng.integers(-(2**40), 2**40, count)
    dimension = rng.permutation(few), rng.integers(-(2**40), 2**40, few)
    sides = [(rng.permutation(half) // 2, rng.integers(-(2**40), 2**40, half)) for _ in range(2)]
    keys = np.concatenate([facts[0][few:] * 2 + 1, dimension[0] * 2]).astype(np.uint64)
    values = np.concatenate([facts[1][few:], dimension[1]]).view(np.uint64)
    steps: list[Step] = [
        (
            "join, one partner: kernels", "mc2", lambda: [keys.copy(), values.copy()],
            lambda a: looked_up(run, *a), 60,
        )
    ]  # fmt: skip
    for name, left, right, target, function in (
        (
            "join, one partner", facts, dimension, 0,
            lambda a, b, on: joining.join_unique(run, a, b, on, outer=False),
        ),
        (
            "join, many with many", *sides, 210,
            lambda a, b, on: joining.match(run, a, b, on, count),
        ),
    ):  # fmt: skip
        mine, theirs = secret_table("k", "v", *left), secret_table("l", "w", *right)
        on = [joining.On(mine.columns["k"], theirs.columns["l"])]
        a, b = (
            pa.table(dict(zip("kv", left, strict=True))),
            pa.table(dict(zip("lw", right, strict=True))),
        )
        steps += [
            (
                name, "mc2", lambda: None,
                lambda _, f=function, m=mine, t=theirs, on=on: f(m, t, on), target,
            ),
            (name, "DuckDB", lambda: None, lambda _, a=a, b=b: joined_by_duckdb(con, a, b), 0),
        ]  # fmt: skip
    return steps


def looked_up(run: Run, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The kernels that a join takes: both sides' rows, of which the lowest bit of a key says which.

    Rows of key, value and partner's value, those that have one first.
    """
    count = len(keys)
    is_left, starts, seen = (np.ones(count, np.uint8) for _ in range(3))
    _native.sort([keys, values], [UNSIGNED])
    _native.spread_bit(keys, 0, is_left)
    key, carried = np.empty((count, 1), np.uint64), np.empty_like(values)
    _native.unpack_bits([keys.reshape(-1, 1)], [(0, 1, 63, 0)], 0, 0, starts, 0, key)
    _native.starts([key.reshape(-1)], starts)
    _native.fill_forward(starts, logic.complement(run, is_left), values, carried, seen)
    rows = np.empty((count, 3), np.uint64)
    _native.pack([key.reshape(-1), values, carried], rows)
    _native.compact(rows, logic.conjunction(run, seen, is_left))
    return rows


def secret_table(key: str, value: str, *columns: np.ndarray) -> SecretTable:
    """A key and a value of declared ranges, all there and known."""
    ones = np.ones(len(columns[0]), np.uint8)
    made = {
        name: SecretColumn(
            Layout(INT64), c.astype(np.int64).view(np.uint64).reshape(-1, 1), ones, ENDS
        )
        for name, c in zip((key, value), columns, strict=True)
    }
    return SecretTable(made, SecretMarks(ones))


def joined_by_duckdb(con: duckdb.DuckDBPyConnection, a: pa.Table, b: pa.Table) -> pa.Table:
    """The same question to DuckDB."""
    assert a is not None
    assert b is not None
    return con.sql("SELECT * FROM a JOIN b ON k = l").to_arrow_table()


def grouped(keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The kernels that a group-by takes, on 32-byte result rows."""
    count = len(keys)
    starts, ends, ones = (np.ones(count, np.uint8) for _ in range(3))
    low, number = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
    high, least = np.zeros(count, np.int64), np.zeros(count, np.int64)
    _native.sort([keys, values.view(np.uint64)], [UNSIGNED])
    _native.starts([keys], starts)
    _native.running_sum(starts, ones, values, low, high)
    _native.running_count(starts, ones, number)
    _native.running_extreme(starts, ones, values, False, least)
    _native.ends(starts, ends)
    rows = np.empty((count, 4), np.uint64)
    _native.pack([keys, low, number, least.view(np.uint64)], rows)
    _native.compact(rows, ends)
    return rows


def grouped_by_duckdb(con: duckdb.DuckDBPyConnection, table: pa.Table) -> pa.Table:
    """The same question to DuckDB."""
    assert table is not None
    return con.sql('SELECT k, sum(v), count(*), min(v) FROM "table" GROUP BY k').to_arrow_table()


def measure(
    steps: list[Step], repeats: int, clock: Callable[[], float]
) -> dict[tuple[str, str], list[float]]:
    """Seconds of every run."""
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(repeats):
        for group, name, prepare, run, _target in steps:
            argument = prepare()
            began = clock()
            run(argument)
            taken[group, name].append(clock() - began)
    return taken


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1 << 20)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", default="", help="groups whose name contains this")
    options = parser.parse_args()
    keep_memory()
    with tempfile.TemporaryDirectory() as folder:
        rivals = build_rivals(folder)
        every = [
            *sorting(options.rows, rivals),
            *moving(options.rows, rivals),
            *aggregates(options.rows),
            *joins(options.rows),
        ]
        steps = [step for step in every if options.only in step[0]]
        one = measure(steps, options.repeats, time.process_time)
        _native.set_threads(2)
        two = measure(
            [step for step in steps if step[1].startswith("mc2")],
            options.repeats,
            time.perf_counter,
        )
    print(f"{options.rows} rows, {_native.isa()}, ns a row: median (fastest)\n")
    print("| kernel | by | 1 thread | target | 2 threads |\n|---|---|---|---|---|")

    def cell(seconds: list[float]) -> str:
        if not seconds:
            return ""
        scale = 1e9 / options.rows
        return f"{statistics.median(seconds) * scale:.1f} ({min(seconds) * scale:.1f})"

    for group, name, _prepare, _run, target in steps:
        goal = f"{target:g}" if target else ""
        print(
            f"| {group} | {name} | {cell(one[group, name])} | {goal} | {cell(two[group, name])} |"
        )


if __name__ == "__main__":
    main()
