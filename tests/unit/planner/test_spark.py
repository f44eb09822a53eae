"""Expressions give what Spark 4 gave for them: tests/golden/spark. Types, values, and failures."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from tests.support import spark_rows
from tests.support.catalogs import PACKAGES, schema
from tests.support.differential import LIMITS, ArrowSource, catalog_of_tables
from tests.support.spark_rows import COLUMNS, FOLDER, ROWS, answer, plan_type, read

from mc2.engine.run import execute
from mc2.errors import EngineError, PlanError
from mc2.formats.arrow import arrow_schema
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

SHAPE = schema({name: plan_type(kind) for name, kind in COLUMNS})
TABLE = pa.Table.from_pylist(
    [dict(zip(SHAPE.names, row, strict=True)) for row in ROWS], schema=arrow_schema(SHAPE)
)
FILES = sorted(FOLDER.glob("*.txt"))
AT_ONCE = 60


def ours(expressions, extra=""):
    """What our plan gives for some expressions: the types and the values of each."""
    items = ", ".join(f"{e} AS v{i}" for i, e in enumerate(expressions))
    query = f"SELECT {items} FROM p.rows{extra}"
    script = (
        f"import mc2\njob = mc2.Job('t')\njob.release('r', job.sql({query!r}), to='institute')\n"
    )
    tables = {"p.rows": TABLE}
    plan = compile_here(script, name="t.py", catalog=catalog_of_tables(tables), packages=PACKAGES)
    sources = {i.dataset: ArrowSource(TABLE) for i in plan.inputs}
    output = execute(check_plan(plan), sources, LIMITS, lambda _: None)["r"]
    return [
        answer(str(c.type), output.table.column(c.name).to_pylist()) for c in output.schema.columns
    ]


def outcome(expression):
    try:
        return ours([expression])[0]
    except EngineError:
        return "fails"
    except PlanError as error:
        return f"refused: {error} ({error.hint})"


def expected(found):
    kind, _, values = found.partition(": ")
    return f"{plan_type(kind)}: {json.dumps(json.loads(values), ensure_ascii=False)}"


def cases(path):
    return [(e, a) for e, a in read(path) if a != "beyond"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_expressions_give_what_spark_gives(path):
    sound = [(e, expected(a)) for e, a in cases(path) if a != "fails" and "refused" not in a]
    for start in range(0, len(sound), AT_ONCE):
        some = sound[start : start + AT_ONCE]
        found = ours([e for e, _ in some])
        assert list(zip([e for e, _ in some], found, strict=True)) == some


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_expressions_fail_where_spark_fails(path):
    for expression, found in cases(path):
        if found == "fails":
            assert outcome(expression).startswith(("fails", "refused")), expression


def test_the_oracle_can_fail():
    assert ours(["j + 1"]) != ours(["j + 2"])
    assert spark_rows.shown(0.1) != spark_rows.shown(0.2)
