"""DataFrame code by area, each with the SQL that DuckDB answers in its place, or rows by hand.

The same code runs over the endpoint (`tests/unit/client/connect`) and over classic PySpark (slow).
Names in the code: `people`, `orders`, `visits` (DataFrames), `spark`, `F`, `W` (Window).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa

_NAN = math.nan

PEOPLE = pa.table(
    {
        "id": pa.array([1, 2, 3, 4, 5, 6, 7], pa.int64()),
        "name": ["ann", "Bob", None, "dan", "eve", "ann", ""],
        "age": pa.array([30, 41, 30, None, 25, 30, 62], pa.int32()),
        "pay": [1.5, 2.25, _NAN, None, 4.0, -0.5, 2.25],
        "town": ["ulm", "ulm", "bonn", None, "bonn", "ulm", "kiel"],
        "member": [True, False, None, True, True, False, None],
    }
)
ORDERS = pa.table(
    {
        "id": pa.array([1, 1, 2, 9, None, 5, 5], pa.int64()),
        "what": ["tea", "rye", "tea", "oil", "tea", None, "rye"],
        "cost": pa.array(
            [Decimal("1.50"), Decimal("2.25"), None, Decimal("9.99"), Decimal("3.00"),
             Decimal("0.01"), Decimal("2.25")], pa.decimal128(10, 2),
        ),
        "amount": pa.array([3, 1, 3, 7, None, 2, 1], pa.int32()),
    }
)  # fmt: skip
VISITS = pa.table(
    {
        "id": pa.array([1, 2, 2, 5], pa.int64()),
        "day": pa.array([date(2026, 1, 31), date(2026, 2, 28), None, date(2024, 2, 29)]),
        "seen": pa.array(
            [datetime(2026, 1, 31, 12, 30, 15, 250000, UTC), None,
             datetime(2026, 2, 1, 0, 0, 0, 0, UTC), datetime(2024, 2, 29, 23, 59, 59, 0, UTC)],
            pa.timestamp("us", "UTC"),
        ),
    }
)  # fmt: skip
TABLES = {"ada.people": PEOPLE, "bo.orders": ORDERS, "bo.visits": VISITS}


def plain(value):
    """A value with numbers of one kind, as JSON can hold it; as in `tests.support.differential`."""
    match value:
        case bool() | None | str():
            return value
        case int() | float() | Decimal():
            number = float(value)
            return "NaN" if math.isnan(number) else round(number, 6) + 0.0
        case datetime():
            return value.replace(tzinfo=None).isoformat()
        case date():
            return f"{value.isoformat()}T00:00:00"
        case _:
            return repr(value)


@dataclass(frozen=True)
class Snippet:
    """Code that gives a DataFrame, and what it must give: SQL for DuckDB, or rows."""

    area: str
    code: str
    expected: str | list[tuple] | None
    columns: tuple[str, ...] = ()
    ordered: bool = False

    @property
    def name(self) -> str:
        return f"{self.area}: {self.code[:60]}"


def _s(area: str, code: str, expected, *columns: str, ordered: bool = False) -> Snippet:
    return Snippet(area, code, expected, columns, ordered)


def _n(code: str) -> Snippet:
    """Compared with classic PySpark alone."""
    return Snippet("spark", code, None)


def _t(code: str) -> Snippet:
    """Compared with classic PySpark alone, in its order."""
    return Snippet("spark", code, None, ordered=True)


P, Q, V = "ada.people", "bo.orders", "bo.visits"

SNIPPETS = [
    # select
    _s("select", "people", f"SELECT * FROM {P}", *PEOPLE.column_names),
    _s("select", "people.select('id', 'name')", f"SELECT id, name FROM {P}", "id", "name"),
    _s("select", "people.select('ID', people['Name'])", f"SELECT id, name FROM {P}", "ID", "Name"),
    _s(
        "select",
        "people.select('*', (F.col('age') + 1).alias('next'))",
        f"SELECT *, age + 1 FROM {P}",
    ),
    _s(
        "select",
        "people.select(people['age'] * 2, -people.age)",
        f"SELECT age * 2, -age FROM {P}",
        "(age * 2)",
        "negative(age)",
    ),
    _s(
        "select",
        "people.select((people.age / 2).alias('half'), people.age % 4)",
        f"SELECT age / 2, age % 4 FROM {P}",
        "half",
        "(age % 4)",
    ),
    _s(
        "select",
        "people.selectExpr('id', 'age * 2', 'upper(name) AS loud')",
        f"SELECT id, age * 2, upper(name) FROM {P}",
        "id",
        "(age * 2)",
        "loud",
    ),
    _s("select", "people.selectExpr('*', 'age + id as s')", f"SELECT *, age + id FROM {P}"),
    _s(
        "select",
        "people.select(F.lit(7), F.lit('it\\'s'), F.lit(True), F.lit(1.5), F.lit(None).cast('int').alias('n'))",
        [(7, "it's", True, 1.5, None)] * 7,
        "7",
        "it's",
        "true",
        "1.5",
        "n",
    ),
    _s(
        "select",
        "people.select(F.lit(2**40).alias('big'), F.lit(-3).alias('low'))",
        [(2**40, -3)] * 7,
    ),
    _s(
        "select",
        "people.select(people.colRegex('`(id|age)`'))",
        f"SELECT id, age FROM {P}",
        "id",
        "age",
    ),
    _s(
        "select",
        "people.select(F.col('age').cast('string'), people.age.cast('double').alias('d'))",
        f"SELECT CAST(age AS VARCHAR), CAST(age AS DOUBLE) FROM {P}",
        "age",
        "d",
    ),
    _s(
        "select",
        "people.toDF('a', 'b', 'c', 'd', 'e', 'f').select('a', 'f')",
        f"SELECT id, member FROM {P}",
        "a",
        "f",
    ),
    # columns
    _s(
        "columns",
        "people.withColumn('age', people.age + 1)",
        f"SELECT id, name, age + 1, pay, town, member FROM {P}",
        *PEOPLE.column_names,
    ),
    _s(
        "columns",
        "people.withColumn('twice', F.col('age') * 2).withColumn('four', F.col('twice') * 2)",
        f"SELECT *, age * 2, age * 4 FROM {P}",
    ),
    _s(
        "columns",
        "people.withColumns({'a': F.col('id') + 1, 'name': F.lower('name')})",
        f"SELECT id, lower(name), age, pay, town, member, id + 1 FROM {P}",
        "id",
        "name",
        "age",
        "pay",
        "town",
        "member",
        "a",
    ),
    _s(
        "columns",
        "people.withColumnRenamed('age', 'years').select('years')",
        f"SELECT age FROM {P}",
        "years",
    ),
    _s(
        "columns",
        "people.withColumnsRenamed({'age': 'years', 'nope': 'x'}).drop('pay', 'nope')",
        f"SELECT id, name, age, town, member FROM {P}",
        "id",
        "name",
        "years",
        "town",
        "member",
    ),
    _s("columns", "people.drop(people.age)", f"SELECT id, name, pay, town, member FROM {P}"),
    # filter
    _s("filter", "people.filter(people.age > 29)", f"SELECT * FROM {P} WHERE age > 29"),
    _s(
        "filter",
        "people.where('age > 29 AND town = \"ulm\"')",
        f"SELECT * FROM {P} WHERE age > 29 AND town = 'ulm'",
    ),
    _s(
        "filter",
        "people.filter((F.col('age') == 30) | F.col('age').isNull())",
        f"SELECT * FROM {P} WHERE age = 30 OR age IS NULL",
    ),
    _s("filter", "people.filter(~(people.age > 29))", f"SELECT * FROM {P} WHERE NOT age > 29"),
    _s("filter", "people.filter(people.age != 30)", f"SELECT * FROM {P} WHERE age <> 30"),
    _s(
        "filter",
        "people.filter(people.age.isin(25, 62) & people.name.isNotNull())",
        f"SELECT * FROM {P} WHERE age IN (25, 62) AND name IS NOT NULL",
    ),
    _s(
        "filter",
        "people.filter(people.age.between(26, 41))",
        f"SELECT * FROM {P} WHERE age BETWEEN 26 AND 41",
    ),
    _s(
        "filter",
        "people.filter(people.town.eqNullSafe(None))",
        f"SELECT * FROM {P} WHERE town IS NULL",
    ),
    _s(
        "filter",
        "people.filter(people.name.like('_n%'))",
        f"SELECT * FROM {P} WHERE name LIKE '_n%'",
    ),
    _s(
        "filter",
        "people.filter(people.name.startswith('a') | people.name.contains('v') | people.name.endswith('b'))",
        f"SELECT * FROM {P} WHERE name IN ('ann', 'eve', 'Bob')",
    ),
    _s("filter", "people.filter(F.isnan('pay'))", f"SELECT * FROM {P} WHERE isnan(pay)"),
    _s(
        "filter",
        "people.filter('member').filter(people.pay >= 1.5)",
        f"SELECT * FROM {P} WHERE member AND pay >= 1.5",
    ),
    # functions
    _s(
        "functions",
        "people.select(F.when(people.age > 40, 'old').when(people.age > 29, 'mid').otherwise('young').alias('k'))",
        f"SELECT CASE WHEN age > 40 THEN 'old' WHEN age > 29 THEN 'mid' ELSE 'young' END FROM {P}",
    ),
    _s(
        "functions",
        "people.select(F.when(people.age > 40, people.id).alias('k'))",
        f"SELECT CASE WHEN age > 40 THEN id END FROM {P}",
    ),
    _s(
        "functions",
        "people.select(F.coalesce('name', 'town', F.lit('-')).alias('k'))",
        f"SELECT coalesce(name, town, '-') FROM {P}",
    ),
    _s(
        "functions",
        "people.select(F.upper('name'), F.length('name'), F.concat(F.col('name'), F.lit('!')))",
        f"SELECT upper(name), length(name), name || '!' FROM {P}",
        "upper(name)",
        "length(name)",
        "concat(name, !)",
    ),
    _s(
        "functions",
        "people.select(people.name.substr(1, 2).alias('s'), F.substring('town', 2, 2).alias('t'))",
        f"SELECT substr(name, 1, 2), substr(town, 2, 2) FROM {P}",
    ),
    _s(
        "functions",
        "people.select(F.abs('pay').alias('a'), F.round('pay', 1).alias('r'), F.greatest('id', 'age').alias('g'))",
        f"SELECT abs(pay), round(pay, 1), greatest(id, age) FROM {P}",
    ),
    _s(
        "functions",
        "visits.select(F.year('day'), F.month('day'), F.dayofmonth('day'), F.date_add('day', 1).alias('d'))",
        f"SELECT year(day), month(day), day(day), CAST(day + INTERVAL 1 DAY AS DATE) FROM {V}",
        "year(day)",
        "month(day)",
        "dayofmonth(day)",
        "d",
    ),
    _s(
        "functions",
        "visits.filter(F.col('day') > '2025-01-01').select('id')",
        f"SELECT id FROM {V} WHERE day > DATE '2025-01-01'",
    ),
    _s(
        "functions",
        "visits.select(F.datediff(F.lit('2026-03-01').cast('date'), 'day').alias('n'), F.hour('seen').alias('h'))",
        [(29, 12), (1, None), (None, 0), (731, 23)],
    ),
    _s(
        "functions",
        "visits.select('seen').filter(F.col('seen') >= F.to_timestamp(F.lit('2026-01-31 00:00:00')))",
        f"SELECT seen FROM {V} WHERE seen >= TIMESTAMPTZ '2026-01-31 00:00:00+00'",
    ),
    _s(
        "functions",
        "orders.select((F.col('cost') * F.col('amount')).alias('sum'), (F.col('cost') + 1).alias('more'))",
        [
            (Decimal("4.50"), Decimal("2.50")),
            (Decimal("2.25"), Decimal("3.25")),
            (None, None),
            (Decimal("69.93"), Decimal("10.99")),
            (None, Decimal("4.00")),
            (Decimal("0.02"), Decimal("1.01")),
            (Decimal("2.25"), Decimal("3.25")),
        ],
    ),
    _s(
        "functions",
        "people.select(F.expr('CASE WHEN age > 29 THEN town ELSE name END AS x'))",
        f"SELECT CASE WHEN age > 29 THEN town ELSE name END FROM {P}",
        "x",
    ),
    _s(
        "functions",
        "people.select(F.concat_ws('-', 'name', 'town').alias('x'))",
        [("ann-ulm",), ("Bob-ulm",), ("bonn",), ("dan",), ("eve-bonn",), ("ann-ulm",), ("-kiel",)],
    ),
    _s(
        "functions",
        "people.filter(people.name.rlike('^[ae]')).select('id')",
        f"SELECT id FROM {P} WHERE regexp_matches(name, '^[ae]')",
    ),
    _s(
        "functions",
        "people.select(F.nanvl('pay', F.lit(0.0)).alias('x'))",
        f"SELECT CASE WHEN isnan(pay) THEN 0 ELSE pay END FROM {P}",
    ),
    # aggregates
    _s(
        "aggregate",
        "people.groupBy('town').count()",
        f"SELECT town, count(*) FROM {P} GROUP BY 1",
        "town",
        "count",
    ),
    _s(
        "aggregate",
        "people.groupBy('town').agg(F.count('*'), F.sum('age'), F.avg('age'), F.min('name'), F.max('pay'))",
        f"SELECT town, count(*), sum(age), avg(age), min(name), max(pay) FROM {P} GROUP BY 1",
        "town",
        "count(1)",
        "sum(age)",
        "avg(age)",
        "min(name)",
        "max(pay)",
    ),
    _s(
        "aggregate",
        "people.groupBy('town', (F.col('age') > 29).alias('old')).agg(F.countDistinct('name').alias('n'))",
        f"SELECT town, age > 29, count(DISTINCT name) FROM {P} GROUP BY 1, 2",
        "town",
        "old",
        "n",
    ),
    _s(
        "aggregate",
        "people.agg(F.sum('age').alias('s'), F.count('name').alias('n'))",
        f"SELECT sum(age), count(name) FROM {P}",
        "s",
        "n",
    ),
    _s("aggregate", "people.agg({'age': 'max'})", f"SELECT max(age) FROM {P}", "max(age)"),
    _s(
        "aggregate",
        "people.groupBy('town').sum('age', 'id')",
        f"SELECT town, sum(age), sum(id) FROM {P} GROUP BY 1",
        "town",
        "sum(age)",
        "sum(id)",
    ),
    _s(
        "aggregate",
        "people.select(F.sum('age'), F.max('id') - F.min('id'))",
        f"SELECT sum(age), max(id) - min(id) FROM {P}",
        "sum(age)",
        "(max(id) - min(id))",
    ),
    _s(
        "aggregate",
        "people.groupBy('town').agg(F.count('*').alias('n')).filter('n > 1')",
        f"SELECT town, count(*) AS n FROM {P} GROUP BY 1 HAVING n > 1",
    ),
    _s(
        "aggregate",
        "people.groupBy(F.upper('town').alias('t')).agg((F.sum('age') / F.count('age')).alias('m'))",
        f"SELECT upper(town), sum(age) / count(age) FROM {P} GROUP BY 1",
        "t",
        "m",
    ),
    _s(
        "aggregate",
        "orders.groupBy('what').agg(F.sum('cost').alias('s'), F.avg('cost').alias('a'))",
        f"SELECT what, sum(cost), avg(cost) FROM {Q} GROUP BY 1",
    ),
    _s(
        "aggregate",
        "people.groupBy('town').agg(F.stddev('age').alias('s'), F.var_pop('age').alias('v'))",
        f"SELECT town, stddev(age), var_pop(age) FROM {P} GROUP BY 1",
    ),
    _s(
        "aggregate",
        "people.groupBy('town').agg(F.sum(F.when(people.age > 29, 1).otherwise(0)).alias('old'))",
        f"SELECT town, sum(CASE WHEN age > 29 THEN 1 ELSE 0 END) FROM {P} GROUP BY 1",
    ),
    _s(
        "aggregate",
        "people.rollup('town', 'age').count()",
        f"SELECT town, age, count(*) FROM {P} GROUP BY ROLLUP (town, age)",
        "town",
        "age",
        "count",
    ),
    _s(
        "aggregate",
        "people.cube('town', 'member').agg(F.sum('age').alias('s'))",
        f"SELECT town, member, sum(age) FROM {P} GROUP BY CUBE (town, member)",
    ),
    _s("aggregate", "people.distinct().groupBy().count()", f"SELECT count(*) FROM {P}"),
    # pivot
    _s(
        "pivot",
        "orders.groupBy('id').pivot('what', ['tea', 'rye']).sum('amount')",
        f"SELECT id, sum(amount) FILTER (WHERE what = 'tea'), sum(amount) FILTER (WHERE what = 'rye') FROM {Q} GROUP BY 1",
        "id",
        "tea",
        "rye",
    ),
    _s(
        "pivot",
        "orders.groupBy('id').pivot('what', ['tea', 'rye']).agg(F.sum('amount').alias('s'), F.count('cost').alias('n'))",
        [
            (1, 3, 1, 1, 1),
            (2, 3, 0, None, None),
            (9, None, None, None, None),
            (None, None, 1, None, None),
            (5, None, None, 1, 1),
        ],
        "id",
        "tea_s",
        "tea_n",
        "rye_s",
        "rye_n",
    ),
    _s(
        "pivot",
        "people.unpivot(['id'], ['age'], 'what', 'value')",
        f"SELECT id, 'age', age FROM {P}",
        "id",
        "what",
        "value",
    ),
    _s(
        "pivot",
        "people.select('id', 'age').melt('id', None, 'k', 'v')",
        f"SELECT id, 'age', age FROM {P}",
        "id",
        "k",
        "v",
    ),
    # joins
    _s(
        "join",
        "people.join(orders, 'id')",
        f"SELECT * FROM {P} JOIN {Q} USING (id)",
        *PEOPLE.column_names,
        "what",
        "cost",
        "amount",
    ),
    _s(
        "join",
        "people.join(orders, ['id'], 'left').select('id', 'what')",
        f"SELECT id, what FROM {P} LEFT JOIN {Q} USING (id)",
    ),
    _s(
        "join",
        "people.join(orders, 'id', 'right').select('id', 'name', 'what')",
        f"SELECT o.id, name, what FROM {P} p RIGHT JOIN {Q} o ON p.id = o.id",
    ),
    _s(
        "join",
        "people.join(orders, 'id', 'outer').select('id', 'name', 'what')",
        f"SELECT id, name, what FROM {P} FULL JOIN {Q} USING (id)",
    ),
    _s(
        "join",
        "people.join(orders, people.id == orders.id, 'left').select(people.id, orders.id, 'what')",
        f"SELECT p.id, o.id, what FROM {P} p LEFT JOIN {Q} o ON p.id = o.id",
        "id",
        "id",
        "what",
    ),
    _s(
        "join",
        "people.join(orders, 'id', 'left_semi')",
        f"SELECT * FROM {P} WHERE id IN (SELECT id FROM {Q})",
    ),
    _s(
        "join",
        "people.join(orders, people.id == orders.id, 'left_anti')",
        f"SELECT * FROM {P} p WHERE NOT EXISTS (SELECT 1 FROM {Q} o WHERE o.id = p.id)",
    ),
    _s(
        "join",
        "people.crossJoin(visits.select('day'))",
        f"SELECT p.*, v.day FROM {P} p CROSS JOIN {V} v",
    ),
    _s(
        "join",
        "people.join(orders, people.age > orders.amount).select('name', 'what')",
        f"SELECT name, what FROM {P} JOIN {Q} ON age > amount",
    ),
    _s(
        "join",
        "people.join(orders, (people.id == orders.id) & (orders.amount > 1), 'left').select('name', 'amount')",
        f"SELECT name, amount FROM {P} p LEFT JOIN {Q} o ON p.id = o.id AND amount > 1",
    ),
    _s(
        "join",
        "people.alias('a').join(people.alias('b'), F.col('a.age') == F.col('b.age')).select('a.id', F.col('b.id').alias('other'))",
        f"SELECT a.id, b.id FROM {P} a JOIN {P} b ON a.age = b.age",
        "id",
        "other",
    ),
    _s(
        "join",
        "people.join(orders, people.id.eqNullSafe(orders.id)).select('name', 'what')",
        f"SELECT name, what FROM {P} p JOIN {Q} o ON p.id IS NOT DISTINCT FROM o.id",
    ),
    _s(
        "join",
        "people.join(orders, 'id', 'left').filter(orders.id.isNull()).select('name')",
        f"SELECT name FROM {P} p LEFT JOIN {Q} o ON p.id = o.id WHERE o.id IS NULL",
    ),
    _s(
        "join",
        "people.join(orders, people.id == orders.id).drop(orders.id).select('id', 'what')",
        f"SELECT p.id, what FROM {P} p JOIN {Q} o ON p.id = o.id",
    ),
    _s(
        "join",
        "people.join(orders.groupBy('id').agg(F.sum('amount').alias('n')), 'id').select('name', 'n')",
        f"SELECT name, n FROM {P} JOIN (SELECT id, sum(amount) AS n FROM {Q} GROUP BY 1) USING (id)",
    ),
    _s(
        "join",
        "people.join(orders, 'id').join(visits, 'id').select('id', 'what', 'day')",
        f"SELECT id, what, day FROM {P} JOIN {Q} USING (id) JOIN {V} USING (id)",
    ),
    _s(
        "join",
        "people.join(F.broadcast(visits), 'id').select('day')",
        f"SELECT day FROM {P} JOIN {V} USING (id)",
    ),
    _s(
        "join",
        "people.alias('p').join(orders.alias('o'), F.expr('p.id = o.id AND o.amount > 1')).select('p.name', 'o.*')",
        f"SELECT p.name, o.* FROM {P} p JOIN {Q} o ON p.id = o.id AND o.amount > 1",
    ),
    # sets
    _s(
        "sets",
        "people.select('id').union(orders.select('id'))",
        f"SELECT id FROM {P} UNION ALL SELECT id FROM {Q}",
    ),
    _s(
        "sets",
        "people.select('id', 'age').unionByName(orders.select(F.col('amount').alias('age'), 'id'))",
        f"SELECT id, age FROM {P} UNION ALL SELECT id, amount FROM {Q}",
        "id",
        "age",
    ),
    _s(
        "sets",
        "people.select('id', 'age').unionByName(orders.select('id', 'what'), allowMissingColumns=True)",
        f"SELECT id, age, NULL FROM {P} UNION ALL SELECT id, NULL, what FROM {Q}",
        "id",
        "age",
        "what",
    ),
    _s("sets", "people.select('town').distinct()", f"SELECT DISTINCT town FROM {P}"),
    _s(
        "sets",
        "people.select('town', 'age').dropDuplicates()",
        f"SELECT DISTINCT town, age FROM {P}",
    ),
    _s(
        "sets",
        "people.select('id').intersect(orders.select('id'))",
        f"SELECT id FROM {P} INTERSECT SELECT id FROM {Q}",
    ),
    _s(
        "sets",
        "orders.select('id').exceptAll(people.select('id'))",
        f"SELECT id FROM {Q} EXCEPT ALL SELECT id FROM {P}",
    ),
    _s(
        "sets",
        "orders.select('id').subtract(people.select('id'))",
        f"SELECT id FROM {Q} EXCEPT SELECT id FROM {P}",
    ),
    _s("sets", "people.dropDuplicates(['town']).groupBy().count()", [(4,)]),
    # order
    _s(
        "order",
        "people.orderBy('age', F.desc('id')).select('id')",
        f"SELECT id FROM {P} ORDER BY age, id DESC",
        ordered=True,
    ),
    _s(
        "order",
        "people.sort(people.age.desc_nulls_first(), 'id').select('id', 'age')",
        f"SELECT id, age FROM {P} ORDER BY age DESC NULLS FIRST, id",
        ordered=True,
    ),
    _s(
        "order",
        "people.orderBy(F.asc_nulls_last('town'), F.desc('pay')).select('id')",
        f"SELECT id FROM {P} ORDER BY town NULLS LAST, pay DESC",
        ordered=True,
    ),
    _s(
        "order",
        "people.orderBy('id', ascending=False).limit(3).select('id')",
        [(7,), (6,), (5,)],
        ordered=True,
    ),
    _s("order", "people.orderBy('id').offset(2).limit(2).select('id')", [(3,), (4,)], ordered=True),
    _s(
        "order",
        "people.orderBy(F.col('age') * -1, 'id').select('id').limit(2)",
        f"SELECT id FROM {P} ORDER BY age * -1, id LIMIT 2",
        ordered=True,
    ),
    # NULL and NaN
    _s(
        "na",
        "people.na.fill(0)",
        f"SELECT id, name, coalesce(age, 0), CASE WHEN pay IS NULL OR isnan(pay) THEN 0 ELSE pay END, town, member FROM {P}",
        *PEOPLE.column_names,
    ),
    _s(
        "na",
        "people.fillna({'age': 1, 'name': '?', 'member': False})",
        f"SELECT id, coalesce(name, '?'), coalesce(age, 1), pay, town, coalesce(member, false) FROM {P}",
    ),
    _s(
        "na",
        "people.na.fill('?', subset=['name', 'town'])",
        f"SELECT id, coalesce(name, '?'), age, pay, coalesce(town, '?'), member FROM {P}",
    ),
    _s("na", "people.na.drop()", f"SELECT * FROM {P} WHERE id IN (1, 2, 5, 6)"),
    _s(
        "na",
        "people.dropna(how='all', subset=['age', 'pay'])",
        f"SELECT * FROM {P} WHERE age IS NOT NULL OR (pay IS NOT NULL AND NOT isnan(pay))",
    ),
    _s("na", "people.dropna(thresh=5)", f"SELECT * FROM {P} WHERE id IN (1, 2, 5, 6, 7)"),
    _s(
        "na",
        "people.na.replace({30: 31, 25: 26}, subset=['age'])",
        f"SELECT id, name, CASE age WHEN 30 THEN 31 WHEN 25 THEN 26 ELSE age END, pay, town, member FROM {P}",
    ),
    _s(
        "na",
        "people.replace('ulm', 'Ulm')",
        f"SELECT id, name, age, pay, replace(town, 'ulm', 'Ulm'), member FROM {P}",
    ),
    # windows
    _s(
        "window",
        "people.select('id', F.row_number().over(W.partitionBy('town').orderBy('id')).alias('n'))",
        f"SELECT id, row_number() OVER (PARTITION BY town ORDER BY id) FROM {P}",
    ),
    _s(
        "window",
        "people.withColumn('r', F.rank().over(W.orderBy(F.desc('age')))).select('id', 'r')",
        f"SELECT id, rank() OVER (ORDER BY age DESC) FROM {P}",
    ),
    _s(
        "window",
        "people.select('id', F.sum('age').over(W.partitionBy('town')).alias('s'))",
        f"SELECT id, sum(age) OVER (PARTITION BY town) FROM {P}",
    ),
    _s(
        "window",
        "people.select('id', F.sum('age').over(W.orderBy('id').rowsBetween(-1, 0)).alias('s'))",
        f"SELECT id, sum(age) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM {P}",
    ),
    _s(
        "window",
        "people.select('id', F.avg('age').over(W.orderBy('id').rowsBetween(W.unboundedPreceding, W.currentRow)).alias('s'))",
        f"SELECT id, avg(age) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) FROM {P}",
    ),
    _s(
        "window",
        "people.select('id', F.lag('name', 1).over(W.orderBy('id')).alias('l'))",
        f"SELECT id, lag(name) OVER (ORDER BY id) FROM {P}",
    ),
    _s(
        "window",
        "people.select('id', F.count('*').over(W.orderBy('age').rangeBetween(-5, 5)).alias('s'))",
        f"SELECT id, count(*) OVER (ORDER BY age RANGE BETWEEN 5 PRECEDING AND 5 FOLLOWING) FROM {P}",
    ),
    # sql
    _s(
        "sql",
        "spark.sql('SELECT town, count(*) AS n FROM ada.people GROUP BY town')",
        f"SELECT town, count(*) FROM {P} GROUP BY 1",
        "town",
        "n",
    ),
    _s(
        "sql",
        "spark.sql('SELECT * FROM elders').select('id')",
        f"SELECT id FROM {P} WHERE age > 40",
    ),
    _s(
        "sql",
        "spark.table('elders').join(orders, 'id').select('what')",
        f"SELECT what FROM {P} JOIN {Q} USING (id) WHERE age > 40",
    ),
    _s(
        "sql",
        "spark.sql('SELECT e.id, o.what FROM elders e JOIN bo.orders o ON e.id = o.id')",
        f"SELECT id, what FROM {P} JOIN {Q} USING (id) WHERE age > 40",
    ),
    _s(
        "sql",
        "spark.sql('SELECT id FROM {x} WHERE id > 5', x=people)",
        f"SELECT id FROM {P} WHERE id > 5",
    ),
    # names that Spark gives, with types (rows as DuckDB gives them, or by hand)
    _n(
        "people.filter('id < 3').select(F.sqrt('age'), F.exp(F.lit(0)), F.floor('pay'), F.ceil('id'))"
    ),
    _n(
        "people.select(F.pow('id', F.lit(2)), F.log10('id'), F.log2('id'), F.log('id'), F.log(2.0, 'id'), F.signum('id'))"
    ),
    _n("people.select(F.round('pay', 1), F.abs('age'), F.negative('id'), -F.col('id'))"),
    _n(
        "people.select(F.trim('name'), F.ltrim('name'), F.rtrim('name'), F.lower('name'), F.substring('name', 1, 2), people.name.substr(1, 2))"
    ),
    _n(
        "people.select(people.age.isNull(), people.age.isNotNull(), people.age.isin(1, 2), people.name.like('a%'), people.age.between(1, 40))"
    ),
    _n(
        "people.select(people.name.startswith('a'), people.name.contains('n'), ~people.member, people.member & (people.age > 3))"
    ),
    _n(
        "people.select(people.age.cast('bigint') + 1, F.col('age').cast('smallint'), F.lit('7').cast('int'))"
    ),
    _n(
        "people.select(F.coalesce('name', F.lit('x')), F.greatest('id', 'age'), F.least('id', 'age'), F.isnull('name'))"
    ),
    _n("people.select(F.when(people.age > 3, 'a').otherwise('b'), F.when(people.age > 3, 1))"),
    _n(
        "people.select(people.id * 2.5, people.id + people.pay, people.age / 2, people.age % 7, people.id == 3, people.id != 3, people.id <= 3)"
    ),
    _n(
        "people.agg(F.mean('age'), F.stddev('age'), F.variance('age'), F.stddev_pop('age'), F.countDistinct('age'), F.sum_distinct('age'), F.count(F.lit(1)))"
    ),
    _n(
        "people.agg(F.max('id'), F.bool_and('member'), F.bool_or('member'), F.count_if(people.age > 29))"
    ),
    _n(
        "people.selectExpr('id + 1', 'upper(name)', 'CASE WHEN id > 3 THEN 1 ELSE 2 END', 'id BETWEEN 1 AND 3', 'name IS NULL', '-id', 'CAST(id AS INT)')"
    ),
    _n("people.selectExpr('sum(age)', 'count(*)', 'max(id) + 1', 'avg(pay) > 1')"),
    _n(
        "visits.select(F.year('day'), F.quarter('day'), F.dayofweek('day'), F.dayofyear('day'), F.weekofyear('day'), F.last_day('day'))"
    ),
    _n(
        "visits.select(F.date_add('day', 3), F.date_sub('day', 3), F.add_months('day', 1), F.trunc('day', 'month'), F.date_trunc('hour', 'seen'))"
    ),
    _n(
        "visits.select(F.minute('seen'), F.second('seen'), F.to_date('seen'), F.datediff('day', F.lit('2024-01-01').cast('date')))"
    ),
    _n(
        "visits.select(F.date_format('day', 'yyyy-MM'), F.months_between('day', F.to_date(F.lit('2024-01-01'))))"
    ),
    _n("people.select('id', F.row_number().over(W.partitionBy('town').orderBy(F.desc('id'))))"),
    _n(
        "people.select('id', F.sum('age').over(W.partitionBy('town').orderBy('id').rowsBetween(-1, 1)))"
    ),
    _n("people.groupBy('town').pivot('member', [True, False]).agg(F.count('id'))"),
    _n("people.groupBy('town').pivot('age', [30, 41]).agg(F.min('id'), F.max('id').alias('most'))"),
    _n(
        "orders.select(F.col('cost') * 2, F.col('cost') / 3, F.col('cost') + F.col('amount'), F.round('cost', 1), -F.col('cost'))"
    ),
    _n(
        "orders.agg(F.sum('cost'), F.avg('cost'), F.max('cost'), F.sum(F.col('cost') * F.col('amount')))"
    ),
    _n(
        "people.select(F.lit('x').alias('x'), F.lit(3).cast('decimal(5,2)'), F.lit(2.0), F.lit(-4), F.lit(False))"
    ),
    _n(
        "people.select(F.lpad('name', 5, '*'), F.rpad('name', 5, '*'), F.repeat('name', 2), F.reverse('name'), F.initcap('name'))"
    ),
    _n(
        "people.select(F.regexp_replace('name', 'n+', 'N'), F.regexp_extract('name', '(n+)', 1), F.translate('name', 'a', 'b'), F.instr('name', 'n'))"
    ),
    _n(
        "people.select(F.transform(F.array('id', 'age'), lambda x: x + 1), F.transform(F.array('id', 'age'), lambda x, i: x * i).alias('y'))"
    ),
    _n(
        "people.select(F.filter(F.array('id', 'age'), lambda x: x > 3), F.exists(F.array('id', 'age'), lambda x: x > 30), F.forall(F.array('id', 'age'), lambda x: x > 3))"
    ),
    _n(
        "people.select(F.aggregate(F.array('id', 'age'), F.lit(0).cast('bigint'), lambda t, x: t + x), F.reduce(F.array('id'), F.lit(1).cast('bigint'), lambda t, x: t * x, lambda t: -t).alias('r'))"
    ),
    _n("people.select(F.zip_with(F.array('id'), F.array('age'), lambda x, y: x + y))"),
    _n(
        "people.select(people.id.alias('x'), 'age').select(F.transform(F.array('age'), lambda x: x + F.col('x')).alias('y'))"
    ),
    _n(
        "people.select(F.transform(F.array('id', 'age'), lambda x: F.transform(F.array('age'), lambda x: x + 1)).alias('y'))"
    ),
    _n(
        "people.select(F.transform(F.array('id', 'age'), lambda x: F.transform(F.array('age'), lambda y: x + y)).alias('y'))"
    ),
    _n("people.selectExpr('transform(array(id, age), x -> x + id)')"),
    _n("people.select(F.split('name', 'n'), F.array('id', 'age'), F.struct('id', 'name'))"),
    _n("people.withColumn('a', F.array('id', 'age')).select('id', F.explode('a').alias('x'))"),
    _n(
        "people.select(F.struct('id', 'name').alias('s')).select('s.id', F.col('s.name'), F.col('s')['name'])"
    ),
    _n(
        "people.select(F.array('id', 'age').alias('a')).select(F.col('a')[0], F.col('a').getItem(1), F.size('a'))"
    ),
    _n("people.select('name').orderBy(people.age.desc(), 'name')"),
    _n("people.select('name', 'age').filter(people.id > 3)"),
    _n("people.groupBy('town').agg(F.percentile('age', 0.5).alias('m'))"),
    _n("people.groupBy('town').agg(F.median('age').alias('m'), F.min_by('name', 'id').alias('b'))"),
    _n(
        "people.groupBy('town').agg(F.corr('id', 'age').alias('c'), F.covar_samp('id', 'age').alias('d'))"
    ),
    _n("people.select(F.md5('name'), F.sha2('name', 256), F.crc32('name'))"),
    _n("people.join(orders, 'id', 'full').select(people.id, orders.id, 'id')"),
    _n("people.select('*').withColumn('ID', F.lit(1)).select('*')"),
    # statistics: texts, as Spark gives them
    _t("people.describe()"),
    _t("people.describe('age', 'name')"),
    _t("people.describe(['town'])"),
    _t("people.select('id', F.col('age').cast('float').alias('f'), 'member').describe()"),
    _t("orders.describe()"),
    _t("orders.summary('count', 'Mean', 'stddev', 'min', 'max', 'count_distinct')"),
    _t("people.summary()"),
    _t("orders.summary()"),
    _t("people.summary('10%', '99.5%', '0%', '100%', 'approx_count_distinct')"),
    _t("people.select('id', F.col('age').cast('float').alias('f')).summary('33%')"),
    _t("people.filter('id > 99').summary('count', '50%')"),
    _t("people.filter('id > 99').describe('id', 'pay', 'name')"),
    _t("people.filter('id = 3').describe('id', 'age')"),
    _t("people.describe('age').filter(\"summary = 'mean'\")"),
    _n("people.select(F.lit(people.stat.cov('id', 'age')).alias('c'))"),
    _n("people.select(F.lit(orders.cov('cost', 'amount')).alias('c'))"),
    _n("people.select(F.lit(people.stat.corr('id', 'age')).alias('c'))"),
    _n("people.select(F.lit(orders.corr('cost', 'amount', 'pearson')).alias('c'))"),
    _n("people.select(F.lit(people.filter('id > 99').cov('id', 'age')).alias('c'))"),
    _n("people.select(F.lit(people.filter('id > 99').corr('id', 'age')).alias('c'))"),
    _n("people.select(F.lit(people.filter('id = 1').cov('id', 'age')).alias('c'))"),
    _n("people.select(F.lit(people.filter('id = 1').corr('id', 'age')).alias('c'))"),
    _n("people.select(F.lit(people.corr('id', 'pay')).alias('c'))"),
    # what Spark estimates: exact here, and so is Spark for few rows
    _n("people.select(F.lit(str(people.approxQuantile('age', [0.5, 0.25, 1.0], 0.0))).alias('q'))"),
    _n(
        "people.select(F.lit(str(people.approxQuantile(['age', 'pay', 'id'], [0.0, 0.3, 0.7], 0.0))).alias('q'))"
    ),
    _n("people.select(F.lit(str(orders.approxQuantile('cost', (0.5,), 0.0))).alias('q'))"),
    _n(
        "people.select(F.lit(str(people.filter('id > 99').stat.approxQuantile(['age'], [0.5], 0.0))).alias('q'))"
    ),
    _n(
        "people.groupBy('town').agg(F.percentile_approx('age', [0.5, 0.25]).alias('p'), F.percentile('pay', [0.0, 0.5]).alias('q'))"
    ),
    _n("people.agg(F.percentile('age', 0.5), F.percentile_approx('age', F.lit(0.5)))"),
    _n("people.agg(F.percentile('age', [0.5, 0.1]), F.approx_percentile('age', [0.5]))"),
    _n("people.select(F.lit(str(people.freqItems(['town'], 0.4).columns)).alias('c'))"),
    _n(
        "people.freqItems(['town'], 1.0).select(F.size('town_freqItems').alias('n')).filter('n > 9')"
    ),
    _n("people.filter('id < 3').freqItems(['town', 'member'], 0.5).select('town_freqItems')"),
    _n("people.replace(float('nan'), 0.0)"),
    # the other end
    _n("people.select(F.lit(str(people.orderBy('id').tail(2))).alias('t'))"),
    _n("people.select(F.lit(str(people.orderBy(F.desc('age'), 'id').tail(3))).alias('t'))"),
    _n(
        "people.select(F.lit(str(people.orderBy(F.asc_nulls_last('age'), F.desc('id')).tail(4))).alias('t'))"
    ),
    _n("people.select(F.lit(str(people.orderBy('id').tail(0))).alias('t'))"),
    _n("people.select(F.lit(str(people.orderBy('id').tail(99))).alias('t'))"),
    # DataFrames as values
    _s(
        "values",
        "people.where(people.id > people.select(F.avg('id')).scalar()).select('id')",
        f"SELECT id FROM {P} WHERE id > (SELECT avg(id) FROM {P})",
    ),
    _s(
        "values",
        "people.filter(people.id.isin(orders.select('id'))).select('id')",
        f"SELECT id FROM {P} WHERE id IN (SELECT id FROM {Q})",
    ),
    _s(
        "values",
        "people.filter(~people.id.isin(orders.select('id').dropna())).select('id')",
        f"SELECT id FROM {P} WHERE id NOT IN (SELECT id FROM {Q} WHERE id IS NOT NULL)",
    ),
    _s(
        "values",
        "people.filter(orders.filter('amount > 6').exists()).select('id')",
        f"SELECT id FROM {P}",
    ),
    _s(
        "values",
        "people.select('id', (people.select(F.max('id')).scalar() - F.col('id')).alias('d'))",
        f"SELECT id, (SELECT max(id) FROM {P}) - id FROM {P}",
    ),
    _n("people.select(people.select(F.max('id')).scalar())"),
    _n("people.withColumn('x', people.id.isin(visits.select('id'))).select('id', 'x')"),
    # arguments
    _s(
        "sql",
        "spark.sql('SELECT :x + id AS y, \":x\" AS t FROM ada.people WHERE name = :n OR id IN (:z,:x)', {'x': 3, 'n': 'ann', 'z': -4})",
        f"SELECT 3 + id, ':x' FROM {P} WHERE name = 'ann' OR id IN (-4, 3)",
    ),
    _s(
        "sql",
        "spark.sql('SELECT ? + id AS y FROM ada.people WHERE id > ?', [3, -2])",
        f"SELECT 3 + id FROM {P}",
    ),
    _n("spark.sql('SELECT id FROM ada.people WHERE id > :low', args={'low': 2.5, 'more': None})"),
    # more of columns
    _n("people.select(F.struct('id', 'name').alias('s')).select('s.*')"),
    _n("people.agg(F.countDistinct('age', 'pay'), F.count_distinct('town', 'member', 'name'))"),
    _n("people.groupBy('town').agg(F.countDistinct('age', 'name').alias('n'))"),
    _n("people.groupBy(F.struct('town', 'age').alias('s')).agg(F.count('*').alias('n'))"),
    _n("people.select(F.struct('pay', 'id').alias('s')).distinct().orderBy(F.desc('s'))"),
    _n(
        "people.agg(F.max(F.struct('pay', 'name')), F.min(F.array('age', 'id')), F.max_by('id', F.struct('town', 'id')))"
    ),
    _n(
        "people.select('id', F.struct('town', 'age') == F.struct(F.lit('ulm'), F.lit(30)), F.struct('age') < F.struct(F.lit(30)), F.array('age', 'id') >= F.array(F.lit(30), F.lit(2)))"
    ),
    _n("people.select(F.struct('*').alias('s')).selectExpr('s.*').select('id', 'town')"),
    _n("people.select(F.concat_ws('-', 'town', 'name'), F.struct('*'))"),
    _n(
        "people.select('id', F.nth_value('id', 2).over(W.orderBy('id')).alias('a'), F.nth_value('name', 2, True).over(W.orderBy('id')).alias('b'))"
    ),
    _n(
        "people.select(F.first('name', ignorenulls=True).over(W.orderBy('id')).alias('a'), F.last('name', True).over(W.orderBy('id')).alias('b'), F.lead('id', 1, 0).over(W.orderBy('id')).alias('c'))"
    ),
    # nothing that changes rows
    _s(
        "hints",
        "people.filter('id > 3').localCheckpoint().withColumn('x', F.col('id') + 1).localCheckpoint(False).select('x')",
        f"SELECT id + 1 FROM {P} WHERE id > 3",
    ),
    _s(
        "hints",
        "people.repartition(3).coalesce(1).hint('merge').cache().select('id')",
        f"SELECT id FROM {P}",
    ),
    _s(
        "hints",
        "people.repartition('town').select('id').transform(lambda d: d.filter('id > 3'))",
        f"SELECT id FROM {P} WHERE id > 3",
    ),
]

# Spark lists some values more, which are not so frequent: it looks at the rows once.
SNIPPETS_OF_OUR_OWN = [
    _s(
        "estimates",
        "people.freqItems(['town', 'name'], 0.28)",
        [(["bonn", "ulm"], ["ann"])],
        "town_freqItems",
        "name_freqItems",
    ),
    _s(
        "estimates",
        "people.stat.freqItems(['member', 'age'])",
        [([False, True, None], [25, 30, 41, 62, None])],
    ),
    _s("estimates", "people.filter('id > 99').freqItems(['town'])", [([],)]),
]

REFUSED = [
    ("people.select('nope')", "there is no column 'nope'"),
    ("people.select(visits.day)", "of another DataFrame"),
    ("people.join(people, people.id == people.age)", "ambiguous"),
    ("people.join(orders, people.id == orders.id).select('id')", "ambiguous"),
    ("people.sample(True, 0.5, 7)", "a sample with replacement is not supported"),
    ("people.stat.crosstab('age', 'town')", "groupBy('age').pivot('town', [...])"),
    ("people.crosstab('age', 'nope')", "no column 'nope'"),
    ("people.transpose()", "transpose is not supported"),
    ("people.select(F.lit(str(people.approxQuantile('name', [0.5], 0.0))))", "columns of numbers"),
    ("people.select(F.lit(str(people.approxQuantile('nope', [0.5], 0.0))))", "no column 'nope'"),
    ("people.freqItems(['nope'])", "no column 'nope'"),
    ("people.freqItems(['age'], 0.00001)", "support of freqItems"),
    ("people.select(F.lit(str(people.orderBy('age').select('id').tail(3))))", "last step"),
    ("people.select(F.lit(str(people.limit(5).tail(3))))", "tail after limit"),
    ("people.filter(people.id > orders.scalar())", "has one column"),
    ("people.filter(orders.filter(orders.id == people.id.outer()).exists())", "another DataFrame"),
    ("spark.sql('SELECT id FROM ada.people WHERE id > ?', [1, 2])", "1 marks ?"),
    ("spark.sql('SELECT id FROM ada.people WHERE id > :x', {'y': 2})", "placeholder"),
    ("spark.sql('SELECT id FROM ada.people WHERE id > :x', {'x': F.col('id')})", "is computed"),
    ("people.select('nope.*')", "no struct called 'nope'"),
    ("people.agg(F.percentile('age', 0.5, F.col('id')))", "with weights"),
    ("people.select(F.udf(lambda x: x)('age'))", "source of the Python function"),
    ("people.select(F.pandas_udf(lambda x: x, 'int')('age'))", "pandas_udf"),
    ("people.groupBy('id').applyInPandas(lambda d: d, 'id long')", "a Python function over rows"),
    ("people.mapInPandas(lambda d: d, 'id long')", "a Python function over rows"),
    ("spark.createDataFrame([(1, 'a')], ['x', 'y'])", "rows of this process"),
    ("spark.range(0)", "0 rows"),
    ("spark.range(20000)", "20000 rows"),
    ("people.describe('nope')", "no column 'nope'"),
    ("people.describe('member')", "no column of numbers or texts"),
    ("people.select(F.col('id').alias('Summary')).describe()", "called summary"),
    ("people.select('id', people.age.alias('ID')).describe()", "two columns"),
    ("people.summary('count', '101%')", "'101%' is no percentile"),
    ("people.summary('half%')", "'half%' is no percentile"),
    ("people.summary('mode')", "no statistic 'mode'"),
    ("people.groupBy('town').pivot('age').count()", "pivot without its values"),
    ("people.select(F.rand())", "rand"),
    ("people.select(F.current_date())", "current_date"),
    ("people.select(F.col('age').try_cast('no type'))", "TYPE"),
    ("people.select(F.col('age').cast('interval'))", "type"),
    ("people.select(F.monotonically_increasing_id())", "monotonically_increasing_id"),
    ("people.selectExpr('transform(array(id), id -> id + people.id)')", "name of a column"),
    ("people.select(F.transform('id', lambda x: x + 1))", "is no array"),
    ("people.sortWithinPartitions('id')", "sortWithinPartitions"),
    ("people.union(orders)", "columns"),
    ("people.select('id').unionByName(people.select('age'))", "no column"),
    ("people.toDF('a')", "toDF names 1"),
    ("people.filter('age +')", "not SQL"),
    ("people.filter('age IN (SELECT 1)')", "holds a query"),
    ("people.filter(people.age + 1)", "not a boolean"),
    ("people.select(people.name + 1)", "number"),
    ("spark.read.table('ada.nothing')", "there is no dataset"),
    ("spark.read.table('people')", "party.table"),
    ("spark.read.parquet('/tmp/x')", "reading files"),
    ("spark.read.csv('/tmp/x')", "reading files"),
    ("spark.sql('SELECT * FROM nowhere')", "there is no table"),
    ("spark.sql('DROP TABLE ada.people')", "not a query"),
    ("people.select(F.lit(people.stat.corr('id', 'name')))", "takes columns of numbers"),
    ("people.select(F.lit(people.stat.cov('id', 'member')))", "takes columns of numbers"),
    ("people.crosstab('id', 'age')", "crosstab"),
    ("people.observe('x', F.count('*'))", "observe"),
    ("people.groupBy(F.lit(1)).count()", "grouping key"),
]
"""Code that cannot run over sealed tables, and what its error says."""
