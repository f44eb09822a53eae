"""Lists and structs compare as plans mean it: part by part, NULL first, NaN last, -0.0 as 0.0."""

from __future__ import annotations

import math
from random import Random

import pyarrow as pa
import pytest
from tests.support.catalogs import PACKAGES
from tests.support.differential import LIMITS, ArrowSource, catalog_of_tables, planned
from tests.support.stage_runs import StageRun

from mc2.engine.run import execute
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

TYPE = pa.struct(
    [
        ("a", pa.int32()),
        ("b", pa.list_(pa.struct([("x", pa.float64()), ("y", pa.string())]))),
        ("c", pa.list_(pa.float32())),
    ]
)
NAN = math.nan


def maybe(random, value):
    return None if random.random() < 0.3 else value


def number(random):
    return maybe(random, random.choice([0.0, -0.0, 1.5, NAN, math.inf]))


def pair(random):
    return maybe(random, {"x": number(random), "y": maybe(random, random.choice(["", "a", "b"]))})


def value(random):
    listed = [pair(random) for _ in range(random.randint(0, 2))]
    numbers = [number(random) for _ in range(random.randint(0, 2))]
    found = {"a": random.choice([None, 1, 1, 2]), "b": maybe(random, listed), "c": numbers}
    return None if random.random() < 0.15 else found


def rank(given):
    """The oracle's own order: None first, then numbers by size with NaN above all."""
    if given is None:
        return (0,)
    if isinstance(given, dict):
        return (1, tuple(rank(v) for v in given.values()))
    if isinstance(given, list):
        return (1, tuple(rank(v) for v in given))
    if isinstance(given, float):
        return (1, (1, 0.0) if math.isnan(given) else (0, given + 0.0))
    return (1, given)


def result(query, tables, partitions=0):
    """The rows of a query; of its stages, if there are partitions."""
    script = (
        f"import mc2\njob = mc2.Job('t')\njob.release('r', job.sql({query!r}), to='institute')\n"
    )
    plan = compile_here(script, name="t.py", catalog=catalog_of_tables(tables), packages=PACKAGES)
    sources = {i.dataset: ArrowSource(tables[i.dataset]) for i in plan.inputs}
    checked = check_plan(plan)
    if partitions:
        found = StageRun(checked, sources, partitions).run()["r"]
    else:
        found = execute(checked, sources, LIMITS, lambda _: None)["r"]
    return [tuple(row.values()) for row in found.table.to_pylist()]


@pytest.fixture(scope="module")
def rows():
    random = Random(7)
    return [(i, value(random)) for i in range(60)]


@pytest.fixture(scope="module")
def tables(rows):
    other = rows[::3] + [(i + 100, v) for i, v in rows[::4]]
    shape = pa.schema([("i", pa.int32()), ("s", TYPE)])
    return {
        name: pa.Table.from_batches(
            pa.Table.from_pylist([{"i": i, "s": s} for i, s in listed], schema=shape).to_batches(9)
        )
        for name, listed in (("p.t", rows), ("p.u", other))
    }


def test_orders(rows, tables):
    up = sorted(rows, key=lambda r: (r[1] is None, rank(r[1]), r[0]))
    found = result("SELECT i, s FROM p.t ORDER BY s NULLS LAST, i", tables)
    assert [i for i, _ in found] == [i for i, _ in up]
    known = [r for r in rows if r[1]]
    down = sorted(known, key=lambda r: rank(r[1]), reverse=True)
    found = result("SELECT i, s FROM p.t WHERE s IS NOT NULL ORDER BY s DESC", tables)
    assert [rank(s) for _, s in found] == [rank(s) for _, s in down]
    nested = sorted(known, key=lambda r: (rank(r[1]["b"]), r[0]))
    found = result("SELECT i FROM p.t WHERE s IS NOT NULL ORDER BY s.b, i", tables)
    assert [i for (i,) in found] == [i for i, _ in nested]


SIGNS = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@pytest.mark.parametrize("sign", SIGNS)
def test_joins_compare(rows, tables, sign):
    known = [(i, s) for i, s in rows[:20] if s is not None]
    query = (
        f"SELECT x.i, y.i AS j FROM p.t x JOIN p.t y ON x.s {sign} y.s WHERE x.i < 20 AND y.i < 20"
    )
    wanted = [(i, j) for i, a in known for j, b in known if SIGNS[sign](rank(a), rank(b))]
    assert sorted(result(query, tables)) == wanted


def test_values_are_equal_or_not(rows, tables):
    query = "SELECT x.i, x.s = y.s AS e, x.s <=> y.s AS n FROM p.t x JOIN p.u y ON x.i + 100 = y.i"
    for i, equal, same in result(query, tables):
        assert equal == (True if rows[i][1] is not None else None)
        assert same


def groups(rows):
    found: dict = {}
    for i, s in rows:
        found.setdefault(rank(s), []).append(i)
    return found


@pytest.mark.parametrize(
    "query",
    [
        "SELECT s, count(*) AS n FROM p.t GROUP BY s",
        "SELECT s, n FROM (SELECT s, count(*) OVER (PARTITION BY s) AS n FROM p.t) q GROUP BY s, n",
        "SELECT x.s, count(*) AS n FROM (SELECT DISTINCT s FROM p.t) x JOIN p.t y ON x.s <=> y.s GROUP BY x.s",
    ],
)
def test_groups(rows, tables, query):
    found = {rank(s): n for s, n in result(query, tables)}
    assert found == {k: len(v) for k, v in groups(rows).items()}


def test_distinct_values_are_counted(rows, tables):
    different = len(set(map(rank, (s for _, s in rows if s is not None))))
    query = "SELECT count(DISTINCT s) AS n, size(collect_set(s)) AS m FROM p.t"
    assert result(query, tables) == [(different, different)]
    pairs = {(s["a"], rank(s["b"])) for _, s in rows if s and s["a"] and s["b"] is not None}
    query = "SELECT count(DISTINCT s.a, s.b) AS n FROM p.t"
    assert result(query, tables) == [(len(pairs),)]


def test_extremes(rows, tables):
    known = [s for _, s in rows if s is not None]
    query = (
        "SELECT min(s) AS a, max(s) AS b, max_by(i, s) AS c, mode(s.b) AS d, min(s.c) AS e, "
        "array_max(collect_list(s)) AS f, array_min(collect_list(s.b)) AS g FROM p.t"
    )
    ((least, most, place, frequent, short, top, low),) = result(query, tables)
    assert rank(least) == min(map(rank, known))
    assert rank(most) == rank(top) == max(map(rank, known))
    assert rank(rows[place][1]) == rank(most)
    lists = [rank(s["b"]) for s in known if s["b"] is not None]
    assert rank(frequent) == min(lists, key=lambda v: (-lists.count(v), v))
    assert rank(short) == min(rank(s["c"]) for s in known)
    assert rank(low) == min(lists)


def test_windows_and_choices(rows, tables):
    query = (
        "SELECT i, max(s) OVER (ORDER BY i) AS m, greatest(s, lag(s) OVER (ORDER BY i)) AS g, "
        "least(s, lag(s) OVER (ORDER BY i)) AS l FROM p.t"
    )
    so_far = None
    before = None
    for (i, most, more, less), (_, s) in zip(sorted(result(query, tables)), rows, strict=True):
        so_far = max((s, so_far), key=rank)
        pair = [v for v in (s, before) if v is not None]
        assert rank(most) == rank(so_far), i
        assert rank(more) == (max(map(rank, pair)) if pair else (0,))
        assert rank(less) == (min(map(rank, pair)) if pair else (0,))
        before = s


@pytest.mark.parametrize(
    "query",
    [
        "SELECT s, count(*) AS n, max(s.b) AS m FROM p.t GROUP BY s",
        "SELECT count(DISTINCT s) AS n, min(s) AS m FROM p.t",
        "SELECT x.i, y.i AS j FROM p.t x LEFT JOIN p.u y ON x.s = y.s",
        "SELECT DISTINCT s.c, s.b FROM p.t",
        "SELECT i, rank() OVER (PARTITION BY s.c ORDER BY s) AS r FROM p.t",
        "SELECT s FROM p.t INTERSECT ALL SELECT s FROM p.u",
    ],
)
def test_stages_agree(rows, tables, query):
    assert repr(result(query, tables, 3)) == repr(result(query, tables))


def test_zero_has_one_sign_in_a_group():
    table = pa.table({"v": pa.array([[-0.0], [0.0], [-0.0]], pa.list_(pa.float64()))})
    ((found, count),) = result("SELECT v, count(*) AS n FROM p.t GROUP BY v", {"p.t": table})
    assert (math.copysign(1, found[0]), count) == (1.0, 3)


def test_membership(rows, tables):
    listed = {rank(s) for i, s in rows[::3] + rows[::4] if s is not None}
    found = result("SELECT i FROM p.t WHERE s IN (SELECT s FROM p.u)", tables)
    assert [i for (i,) in found] == [i for i, s in rows if s is not None and rank(s) in listed]
    assert planned("SELECT i FROM p.t WHERE s NOT IN (SELECT s FROM p.u)", tables) == []
