"""TPC-H's queries give the same table, bit for bit, in one piece and in three partitions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import pyarrow as pa
import pytest
from bench.tpch import QUERIES, TABLES, query, tables
from tests.support.catalogs import PACKAGES
from tests.support.differential import LIMITS, ArrowSource, catalog_of_tables
from tests.support.stage_runs import StageRun

from mc2.engine.run import execute
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

_OWNER = "clinic_a"
_FROM = re.compile(r"\b(FROM|JOIN)\b[^()]*?(?=\b(WHERE|GROUP|ORDER|ON|LEFT)\b|[()]|\Z)", re.DOTALL)
_NAMES = re.compile(rf"\b({'|'.join(TABLES)})\b(?!\.)")


@dataclass
class InChunks(ArrowSource):
    """A table in seven pieces, so that three tasks share them unevenly."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        rows = max(1, -(-self.table.num_rows // 7))
        yield from self.table.combine_chunks().to_batches(max_chunksize=rows)


@cache
def given() -> dict[str, pa.Table]:
    return {f"{_OWNER}.{name}": table for name, table in tables(0.002).items()}


def planned(number: int):
    text = _FROM.sub(lambda m: _NAMES.sub(rf"{_OWNER}.\1", m[0]), query(number))
    script = (
        f"import mc2\njob = mc2.Job('t')\njob.release('r', job.sql({text!r}), to='institute')\n"
    )
    catalog = catalog_of_tables(given())
    plan = compile_here(script, name="t.py", catalog=catalog, packages=PACKAGES)
    sized = tuple(replace(i, row_bound=given()[i.dataset].num_rows) for i in plan.inputs)
    return check_plan(replace(plan, inputs=sized))


@pytest.mark.parametrize("number", QUERIES)
def test_query(number):
    checked = planned(number)
    sources = {i.dataset: InChunks(given()[i.dataset]) for i in checked.plan.inputs}
    whole = execute(checked, sources, LIMITS, lambda _: None)["r"].table
    cut = StageRun(checked, sources, 3, broadcast_rows=100 if number % 2 else 0)
    assert len(cut.stages.stages) > 1
    assert cut.run()["r"].table.equals(whole)
