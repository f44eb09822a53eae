"""The process in which scripts are compiled: one request on stdin, one answer on stdout.

Everything that a script can need is loaded before the walls go up; afterwards the process opens
no file, no socket and no program, and ends after half a minute of processor time.
"""

from __future__ import annotations

import sys
from typing import Final

from mc2.confine import confine
from mc2.crypto.digest import digest
from mc2.errors import Mc2Error, PlanError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS
from mc2.formats.schema import Column, DataType, Schema
from mc2.plan.packages import package_versions
from mc2.planner.catalog import Catalog, CatalogTable
from mc2.planner.script import ANSWER, REQUEST, REQUEST_BYTES, compile_here

_MEMORY_BYTES: Final = 1024**3
_CPU_SECONDS: Final = 30

_WARM_UP: Final = '''
import mc2
job = mc2.Job("warm up")
t = job.sql("""
    WITH w AS (SELECT k, CASE WHEN x > 1.5 THEN 'a' END AS c, x FROM p.t WHERE k IN (1, 2))
    SELECT w.k, count(*) AS n, avg(w.x) AS x FROM w LEFT JOIN p.t USING (k)
    GROUP BY w.k HAVING count(*) > 1
    UNION ALL SELECT k, CAST(1 AS BIGINT), x FROM p.t
    ORDER BY n DESC LIMIT 3
""")
for dialect in ("duckdb", "postgres"):
    other = job.sql("SELECT k, CAST('1' AS INT) + 1 AS n FROM p.t WHERE x > 1", dialect=dialect)
    job.release(dialect, other, to=["p"])
d = mc2.xgboost.DMatrix(t, label="n")
m = mc2.xgboost.train({"max_depth": 3}, d, evals=[(d, f"{1}")])
from pyspark.sql import Window, functions as F
df = job.spark.table("p.t").filter((F.col("k") > 1) & ~F.col("x").isNull())
df = df.join(df.groupBy("k").count().alias("n"), "k").withColumn("c", F.col("x") * 2)
df = df.withColumn("r", F.row_number().over(Window.partitionBy("k").orderBy("x"))).fillna(0)
job.release("df", job.spark.sql("SELECT k, r FROM d", d=df).orderBy("k").limit(3), to=["p"])
job.release("h", m.history(), to=["p"])
job.release("p", m.predict(d), to=["p"])
import numpy as np
def f(preds, rows):
    gap = preds - rows.get_label()
    return np.where(gap > 0, gap, 1.0), 1 / (gap * gap)
def g(preds, rows):
    return "g", np.mean(preds)
b = mc2.xgboost.DMatrix(t, label="n", features=["x"], bin_edges={"x": [1, 2]})
e = mc2.xgboost.EarlyStopping(rounds=1)
r = mc2.xgboost.callback.LearningRateScheduler([0.1])
s = mc2.xgboost.train({}, b, 1, evals=[(b, "b")], obj=f, custom_metric=g, callbacks=[e, r])
c = mc2.xgboost.XGBRegressor(n_estimators=1).fit(t, "n", features=["x"])
job.release("s", s.get_score(), to=["p"])
job.release("v", mc2.xgboost.cv({}, b, 1), to=["p"])
part = mc2.xgboost.train({}, b, 1, xgb_model=c.get_booster())[0:1]
part.set_attr(a="b")
job.release("part", part, to=["p"])
job.release_to_owners("o", c, job.table("p.t"))
l = mc2.linear.LogisticRegression(C=2.0).fit(t, "n", features=["x"])
job.release("l", l.predict_proba(t), to=["p"])
@job.udf("string")
def band(n, s):
    if n is None or s is None:
        return None
    return s.strip().upper()[:2] if n % 3 > 0.5 else f"{n}"
shown = df.select(band(F.col("k"), F.lit("a")).alias("b"))
job.release("band", shown, to=["p"])
job.release("u", job.public_table("u", {"k": [1]}), to=["p"])
job.release("k", mc2.clusters.KMeans(2, init=[[1.0], [2.0]]).fit(t, features=["x"]), to=["p"])
'''


def main() -> int:
    """Read a request, put up the walls, compile, answer."""
    raw = sys.stdin.buffer.read(REQUEST_BYTES + 1)
    sys.stdout.buffer.write(encode(_answer(raw)))
    sys.stdout.buffer.flush()
    return 0


def _answer(raw: bytes) -> Json:
    try:
        fields = Fields(decode(raw, REQUEST_BYTES, "a request"), "a request")
        fields.type(REQUEST)
        script = fields.text("script", LIMITS.script_bytes)
        name = fields.text("name")
        catalog = Catalog.read(fields.value("catalog"))
        unconfined = fields.boolean("unconfined")
        fields.done()
        packages = package_versions()  # reads files, which is over after the next lines
        _warm_up()
        if not unconfined:
            confine(allow_threads=False, memory_bytes=_MEMORY_BYTES, cpu_seconds=_CPU_SECONDS)
        plan = compile_here(script, name=name, catalog=catalog, packages=packages)
    except Mc2Error as error:
        return {"type": ANSWER, "done": False, "error": _described(error)}
    return {"type": ANSWER, "done": True, "plan": plan.json()}


def _described(error: Mc2Error) -> Json:
    line, column = 0, 0
    message = str(error)
    if isinstance(error, PlanError):
        line, column = error.line, error.column
        message = message.removeprefix(f"line {line}, column {column}: ")
    return {
        "code": error.code,
        "message": message[: LIMITS.note_bytes],
        "hint": error.hint[: LIMITS.note_bytes],
        "line": line,
        "column": column,
    }


def _warm_up() -> None:
    """Compile a script of our own, so that whatever loads itself late is loaded."""
    columns = (Column("k", DataType("int32")), Column("x", DataType("double")))
    table = CatalogTable(manifest=digest(b"table"), owner="p", schema=Schema(columns), row_bound=8)
    catalog = Catalog(
        contract=digest(b"contract"),
        name="warm_up",
        members={"p": ("analyst", "owner", "recipient")},
        datasets={"p.t": table},
    )
    compile_here(_WARM_UP, name="warm_up.py", catalog=catalog)


if __name__ == "__main__":
    sys.exit(main())
