"""`job.spark` in scripts: PySpark's names, and the same rows as DuckDB."""

from __future__ import annotations

import pytest
from tests.support.catalogs import PACKAGES
from tests.support.dataframes import TABLES
from tests.support.differential import LIMITS, ArrowSource, catalog_of_tables, direct, rows_of

from mc2.engine.run import execute
from mc2.errors import PlanError
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

START = """\
import mc2
from pyspark.sql import Window, functions as F
from pyspark.sql.functions import col, lit

job = mc2.Job("DataFrames")
people = job.spark.table("ada.people")
orders = job.spark.read.table("bo.orders")
"""
P, Q = "ada.people", "bo.orders"

CASES = [
    ("people.filter((col('age') > 29) & ~people['name'].isNull()).select('id', 'name')", f"SELECT id, name FROM {P} WHERE age > 29 AND name IS NOT NULL"),
    ("people.where('age > 29 OR age IS NULL')", f"SELECT * FROM {P} WHERE age > 29 OR age IS NULL"),
    ("people.filter((col('age') == 30) | (people['town'] != 'ulm')).select('id')", f"SELECT id FROM {P} WHERE age = 30 OR town <> 'ulm'"),
    ("people.groupBy('town').agg(F.count(lit(1)).alias('n'), F.avg('age'))", f"SELECT town, count(*), avg(age) FROM {P} GROUP BY 1"),
    ("people.groupBy('town').count()", f"SELECT town, count(*) FROM {P} GROUP BY 1"),
    ("people.groupBy('town').sum('age')", f"SELECT town, sum(age) FROM {P} GROUP BY 1"),
    ("people.agg(F.countDistinct('town').alias('n'), F.sum_distinct('age').alias('s'))", f"SELECT count(DISTINCT town), sum(DISTINCT age) FROM {P}"),
    ("people.rollup('town').count()", f"SELECT town, count(*) FROM {P} GROUP BY ROLLUP (town)"),
    ("orders.groupBy('id').pivot('what', ['tea', 'rye']).sum('amount')", f"SELECT id, sum(amount) FILTER (WHERE what = 'tea'), sum(amount) FILTER (WHERE what = 'rye') FROM {Q} GROUP BY 1"),
    ("people.join(orders, 'id').select('name', 'what')", f"SELECT name, what FROM {P} JOIN {Q} USING (id)"),
    ("people.join(orders, people['id'] == orders['id'], 'left').select(people['id'], 'what')", f"SELECT p.id, what FROM {P} p LEFT JOIN {Q} o ON p.id = o.id"),
    ("people.join(orders, ['id'], 'left_anti')", f"SELECT * FROM {P} WHERE id NOT IN (SELECT id FROM {Q} WHERE id IS NOT NULL)"),
    ("people.alias('a').join(people.alias('b'), col('a.age') == col('b.age')).select('a.id', col('b.id').alias('o'))", f"SELECT a.id, b.id FROM {P} a JOIN {P} b ON a.age = b.age"),
    ("people.withColumn('twice', col('age') * 2 + 1).drop('pay')", f"SELECT id, name, age, town, member, age * 2 + 1 FROM {P}"),
    ("people.select(F.when(col('age') > 40, 'old').when(col('age') > 29, 'mid').otherwise('young').alias('k'))", f"SELECT CASE WHEN age > 40 THEN 'old' WHEN age > 29 THEN 'mid' ELSE 'young' END FROM {P}"),
    ("people.select('id', F.row_number().over(Window.partitionBy('town').orderBy(col('id').desc())).alias('n'))", f"SELECT id, row_number() OVER (PARTITION BY town ORDER BY id DESC) FROM {P}"),
    ("people.select('id', F.sum('age').over(Window.orderBy('id').rowsBetween(-1, Window.currentRow)).alias('n'))", f"SELECT id, sum(age) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM {P}"),
    ("people.select('id').union(orders.select('id')).distinct()", f"SELECT id FROM {P} UNION SELECT id FROM {Q}"),
    ("people.fillna({'age': 0, 'name': '?'}).select('age', 'name')", f"SELECT coalesce(age, 0), coalesce(name, '?') FROM {P}"),
    ("people.dropna(subset=['age']).select('id')", f"SELECT id FROM {P} WHERE age IS NOT NULL"),
    ("people.orderBy(F.desc('age'), 'id').limit(2).select('id')", [(7,), (2,)]),
    ("people.selectExpr('id', 'age * 2 AS twice')", f"SELECT id, age * 2 FROM {P}"),
    ("job.spark.sql('SELECT count(*) AS n FROM {x}', x=people.filter('id > 3'))", [(4,)]),
    ("job.sql('SELECT count(*) AS n FROM {x}', x=people.filter('id > 3'))", [(4,)]),
    ("people.select(F.concat_ws('-', 'name', 'town'), F.substring('town', 1, 1), F.round('pay', 1)).limit(1)", [("ann-ulm", "u", 1.5)]),
    ("people.filter(col('age').isin([30, 41]) & col('age').between(31, 50)).select('id')", [(2,)]),
]  # fmt: skip


def run(expression: str):
    script = f"{START}found = {expression}\njob.release('r', found, to='institute')\n"
    # What one table is not needed for is not read; the script may name it all the same.
    for name in ("people", "orders"):
        if name not in expression:
            script = "".join(
                line for line in script.splitlines(True) if not line.startswith(f"{name} = ")
            )
    plan = compile_here(script, name="t.py", catalog=catalog_of_tables(TABLES), packages=PACKAGES)
    sources = {i.dataset: ArrowSource(TABLES[i.dataset]) for i in plan.inputs}
    return execute(check_plan(plan), sources, LIMITS, lambda _: None)["r"].table


@pytest.mark.parametrize(("expression", "expected"), CASES, ids=[c for c, _ in CASES])
def test_dataframes_in_scripts_give_what_duckdb_gives(expression, expected):
    rows = direct(expected, TABLES) if isinstance(expected, str) else expected
    found = rows_of(run(expression))
    numbers = [tuple(float(v) if type(v) is int else v for v in row) for row in rows]
    assert sorted(found, key=repr) == sorted(numbers, key=repr)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("people['nope']", "there is no column 'nope'"),
        ("people.filter(col('age') > 1 and col('id') > 1)", "cannot branch on a column"),
        ("[r for r in people]", "TypeError"),
        ("people if people else 1", "cannot branch on a DataFrame"),
        ("people.collect()", "may not stand after a dot"),
        ("people.toPandas()", "may not stand after a dot"),
        ("people.rdd", "may not stand after a dot"),
        ("people.select(F.udf('x'))", "no schema"),
        ("people.select(F.pandas_udf('x'))", "may not stand after a dot"),
        ("people.select(F.upper(1))", "no column"),
        ("people.join(3)", "no DataFrame"),
        ("people.join(orders, 'id', 'sideways')", "no join"),
        ("people.columns | people.columns", "| is for columns"),
        ("people.select([1] == 1)", "no column"),
    ],
)
def test_what_scripts_cannot_do_is_said_with_its_line(expression, words):
    script = f"{START}found = {expression}\njob.release('r', people, to='institute')\n"
    with pytest.raises(PlanError, match="line 8") as caught:
        compile_here(script, name="t.py", catalog=catalog_of_tables(TABLES), packages=PACKAGES)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "import pyspark",
        "from pyspark.sql import SparkSession",
        "from pyspark.sql.functions import pandas_udf",
        "from pyspark.sql.functions import *",
        "import pyspark.sql.functions as F",
    ],
)
def test_of_pyspark_only_columns_are_there(line):
    with pytest.raises(PlanError, match="line 1"):
        compile_here(f"{line}\n", name="t.py", catalog=catalog_of_tables(TABLES), packages=PACKAGES)
